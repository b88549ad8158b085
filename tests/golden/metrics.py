"""Figures of other programs for tests/data/metric.rs: run once, with scikit-image, scipy, torch and pytorch-msssim.

    python tests/golden/metrics.py > tests/golden/data/metrics.json
"""

import json

import numpy as np
import torch
from pytorch_msssim import ms_ssim
from scipy.stats import pearsonr
from skimage.metrics import normalized_root_mse


def pictures(width, height, channels):
    """Two pictures of integers below 256; tests/data/metric.rs has the same formula."""
    y, x, c = np.mgrid[:height, :width, :channels]
    a = (x * 3 + y * (5 + c) + (x * y) // 17) % 256
    b = (a + (x * x + y * 11 + c * 29) % 61) * 4 // 5
    return a.astype(np.float64), b.astype(np.float64)


def case(width, height, channels):
    a, b = pictures(width, height, channels)
    tensor = lambda v: torch.from_numpy(v.transpose(2, 0, 1)[None].copy())
    found = {
        "size": [width, height, channels],
        "nrmse": normalized_root_mse(b, a, normalization="euclidean"),
        "pearson": pearsonr(a.ravel(), b.ravel()).statistic,
        "mae": np.abs(a - b).mean(),
    }
    if min(width, height) > 160:
        found["ms_ssim"] = ms_ssim(tensor(a), tensor(b), data_range=255.0).item()
    return found


sizes = [(176, 192, 3), (256, 176, 1), (320, 208, 5), (20, 13, 2)]
print(json.dumps([case(*size) for size in sizes], indent=1))
