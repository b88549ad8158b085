"""Writes a large uncompressed TIFF out of the A sides of a folder of side-by-side pictures.

    python benches/peers/mosaic.py samples/atlas SIDE OUT.tiff

SIDE x SIDE pixels, in strips of 64 rows; row r, column c has picture (7 r + c) mod n of the n in all subfolders, by name.
Needs numpy, Pillow, tifffile.
"""

import sys
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

folder, side, out = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
pictures = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*/*.jpg"))]
height, width = pictures[0].shape[0], pictures[0].shape[1] // 2
inputs = [picture[:, :width] for picture in pictures]


def strips():
    for row, top in enumerate(range(0, side, height)):
        across = range(-(-side // width))
        line = np.concatenate([inputs[(7 * row + column) % len(inputs)] for column in across], axis=1)
        line = line[: min(height, side - top), :side]
        for y in range(0, line.shape[0], 64):
            yield np.ascontiguousarray(line[y : y + 64])


tifffile.imwrite(out, strips(), shape=(side, side, 3), dtype="uint8", photometric="rgb", rowsperstrip=64)
