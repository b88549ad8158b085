// rules.cuh - activation functions: y from x, and the derivative from y.
#pragma once
#include "common.cuh"

__device__ __forceinline__ float value(Rule rule, float x)
{
    if (rule.kind == ActivationKind::Relu) return fmaxf(x, 0.0f);
    if (rule.kind == ActivationKind::LeakyRelu) return x > 0.0f ? x : rule.slope * x;
    if (rule.kind == ActivationKind::Tanh) return tanhf(x);
    return x;
}

__device__ __forceinline__ float slope(Rule rule, float y)
{
    if (rule.kind == ActivationKind::Relu) return y > 0.0f ? 1.0f : 0.0f;
    if (rule.kind == ActivationKind::LeakyRelu) return y > 0.0f ? 1.0f : rule.slope;
    if (rule.kind == ActivationKind::Tanh) return 1.0f - y * y;
    return 1.0f;
}
