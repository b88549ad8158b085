// common.cuh - included by every kernel file: the type of activations, tensor access, the last block of a launch.
//
//   PRECISION_F32   elem is float, convolutions use f32 fma
//   PRECISION_TF32  elem is float, convolutions use mma.sync on tf32
//   PRECISION_BF16  elem is bf16, convolutions use mma.sync on bf16
//
// Includes no toolkit header: users have the driver and libnvrtc, but not always a toolkit.
#pragma once

#if defined(PRECISION_BF16)
// A bf16 number is the upper half of an f32.
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

// The constants, enums and structs that kernels share with the Rust code that launches them, generated from
// `device_constants!`, `device_enum!` and `device_struct!`.
#include "structs.cuh"

// The first channel of pixel `i` of a tensor; pixels are counted over the whole batch.
__device__ __forceinline__ elem* pixel(Tensor t, size_t i) { return t.data + i * t.pitch; }

__device__ __forceinline__ int pixels(Tensor t) { return t.n * t.h * t.w; }

// Whether `x` is neither NaN nor infinite: in those, and in no other number, all bits of the exponent are 1.
__device__ __forceinline__ bool is_finite(float x) { return (__float_as_uint(x) & 0x7f800000u) != 0x7f800000u; }

// Sets an element to `value`, or adds `value` to it, as `merge` says.
__device__ __forceinline__ void store(elem* at, float value, Merge merge)
{
    *at = from_float(merge.add ? to_float(*at) + value : value);
}

// Whether this block is the last of `blocks` to call this; if so, all its threads see what the others wrote before their
// calls. Leaves the counter at 0 for the next launch.
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
