"""Compiles the Triton kernels below to PTX, without a GPU, and writes them beside this script.

Usage: python make.py        (needs torch's triton; written with 3.9)

Each file starts with a comment line that the tests read: kernel, threads a block, dynamic shared bytes.
"""
import os
import pathlib

os.environ["TRITON_DISABLE_LINE_INFO"] = "1"
os.environ["TRITON_DEFAULT_FP_FUSION"] = "1"

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource


@triton.jit
def matmul(a, b, c, m, n, k, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, P: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    cols = tl.program_id(1) * BN + tl.arange(0, BN)
    ks = tl.arange(0, BK)
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for k0 in range(0, k, BK):
        inner = k0 + ks
        x = tl.load(a + rows[:, None] * k + inner[None, :],
                    mask=(rows[:, None] < m) & (inner[None, :] < k), other=0.0)
        y = tl.load(b + inner[:, None] * n + cols[None, :],
                    mask=(inner[:, None] < k) & (cols[None, :] < n), other=0.0)
        acc = tl.dot(x, y, acc, input_precision=P)
    tl.store(c + rows[:, None] * n + cols[None, :], acc,
             mask=(rows[:, None] < m) & (cols[None, :] < n))


@triton.jit
def softmax(x, y, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    v = tl.load(x + row * columns + at, mask=at < columns, other=-float("inf"))
    e = tl.exp(v - tl.max(v, axis=0))
    tl.store(y + row * columns + at, e / tl.sum(e, axis=0), mask=at < columns)


@triton.jit
def layernorm(x, w, b, y, columns, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    keep = at < columns
    v = tl.load(x + row * columns + at, mask=keep, other=0.0)
    mean = tl.sum(v, axis=0) / columns
    d = tl.where(keep, v - mean, 0.0)
    rstd = tl.rsqrt(tl.sum(d * d, axis=0) / columns + eps)
    out = d * rstd * tl.load(w + at, mask=keep, other=0.0) + tl.load(b + at, mask=keep, other=0.0)
    tl.store(y + row * columns + at, out, mask=keep)


@triton.jit
def dropout(x, y, n, p, seed, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + at, mask=at < n, other=0.0)
    keep = tl.rand(seed, at) > p
    tl.store(y + at, tl.where(keep, v / (1 - p), 0.0), mask=at < n)


@triton.jit
def histogram_sum(x, total, bins, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    keep = at < n
    v = tl.load(x + at, mask=keep, other=0.0)
    tl.atomic_add(total, tl.sum(v, axis=0))
    bin = (v * 8.0).to(tl.int32)
    tl.atomic_add(bins + bin, 1, mask=keep)
    tl.atomic_max(bins + 8 + bin, at, mask=keep)


@triton.jit
def cumulative(x, y, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    v = tl.load(x + row * columns + at, mask=at < columns, other=0.0)
    tl.store(y + row * columns + at, tl.cumsum(v, axis=0), mask=at < columns)


def emit(name, kernel, signature, constants, target, warps=4, stages=2, aligned=()):
    # Arguments promised to be multiples of 16 allow cp.async and wide accesses.
    attrs = {(i,): [["tt.divisibility", 16]] for i in aligned}
    source = ASTSource(kernel, signature, constexprs=constants, attrs=attrs)
    out = triton.compile(source, target=GPUTarget("cuda", target, 32),
                         options={"num_warps": warps, "num_stages": stages})
    head = f"// kernel {kernel.__name__} threads {warps * 32} shared {out.metadata.shared}\n"
    path = pathlib.Path(__file__).with_name(f"{name}_sm{target}.ptx")
    path.write_text(head + out.asm["ptx"])
    print(path.name, path.stat().st_size)


def product(ty, precision, target, name, bk=32, stages=2, aligned=True):
    names = {"fp32": "*fp32", "bf16": "*bf16", "fp16": "*fp16"}
    constants = {"BM": 32, "BN": 32, "BK": bk, "P": precision}
    signature = {"a": names[ty], "b": names[ty], "c": "*fp32", "m": "i32", "n": "i32", "k": "i32",
                 **{key: "constexpr" for key in constants}}
    emit(name, matmul, signature, constants, target, stages=stages, aligned=range(6) if aligned else ())


def rows(kernel, target, signature, block, warps=4):
    emit(kernel.__name__, kernel, {**signature, "BLOCK": "constexpr"}, {"BLOCK": block}, target, warps)


if __name__ == "__main__":
    product("fp32", "ieee", 75, "matmul_fp32", bk=16, aligned=False)
    product("fp32", "tf32", 80, "matmul_tf32")
    product("fp32", "tf32x3", 80, "matmul_tf32x3", aligned=False)
    product("bf16", "ieee", 80, "matmul_bf16", stages=3)
    product("fp16", "ieee", 75, "matmul_fp16", bk=16)
    product("fp16", "ieee", 80, "matmul_fp16", stages=3)
    pair = {"x": "*fp32", "y": "*fp32"}
    for target in (75, 80):
        rows(softmax, target, {**pair, "columns": "i32"}, 512)
    rows(layernorm, 80, {"x": "*fp32", "w": "*fp32", "b": "*fp32", "y": "*fp32", "columns": "i32",
                         "eps": "fp32"}, 512)
    rows(dropout, 75, {**pair, "n": "i32", "p": "fp32", "seed": "i32"}, 512)
    for target in (75, 80):
        rows(histogram_sum, target, {"x": "*fp32", "total": "*fp32", "bins": "*i32", "n": "i32"}, 256)
    rows(cumulative, 80, {**pair, "columns": "i32"}, 512)
