// pointwise.cu - pointwise functions: LeakyReLU, ReLU, tanh and their gradients, scaled sums, fills; and sums per channel.
//   math    y = f(x);  dx = dy * f'(x), found from y, which has x's sign;  y = s x;  y = v;  db[c] = sum of dy[.., c]
//   shapes  tensors (n,h,w,c) of one shape, each with its own pitch; db (c) of f32
//   launch  256 threads, 16 bytes per thread and iteration where channels and addresses allow, else one element; any
//           number of blocks; channel_sum's last block adds the blocks' sums in order; deterministic
//   cost    reads each input once and writes the output once; channel_sum reads dy once
//   source  the derivative at 0 is that of the left side, as in PyTorch; checked by tests/parity rows activation
#include "maps.cuh"
#include "rules.cuh"

extern "C" __global__ void __launch_bounds__(MAP_THREADS) activation(Tensor x, Tensor y, Rule rule)
{
    map(x, x, y, Merge{0}, [=](float x, float) { return value(rule, x); });
}

extern "C" __global__ void __launch_bounds__(MAP_THREADS) activation_grad(Tensor y, Tensor dy, Tensor dx, Rule rule, Merge merge)
{
    map(y, dy, dx, merge, [=](float y, float dy) { return dy * slope(rule, y); });
}

extern "C" __global__ void __launch_bounds__(MAP_THREADS) scale(float factor, Tensor x, Tensor y, Merge merge)
{
    map(x, x, y, merge, [=](float x, float) { return factor * x; });
}

extern "C" __global__ void __launch_bounds__(MAP_THREADS) fill(Tensor y, float value)
{
    size_t stride = (size_t)gridDim.x * blockDim.x, count = (size_t)pixels(y) * y.c;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride)
        pixel(y, i / y.c)[i % y.c] = from_float(value);
}

// Block (x, y) sums a range of pixels of the channels from SUM_THREADS * y on, with `rows` threads per channel. The last
// block adds the sums of all blocks in order, so that the result does not depend on which block is last.
extern "C" __global__ void __launch_bounds__(SUM_THREADS)
channel_sum(Tensor dy, float* db, float* parts, unsigned* counters, Merge merge)
{
    __shared__ float sums[SUM_THREADS];
    int from = blockIdx.y * SUM_THREADS, channels = min(dy.c - from, SUM_THREADS), rows = SUM_THREADS / channels;
    int c = threadIdx.x % channels, row = threadIdx.x / channels, n = pixels(dy);
    int each = (n + gridDim.x - 1) / gridDim.x, begin = blockIdx.x * each, end = min(begin + each, n);
    float sum = 0.0f;
    if (row < rows)
        for (int i = begin + row; i < end; i += rows) sum += to_float(pixel(dy, i)[from + c]);
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (row == 0) {
        for (int r = 1; r < rows; r++) sum += sums[r * channels + c];
        parts[blockIdx.x * dy.c + from + c] = sum;
    }
    if (!last_block(counters + blockIdx.y, gridDim.x)) return;
    if (row == 0) {
        float all = 0.0f;
        for (int part = 0; part < gridDim.x; part++) all += parts[part * dy.c + from + c];
        db[from + c] = merge.add ? db[from + c] + all : all;
    }
}
