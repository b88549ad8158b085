// vector.cu - functions of dense vectors: the moving average of a network's parameters, the norm of its gradients, how many of its
//             numbers are not finite.
//   math    moving_average: mean = mean + (1 - decay)(x - mean);  vector_norm: y = sqrt(sum of x^2);
//           count_not_finite: y = the number of NaN and infinities in x
//   shapes  x, mean: dense vectors of `count` f32; y: one f32, or one unsigned
//   launch  256 threads; any number of blocks; vector_norm's last block adds the blocks' sums in order, in f64; deterministic
//   cost    moving_average: 12 bytes of memory traffic per number; vector_norm and count_not_finite: 4
//   source  Tarvainen and Valpola, NeurIPS 2017, equation 1 of section 2; checked by tests/parity rows vector
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(VECTOR_THREADS) moving_average(const float* x, float* mean, float decay, unsigned count)
{
    size_t stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride)
        mean[i] += (1.0f - decay) * (x[i] - mean[i]);
}

extern "C" __global__ void __launch_bounds__(VECTOR_THREADS)
vector_norm(const float* x, float* y, double* parts, unsigned* counters, unsigned count)
{
    __shared__ double sums[VECTOR_THREADS];
    size_t stride = (size_t)gridDim.x * blockDim.x;
    double sum = 0.0;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) sum += (double)x[i] * (double)x[i];
    sums[threadIdx.x] = sum;
    for (int half = VECTOR_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (threadIdx.x == 0) parts[blockIdx.x] = sums[0];
    if (!last_block(counters, gridDim.x)) return;
    if (threadIdx.x == 0) {
        double all = 0.0;
        for (int part = 0; part < gridDim.x; part++) all += parts[part];
        *y = (float)sqrt(all);
    }
}

// Adds to a number that the host has set to 0. The sum of whole numbers does not depend on their order, and nothing is added
// in a network that is as it should be.
extern "C" __global__ void __launch_bounds__(VECTOR_THREADS) count_not_finite(const float* x, unsigned* y, unsigned count)
{
    size_t stride = (size_t)gridDim.x * blockDim.x;
    unsigned sum = 0;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) sum += !is_finite(x[i]);
    if (sum > 0) atomicAdd(y, sum);
}
