// common.cuh - what every kernel file begins with: the type of activations, tensor access, the last block.
//
//   PRECISION_F32   elem is float, products are f32 fma
//   PRECISION_TF32  elem is float, products are mma.sync on tf32
//   PRECISION_BF16  elem is bf16, products are mma.sync on bf16
//
// Needs no toolkit header: a user has the driver and libnvrtc, not a toolkit.
#pragma once

#if defined(PRECISION_BF16)
// The upper half of an f32.
struct elem { unsigned short bits; };
__device__ __forceinline__ float to_float(elem x) { return __uint_as_float((unsigned)x.bits << 16); }
__device__ __forceinline__ elem from_float(float x)
{
    elem y;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}
#else
typedef float elem;
__device__ __forceinline__ float to_float(elem x) { return x; }
__device__ __forceinline__ elem from_float(float x) { return x; }
#endif

// The constants, enums and structs that kernels share with what launches them, declared in Rust by
// `device_constants!`, `device_enum!` and `device_struct!`.
#include "structs.cuh"

// Element 0 of pixel `i` of a tensor, pixels counted over the whole batch.
__device__ __forceinline__ elem* pixel(Tensor t, size_t i) { return t.data + i * t.pitch; }

__device__ __forceinline__ int pixels(Tensor t) { return t.n * t.h * t.w; }

// `value` or the sum with what is there, as `merge` says.
__device__ __forceinline__ void store(elem* at, float value, Merge merge)
{
    *at = from_float(merge.add ? to_float(*at) + value : value);
}

// Whether this block is the last of `blocks` that come here; what the others wrote before is then seen by all of its
// threads. Leaves the counter at 0 for the next launch.
__device__ __forceinline__ bool last_block(unsigned* counter, unsigned blocks)
{
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicAdd(counter, 1u) == blocks - 1;
        if (last) *counter = 0;
    }
    __syncthreads();
    __threadfence();
    return last;
}
