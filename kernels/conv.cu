// conv.cu - a convolution and the gradient of its filter, NHWC, as implicit matrix products.
//   math    conv_fprop: y[n,p,q,k] = bias[k] + sum over r,s,c of x[n, p*stride-pad+r, q*stride-pad+s, c] * w[k,r,s,c]
//           conv_wgrad: dw[k,r,s,c] = sum over n,p,q of dy[n,p,q,k] * x[n, p*stride-pad+r, q*stride-pad+s, c]
//   shapes  x (n,h,w,c), y, dy (n,p,q,k) of elem; w, dw (k,r,s,c), bias (k) of f32. Vectors: c of fprop in whole chunks
//           of 64 bytes, k and c of wgrad in vectors of 16; the kernels named _any take all other channels and addresses
//   launch  128 threads; tiles of 128, 64 (_half) or 16 (_few) rows by 64 columns; parts of the sum along z; deterministic
//   cost    2*n*p*q*k*r*s*c operations; each operand is read once per tile of the other, results are written once
//   source  CUTLASS implicit_gemm_convolution.md for the mapping; checked by tests/parity rows conv
#include "filters.cuh"
#include "pixels.cuh"

extern "C" __global__ void __launch_bounds__(CONV_THREADS, 3)
conv_fprop(Tensor x, const float* w, const float* bias, Tensor y, Window window, Merge merge, Split split)
{
    pixel_tile<TILE_ROWS, 3, false, WholeChunks>(x, w, bias, y, window, merge, split);
}

extern "C" __global__ void __launch_bounds__(CONV_THREADS, 4)
conv_fprop_half(Tensor x, const float* w, const float* bias, Tensor y, Window window, Merge merge, Split split)
{
    pixel_tile<TILE_ROWS_HALF, 4, false, WholeChunks>(x, w, bias, y, window, merge, split);
}

extern "C" __global__ void __launch_bounds__(CONV_THREADS)
conv_fprop_few(Tensor x, const float* w, const float* bias, Tensor y, Window window, Merge merge, Split split)
{
    pixel_tile<TILE_ROWS_FEW, 4, false, WholeChunks>(x, w, bias, y, window, merge, split);
}

extern "C" __global__ void __launch_bounds__(CONV_THREADS)
conv_fprop_any(Tensor x, const float* w, const float* bias, Tensor y, Window window, Merge merge, Split split)
{
    pixel_tile<TILE_ROWS_HALF, 3, false, Elements>(x, w, bias, y, window, merge, split);
}

extern "C" __global__ void __launch_bounds__(CONV_THREADS, 3)
conv_wgrad(Tensor x, Tensor dy, float* dw, Window window, Merge merge, Split split)
{
    filter_tile<TILE_ROWS, 3, VECTOR>(x, dy, dw, window, merge, split);
}

extern "C" __global__ void __launch_bounds__(CONV_THREADS, 4)
conv_wgrad_half(Tensor x, Tensor dy, float* dw, Window window, Merge merge, Split split)
{
    filter_tile<TILE_ROWS_HALF, 3, VECTOR>(x, dy, dw, window, merge, split);
}

extern "C" __global__ void __launch_bounds__(CONV_THREADS)
conv_wgrad_any(Tensor x, Tensor dy, float* dw, Window window, Merge merge, Split split)
{
    filter_tile<TILE_ROWS_HALF, 3, 1>(x, dy, dw, window, merge, split);
}

extern "C" __global__ void __launch_bounds__(CONV_THREADS)
conv_wgrad_few(Tensor x, Tensor dy, float* dw, Window window, Merge merge, Split split)
{
    filter_tile<TILE_ROWS_FEW, 4, 1>(x, dy, dw, window, merge, split);
}
