// upsample.cu - nearest upsampling by a whole factor and its gradient, NHWC, each a gather.
//   math    y[n,p,q,c] = x[n, p / factor, q / factor, c];  dx: the sum of dy over the factor x factor square of a pixel, row by row
//   shapes  x, dx (n,h,w,c)  y, dy (n, factor h, factor w, c), any pitch
//   launch  256 threads, 16 bytes of channels a thread a turn where channels and addresses allow, else one; any number of blocks
//   cost    writes y once and reads x from the cache; the gradient reads dy once and writes dx once
//   source  PyTorch's nn.Upsample(mode="nearest"); checked by tests/parity rows upsample
#include "gather.cuh"

struct Upsample {
    Tensor x;
    int factor;

    template <int N> __device__ __forceinline__ Lanes<N> at(int n, int p, int q, int c) const
    {
        return read<N>(x, n, p / factor, q / factor, c);
    }
};

struct UpsampleGrad {
    Tensor dy;
    int factor;

    template <int N> __device__ __forceinline__ Lanes<N> at(int n, int h, int w, int c) const
    {
        Lanes<N> sum = lanes_of<N>(0.0f);
        for (int p = h * factor; p < (h + 1) * factor; p++)
            for (int q = w * factor; q < (w + 1) * factor; q++) add(sum, read<N>(dy, n, p, q, c));
        return sum;
    }
};

extern "C" __global__ void __launch_bounds__(MAP_THREADS) upsample(Tensor x, Tensor y, int factor)
{
    gather(y, is_wide(x), Merge{0}, Upsample{x, factor});
}

extern "C" __global__ void __launch_bounds__(MAP_THREADS, GATHER_BLOCKS)
upsample_grad(Tensor dy, Tensor dx, int factor, Merge merge)
{
    gather(dx, is_wide(dy), merge, UpsampleGrad{dy, factor});
}
