// mma.cuh - asynchronous copies to shared memory, and matrix products on tensor cores.
//
//   source  PTX ISA, sections "cp.async", "ldmatrix" and "mma": the layouts of m16n8k8 (tf32) and m16n8k16 (bf16)
//
// Includes no toolkit header. Before compute capability 8.0 copies are synchronous, and the host refuses the precisions
// that need tensor cores.
#pragma once
#include "common.cuh"

#if defined(PRECISION_TF32) || defined(PRECISION_BF16)
#define TENSOR_CORES 1
#else
#define TENSOR_CORES 0
#endif

__device__ __forceinline__ unsigned shared_address(const void* p) { return (unsigned)__cvta_generic_to_shared(p); }

// 16 bytes to shared memory, zeros where `there` is false. Both sides are 16-byte aligned.
__device__ __forceinline__ void copy_vector(void* to, const void* from, bool there)
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::
                 "r"(shared_address(to)), "l"(from), "r"(there ? 16 : 0) : "memory");
#else
    *(uint4*)to = there ? *(const uint4*)from : make_uint4(0, 0, 0, 0);
#endif
}

// One f32 to shared memory, zero where `there` is false.
__device__ __forceinline__ void copy_one(float* to, const float* from, bool there)
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::
                 "r"(shared_address(to)), "l"(from), "r"(there ? 4 : 0) : "memory");
#else
    *to = there ? *from : 0.0f;
#endif
}

#if defined(PRECISION_BF16)
// Synchronous: cp.async neither copies 2 bytes nor converts.
__device__ __forceinline__ void copy_one(elem* to, const elem* from, bool there)
{
    elem zero = {0};
    *to = there ? *from : zero;
}

__device__ __forceinline__ void copy_one(elem* to, const float* from, bool there)
{
    *to = from_float(there ? *from : 0.0f);
}
#endif

// Ends a group of copies.
__device__ __forceinline__ void copy_commit()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most the newest `PENDING` groups of this thread are unfinished.
template <int PENDING> __device__ __forceinline__ void copy_wait()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#endif
}

#if TENSOR_CORES
// Loads four 8 x 8 matrices of 16-bit (8 x 4 of 32-bit) elements: lane l passes the address of row l % 8 of matrix l / 8.
__device__ __forceinline__ void load_matrices(unsigned (&to)[4], const void* row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(shared_address(row)) : "memory");
}
#endif

#if defined(PRECISION_BF16)
// The same, each matrix transposed.
__device__ __forceinline__ void load_transposed(unsigned (&to)[4], const void* row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(shared_address(row)) : "memory");
}

// d += a b for a (16 x 16), b (16 x 8) of bf16.
__device__ __forceinline__ void multiply(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#elif defined(PRECISION_TF32)
// Rounds an f32 to 10 bits of fraction, ties away from zero; the tensor core itself would truncate it.
__device__ __forceinline__ unsigned to_tf32(float x)
{
    unsigned y;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
    return y;
}

// d += a b for a (16 x 8), b (8 x 8) of tf32.
__device__ __forceinline__ void multiply(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1)
{
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#endif
