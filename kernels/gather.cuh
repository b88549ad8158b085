// gather.cuh - results whose every pixel is gathered from a few pixels elsewhere: a thread takes a vector of channels
// where channels and addresses allow, else one. Who writes an element adds all that belongs to it, so no sum is shared.
#pragma once
#include "maps.cuh"

// Blocks of a gradient that a multiprocessor holds at least, so 64 registers a thread: left to itself, the assembler of
// NVRTC 13.0 takes 32 to 48 and spills up to 184 bytes a thread. A second loop over windows that is not unrolled fits.
enum : int { GATHER_BLOCKS = 4 };

// N channels of a pixel, in float.
template <int N> struct Lanes { float v[N]; };

template <int N> __device__ __forceinline__ Lanes<N> lanes_of(float value)
{
    Lanes<N> all;
#pragma unroll
    for (int k = 0; k < N; k++) all.v[k] = value;
    return all;
}

// The channels from c on of pixel (n, h, w).
template <int N> __device__ __forceinline__ Lanes<N> read(Tensor x, int n, int h, int w, int c)
{
    const elem* from = pixel(x, ((size_t)n * x.h + h) * x.w + w) + c;
    Lanes<N> all;
    if constexpr (N == WIDE) {
        Wide u = *(const Wide*)from;
#pragma unroll
        for (int k = 0; k < N; k++) all.v[k] = to_float(u.e[k]);
    } else {
        all.v[0] = to_float(*from);
    }
    return all;
}

template <int N> __device__ __forceinline__ void add(Lanes<N>& sum, Lanes<N> more)
{
#pragma unroll
    for (int k = 0; k < N; k++) sum.v[k] += more.v[k];
}

template <int N, class F> __device__ __forceinline__ void gather_by(Tensor y, Merge merge, F f)
{
    unsigned line = y.c / N;
    size_t stride = (size_t)gridDim.x * blockDim.x, count = (size_t)pixels(y) * line;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
        unsigned at = (unsigned)(i / line), row = at / y.w;
        int c = (int)(i % line) * N, h = row % y.h, w = at % y.w, n = row / y.h;
        Lanes<N> all = f.template at<N>(n, h, w, c);
        elem* to = pixel(y, at) + c;
        if constexpr (N == WIDE) {
            Wide u;
            if (merge.add) u = *(const Wide*)to;
#pragma unroll
            for (int k = 0; k < N; k++) u.e[k] = from_float(merge.add ? to_float(u.e[k]) + all.v[k] : all.v[k]);
            *(Wide*)to = u;
        } else {
            store(to, all.v[0], merge);
        }
    }
}

// y[n,h,w,c] = f.at(n, h, w, c), or y += that; `wide` where the tensors that f reads allow vectors.
template <class F> __device__ __forceinline__ void gather(Tensor y, bool wide, Merge merge, F f)
{
    if (wide && is_wide(y)) gather_by<WIDE>(y, merge, f);
    else gather_by<1>(y, merge, f);
}
