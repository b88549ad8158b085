"""Has other programs read the files that we write, and notes the checksums of those that they read exactly.

    WRITE_OURS=/tmp/ours cargo test --test data our_files     # after mkdir /tmp/ours
    python tests/golden/read_ours.py /tmp/ours

Needs numpy, Pillow, tifffile, imagecodecs, rasterio, nibabel, SimpleITK. tests/data/formats.rs checks that the files
that are written are still these.
"""

import json
import sys
import warnings
import zlib
from pathlib import Path

import imagecodecs
import nibabel
import numpy as np
import rasterio
import SimpleITK
import tifffile
from PIL import Image

warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
TYPES = {"u8": "uint8", "i8": "int8", "u16": "uint16", "i16": "int16", "u32": "uint32", "i32": "int32",
         "u64": "uint64", "i64": "int64", "f16": "float16", "f32": "float32", "f64": "float64"}


def channels_last(array):
    return array[..., None] if array.ndim == 2 else array


def read(path, pages, palette):
    """(pages, rows, columns, channels), by each program that reads the file."""
    kind = path.name.split(".", 1)[1]
    if kind == "png":
        if palette:
            yield "Pillow", np.asarray(Image.open(path))[None, ..., None]
        else:
            yield "imagecodecs", channels_last(imagecodecs.png_decode(path.read_bytes()))[None]
    elif kind == "ppm":
        # Pillow has no colours of 16 bits.
        with rasterio.open(path) as file:
            yield "rasterio", file.read().transpose(1, 2, 0)[None]
    elif kind in ("gif", "bmp", "webp", "pgm"):
        image = Image.open(path)
        if image.mode == "P" and not palette:
            image = image.convert("L")
        data = np.asarray(image)
        yield "Pillow", channels_last(data.astype(np.uint16) if data.dtype == np.int32 else data)[None]
    elif kind == "tiff":
        with tifffile.TiffFile(path) as file:
            yield "tifffile", np.stack([channels_last(page.asarray()) for page in file.pages])
        # GDAL has no half precision in memory.
        if pages == 1 and not path.name.startswith("f16"):
            with rasterio.open(path) as file:
                yield "rasterio", file.read().transpose(1, 2, 0)[None]
    elif kind == "npy":
        data = np.load(path)
        yield "numpy", data if pages > 1 else data[None]
    elif kind == "npz":
        data = np.load(path)
        yield "numpy", np.stack([channels_last(data[name]) for name in sorted(data.files)])
    elif kind in ("nii", "nii.gz"):
        data = np.asanyarray(nibabel.load(path).dataobj)
        # Columns, rows, slices, channels.
        data = data.reshape(*data.shape, *[1] * (4 - data.ndim))
        yield "nibabel", data.transpose(2, 1, 0, 3)
    elif kind == "mha":
        image = SimpleITK.ReadImage(str(path))
        data = SimpleITK.GetArrayFromImage(image)
        yield "SimpleITK", data if image.GetNumberOfComponentsPerPixel() > 1 else data[..., None]
    else:
        raise ValueError(path)


folder = Path(sys.argv[1])
sums, wrong, reads = {}, [], {}
for entry in json.loads((folder / "manifest.json").read_text()):
    name = entry["file"]
    shape = (len(entry["pages"]), entry["height"], entry["width"], entry["channels"])
    want = np.array(entry["pages"], np.float64).reshape(shape).astype(TYPES[entry["stored"]])
    programs = []
    try:
        for program, data in read(folder / name, shape[0], entry["palette"]):
            same = data.shape == want.shape and data.dtype == want.dtype and np.array_equal(data, want)
            if not same:
                wrong.append(f"{name}: {program} has {data.dtype} {data.shape}, equal {data.shape == want.shape and np.array_equal(data, want)}")
            programs.append(program)
    except Exception as error:
        wrong.append(f"{name}: {error}")
        continue
    for program in programs:
        reads[program] = reads.get(program, 0) + 1
    sums[name] = zlib.crc32((folder / name).read_bytes())
if wrong:
    sys.exit("\n".join(wrong))
out = Path(__file__).parent / "data" / "read_by_others.json"
out.write_text("{\n" + ",\n".join(f'"{name}": {value}' for name, value in sums.items()) + "\n}\n")
print(len(sums), "files, read by", reads)
