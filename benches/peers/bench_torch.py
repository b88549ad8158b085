"""Times PyTorch's eager pix2pix: unet_256, basic discriminator, 256x256, batch 1; on the CPU in fp32, or a GPU.

    bench_torch.py --steps 10                  the training step and the generator alone
    bench_torch.py --steps 10 --ort            the generator on ONNX Runtime as well
    bench_torch.py --device cuda               a GPU: in f32, tf32, bf16, eager and as a CUDA graph
    bench_torch.py --serve                     reads `step`, `translate` or `ort` a line, runs one

Each figure is a JSON line, milliseconds of wall time. `step`: dropout on, D then G, both Adams.
`translate`: generator alone as the port's test runs it: train mode (batch statistics, dropout on),
no gradients. `ort`: the same generator without dropout on ONNX Runtime's CPU provider, exported in
training mode so that its batch norms keep using batch statistics; checked against PyTorch first.
On a GPU a figure is the mean of 20 plays between two waits for the device, so that the host runs ahead
as it does in training; `channels_last` and cuDNN's own search are on, Adam is the fused one.
When serving, ask a second process for `ort`: right after it in the same one PyTorch ran slower
(205 ms for `translate` against 166, median of 14, two shared Zen 4 cores).
"""

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
import warnings

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/golden"))
from formula import uniform  # noqa: E402
from models import NLayerDiscriminator, Pix2Pix, UnetGenerator, init_port  # noqa: E402


def session(g, a):
    """ONNX Runtime's session for `g`, checked against PyTorch on `a`; returns a callable."""
    import onnxruntime

    twin = UnetGenerator(use_dropout=False).train()
    twin.load_state_dict(g.state_dict())
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the successor it asks for needs onnxscript
        path = os.path.join(folder, "g.onnx")
        torch.onnx.export(twin, (a,), path, dynamo=False, input_names=["a"], opset_version=17,
                          training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False)
        run = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        got, want = torch.from_numpy(run.run(None, {"a": a.numpy()})[0]), twin(a)
    worst = (got - want).abs().max().item()
    # Both sum in fp32 in their own order over up to 8192 products; the image spans [-1, 1].
    if worst > 1e-3:
        raise SystemExit(f"the exported generator is off by {worst:.1e}: its time means nothing")
    print(json.dumps({"what": "ort_check", "max_abs_difference": worst}), flush=True)
    feed = {"a": a.numpy()}
    return lambda: run.run(None, feed)


class Bench:
    """The nets and one pair of pictures; `run(what)` plays one and returns its milliseconds."""

    def __init__(self, channels_last, fused, device="cpu"):
        generator = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.g = init_port(UnetGenerator(use_dropout=True), generator).to(device, memory_format=layout)
        d = init_port(NLayerDiscriminator(), generator).to(device, memory_format=layout)
        self.model = Pix2Pix(self.g, d, fused=fused)
        self.a, self.b = (uniform(i, (1, 3, 256, 256)).to(device).contiguous(memory_format=layout)
                          for i in (0, 1))
        self.ort = None

    def translate(self):
        with torch.no_grad():
            return self.g(self.a)

    def run(self, what):
        if what == "ort" and self.ort is None:
            self.ort = session(self.g, self.a.contiguous())
        play = {"step": lambda: self.model.step(self.a, self.b), "translate": self.translate,
                "ort": self.ort}.get(what)
        if play is None:
            raise SystemExit(f"'{what}': expected step, translate or ort")
        start = time.perf_counter()
        play()
        return (time.perf_counter() - start) * 1e3


def on_gpu(steps, warmup):
    """Times a GPU in every precision; a line each, printed as it is known."""
    torch.backends.cudnn.benchmark = True
    plays = 20
    for precision in ("f32", "tf32", "bf16"):
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision != "f32"
        bench = Bench(True, None, "cuda")
        rule = {"lr": 2e-4, "betas": (0.5, 0.999), "fused": True, "capturable": True}
        bench.model.opt_g = torch.optim.Adam(bench.g.parameters(), **rule)
        bench.model.opt_d = torch.optim.Adam(bench.model.d.parameters(), **rule)
        cast = torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)

        def step():
            with cast:
                bench.model.step(bench.a, bench.b)

        def translate():
            with cast:
                bench.translate()

        for what, eager in (("translate", translate), ("step", step)):
            stream = torch.cuda.Stream()
            with torch.cuda.stream(stream):
                for _ in range(warmup + 3):
                    eager()
            torch.cuda.synchronize()
            contenders = [("eager", eager)]
            try:
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    eager()
                contenders.append(("graph", graph.replay))
            except RuntimeError as error:
                print(json.dumps({"what": what, "how": "graph", "failed": str(error)[:200]}), flush=True)
            for how, play in contenders:
                ms = []
                for _ in range(warmup + steps):
                    torch.cuda.synchronize()
                    start = time.perf_counter()
                    for _ in range(plays):
                        play()
                    torch.cuda.synchronize()
                    ms.append((time.perf_counter() - start) * 1e3 / plays)
                ms = ms[warmup:]
                print(json.dumps({"what": what, "how": how, "precision": precision,
                                  "median_ms": round(statistics.median(ms), 3),
                                  "min_ms": round(min(ms), 3), "torch": torch.__version__,
                                  "device": torch.cuda.get_device_name()}), flush=True)


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=10, help="timed runs of each kind")
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--ort", action="store_true", help="time ONNX Runtime as well")
    parser.add_argument("--serve", action="store_true", help="run what stdin asks, a line each")
    parser.add_argument("--channels-last", action="store_true", help="NHWC tensors and filters")
    parser.add_argument("--fused", action="store_true", help="fused Adam (not the default)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    args = parser.parse_args()

    if args.device == "cuda":
        on_gpu(args.steps, args.warmup)
        return
    bench = Bench(args.channels_last, args.fused)
    setting = {"torch": torch.__version__, "threads": torch.get_num_threads(),
               "channels_last": args.channels_last, "fused_adam": args.fused}
    if args.serve:
        print(json.dumps({"what": "ready"} | setting), flush=True)
        for line in sys.stdin:
            what = line.strip()
            ms = bench.run(what)
            print(json.dumps({"what": what, "ms": ms, "peak_mb": round(peak_mb())}), flush=True)
        return
    for what in ["translate", "step"] + ["ort"] * args.ort:
        ms = [bench.run(what) for _ in range(args.warmup + args.steps)][args.warmup:]
        print(json.dumps({"what": what, "median_ms": round(statistics.median(ms), 1),
                          "min_ms": round(min(ms), 1), "ms": [round(x, 1) for x in ms],
                          "peak_mb": round(peak_mb())} | setting), flush=True)


if __name__ == "__main__":
    main()
