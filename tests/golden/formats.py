"""Writes small files of every kind that is read, by the programs that others use, and what they hold.

    python tests/golden/formats.py

Needs numpy, Pillow, tifffile, imagecodecs, rasterio, nibabel, SimpleITK. Each file is 7 x 5 pixels with the extremes of its
type; integers of 32 and 64 bits stay within 2^24, which single precision holds. `manifest.json` has the samples,
row by row, channels last. Read by tests/data/formats.rs.
"""

import json
from pathlib import Path

import nibabel
import numpy as np
import rasterio
import SimpleITK
import tifffile
from PIL import Image
from rasterio.transform import from_origin

OUT = Path(__file__).parent / "data" / "formats"
H, W = 5, 7
NAMES = {"uint8": "u8", "int8": "i8", "uint16": "u16", "int16": "i16", "uint32": "u32", "int32": "i32",
         "uint64": "u64", "int64": "i64", "float16": "f16", "float32": "f32", "float64": "f64", "bool": "u8"}
manifest = []
rng = np.random.default_rng(2026)


def content(dtype, shape):
    dtype = np.dtype(dtype)
    if dtype == bool:
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind == "f":
        data = rng.normal(0, 40, shape).astype(np.float16).astype(dtype)
        data.flat[:3] = [-1.5, 0.0, 2048.0]
        return data
    info = np.iinfo(dtype)
    low, high = max(info.min, -(2**24)), min(info.max, 2**24)
    data = rng.integers(low, high, shape, endpoint=True).astype(dtype)
    data.flat[:2] = [low, high]
    return data


def note(name, samples, page=0, stored=None):
    """samples: (h, w) or (h, w, c)."""
    samples = np.asarray(samples)
    if samples.ndim == 2:
        samples = samples[:, :, None]
    h, w, c = samples.shape
    stored = stored or NAMES[samples.dtype.newbyteorder("=").name]
    numbers = [int(v) if float(v).is_integer() else float(v) for v in samples.astype(np.float64).ravel()]
    manifest.append({"file": name, "page": page, "width": w, "height": h, "channels": c, "stored": stored, "samples": numbers})


def png():
    for bits in (1, 2, 4):
        data = rng.integers(0, 2**bits, (H, W)).astype(np.uint8)
        # tifffile and Pillow write no grey of 2 and 4 bits: imagecodecs does not either, so Pillow's palettes.
        image = Image.fromarray(data, "P")
        image.putpalette([v for i in range(2**bits) for v in (i * 10, 255 - i, i)])
        image.save(OUT / f"palette{bits}.png", bits=bits)
        note(f"palette{bits}.png", data)
    one = rng.integers(0, 2, (H, W)).astype(bool)
    Image.fromarray(one).save(OUT / "grey1.png")
    note("grey1.png", one)
    for mode, shape in (("L", (H, W)), ("LA", (H, W, 2)), ("RGB", (H, W, 3)), ("RGBA", (H, W, 4))):
        data = content("uint8", shape)
        Image.fromarray(data, mode).save(OUT / f"{mode}8.png")
        note(f"{mode}8.png", data)
    data = content("uint16", (H, W))
    Image.fromarray(data).save(OUT / "L16.png")
    note("L16.png", data)
    import imagecodecs
    for c in (2, 3, 4):
        data = content("uint16", (H, W, c))
        (OUT / f"{c}x16.png").write_bytes(imagecodecs.png_encode(data))
        note(f"{c}x16.png", data)


def tiff():
    def write(name, data, samples=None, **options):
        tifffile.imwrite(OUT / name, data, **options)
        note(name, data if samples is None else samples)

    for dtype in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64"):
        write(f"grey-{dtype}.tif", content(dtype, (H, W)), photometric="minisblack")
    for dtype in ("uint16", "int16", "float32"):
        data = content(dtype, (5, H, W))
        write(f"planar5-{dtype}.tif", data, data.transpose(1, 2, 0), photometric="minisblack", planarconfig="separate")
        data = content(dtype, (H, W, 5))
        write(f"chunky5-{dtype}.tif", data, photometric="minisblack", planarconfig="contig")
    write("rgb16-big-endian.tif", content("uint16", (H, W, 3)), photometric="rgb", byteorder=">")
    write("float-big-endian.tif", content("float32", (H, W)), byteorder=">")
    for compression in ("lzw", "deflate", "packbits", "zstd"):
        for dtype in ("uint8", "int16"):
            write(f"{compression}-{dtype}.tif", content(dtype, (H, W)), compression=compression)
    write("predictor2-rgb8.tif", content("uint8", (H, W, 3)), photometric="rgb", compression="deflate", predictor=2)
    write("predictor2-uint16-big.tif", content("uint16", (H, W, 3)), photometric="rgb", compression="lzw", predictor=2, byteorder=">")
    write("predictor2-int32.tif", content("int32", (H, W)), compression="zstd", predictor=2)
    write("predictor3-float32.tif", content("float32", (H, W)), compression="deflate", predictor=3)
    write("predictor3-float64.tif", content("float64", (H, W)), compression="lzw", predictor=3)
    write("tiles.tif", content("int16", (20, 18)), tile=(16, 16), photometric="minisblack")
    data = content("float32", (3, 18, 20))
    write("tiles-planar.tif", data, data.transpose(1, 2, 0), tile=(16, 16), photometric="minisblack", planarconfig="separate", compression="deflate")
    write("strips.tif", content("uint16", (H, W)), rowsperstrip=2)
    write("big.tif", content("int16", (H, W)), bigtiff=True)
    write("white-is-zero.tif", (data := content("uint8", (H, W))), 255 - data, photometric="miniswhite")
    pages = content("uint16", (3, H, W))
    tifffile.imwrite(OUT / "pages.tif", pages, photometric="minisblack")
    for i, page in enumerate(pages):
        note("pages.tif", page, i)
    data = content("uint16", (2, H, W))
    tifffile.imwrite(OUT / "channels.ome.tif", data, ome=True, photometric="minisblack", metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}})
    note("channels.ome.tif", data[1], 1)
    image = Image.fromarray(rng.integers(0, 4, (H, W)).astype(np.uint8), "P")
    image.putpalette([1, 2, 3, 40, 50, 60, 70, 80, 90, 255, 0, 9])
    image.save(OUT / "palette.tif")
    note("palette.tif", np.asarray(image))
    data = content("float32", (2, H, W))
    data[0, 0, 0] = -9999
    with rasterio.open(OUT / "geo.tif", "w", driver="GTiff", height=H, width=W, count=2, dtype="float32", nodata=-9999,
                       crs="EPSG:32632", transform=from_origin(500000, 5400000, 10, 10), compress="deflate") as f:
        f.write(data)
    note("geo.tif", data.transpose(1, 2, 0))


def arrays():
    for dtype in NAMES:
        for order in "<>":
            if np.dtype(dtype).itemsize == 1 and order == ">":
                continue
            data = content(dtype, (H, W)).astype(np.dtype(dtype).newbyteorder(order))
            name = f"{dtype}-{'big' if order == '>' else 'little'}.npy"
            np.save(OUT / name, data)
            note(name, data, stored=NAMES[dtype])
    data = content("float32", (H, W, 3))
    np.save(OUT / "hwc.npy", data)
    note("hwc.npy", data)
    np.save(OUT / "fortran-hwc.npy", np.asfortranarray(data))
    note("fortran-hwc.npy", data)
    data = content("int16", (2, H, W))
    np.save(OUT / "chw.npy", data)
    note("chw.npy", data.transpose(1, 2, 0))
    np.save(OUT / "fortran-chw.npy", np.asfortranarray(data))
    note("fortran-chw.npy", data.transpose(1, 2, 0))
    data = content("uint16", (3, H, W, 2))
    for name, array in (("stack.npy", data), ("fortran-stack.npy", np.asfortranarray(data))):
        np.save(OUT / name, array)
        for i in range(3):
            note(name, data[i], i)
    data = content("float64", (H, W))
    np.savez_compressed(OUT / "one.npz", data)
    note("one.npz", data)
    several = {name: content("int16", (H, W)) for name in ("b", "a")}
    np.savez(OUT / "two.npz", **several)
    note("two.npz", several["a"], 0)
    note("two.npz", several["b"], 1)


def volumes():
    for dtype in ("uint8", "int16", "uint16", "int32", "float32", "float64"):
        data = content(dtype, (W, H, 3))
        image = nibabel.Nifti1Image(data, np.diag([2.0, 3.0, 4.0, 1.0]), dtype=dtype)
        name = f"{dtype}.nii" + (".gz" if dtype == "int16" else "")
        nibabel.save(image, OUT / name)
        note(name, data[:, :, 2].T, 2)
    data = content("int16", (W, H, 2, 3))
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4), dtype="int16"), OUT / "channels.nii")
    note("channels.nii", data[:, :, 1].transpose(1, 0, 2), 1)
    header = nibabel.Nifti1Header()
    header.set_data_dtype("int16")
    header.set_slope_inter(0.5, -1000)
    data = content("int16", (W, H, 2)) // 4
    image = nibabel.Nifti1Image(data * 0.5 - 1000, np.eye(4), header)
    image.header.set_slope_inter(0.5, -1000)
    nibabel.save(image, OUT / "slope.nii")
    note("slope.nii", nibabel.load(OUT / "slope.nii").get_fdata()[:, :, 0].T.astype("float32"))
    data = content("int16", (W, H, 2))
    nibabel.save(nibabel.Nifti2Image(data, np.eye(4), dtype="int16"), OUT / "two.nii")
    note("two.nii", data[:, :, 1].T, 1)


def pnm():
    # A PBM, in which 1 is black, is read as light.
    one = rng.integers(0, 2, (H, W)).astype(bool)
    Image.fromarray(one).save(OUT / "bits.pbm")
    note("bits.pbm", one)
    for name, dtype, shape in (("grey8.pgm", "uint8", (H, W)), ("grey16.pgm", "uint16", (H, W)), ("rgb8.ppm", "uint8", (H, W, 3))):
        data = content(dtype, shape)
        Image.fromarray(data).save(OUT / name)
        note(name, data)


def more():
    one = rng.integers(0, 2, (H, W)).astype(bool)
    Image.fromarray(one).save(OUT / "grey1.bmp")
    note("grey1.bmp", one.astype(np.uint8) * 255)
    for extension in ("bmp", "gif"):
        data = content("uint8", (H, W))
        Image.fromarray(data).save(OUT / f"grey8.{extension}")
        note(f"grey8.{extension}", data)
        indices = rng.integers(0, 5, (H, W)).astype(np.uint8)
        # Every entry is used, and keeps its place: Pillow sorts nothing of a palette that it is given.
        indices.flat[:5] = range(5)
        image = Image.fromarray(indices, "P")
        image.putpalette([1, 2, 3, 40, 50, 60, 70, 80, 90, 255, 0, 9, 11, 22, 33])
        image.save(OUT / f"palette.{extension}", **({"optimize": False} if extension == "gif" else {}))
        note(f"palette.{extension}", indices)
    image.save(OUT / "clear.gif", transparency=3, optimize=False)
    note("clear.gif", np.stack([indices, np.where(indices == 3, 0, 255).astype(np.uint8)], -1))
    for mode, shape in (("RGB", (H, W, 3)), ("RGBA", (H, W, 4))):
        data = content("uint8", shape)
        if mode == "RGBA":
            # What cannot be seen is not kept by all.
            data[..., 3] |= 1
        Image.fromarray(data, mode).save(OUT / f"{mode}.webp", lossless=True, exact=True)
        note(f"{mode}.webp", data)
    for name, dtype, shape, compressed in (
        ("volume.mha", "int16", (3, H, W), False),
        ("packed.mha", "float32", (3, H, W), True),
        ("beside.mhd", "uint16", (3, H, W), False),
        ("beside-packed.mhd", "float64", (3, H, W), True),
        ("flat.mha", "uint8", (H, W), False),
    ):
        data = content(dtype, shape)
        image = SimpleITK.GetImageFromArray(data)
        image.SetSpacing([0.5, 0.75, 2.0][: data.ndim])
        SimpleITK.WriteImage(image, str(OUT / name), compressed)
        note(name, data[2] if data.ndim == 3 else data, 2 if data.ndim == 3 else 0)
    data = content("float32", (3, H, W, 2))
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(data, isVector=True), str(OUT / "vectors.mha"))
    note("vectors.mha", data[1], 1)


def jpeg_in_tiff():
    y, x = np.mgrid[0:40, 0:37]
    rgb = np.stack([x * 6, y * 6, 255 - x * 3 - y * 3], -1).astype(np.uint8)
    for name, data, options in (
        ("jpeg-ycbcr.tif", rgb, {"photometric": "ycbcr", "rowsperstrip": 16}),
        ("jpeg-ycbcr-tiles.tif", rgb, {"photometric": "ycbcr", "tile": (16, 16), "subsampling": (2, 2)}),
        ("jpeg-rgb.tif", rgb, {"photometric": "rgb", "tile": (32, 32)}),
        ("jpeg-grey.tif", rgb[..., 0], {"photometric": "minisblack", "rowsperstrip": 8}),
    ):
        tifffile.imwrite(OUT / name, data, compression="jpeg", compressionargs={"level": 95}, **options)
        # As libjpeg decodes it.
        np.save(OUT / (name[:-4] + ".npy"), tifffile.imread(OUT / name))
    # Tables in a tag of their own, as libtiff writes them.
    Image.fromarray(rgb).save(OUT / "jpeg-tables.tif", compression="jpeg", quality=95)
    np.save(OUT / "jpeg-tables.npy", np.asarray(Image.open(OUT / "jpeg-tables.tif")))


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    png()
    tiff()
    arrays()
    volumes()
    pnm()
    more()
    jpeg_in_tiff()
    lines = ",\n".join(json.dumps(entry) for entry in manifest)
    (OUT / "manifest.json").write_text(f"[\n{lines}\n]\n")
    print(len({e["file"] for e in manifest}), "files,", sum(p.stat().st_size for p in OUT.iterdir()), "bytes")
