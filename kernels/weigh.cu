// weigh.cu - the product of every pixel's channels with the pixel's weight, NHWC; also its gradient.
//   math    y[n,h,w,c] = weights[n,h,w] x[n,h,w,c]
//   shapes  x, y (n,h,w,c), any pitch; weights (n,h,w,1) f32, any pitch
//   launch  256 threads, 16 bytes of channels a thread a turn where channels and addresses allow, else one; any number of blocks
//   cost    reads x once and a weight a thread, writes y once
//   source  a weight of 0 keeps a pixel out of the losses; checked by tests/parity rows weigh
#include "gather.cuh"

struct Weigh {
    Tensor x;
    const float* weights;
    int pitch;

    template <int N> __device__ __forceinline__ Lanes<N> at(int n, int h, int w, int c) const
    {
        float weight = weights[(((size_t)n * x.h + h) * x.w + w) * pitch];
        Lanes<N> all = read<N>(x, n, h, w, c);
#pragma unroll
        for (int k = 0; k < N; k++) all.v[k] *= weight;
        return all;
    }
};

extern "C" __global__ void __launch_bounds__(MAP_THREADS) weigh(Tensor x, const float* weights, int pitch, Tensor y, Merge merge)
{
    gather(y, is_wide(x), merge, Weigh{x, weights, pitch});
}
