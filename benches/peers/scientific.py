"""Makes three data sets that are not 8-bit RGB of samples/atlas: `python benches/peers/scientific.py OUT`.

    height   A: 16-bit grey PNG, the height that the colours of the elevation map stand for; B: RGB, the satellite
             picture
    labels   A: RGB, the satellite picture; B: indexed PNG, what the elevation map's colours stand for
    bands    A: five channels of float32 (NPY) from -40 to 40: red, green, blue, brightness, its gradient;
             B: two channels of float32 (TIFF, named height and slope)

Needs numpy, Pillow, tifffile, rasterio.
"""

import sys
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image

CLASSES = {"water": (180, 215, 240), "lowland": (130, 205, 140), "plain": (235, 220, 170), "hill": (200, 160, 80),
           "mountain": (110, 90, 40), "snow": (235, 235, 245)}


def luma(rgb):
    return rgb.astype(np.float32) @ np.float32([0.299, 0.587, 0.114])


def height(relief):
    """The place of a colour on the line through those of CLASSES but snow, 0 to 4."""
    stops = np.array(list(CLASSES.values())[:-1], np.float32)
    pixels = relief.reshape(-1, 1, 3).astype(np.float32)
    along = stops[1:] - stops[:-1]
    t = np.clip(((pixels - stops[:-1]) * along).sum(-1) / (along * along).sum(-1), 0, 1)
    apart = ((pixels - stops[:-1] - t[..., None] * along) ** 2).sum(-1)
    best = apart.argmin(-1)
    return (best + t[np.arange(len(t)), best]).reshape(relief.shape[:2]).astype(np.float32)


def slope(grey):
    dy, dx = np.gradient(grey)
    return np.hypot(dx, dy).astype(np.float32)


out = Path(sys.argv[1])
for phase in ("train", "val"):
    for path in sorted(Path("samples/atlas", phase).glob("*.jpg")):
        pair = np.asarray(Image.open(path))
        relief, photo = pair[:, : pair.shape[1] // 2], pair[:, pair.shape[1] // 2 :]
        places = {name: [out / name / phase / side for side in "AB"] for name in ("height", "labels", "bands")}
        for folders in places.values():
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)
        a, b = places["height"]
        Image.fromarray((height(relief) * 10000 + 1000).astype(np.uint16)).save(a / f"{path.stem}.png")
        Image.fromarray(photo).save(b / f"{path.stem}.png")
        a, b = places["labels"]
        Image.fromarray(photo).save(a / f"{path.stem}.png")
        colours = np.array(list(CLASSES.values()), np.float32)
        apart = ((relief[:, :, None].astype(np.float32) - colours) ** 2).sum(-1)
        labels = Image.fromarray(apart.argmin(-1).astype(np.uint8), "P")
        labels.putpalette(colours.astype(np.uint8).ravel().tolist())
        labels.save(b / f"{path.stem}.png")
        a, b = places["bands"]
        grey = luma(photo)
        five = np.dstack([photo.astype(np.float32), grey, slope(grey) * 4]) * (80 / 255) - 40
        np.save(a / f"{path.stem}.npy", five.astype(np.float32))
        metres = height(relief) * 1000
        two = np.stack([metres, slope(metres)]).astype(np.float32)
        with rasterio.open(b / f"{path.stem}.tif", "w", driver="GTiff", count=2, dtype="float32",
                           height=two.shape[1], width=two.shape[2], compress="deflate") as file:
            file.write(two)
            file.descriptions = ("height", "slope")
(out / "classes.txt").write_text("".join(f"{r} {g} {b} {name}\n" for name, (r, g, b) in CLASSES.items()))
