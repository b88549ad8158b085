// loss.cu - mean losses and their gradients: binary cross entropy of logits, squared and absolute difference.
//   math    bce: max(x, 0) - x t + log(1 + exp(-|x|));  mse: (x - t)^2;  l1: |x - t|;  y = weight * mean;  dx = dy * weight / count * slope;
//           with two runs of pictures, each has its own label, mean and dy
//   shapes  x (n,h,w,c), t of the same shape or one label per run, y and dy one f32 per run
//   launch  256 threads; any number of blocks; the last block adds the blocks' sums in order, in f64; deterministic
//   cost    reads x and t once; the gradient writes dx once
//   source  the stable form is that of PyTorch's BCEWithLogitsLoss; checked by tests/parity rows loss
#include "common.cuh"

__device__ __forceinline__ float loss_value(Loss loss, float x, float t)
{
    if (loss == Loss::Bce) return fmaxf(x, 0.0f) - x * t + log1pf(expf(-fabsf(x)));
    return loss == Loss::Mse ? (x - t) * (x - t) : fabsf(x - t);
}

__device__ __forceinline__ float loss_slope(Loss loss, float x, float t)
{
    if (loss == Loss::Bce) {
        float e = expf(-fabsf(x));
        return (x >= 0.0f ? 1.0f / (1.0f + e) : e / (1.0f + e)) - t;
    }
    // 0 where both are equal, as in PyTorch.
    return loss == Loss::Mse ? 2.0f * (x - t) : (float)((x > t) - (x < t));
}

// The target of channel c of pixel `i`: the label of its run, or the same element of the other tensor.
__device__ __forceinline__ float target(Aim aim, Tensor x, size_t i, unsigned c)
{
    if (aim.other.data) return to_float(pixel(aim.other, i)[c]);
    return i < (size_t)pixels(x) / aim.runs ? aim.label : aim.second;
}

// blockIdx.y is the run; each run has its own loss.
extern "C" __global__ void __launch_bounds__(LOSS_THREADS)
loss(Tensor x, Aim aim, float* y, double* parts, unsigned* counters)
{
    __shared__ double sums[LOSS_THREADS];
    size_t stride = (size_t)gridDim.x * blockDim.x, count = (size_t)pixels(x) / aim.runs * x.c, from = blockIdx.y * count;
    double sum = 0.0;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
        size_t at = (from + i) / x.c;
        unsigned c = (unsigned)((from + i) % x.c);
        sum += loss_value(aim.loss, to_float(pixel(x, at)[c]), target(aim, x, at, c));
    }
    sums[threadIdx.x] = sum;
    for (int half = LOSS_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    parts += blockIdx.y * gridDim.x;
    if (threadIdx.x == 0) parts[blockIdx.x] = sums[0];
    if (!last_block(counters + blockIdx.y, gridDim.x)) return;
    if (threadIdx.x == 0) {
        double all = 0.0;
        for (int part = 0; part < gridDim.x; part++) all += parts[part];
        y[blockIdx.y] = (float)(aim.weight * (all / (double)count));
    }
}

extern "C" __global__ void __launch_bounds__(MAP_THREADS)
loss_grad(Tensor x, Aim aim, const float* dy, Tensor dx, Merge merge)
{
    size_t stride = (size_t)gridDim.x * blockDim.x, count = (size_t)pixels(x) * x.c, each = count / aim.runs;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
        size_t at = i / x.c;
        unsigned c = (unsigned)(i % x.c);
        float slope = loss_slope(aim.loss, to_float(pixel(x, at)[c]), target(aim, x, at, c));
        store(pixel(dx, at) + c, dy[i < each ? 0 : 1] * aim.weight / (float)each * slope, merge);
    }
}

// Copies the losses of a run to its row of the ring, which the host reads later.
extern "C" __global__ void __launch_bounds__(32) keep_losses(LossPointers losses, float* ring, const State* state)
{
    const float* from[RING_WIDTH] = {losses.p0, losses.p1, losses.p2, losses.p3, losses.p4, losses.p5, losses.p6, losses.p7};
    if (threadIdx.x >= losses.count) return;
    ring[state->row * RING_WIDTH + threadIdx.x] = *from[threadIdx.x];
}
