// broken.cu - one deliberate mistake a kernel; the comment on the line names what must be found there.

extern "C" {

__global__ void past_end(float* x, int n) {
    int i = threadIdx.x;
    x[i + n] = 1.f;  // out-of-bounds
}

__global__ void odd_address(char* x) {
    *(int*)(x + 4 * threadIdx.x + 2) = 1;  // misaligned
}

__global__ void read_any(float* x, float* y) {
    y[threadIdx.x] = x[threadIdx.x] + 1.f;  // uninitialized-memory
}

__global__ void shared_past_end(float* y, int n) {
    __shared__ float s[32];
    s[threadIdx.x] = 1.f;
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x + n];  // out-of-bounds
}

__global__ void shared_unset(float* y) {
    __shared__ float s[64];
    if (threadIdx.x < 16) s[threadIdx.x] = 1.f;
    __syncthreads();
    y[threadIdx.x] = s[threadIdx.x];  // uninitialized-memory
}

__global__ void no_barrier(float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = threadIdx.x;
    y[threadIdx.x] = s[63 - threadIdx.x];  // shared-race
}

__global__ void half_barrier(float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = 1.f;
    if (threadIdx.x < 16) {
        asm volatile("bar.sync 0;");  // barrier-divergence
        y[threadIdx.x] = s[threadIdx.x];
    } else {
        asm volatile("bar.sync 0;");
    }
}

__global__ void lost_warp(float* y) {
    if (threadIdx.x < 32) asm volatile("bar.sync 1, 64;");  // barrier-mismatch
    y[threadIdx.x] = 1.f;
}

__global__ void half_shuffle(int* y) {
    int v = threadIdx.x;
    if (threadIdx.x < 16) {
        v = __shfl_xor_sync(~0u, v, 1);  // sync-mask
        y[threadIdx.x] = v;
    }
}

__global__ void early_read(const float* x, float* y) {
    __shared__ float s[32];
    unsigned at = (unsigned)__cvta_generic_to_shared(s + threadIdx.x);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at), "l"(x + threadIdx.x));
    asm volatile("cp.async.commit_group;");
    y[threadIdx.x] = s[threadIdx.x];  // async-copy
    asm volatile("cp.async.wait_group 0;");
}

__global__ void early_overwrite(const float* x, float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = 1.f;
    __syncthreads();
    y[threadIdx.x] = s[63 - threadIdx.x];
    unsigned at = (unsigned)__cvta_generic_to_shared(s + threadIdx.x);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(at), "l"(x + threadIdx.x));  // shared-race
    asm volatile("cp.async.wait_all;");
}

__global__ void endless(volatile int* flag) {
    while (*flag == 0) {}  // hang
}

__global__ void traps(int n) {
    if (threadIdx.x == n) __trap();  // trap
}

__global__ void asserts(int n) {
    assert((int)threadIdx.x < n);  // assert
}

__global__ void two_blocks(int* x) {
    x[threadIdx.x] = blockIdx.x;  // global-race
}

__global__ void constant_store(const float* x) {
    *(float*)x = 1.f;  // out-of-bounds
}

__global__ void undefined_register(float* y, int n) {
    float v;
    asm volatile("{ .reg .f32 f; .reg .pred p; setp.gt.s32 p, %1, 0; @p mov.f32 f, 0f3F800000; mov.f32 %0, f; }"
                 : "=f"(v) : "r"(n - (int)threadIdx.x));
    y[threadIdx.x] = v;  // uninitialized-register
}

__global__ void no_syncwarp(float* y) {
    __shared__ float s[32];
    s[threadIdx.x] = threadIdx.x;
    y[threadIdx.x] = s[31 - threadIdx.x];  // shared-race
}

__global__ void with_syncwarp(float* y) {
    __shared__ float s[32];
    s[threadIdx.x] = threadIdx.x;
    __syncwarp();
    y[threadIdx.x] = s[31 - threadIdx.x];
}

__global__ void local_unset(float* y, int n) {
    float v[8];
    for (int i = 0; i < n; i++) v[i] = i;
    y[threadIdx.x] = v[(threadIdx.x + n) & 7];  // uninitialized-memory
}

}
