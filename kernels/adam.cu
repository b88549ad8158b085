// adam.cu - Adam (Kingma and Ba, ICLR 2015), one launch for all parameters of a network.
//   math    m = m + (1 - beta1)(g - m);  v = beta2 v + (1 - beta2) g^2;
//           w = w - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
//   shapes  values, grads, m, v: dense vectors of `count` f32, 16-byte aligned, count a multiple of 4
//   launch  256 threads, four numbers per thread and iteration; any number of blocks; deterministic
//   cost    28 bytes of memory traffic per parameter: four reads and three writes
//   source  eps is added after the bias correction, as in PyTorch; checked by tests/parity rows adam
#include "common.cuh"

// beta^t in double, by repeated squaring; t is the number of the step.
__device__ double power(double beta, unsigned long long t)
{
    double result = 1.0;
    for (; t > 0; t >>= 1, beta *= beta)
        if (t & 1) result *= beta;
    return result;
}

extern "C" __global__ void __launch_bounds__(MAP_THREADS)
adam(float* values, const float* grads, float* m, float* v, AdamRule rule, unsigned count, const State* state)
{
    __shared__ float correction[2];
    if (threadIdx.x == 0) {
        correction[0] = (float)((double)state->lr / (1.0 - power((double)rule.beta1, state->step)));
        correction[1] = (float)sqrt(1.0 - power((double)rule.beta2, state->step));
    }
    __syncthreads();
    float rate = correction[0], root = correction[1];
    unsigned stride = gridDim.x * blockDim.x;
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < count / 4; i += stride) {
        float4 w4 = ((float4*)values)[i], g4 = ((const float4*)grads)[i];
        float4 m4 = ((float4*)m)[i], v4 = ((float4*)v)[i];
        float* w = &w4.x; float* g = &g4.x; float* p = &m4.x; float* q = &v4.x;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            p[k] += (1.0f - rule.beta1) * (g[k] - p[k]);
            q[k] = rule.beta2 * q[k] + (1.0f - rule.beta2) * g[k] * g[k];
            w[k] -= rate * (p[k] / (sqrtf(q[k]) / root + rule.eps));
        }
        ((float4*)values)[i] = w4;
        ((float4*)m)[i] = m4;
        ((float4*)v)[i] = v4;
    }
}
