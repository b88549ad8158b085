"""Numbers that Rust can make again exactly, so that large inputs need not be stored.

    h = (i + 1) * 0x9E3779B1 + stream * 0x85EBCA77      (mod 2^32)
    h ^= h >> 16;  h *= 0x7FEB352D;  h ^= h >> 15;  h *= 0x846CA68B;  h ^= h >> 16      (mod 2^32)
    x = (h >> 8) / 2^23 - 1

`i` is the index in PyTorch's order (NCHW, OIHW). `h >> 8` has 24 bits, so every step of the last
line is exact in f32 and x lies in [-1, 1). Stream 8000 begins
0.46029961109161377, -0.9870163202285767, -0.44228243827819824.
"""

import numpy as np
import torch


def uniform(stream, shape, scale=1.0):
    """`shape` values in [-scale, scale), f32; `scale` must be a power of two to stay exact."""
    count = int(np.prod(shape))
    mask = np.uint64(0xFFFFFFFF)
    h = (np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B1)
         + np.uint64(stream * 0x85EBCA77 & 0xFFFFFFFF)) & mask
    h ^= h >> np.uint64(16)
    h = h * np.uint64(0x7FEB352D) & mask
    h ^= h >> np.uint64(15)
    h = h * np.uint64(0x846CA68B) & mask
    h ^= h >> np.uint64(16)
    x = (h >> np.uint64(8)).astype(np.float32) / np.float32(2 ** 23) - np.float32(1)
    return torch.from_numpy((x * np.float32(scale)).reshape(shape))
