"""The port's pictures: side-by-side files, A left and B right, 8-bit RGB, bicubic by PIL.

Tensors are (1, 3, 256, 256) in [-1, 1]: value = byte / 127.5 - 1.
"""

import os

import numpy as np
import torch
from PIL import Image

SIZE, LOAD = 256, 286


def files(folder):
    """Picture paths in the order of their names."""
    names = sorted(n for n in os.listdir(folder) if n.lower().endswith((".jpg", ".jpeg", ".png")))
    if not names:
        raise SystemExit(f"{folder}: no .jpg or .png picture; expected side-by-side pairs")
    return [os.path.join(folder, n) for n in names]


def halves(path):
    """(A, B) as PIL pictures."""
    pair = Image.open(path).convert("RGB")
    middle = pair.width // 2
    return (pair.crop((0, 0, middle, pair.height)),
            pair.crop((middle, 0, pair.width, pair.height)))


def tensor(picture):
    x = torch.from_numpy(np.asarray(picture, dtype=np.float32) / 127.5 - 1)
    return x.permute(2, 0, 1).unsqueeze(0).contiguous()


def plain(path):
    """(A, B) at 256 x 256, no jitter."""
    return tuple(tensor(p.resize((SIZE, SIZE), Image.BICUBIC)) for p in halves(path))


def jittered(path, rng):
    """(A, B): resized to 286 x 286, one random 256 x 256 crop for both, flipped together half the
    time. `rng` is a `random.Random`."""
    x, y = rng.randint(0, LOAD - SIZE), rng.randint(0, LOAD - SIZE)
    flip = rng.random() > 0.5
    out = []
    for picture in halves(path):
        picture = picture.resize((LOAD, LOAD), Image.BICUBIC).crop((x, y, x + SIZE, y + SIZE))
        out.append(tensor(picture.transpose(Image.FLIP_LEFT_RIGHT) if flip else picture))
    return tuple(out)


def to_bytes(x):
    """The one picture of a batch as (h, w, 3) bytes, rounded to nearest (the port truncates)."""
    x = x[0].permute(1, 2, 0).clamp(-1, 1).numpy()
    return np.rint((x + 1) * 127.5).astype(np.uint8)
