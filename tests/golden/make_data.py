"""Writes tests/golden/data: what Pillow and scikit-image say, for tests/data.rs.

    python tests/golden/make_data.py        (numpy, pillow, scikit-image; from the repository root)

resize.bin      per case: in w, in h, out w, out h (u32 little-endian), input bytes, output bytes
augment.bin     per case: seed, epoch, sample, size, w, h (u32), the picture's bytes, then the bytes that
                Pillow's resize, crop and transpose give with the offsets drawn (as given in DRAWS)
metrics.bin     per case: w, h (u32), bytes of a, bytes of b, L1, PSNR, SSIM (f64)
pictures/       small files of many kinds, and <name>.rgb beside each: what they should decode to
"""

import os
import struct

import numpy as np
from PIL import Image, ImageOps
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
PICTURES = os.path.join(OUT, "pictures")
os.makedirs(PICTURES, exist_ok=True)
rng = np.random.default_rng(20040)


def noise(w, h):
    """Half noise, half stripes of 0 and 255, so that overshoot is clamped too."""
    x = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
    stripes = (np.arange(w) // 3 % 2 * 255).astype(np.uint8)
    x[: h // 2] = stripes[None, :, None]
    return x


# in w, in h, out w, out h
RESIZE = [
    (256, 20, 286, 22),
    (20, 286, 18, 256),
    (286, 24, 256, 21),
    (24, 256, 27, 286),
    (37, 53, 61, 40),
    # Just on and just over the border where Pillow 13 takes the columns first.
    (20, 40, 18, 36),
    (20, 40, 18, 35),
    (40, 30, 44, 29),
    (40, 30, 44, 30),
    (30, 90, 20, 70),
    (30, 90, 20, 69),
    (64, 64, 64, 80),
    (64, 64, 71, 64),
    (1, 1, 5, 7),
    (2, 90, 90, 2),
    (500, 3, 7, 31),
    (3, 401, 33, 5),
    (97, 101, 1, 1),
    (31, 17, 31, 17),
]
with open(os.path.join(OUT, "resize.bin"), "wb") as f:
    for w, h, ow, oh in RESIZE:
        x = noise(w, h)
        y = np.asarray(Image.fromarray(x).resize((ow, oh), Image.Resampling.BICUBIC))
        f.write(struct.pack("<4I", w, h, ow, oh) + x.tobytes() + y.tobytes())


def philox(key, counter):
    """Philox4x32-10, written from the paper: the draws are checked too, not only their use."""
    k = [key & 0xFFFFFFFF, key >> 32]
    x = list(counter)
    for _ in range(10):
        a, b = x[0] * 0xD2511F53, x[2] * 0xCD9E8D57
        x = [(b >> 32) ^ x[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ x[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return x


AUGMENT = 4
with open(os.path.join(OUT, "augment.bin"), "wb") as f:
    # seed, epoch, sample, size, w, h
    for case in [(1, 0, 0, 64, 64, 64), (1, 0, 1, 64, 50, 90), (7, 3, 2, 64, 130, 64), (2, 1, 3, 64, 60, 130), (9, 199, 5, 50, 55, 55)]:
        seed, epoch, sample, size, w, h = case
        load = int(np.floor(size * 286 / 256 + 0.5))
        words = philox(seed, (sample, epoch, 0, AUGMENT))
        dx, dy = (word * (load - size + 1) >> 32 for word in words[:2])
        x = noise(w, h)
        p = Image.fromarray(x).resize((load, load), Image.Resampling.BICUBIC)
        p = p.crop((dx, dy, dx + size, dy + size))
        if words[2] >> 31:
            p = p.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        f.write(struct.pack("<6I", *case) + x.tobytes() + np.asarray(p).tobytes())

with open(os.path.join(OUT, "metrics.bin"), "wb") as f:
    for w, h, spread in [(40, 30, 8), (11, 11, 60), (64, 25, 255)]:
        a = noise(w, h)
        d = rng.integers(-spread, spread + 1, a.shape)
        b = np.clip(a.astype(int) + d, 0, 255).astype(np.uint8)
        l1 = np.abs(a.astype(float) / 127.5 - b.astype(float) / 127.5).mean()
        psnr = peak_signal_noise_ratio(a, b, data_range=255)
        ssim = structural_similarity(
            a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=-1
        )
        f.write(struct.pack("<2I", w, h) + a.tobytes() + b.tobytes() + struct.pack("<3d", l1, psnr, ssim))


def picture(name, image, want, **options):
    image.save(os.path.join(PICTURES, name), **options)
    want = np.asarray(want, dtype=np.uint8)
    assert want.ndim == 3 and want.shape[2] == 3
    with open(os.path.join(PICTURES, name + ".rgb"), "wb") as f:
        f.write(struct.pack("<2I", want.shape[1], want.shape[0]) + want.tobytes())


W, H = 24, 16
y, x = np.mgrid[0:H, 0:W]
smooth = np.stack([x * 10, y * 15, 255 - x * 5 - y * 5], -1).astype(np.uint8)
rgb = Image.fromarray(smooth)
grey = Image.fromarray(smooth[..., 0])
grey3 = np.repeat(smooth[..., :1], 3, 2)
alpha = (x * 11).astype(np.uint8)
rgba = Image.fromarray(np.dstack([smooth, alpha]))


def over_white(c, a):
    c, a = c.astype(np.int64), a.astype(np.int64)[..., None]
    return ((2 * (c * a + 255 * (255 - a)) + 255) // 510).astype(np.uint8)


# Lossless kinds: equal byte for byte.
picture("rgb.png", rgb, smooth)
picture("rgb.bmp", rgb, smooth)
picture("rgb.tif", rgb, smooth)
picture("lzw.tif", rgb, smooth, compression="tiff_lzw")
picture("lossless.webp", rgb, smooth, lossless=True)
picture("grey.png", grey, grey3)
picture("grey.tif", grey, grey3)
# JPEG strips with their tables in a place of their own; what they hold is not compared, JPEG being lossy.
rgb.save(os.path.join(PICTURES, "jpeg-strips.tif"), compression="jpeg", quality=95)
picture("alpha.png", rgba, over_white(smooth, alpha))
picture("alpha.webp", rgba, over_white(smooth, alpha), lossless=True, exact=True)
grey_alpha = Image.merge("LA", (grey, Image.fromarray(alpha)))
picture("grey-alpha.png", grey_alpha, over_white(grey3, alpha))
palette = rgb.quantize(16)
picture("palette.png", palette, palette.convert("RGB"))
bits = Image.fromarray(smooth[..., 0] > 100)
picture("bits.png", bits, bits.convert("RGB"))
deep = (x * 2731 + y * 137).astype(np.uint16)
eight = np.floor(deep / 257 + 0.5).astype(np.uint8)
picture("deep.png", Image.fromarray(deep), np.repeat(eight[..., None], 3, 2))
picture("deep.tif", Image.fromarray(deep), np.repeat(eight[..., None], 3, 2))
picture("other-name.jpg", rgb, smooth, format="PNG")

# The eight orientations that a camera may write, and what the viewer should see.
for turn in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = turn
    image = rgb.copy()
    image.getexif()[0x0112] = turn
    seen = ImageOps.exif_transpose(image)
    picture(f"turn{turn}.png", rgb, seen, exif=exif)

# Lossy kinds: decoders may differ by rounding.
for name, options in [
    ("q95.jpg", {"quality": 95, "subsampling": 0}),
    ("progressive.jpg", {"quality": 95, "subsampling": 0, "progressive": True}),
]:
    path = os.path.join(PICTURES, name)
    rgb.save(path, **options)
    picture(name, rgb, Image.open(path).convert("RGB"), **options)
grey.save(os.path.join(PICTURES, "grey.jpg"), quality=95)
picture("grey.jpg", grey, Image.open(os.path.join(PICTURES, "grey.jpg")).convert("RGB"), quality=95)
exif = Image.Exif()
exif[0x0112] = 6
rgb.save(os.path.join(PICTURES, "camera.jpg"), quality=95, subsampling=0, exif=exif)
seen = ImageOps.exif_transpose(Image.open(os.path.join(PICTURES, "camera.jpg"))).convert("RGB")
picture("camera.jpg", rgb, seen, quality=95, subsampling=0, exif=exif)
cmyk = rgb.convert("CMYK")
cmyk.save(os.path.join(PICTURES, "cmyk.jpg"), quality=95)
picture("cmyk.jpg", cmyk, Image.open(os.path.join(PICTURES, "cmyk.jpg")).convert("RGB"), quality=95)
rgb.save(os.path.join(PICTURES, "lossy.webp"), quality=95)
picture("lossy.webp", rgb, Image.open(os.path.join(PICTURES, "lossy.webp")).convert("RGB"), quality=95)

# Kinds of JPEG that `damaged.rs` cuts and mends: noise, so that every block has codes.
JPEG = os.path.join(os.path.dirname(PICTURES), "jpeg")
os.makedirs(JPEG, exist_ok=True)
noise = Image.fromarray(np.random.default_rng(5).integers(0, 256, (34, 46, 3), dtype="uint8"))
for name, options in [
    ("restart", {"quality": 60, "restart_marker_blocks": 2}),
    ("restart-progressive", {"quality": 60, "progressive": True, "restart_marker_rows": 1}),
    ("subsampled", {"quality": 70, "subsampling": "4:1:1"}),
    ("sixteen-bit-tables", {"qtables": [[300] * 64, [400] * 64]}),
    ("progressive-subsampled", {"quality": 80, "progressive": True, "subsampling": 2}),
]:
    noise.save(os.path.join(JPEG, name + ".jpg"), **options)
noise.convert("L").save(os.path.join(JPEG, "grey-progressive.jpg"), quality=80, progressive=True)

# Not read: float pixels.
Image.fromarray(smooth[..., 0].astype(np.float32)).save(os.path.join(PICTURES, "float.tif"))
rgb.save(os.path.join(PICTURES, "moving.gif"))
