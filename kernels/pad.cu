// pad.cu - reflection padding and its gradient, NHWC, each a gather.
//   math    y[n,p,q,c] = x[n, mirror(p - pad, h), mirror(q - pad, w), c], mirror(i, len) = |i| below len, 2 (len - 1) - i from len on;
//           dx: the sum of dy over the places where a pixel is seen, row by row: at most three rows by three columns
//   shapes  x, dx (n,h,w,c)  y, dy (n, h + 2 pad, w + 2 pad, c), any pitch; pad below h and w
//   launch  256 threads, 16 bytes of channels a thread a turn where channels and addresses allow, else one; any number of blocks
//   cost    reads x and writes y once; the gradient reads dy once and writes dx once
//   source  PyTorch's nn.ReflectionPad2d; checked by tests/parity rows pad
#include "gather.cuh"

__device__ __forceinline__ int mirror(int p, int pad, int len)
{
    int seen = abs(p - pad);
    return seen < len ? seen : 2 * (len - 1) - seen;
}

// Where row `h` of `len` is seen, from the first to the last: in the mirror above, as it is, in the mirror below; -1 where
// it is not. Columns alike.
struct Images {
    int at[3];

    __device__ __forceinline__ Images(int h, int pad, int len)
        : at{h > 0 && h <= pad ? pad - h : -1, pad + h, h + 1 < len && len - 1 - h <= pad ? pad + 2 * (len - 1) - h : -1}
    {
    }
};

struct ReflectionPad {
    Tensor x;
    int pad;

    template <int N> __device__ __forceinline__ Lanes<N> at(int n, int p, int q, int c) const
    {
        return read<N>(x, n, mirror(p, pad, x.h), mirror(q, pad, x.w), c);
    }
};

struct ReflectionPadGrad {
    Tensor dy;
    int pad;

    template <int N> __device__ __forceinline__ Lanes<N> at(int n, int h, int w, int c) const
    {
        Lanes<N> sum = lanes_of<N>(0.0f);
        Images rows(h, pad, dy.h - 2 * pad), columns(w, pad, dy.w - 2 * pad);
#pragma unroll
        for (int i = 0; i < 3; i++)
#pragma unroll
            for (int j = 0; j < 3; j++)
                if (rows.at[i] >= 0 && columns.at[j] >= 0) add(sum, read<N>(dy, n, rows.at[i], columns.at[j], c));
        return sum;
    }
};

extern "C" __global__ void __launch_bounds__(MAP_THREADS) reflection_pad(Tensor x, Tensor y, int pad)
{
    gather(y, is_wide(x), Merge{0}, ReflectionPad{x, pad});
}

extern "C" __global__ void __launch_bounds__(MAP_THREADS, GATHER_BLOCKS)
reflection_pad_grad(Tensor dy, Tensor dx, int pad, Merge merge)
{
    gather(dx, is_wide(dy), merge, ReflectionPadGrad{dy, pad});
}
