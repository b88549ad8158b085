// softmax.cu - softmax over the channels of every pixel, NHWC, and its gradient.
//   math    y[k] = exp(x[k]) / sum of exp(x[j]);  dx[k] = y[k] (dy[k] - sum of dy[j] y[j])
//   shapes  x, y, dy, dx (n,h,w,c), any pitch
//   launch  256 threads, a pixel a thread a turn, which walks its channels; any number of blocks
//   cost    reads each input from memory once and again from the cache; writes the output once
//   source  PyTorch's softmax; checked by tests/parity rows softmax
#include "maps.cuh"

extern "C" __global__ void __launch_bounds__(MAP_THREADS) softmax(Tensor x, Tensor y)
{
    size_t stride = (size_t)gridDim.x * blockDim.x, all = pixels(x);
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < all; i += stride) {
        const elem* at = pixel(x, i);
        elem* to = pixel(y, i);
        float largest = __int_as_float(0xff800000), sum = 0.0f;
        for (int k = 0; k < x.c; k++) largest = fmaxf(largest, to_float(at[k]));
        for (int k = 0; k < x.c; k++) sum += expf(to_float(at[k]) - largest);
        for (int k = 0; k < x.c; k++) to[k] = from_float(expf(to_float(at[k]) - largest) / sum);
    }
}

extern "C" __global__ void __launch_bounds__(MAP_THREADS) softmax_grad(Tensor y, Tensor dy, Tensor dx, Merge merge)
{
    size_t stride = (size_t)gridDim.x * blockDim.x, all = pixels(y);
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < all; i += stride) {
        const elem *at = pixel(y, i), *back = pixel(dy, i);
        elem* to = pixel(dx, i);
        float sum = 0.0f;
        for (int k = 0; k < y.c; k++) sum += to_float(at[k]) * to_float(back[k]);
        for (int k = 0; k < y.c; k++) store(to + k, to_float(at[k]) * (to_float(back[k]) - sum), merge);
    }
}
