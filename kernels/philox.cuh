// philox.cuh - counter-based random numbers: Philox4x32 with 10 rounds (Salmon et al., SC 2011); dropout factors from them.
#pragma once
#include "common.cuh"

__device__ __forceinline__ uint4 philox(unsigned long long key, uint4 x)
{
    unsigned a = (unsigned)key, b = (unsigned)(key >> 32);
#pragma unroll
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        unsigned low = x.x * PHILOX_MULTIPLIER_A, high = __umulhi(x.x, PHILOX_MULTIPLIER_A);
        unsigned last = x.z * PHILOX_MULTIPLIER_B, top = __umulhi(x.z, PHILOX_MULTIPLIER_B);
        x = make_uint4(top ^ x.y ^ a, last, high ^ x.w ^ b, low);
        a += PHILOX_KEY_STEP_A;
        b += PHILOX_KEY_STEP_B;
    }
    return x;
}

// The factors, 0 or 1 / (1 - rate), of elements 4 quad to 4 quad + 3 of a dense tensor, from one random draw.
__device__ __forceinline__ float4 dropout_factors(DropoutArg drop, const State* state, unsigned quad)
{
    // The last word of the counter holds the purpose in its lowest bits, and the micro-step above.
    unsigned last = PURPOSE_DROPOUT | state->micro << PURPOSE_BITS;
    uint4 word = philox(state->seed, make_uint4(quad, drop.stream, (unsigned)state->step, last));
    float scale = 1.0f / (1.0f - drop.rate);
    unsigned words[4] = {word.x, word.y, word.z, word.w};
    float factor[4];
#pragma unroll
    for (int k = 0; k < 4; k++) {
        float uniform = (words[k] >> (32 - UNIFORM_BITS)) * (1.0f / (1u << UNIFORM_BITS));
        factor[k] = uniform >= drop.rate ? scale : 0.0f;
    }
    return make_float4(factor[0], factor[1], factor[2], factor[3]);
}

__device__ __forceinline__ float dropout_factor(DropoutArg drop, const State* state, size_t i)
{
    float4 four = dropout_factors(drop, state, (unsigned)(i / 4));
    unsigned lane = i % 4;
    return lane == 0 ? four.x : lane == 1 ? four.y : lane == 2 ? four.z : four.w;
}
