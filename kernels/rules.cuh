// rules.cuh - activation functions: y from x, and the derivative from y. NaN passes as in PyTorch: a ReLU's gradient where y is
//             NaN is dy, a leaky ReLU's that of a number below 0.
#pragma once
#include "common.cuh"

// max(x, 0) that keeps NaN, which fmaxf would replace by 0; 0 of -0.
__device__ __forceinline__ float relu(float x)
{
#if __CUDA_ARCH__ >= 800
    float y;
    asm("max.NaN.f32 %0, %1, 0f00000000;" : "=f"(y) : "f"(x));
    return y;
#else
    return x <= 0.0f ? 0.0f : x;
#endif
}

__device__ __forceinline__ float value(Rule rule, float x)
{
    if (rule.kind == ActivationKind::Relu) return relu(x);
    if (rule.kind == ActivationKind::LeakyRelu) return x > 0.0f ? x : rule.slope * x;
    if (rule.kind == ActivationKind::Tanh) return tanhf(x);
    return x;
}

__device__ __forceinline__ float slope(Rule rule, float y)
{
    if (rule.kind == ActivationKind::Relu) return y <= 0.0f ? 0.0f : 1.0f;
    if (rule.kind == ActivationKind::LeakyRelu) return y > 0.0f ? 1.0f : rule.slope;
    if (rule.kind == ActivationKind::Tanh) return 1.0f - y * y;
    return 1.0f;
}
