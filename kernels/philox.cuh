// philox.cuh - counter-based random numbers: Philox4x32 with 10 rounds (Salmon et al., SC 2011), and dropout from it.
#pragma once
#include "common.cuh"

__device__ __forceinline__ uint4 philox(unsigned long long key, uint4 x)
{
    unsigned a = (unsigned)key, b = (unsigned)(key >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++) {
        unsigned low = x.x * 0xd2511f53u, high = __umulhi(x.x, 0xd2511f53u);
        unsigned last = x.z * 0xcd9e8d57u, top = __umulhi(x.z, 0xcd9e8d57u);
        x = make_uint4(top ^ x.y ^ a, last, high ^ x.w ^ b, low);
        a += 0x9e3779b9u;
        b += 0xbb67ae85u;
    }
    return x;
}

// The factor of element `i` of a dense tensor: 0 or 1 / (1 - rate). Four elements share a draw.
__device__ __forceinline__ float4 dropout_factors(DropoutArg drop, const State* state, unsigned quad)
{
    // The purpose, 2, takes the lowest 8 bits of the last word.
    uint4 word = philox(state->seed, make_uint4(quad, drop.stream, (unsigned)state->step, 2u | state->micro << 8));
    float scale = 1.0f / (1.0f - drop.rate);
    unsigned words[4] = {word.x, word.y, word.z, word.w};
    float factor[4];
#pragma unroll
    for (int k = 0; k < 4; k++) factor[k] = (words[k] >> 8) * (1.0f / 16777216.0f) >= drop.rate ? scale : 0.0f;
    return make_float4(factor[0], factor[1], factor[2], factor[3]);
}

__device__ __forceinline__ float dropout_factor(DropoutArg drop, const State* state, size_t i)
{
    float4 four = dropout_factors(drop, state, (unsigned)(i / 4));
    unsigned lane = i % 4;
    return lane == 0 ? four.x : lane == 1 ? four.y : lane == 2 ? four.z : four.w;
}
