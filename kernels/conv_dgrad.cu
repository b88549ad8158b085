// conv_dgrad.cu - the adjoint of a convolution: the gradient of its input, and a transposed convolution.
//   math    conv_dgrad: dx[n,h,w,c] = bias[c] + sum over r,s,k with h = p*stride-pad+r of dy[n,p,q,k] * w[k,r,s,c]
//   shapes  dy (n,p,q,k), dx (n,h,w,c) of elem; w (k,r,s,c), bias (c) of f32. Vectors: k in whole chunks of 64 bytes, c in
//           vectors of 4; conv_dgrad_any takes all other channels and addresses
//   launch  128 threads; tiles of 128, 64 (_half) or 16 (_few) pixels of one of stride^2 classes by 64 channels; parts of
//           the sum along z; deterministic
//   cost    2*n*h*w*c*k*r*s/stride^2 operations; no tap is multiplied by an inserted zero
//   source  CUTLASS implicit_gemm_convolution_strided_dgrad.h for the classes; checked by tests/parity rows conv
#include "pixels.cuh"

extern "C" __global__ void __launch_bounds__(CONV_THREADS, 3)
conv_dgrad(Tensor dy, const float* w, const float* bias, Tensor dx, Window window, Merge merge, Split split)
{
    pixel_tile<TILE_ROWS, 3, true, WholeChunks>(dy, w, bias, dx, window, merge, split);
}

extern "C" __global__ void __launch_bounds__(CONV_THREADS, 4)
conv_dgrad_half(Tensor dy, const float* w, const float* bias, Tensor dx, Window window, Merge merge, Split split)
{
    pixel_tile<TILE_ROWS_HALF, 4, true, WholeChunks>(dy, w, bias, dx, window, merge, split);
}

extern "C" __global__ void __launch_bounds__(CONV_THREADS)
conv_dgrad_few(Tensor dy, const float* w, const float* bias, Tensor dx, Window window, Merge merge, Split split)
{
    pixel_tile<TILE_ROWS_FEW, 4, true, WholeChunks>(dy, w, bias, dx, window, merge, split);
}

extern "C" __global__ void __launch_bounds__(CONV_THREADS)
conv_dgrad_any(Tensor dy, const float* w, const float* bias, Tensor dx, Window window, Merge merge, Split split)
{
    pixel_tile<TILE_ROWS_HALF, 3, true, Elements>(dy, w, bias, dx, window, merge, split);
}
