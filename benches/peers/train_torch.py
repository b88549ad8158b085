"""Trains the PyTorch port on a folder of side-by-side pictures and judges it on DATA/val.

    train_torch.py DATA --epochs 5 --seed 0 --out DIR

Data as the port's default (`pictures.jittered`, shuffled every epoch, batch 1), unet_256, basic
discriminator, vanilla loss, lambda 100, Adam 2e-4. The learning rate is constant unless
`--policy linear` (the port's rule: the first half constant, then down to 0 in the last epoch).

Quality, averaged over the pictures of DATA/val at 256x256, always with batch statistics: L1 of
values in [-1, 1]; PSNR and SSIM of bytes (skimage, data_range 255, gaussian weights, sigma 1.5,
no sample covariance). Given with dropout on, as the port's test runs, and off. DIR receives
`torch_seedN.json`, a sheet (input | dropout on | dropout off | target), and both nets as .pth.
"""

import argparse
import json
import os
import random
import sys
import time

import numpy as np
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/golden"))
from models import NLayerDiscriminator, Pix2Pix, UnetGenerator, init_port  # noqa: E402
from pictures import files, jittered, plain, to_bytes  # noqa: E402


def rate(policy, epoch, epochs):
    """The factor on the learning rate in `epoch` (from 1)."""
    if policy == "constant":
        return 1.0
    flat = epochs // 2
    return 1.0 - max(0, epoch + 1 - flat) / (epochs - flat + 1)


def judge(g, paths, dropout):
    """(mean metrics, bytes of every output); batch statistics either way."""
    g.train()
    for module in g.modules():
        if isinstance(module, torch.nn.Dropout):
            module.train(dropout)
    rows, outputs = [], []
    with torch.no_grad():
        for path in paths:
            a, b = plain(path)
            fake = g(a)
            ours, real = to_bytes(fake), to_bytes(b)
            outputs.append(ours)
            rows.append(((fake - b).abs().mean().item(),
                         peak_signal_noise_ratio(real, ours, data_range=255),
                         structural_similarity(real, ours, channel_axis=2, gaussian_weights=True,
                                               sigma=1.5, use_sample_covariance=False,
                                               data_range=255)))
    g.train()
    means = np.mean(rows, axis=0)
    return dict(zip(("l1", "psnr", "ssim"), (round(float(x), 4) for x in means))), outputs


def sheet(path, paths, on, off, rows=8):
    """`rows` pictures spread over the set, one a line."""
    picked = np.linspace(0, len(paths) - 1, min(rows, len(paths))).astype(int)
    lines = [np.concatenate([to_bytes(plain(paths[i])[0]), on[i], off[i],
                             to_bytes(plain(paths[i])[1])], axis=1) for i in picked]
    Image.fromarray(np.concatenate(lines)).save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="folder with train/ and val/")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--policy", choices=["constant", "linear"], default="constant")
    parser.add_argument("--out", default=".", help="folder for the results")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)
    weights = torch.Generator().manual_seed(args.seed)
    g = init_port(UnetGenerator(use_dropout=True), weights)
    d = init_port(NLayerDiscriminator(), weights)
    model = Pix2Pix(g, d)
    train = files(os.path.join(args.data, "train"))
    val = files(os.path.join(args.data, "val"))

    epochs, start = [], time.perf_counter()
    for epoch in range(1, args.epochs + 1):
        for group in model.opt_g.param_groups + model.opt_d.param_groups:
            group["lr"] = 2e-4 * rate(args.policy, epoch, args.epochs)
        rng.shuffle(train)
        sums = {}
        for path in train:
            losses, _ = model.step(*jittered(path, rng))
            for key, value in losses.items():
                sums[key] = sums.get(key, 0.0) + value.item()
        epochs.append({"epoch": epoch, "seconds": round(time.perf_counter() - start, 1)}
                      | {k: round(v / len(train), 4) for k, v in sums.items()})
        print(json.dumps(epochs[-1]), flush=True)

    with_dropout, on = judge(g, val, True)
    without, off = judge(g, val, False)
    os.makedirs(args.out, exist_ok=True)
    stem = os.path.join(args.out, f"torch_seed{args.seed}")
    sheet(f"{stem}.png", val, on, off)
    for label, net in (("g", g), ("d", d)):
        torch.save(net.state_dict(), f"{stem}_{label}.pth")
    result = {"torch": torch.__version__, "seed": args.seed, "policy": args.policy,
              "steps": args.epochs * len(train), "seconds_training": epochs[-1]["seconds"],
              "val_pictures": len(val), "dropout_on": with_dropout, "dropout_off": without,
              "epochs": epochs}
    with open(f"{stem}.json", "w") as f:
        json.dump(result, f, indent=1)
        f.write("\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
