// maps.cuh - pointwise functions of tensors of one shape, in vectors of 16 bytes where channels and addresses allow.
#pragma once
#include "common.cuh"

// Elements of a vector of 16 bytes.
constexpr int WIDE = VECTOR_BYTES / sizeof(elem);

struct alignas(VECTOR_BYTES) Wide { elem e[WIDE]; };

// Whether every pixel of a tensor begins and ends with a vector.
__device__ __forceinline__ bool is_wide(Tensor t)
{
    return t.c % WIDE == 0 && t.pitch % WIDE == 0 && (unsigned long long)t.data % VECTOR_BYTES == 0;
}

// y = f(a, b), or y += that. A function of one input gets it as a and as b; it is then read only once.
template <class F> __device__ __forceinline__ void map(Tensor a, Tensor b, Tensor y, Merge merge, F f)
{
    size_t stride = (size_t)gridDim.x * blockDim.x, first = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (is_wide(a) && is_wide(b) && is_wide(y)) {
        unsigned line = y.c / WIDE;
        size_t count = (size_t)pixels(y) * line;
        for (size_t i = first; i < count; i += stride) {
            size_t at = i / line;
            unsigned c = (unsigned)(i % line) * WIDE;
            Wide u = *(const Wide*)(pixel(a, at) + c), v = u, w = u;
            if (a.data != b.data) v = *(const Wide*)(pixel(b, at) + c);
            Wide* to = (Wide*)(pixel(y, at) + c);
            if (merge.add) w = *to;
#pragma unroll
            for (int k = 0; k < WIDE; k++) {
                float value = f(to_float(u.e[k]), to_float(v.e[k]));
                w.e[k] = from_float(merge.add ? to_float(w.e[k]) + value : value);
            }
            *to = w;
        }
    } else {
        size_t count = (size_t)pixels(y) * y.c;
        for (size_t i = first; i < count; i += stride) {
            size_t at = i / y.c;
            unsigned c = (unsigned)(i % y.c);
            store(pixel(y, at) + c, f(to_float(pixel(a, at)[c]), to_float(pixel(b, at)[c])), merge);
        }
    }
}
