"""Writes pictures in several formats, and reads them when told to: the peer of benches/read.rs.

    python benches/peers/read.py --make FOLDER     # writes the files, of 1,024 x 1,024 pixels of samples/atlas
    python benches/peers/read.py --serve           # a path a line on stdin; answers with seconds

Needs numpy, Pillow, tifffile, imagecodecs, nibabel.
"""

import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import tifffile
from PIL import Image

SIDE = 1024


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    tiles = [np.asarray(Image.open(p)) for p in sorted(Path("samples/atlas/train").glob("*.jpg"))[:8]]
    rows = [np.concatenate(tiles[i : i + 2], 1) for i in range(0, 8, 2)]
    rgb = np.ascontiguousarray(np.concatenate(rows, 0)[:SIDE, :SIDE])
    assert rgb.shape == (SIDE, SIDE, 3), rgb.shape
    image = Image.fromarray(rgb)
    image.save(folder / "rgb.jpg", quality=95)
    image.save(folder / "rgb.png")
    image.save(folder / "rgb.bmp")
    image.save(folder / "lossless.webp", lossless=True)
    image.save(folder / "lossy.webp", quality=90)
    image.save(folder / "rgb.ppm")
    image.quantize(64).save(folder / "palette.gif")
    grey = (rgb.astype(np.float64) @ [0.299, 0.587, 0.114] * 257).astype(np.uint16)
    Image.fromarray(grey).save(folder / "grey16.png")
    five = np.stack([rgb[..., i % 3].astype(np.float32) * (i + 1) / 7 for i in range(5)], -1)
    tifffile.imwrite(folder / "grey16.tif", grey, photometric="minisblack")
    tifffile.imwrite(folder / "grey16-lzw.tif", grey, photometric="minisblack", compression="lzw")
    tifffile.imwrite(folder / "rgb-deflate.tif", rgb, photometric="rgb", compression="deflate", predictor=2)
    tifffile.imwrite(folder / "rgb-zstd.tif", rgb, photometric="rgb", compression="zstd", predictor=2)
    tifffile.imwrite(folder / "five-floats.tif", five, photometric="minisblack", planarconfig="contig")
    np.save(folder / "five-floats.npy", five)
    np.savez_compressed(folder / "five-floats.npz", five)
    nibabel.save(nibabel.Nifti1Image(grey.T.astype(np.int16)[..., None], np.eye(4)), folder / "grey.nii.gz")


def read(path):
    match path.suffix:
        case ".tif":
            return tifffile.imread(path)
        case ".npy":
            return np.load(path)
        case ".npz":
            return np.load(path)["arr_0"]
        case ".gz":
            return np.asarray(nibabel.load(path).dataobj)
        case _:
            return np.asarray(Image.open(path))


if sys.argv[1] == "--make":
    make(Path(sys.argv[2]))
else:
    print("ready", flush=True)
    for line in sys.stdin:
        begin = time.perf_counter()
        read(Path(line.strip()))
        print(time.perf_counter() - begin, flush=True)
