"""Trains from given weights without chance, so that an engine can be followed step by step.

    follow_torch.py run G.pth D.pth DATA --steps 50 > theirs.jsonl
    follow_torch.py compare OURS.jsonl THEIRS.jsonl

`run` takes DATA/train in the order of the names, at 256x256, no jitter, no flip, dropout off, batch
1, and prints a JSON line a step with the port's names: `g_gan`, `g_l1` (its weight of 100
included), `d_real` and `d_fake` (before the halving). The nets' depth, width, norm and kind are
read from the weights. `compare` reads lines that have these four keys, in order, and prints the
largest relative difference of every step; it fails above `--bound`.
"""

import argparse
import itertools
import json
import os
import sys

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/golden"))
from models import NLayerDiscriminator, Pix2Pix, PixelDiscriminator, UnetGenerator  # noqa: E402
from pictures import files, plain  # noqa: E402

KEYS = ("g_gan", "g_l1", "d_real", "d_fake")


def norm_of(state):
    return "batch" if any(k.endswith("running_mean") for k in state) else "instance"


def generator(path):
    """The generator that the weights at `path` fit."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    down, up = state["model.model.0.weight"], state["model.model.3.weight"]  # the outermost two
    filters = sum(v.dim() == 4 for v in state.values())
    net = UnetGenerator(down.shape[1], up.shape[1], filters // 2, down.shape[0], norm_of(state),
                        skip=up.shape[0] == 2 * down.shape[0])
    net.load_state_dict(state)
    return net


def discriminator(path):
    """The discriminator that the weights at `path` fit."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    if "net.0.weight" in state:
        ndf, channels = state["net.0.weight"].shape[:2]
        net = PixelDiscriminator(channels, ndf, norm_of(state))
    else:
        ndf, channels = state["model.0.weight"].shape[:2]
        layers = sum(v.dim() == 4 for v in state.values()) - 2
        net = NLayerDiscriminator(channels, ndf, layers, norm_of(state))
    net.load_state_dict(state)
    return net, channels


def run(args):
    g = generator(args.g)
    d, channels = discriminator(args.d)
    paths = files(os.path.join(args.data, "train"))
    first = plain(paths[0])
    model = Pix2Pix(g, d, mode=args.gan, conditional=channels == sum(x.shape[1] for x in first))
    for step, path in enumerate(itertools.islice(itertools.cycle(paths), args.steps), 1):
        losses, _ = model.step(*plain(path))
        print(json.dumps({"step": step} | {k: losses[k].item() for k in KEYS}), flush=True)


def read(path):
    with open(path) as f:
        rows = [json.loads(line) for line in f if line.strip()]
    return [row for row in rows if all(k in row for k in KEYS)]


def compare(args):
    ours, theirs = read(args.ours), read(args.theirs)
    count = min(len(ours), len(theirs))
    if count == 0:
        raise SystemExit(f"nothing to compare: no line has all of {', '.join(KEYS)} in one file")
    worst = 0.0
    for step, (x, y) in enumerate(zip(ours, theirs), 1):
        by_key = {k: abs(x[k] - y[k]) / max(abs(y[k]), 1e-12) for k in KEYS}
        worst = max(worst, *by_key.values())
        print(json.dumps({"step": step} | {k: float(f"{v:.3g}") for k, v in by_key.items()}))
    print(json.dumps({"steps": count, "largest_relative": worst, "bound": args.bound}))
    if worst > args.bound:
        raise SystemExit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    modes = parser.add_subparsers(required=True)
    one = modes.add_parser("run", help="train and print the losses")
    one.add_argument("g")
    one.add_argument("d")
    one.add_argument("data")
    one.add_argument("--steps", type=int, default=50)
    one.add_argument("--gan", choices=["vanilla", "lsgan"], default="vanilla")
    one.set_defaults(call=run)
    two = modes.add_parser("compare", help="relative differences of two such files")
    two.add_argument("ours")
    two.add_argument("theirs")
    two.add_argument("--bound", type=float, default=1e-2)
    two.set_defaults(call=compare)
    args = parser.parse_args()
    args.call(args)


if __name__ == "__main__":
    main()
