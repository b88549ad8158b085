"""Writes the golden files beside this script: `python make.py` (a quarter of a minute, CPU).

    ops.safetensors            `conv/0/x`, `conv/0/w`, ... : every operation, forward and gradients
    conv_large.safetensors     y, dx, dw, db at shapes for tiled algorithms; inputs by formula
    unet256_ngf4.safetensors   unet_256 at width 4; weights and inputs by formula, pictures by rows
    unet_d5_*, encoder_decoder_d5_*      depth 5, batch 2, all stored
    patchgan.safetensors       `n3`, `n1`, `pixel`, `n3_instance`: weights under `n3/weight/`,
                               results under `n3/b1/` and `n3/b2/` (batch 1 and 2); x by formula
    step.safetensors           one whole training step: `weight/g/`, `grad/g/`, `after/g/`; so for d
    steps10.json               losses of ten steps; of three with lsgan, batch 2, unconditional D

`after/` holds running statistics (and in step.safetensors the updated weights as well).
Everything is computed in float64 from inputs that are exact in f32, and stored as f32 in PyTorch's
layout, so a test measures its own rounding alone. What float32 PyTorch itself loses against these
values is recorded as `float32_nmse` in each file's metadata and is the measured reason for the
tests' tolerances (NMSE = sum of squared differences / sum of squares). A bias before a norm has
gradient 0 in principle and about 1e-16 here: compare it absolutely. Metadata has one key, `facts`
(`cases` for the operations), a JSON object; one, because the order of several is not kept.
"""

import copy
import json
import math
import os

import torch
from safetensors.torch import save_file

import ops
from formula import uniform
from models import NLayerDiscriminator, Pix2Pix, PixelDiscriminator, UnetGenerator, init_port

HERE = os.path.dirname(os.path.abspath(__file__))
LOSSES = ("d_real", "d_fake", "g_gan", "g_l1")


def write(name, tensors, key, facts):
    """Stores `tensors` as contiguous f32 under `name`, by way of a temporary file."""
    tensors = {k: v.detach().to(torch.float32).contiguous().clone() for k, v in tensors.items()}
    path = os.path.join(HERE, name)
    save_file(tensors, path + ".tmp", {key: json.dumps(facts, sort_keys=True)})
    os.chmod(path + ".tmp", 0o644)
    os.replace(path + ".tmp", path)
    print(f"{name}: {len(tensors)} tensors, {os.path.getsize(path):,} bytes")


def recipe(net, stream):
    """How each parameter is made: `offset + scale * uniform(stream)`, signals near 1 at any width.

    Filters get the power of two nearest to sqrt(3 / inputs per output), gamma 1 +- 0.25, beta and
    biases +- 0.125.
    """
    rows = {}
    for name, module in net.named_modules():
        for key, p in module.named_parameters(recurse=False):
            scale, offset = 0.125, 0.0
            if p.dim() == 4:
                inputs = module.in_channels * p.shape[2] * p.shape[3]
                if isinstance(module, torch.nn.ConvTranspose2d):
                    inputs /= module.stride[0] ** 2
                scale = 2.0 ** round(math.log2(3 / inputs) / 2)
            elif isinstance(module, torch.nn.BatchNorm2d) and key == "weight":
                scale, offset = 0.25, 1.0
            rows[f"{name}.{key}"] = {"shape": list(p.shape), "stream": stream + len(rows),
                                     "scale": scale, "offset": offset}
    return rows


def lively(net, stream):
    """Fills `net` by its recipe."""
    rows = recipe(net, stream)
    with torch.no_grad():
        for name, p in net.named_parameters():
            row = rows[name]
            p.copy_(uniform(row["stream"], row["shape"], row["scale"]) + row["offset"])
    return net


def is_statistic(key):
    return key.endswith(("running_mean", "running_var"))


def pass_through(net, x, dy):
    """One forward and backward in train mode: y, dx, every gradient, statistics afterwards."""
    net = copy.deepcopy(net).to(x.dtype).train()
    x = x.clone().requires_grad_()
    y = net(x)
    y.backward(dy)
    out = {"y": y.detach(), "dx": x.grad}
    out |= {f"grad/{k}": p.grad for k, p in net.named_parameters()}
    out |= {f"after/{k}": v for k, v in net.state_dict().items() if is_statistic(k)}
    return out


def weights(net):
    """Parameters by the port's names; statistics start at mean 0, variance 1 and are not stored."""
    return {f"weight/{k}": v for k, v in net.named_parameters()}


def worst(exact, rough):
    """Largest NMSE of float32 PyTorch, over the tensors whose gradient is not zero in principle.

    A bias before a norm has gradient 0: there the quotient would be noise over noise.
    """
    found = {}
    for key, e in exact.items():
        power = e.double().pow(2).sum().item()
        if power > 1e-20 * e.numel():
            found[key] = ((rough[key].double() - e.double()).pow(2).sum().item()) / power
    key = max(found, key=found.get)
    return {"tensor": key, "nmse": found[key], "y": found.get("y")}


def golden_net(net, x, dy):
    """(float64 results, what float32 loses)."""
    exact = pass_through(net, x.double(), dy.double())
    return exact, worst(exact, pass_through(net, x, dy))


def nets():
    every = 4
    net = lively(UnetGenerator(num_downs=8, ngf=4), 10000)
    x, dy = uniform(7000, (1, 3, 256, 256)), uniform(7001, (1, 3, 256, 256), 2.0 ** -6)
    exact, loss = golden_net(net, x, dy)
    for key in ("y", "dx"):
        exact[f"{key}_rows"] = exact.pop(key)[:, :, ::every]
    write("unet256_ngf4.safetensors", exact, "facts", {
        "num_downs": 8, "ngf": 4, "norm": "batch", "x": [1, 3, 256, 256],
        "streams": {"x": 7000, "dy": 7001}, "dy_scale": 2.0 ** -6,
        "weights": recipe(net, 10000), "weight_rule": "offset + scale * uniform(stream)",
        "rows": f"y_rows and dx_rows hold rows 0, {every}, {2 * every}, ...",
        "float32_nmse": loss})

    for name, seed, kind in [("unet_d5_ngf4_b2", 1, {}),
                             ("unet_d5_ngf4_b2_instance", 2, {"norm": "instance"}),
                             ("encoder_decoder_d5_ngf4_b2", 3, {"skip": False})]:
        net = lively(UnetGenerator(num_downs=5, ngf=4, **kind), 11000 + 100 * seed)
        shape = (2, 3, 32, 32)
        x, dy = uniform(7010 + seed, shape), uniform(7020 + seed, shape, 2.0 ** -4)
        exact, loss = golden_net(net, x, dy)
        write(f"{name}.safetensors", weights(net) | {"x": x, "dy": dy} | exact, "facts",
              {"num_downs": 5, "ngf": 4, "norm": "batch", "skip": True} | kind
              | {"float32_nmse": loss})

    tensors, facts = {}, {}
    for index, (label, make) in enumerate([
            ("n3", lambda: NLayerDiscriminator(6, 4, 3)),
            ("n1", lambda: NLayerDiscriminator(6, 4, 1)),
            ("pixel", lambda: PixelDiscriminator(6, 4)),
            ("n3_instance", lambda: NLayerDiscriminator(6, 4, 3, "instance"))]):
        net = lively(make(), 12000 + 100 * index)
        tensors |= {f"{label}/{k}": v for k, v in weights(net).items()}
        for batch in (1, 2):
            at = 7100 + 4 * index + 2 * batch
            side = 64 if label != "pixel" else 24
            x = uniform(at, (batch, 6, side, side))
            with torch.no_grad():
                shape = copy.deepcopy(net)(x).shape
            dy = uniform(at + 1, shape)
            exact, loss = golden_net(net, x, dy)
            exact["dx_rows"] = exact.pop("dx")[:, :, ::every]
            case = f"{label}/b{batch}"
            tensors |= {f"{case}/{k}": v for k, v in exact.items()} | {f"{case}/dy": dy}
            facts[case] = {"dx_rows": f"rows 0, {every}, {2 * every}, ...",
                           "x": list(x.shape), "x_stream": at, "float32_nmse": loss}
    write("patchgan.safetensors", tensors, "facts", facts)


def start(conditional=True):
    """The nets every training case starts from, with the port's own initialisation."""
    generator = torch.Generator().manual_seed(20)
    g = init_port(UnetGenerator(num_downs=6, ngf=4), generator)
    d = init_port(NLayerDiscriminator(6, 8, 3), generator)
    if not conditional:
        alone = NLayerDiscriminator(3, 8, 3)
        state = d.state_dict()
        state["model.0.weight"] = state["model.0.weight"][:, 3:6]
        alone.load_state_dict(state)
        d = alone
    return g, d


def pictures(step, batch):
    """Input and target of a step: streams 8000 + 2 step and 8001 + 2 step."""
    shape = (batch, 3, 64, 64)
    return uniform(8000 + 2 * step, shape), uniform(8001 + 2 * step, shape)


def run(dtype, steps, batch=1, mode="vanilla", conditional=True):
    """`steps` training steps; returns (losses a step, what the last step left)."""
    g, d = (net.to(dtype) for net in start(conditional))
    model = Pix2Pix(g, d, mode=mode, conditional=conditional)
    rows = []
    for step in range(steps):
        a, b = (x.to(dtype) for x in pictures(step, batch))
        losses, fake = model.step(a, b)
        rows.append({k: losses[k].item() for k in LOSSES})
    left = {"fake": fake}
    for label, net in (("g", g), ("d", d)):
        left |= {f"grad/{label}/{k}": p.grad for k, p in net.named_parameters()}
        left |= {f"after/{label}/{k}": v for k, v in net.state_dict().items()
                 if "num_batches" not in k}
    return rows, left


def training():
    g, d = start()
    rows, exact = run(torch.float64, 1)
    rows32, rough = run(torch.float32, 1)
    a, b = pictures(0, 1)
    before = {f"weight/{label}/{k}": v for label, net in (("g", g), ("d", d))
              for k, v in net.named_parameters()}
    write("step.safetensors", before | {"a": a, "b": b} | exact, "facts", {
        "num_downs": 6, "ngf": 4, "n_layers": 3, "ndf": 8, "mode": "vanilla", "l1_weight": 100.0,
        "lr": 2e-4, "betas": [0.5, 0.999], "eps": 1e-8, "losses": rows[0],
        "losses_float32": rows32[0], "float32_nmse": worst(exact, rough),
        "d_statistics": "updated three times: fake, real, fake again"})

    runs = {"about": "losses of consecutive steps from the weights of step.safetensors; inputs by "
                     "formula.py, a of step s from stream 8000 + 2 s, b from 8001 + 2 s, 64x64; "
                     "float64 and float32 PyTorch side by side. The unconditional D's first filter "
                     "is the conditional one's input channels 3 to 5."}
    for name, steps, kind in [("vanilla", 10, {}), ("lsgan", 3, {"mode": "lsgan"}),
                              ("batch2", 3, {"batch": 2}),
                              ("unconditional", 3, {"conditional": False})]:
        wide, narrow = run(torch.float64, steps, **kind)[0], run(torch.float32, steps, **kind)[0]
        drift = [max(abs(n[k] - w[k]) / abs(w[k]) for k in LOSSES) for n, w in zip(narrow, wide)]
        runs[name] = {"settings": kind, "float64": wide, "float32": narrow,
                      "float32_relative_drift": drift}
        print(f"{name}: float32 drift by step", [f"{x:.1e}" for x in drift])
    path = os.path.join(HERE, "steps10.json")
    with open(path + ".tmp", "w") as f:
        json.dump(runs, f, indent=1)
        f.write("\n")
    os.replace(path + ".tmp", path)


if __name__ == "__main__":
    for file, make in (("ops", ops.small), ("conv_large", ops.large)):
        values, cases = make()
        write(f"{file}.safetensors", values, "cases", cases)
    nets()
    training()
