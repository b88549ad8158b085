// pool.cu - max and average pooling and their gradients, NHWC, each a gather.
//   math    max: y[n,p,q,c] = max over r,s of x[n, p*stride - pad + r, q*stride - pad + s, c];  average: the sum / (r s), zeros outside;
//           dx: sum over the windows that cover a pixel of dy where it is their maximum, first of equals;  of dy / (r s)
//   shapes  x, dx (n,h,w,c)  y, dy (n,p,q,c), any pitch; pad at most half the window, so that no window is empty
//   launch  256 threads, 16 bytes of channels a thread a turn where channels and addresses allow, else one; any number of blocks
//   cost    reads each window once an output; the maximum's gradient reads a pixel's windows again, up to (r s)^2 / stride^2 numbers
//   source  PyTorch's max_pool2d for NaN and equal numbers, avg_pool2d with count_include_pad; checked by tests/parity rows pool
#include "gather.cuh"

struct Range { int from, to; };

// Pixels of `len` that window `p` of `taps` covers.
__device__ __forceinline__ Range covered(int p, int taps, Window window, int len)
{
    int first = p * window.stride - window.pad;
    return {max(first, 0), min(first + taps, len)};
}

// Windows, of `count`, that cover pixel `at`.
__device__ __forceinline__ Range covering(int at, int taps, Window window, int count)
{
    int first = at + window.pad - taps + 1;
    return {first > 0 ? (first + window.stride - 1) / window.stride : 0, min((at + window.pad) / window.stride + 1, count)};
}

struct MaxPool {
    Tensor x;
    Window window;

    template <int N> __device__ __forceinline__ Lanes<N> at(int n, int p, int q, int c) const
    {
        Lanes<N> most = lanes_of<N>(__int_as_float(0xff800000));
        Range rows = covered(p, window.r, window, x.h), columns = covered(q, window.s, window, x.w);
        for (int h = rows.from; h < rows.to; h++)
            for (int w = columns.from; w < columns.to; w++) {
                Lanes<N> u = read<N>(x, n, h, w, c);
#pragma unroll
                for (int k = 0; k < N; k++)
                    if (u.v[k] > most.v[k] || isnan(u.v[k])) most.v[k] = u.v[k];
            }
        return most;
    }
};

struct MaxPoolGrad {
    Tensor x, dy;
    Window window;

    // Adds dy of window (p, q) where pixel (h, w), whose channels are v, is the maximum: nothing before it is as large,
    // nothing behind it is larger, NaN being larger than all.
    template <int N> __device__ __forceinline__ void add_window(Lanes<N>& sum, Lanes<N> v, int n, int h, int w, int c, int p, int q) const
    {
        // A bit a channel.
        unsigned beaten = 0;
        Range rows = covered(p, window.r, window, x.h), columns = covered(q, window.s, window, x.w);
        for (int i = rows.from; i < rows.to; i++)
            for (int j = columns.from; j < columns.to; j++) {
                if (i == h && j == w) continue;
                bool before = i < h || (i == h && j < w);
                Lanes<N> u = read<N>(x, n, i, j, c);
#pragma unroll
                for (int k = 0; k < N; k++) {
                    bool larger = before ? u.v[k] >= v.v[k] : u.v[k] > v.v[k];
                    if (isnan(u.v[k]) ? !(before && isnan(v.v[k])) : larger) beaten |= 1u << k;
                }
            }
        Lanes<N> more = read<N>(dy, n, p, q, c);
#pragma unroll
        for (int k = 0; k < N; k++)
            if (!(beaten >> k & 1u)) sum.v[k] += more.v[k];
    }

    template <int N> __device__ __forceinline__ Lanes<N> at(int n, int h, int w, int c) const
    {
        Lanes<N> sum = lanes_of<N>(0.0f), v = read<N>(x, n, h, w, c);
        Range ps = covering(h, window.r, window, dy.h), qs = covering(w, window.s, window, dy.w);
        for (int p = ps.from; p < ps.to; p++)
            for (int q = qs.from; q < qs.to; q++) add_window<N>(sum, v, n, h, w, c, p, q);
        return sum;
    }
};

struct AveragePool {
    Tensor x;
    Window window;

    template <int N> __device__ __forceinline__ Lanes<N> at(int n, int p, int q, int c) const
    {
        Lanes<N> sum = lanes_of<N>(0.0f);
        Range rows = covered(p, window.r, window, x.h), columns = covered(q, window.s, window, x.w);
        for (int h = rows.from; h < rows.to; h++)
            for (int w = columns.from; w < columns.to; w++) add(sum, read<N>(x, n, h, w, c));
#pragma unroll
        for (int k = 0; k < N; k++) sum.v[k] /= (float)(window.r * window.s);
        return sum;
    }
};

struct AveragePoolGrad {
    Tensor dy;
    Window window;

    template <int N> __device__ __forceinline__ Lanes<N> at(int n, int h, int w, int c) const
    {
        Lanes<N> sum = lanes_of<N>(0.0f);
        Range ps = covering(h, window.r, window, dy.h), qs = covering(w, window.s, window, dy.w);
        for (int p = ps.from; p < ps.to; p++)
#pragma unroll 1
            for (int q = qs.from; q < qs.to; q++) add(sum, read<N>(dy, n, p, q, c));
#pragma unroll
        for (int k = 0; k < N; k++) sum.v[k] /= (float)(window.r * window.s);
        return sum;
    }
};

extern "C" __global__ void __launch_bounds__(MAP_THREADS) max_pool(Tensor x, Tensor y, Window window)
{
    gather(y, is_wide(x), Merge{0}, MaxPool{x, window});
}

extern "C" __global__ void __launch_bounds__(MAP_THREADS, GATHER_BLOCKS)
max_pool_grad(Tensor x, Tensor dy, Tensor dx, Window window, Merge merge)
{
    gather(dx, is_wide(x) && is_wide(dy), merge, MaxPoolGrad{x, dy, window});
}

extern "C" __global__ void __launch_bounds__(MAP_THREADS) average_pool(Tensor x, Tensor y, Window window)
{
    gather(y, is_wide(x), Merge{0}, AveragePool{x, window});
}

extern "C" __global__ void __launch_bounds__(MAP_THREADS, GATHER_BLOCKS)
average_pool_grad(Tensor dy, Tensor dx, Window window, Merge merge)
{
    gather(dx, is_wide(dy), merge, AveragePoolGrad{dy, window});
}
