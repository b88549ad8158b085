"""Lab of a grid of sRGB colours by scikit-image, for tests/data/metric.rs.

    python tests/golden/lab.py > tests/golden/data/lab.json
"""

import json

import numpy as np
from skimage.color import rgb2lab

steps = (0, 7, 51, 128, 200, 255)
grid = np.array([[r, g, b] for r in steps for g in steps for b in steps], dtype=np.uint8)
lab = rgb2lab(grid[None].astype(np.float64) / 255.0)[0]
print(json.dumps([list(map(int, rgb)) + list(of) for rgb, of in zip(grid, lab)]).replace("], ", "],\n"))
