// kernels.cu - our own kernels for the interpreter's tests; compiled by make.py, the PTX is committed.

extern "C" {

// SIMT tile: c = a b, 64x64 tile, 16x16 threads with 4x4 each, double-buffered shared memory.
__global__ void gemm_simt(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float as[2][8][64 + 4];
    __shared__ float bs[2][8][64];
    int tid = threadIdx.x, tx = tid % 16, ty = tid / 16;
    int row0 = blockIdx.y * 64, col0 = blockIdx.x * 64;
    float acc[4][4] = {};
    auto load = [&](int buffer, int k0) {
        for (int i = tid; i < 512; i += 256) {
            int kk = i % 8, r = i / 8;
            as[buffer][kk][r] = (row0 + r < m && k0 + kk < k) ? a[(row0 + r) * k + k0 + kk] : 0.f;
            int cc = i % 64, kb = i / 64;
            bs[buffer][kb][cc] = (col0 + cc < n && k0 + kb < k) ? b[(k0 + kb) * n + col0 + cc] : 0.f;
        }
    };
    load(0, 0);
    __syncthreads();
    int buffer = 0;
    for (int k0 = 0; k0 < k; k0 += 8) {
        if (k0 + 8 < k) load(buffer ^ 1, k0 + 8);
#pragma unroll
        for (int kk = 0; kk < 8; kk++) {
            float4 x = *(const float4*)&as[buffer][kk][ty * 4];
            float4 y = *(const float4*)&bs[buffer][kk][tx * 4];
            float xs[4] = {x.x, x.y, x.z, x.w}, ys[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) acc[i][j] += xs[i] * ys[j];
        }
        __syncthreads();
        buffer ^= 1;
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            int r = row0 + ty * 4 + i, q = col0 + tx * 4 + j;
            if (r < m && q < n) c[r * n + q] = acc[i][j];
        }
}

// The same product with 8x8 values a thread, 128x128 tile: what a tuned convolution looks like inside.
__global__ void __launch_bounds__(256) gemm_tile(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float as[8][128];
    __shared__ float bs[8][128];
    int tid = threadIdx.x, tx = tid % 16, ty = tid / 16;
    int row0 = blockIdx.y * 128, col0 = blockIdx.x * 128;
    float acc[8][8] = {};
    for (int k0 = 0; k0 < k; k0 += 8) {
        float4 x = *(const float4*)&a[(row0 + tid / 2) * k + k0 + tid % 2 * 4];
        float4 y = *(const float4*)&b[(k0 + tid / 32) * n + col0 + tid % 32 * 4];
        __syncthreads();
        int r = tid / 2, q = tid % 2 * 4;
        as[q][r] = x.x; as[q + 1][r] = x.y; as[q + 2][r] = x.z; as[q + 3][r] = x.w;
        *(float4*)&bs[tid / 32][tid % 32 * 4] = y;
        __syncthreads();
#pragma unroll
        for (int kk = 0; kk < 8; kk++) {
            float xs[8], ys[8];
#pragma unroll
            for (int i = 0; i < 8; i += 4) {
                float4 u = *(const float4*)&as[kk][ty * 8 + i], v = *(const float4*)&bs[kk][tx * 4 + i * 16];
                xs[i] = u.x; xs[i + 1] = u.y; xs[i + 2] = u.z; xs[i + 3] = u.w;
                ys[i] = v.x; ys[i + 1] = v.y; ys[i + 2] = v.z; ys[i + 3] = v.w;
            }
#pragma unroll
            for (int i = 0; i < 8; i++)
#pragma unroll
                for (int j = 0; j < 8; j++) acc[i][j] += xs[i] * ys[j];
        }
    }
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++)
            c[(row0 + ty * 8 + i) * n + col0 + tx * 4 + j / 4 * 64 + j % 4] = acc[i][j];
}

// Sum and sum of squares of rows by block, then by warp shuffles.
__global__ void row_sums(const float* x, float* out, int columns) {
    __shared__ float partial[2][32];
    float s = 0, q = 0;
    for (int i = threadIdx.x; i < columns; i += blockDim.x) {
        float v = x[blockIdx.x * columns + i];
        s += v;
        q += v * v;
    }
    for (int o = 16; o; o >>= 1) {
        s += __shfl_xor_sync(~0u, s, o);
        q += __shfl_xor_sync(~0u, q, o);
    }
    if (threadIdx.x % 32 == 0) {
        partial[0][threadIdx.x / 32] = s;
        partial[1][threadIdx.x / 32] = q;
    }
    __syncthreads();
    if (threadIdx.x < 32) {
        int warps = blockDim.x / 32;
        s = threadIdx.x < warps ? partial[0][threadIdx.x] : 0.f;
        q = threadIdx.x < warps ? partial[1][threadIdx.x] : 0.f;
        for (int o = 16; o; o >>= 1) {
            s += __shfl_down_sync(~0u, s, o);
            q += __shfl_down_sync(~0u, q, o);
        }
        if (threadIdx.x == 0) {
            out[blockIdx.x * 2] = s;
            out[blockIdx.x * 2 + 1] = q;
        }
    }
}

// Tree sum in shared memory: a barrier a level.
__global__ void tree_sum(const float* x, float* out, int n) {
    extern __shared__ float s[];
    int t = threadIdx.x;
    s[t] = t < n ? x[t] : 0.f;
    __syncthreads();
    for (int o = blockDim.x / 2; o; o >>= 1) {
        if (t < o) s[t] += s[t + o];
        __syncthreads();
    }
    if (t == 0) out[0] = s[0];
}

// Transpose through shared memory with a padded tile, and without padding.
__global__ void transpose(const float* x, float* y, int n) {
    __shared__ float tile[32][33];
    int bx = blockIdx.x * 32, by = blockIdx.y * 32;
    for (int i = threadIdx.y; i < 32; i += blockDim.y) tile[i][threadIdx.x] = x[(by + i) * n + bx + threadIdx.x];
    __syncthreads();
    for (int i = threadIdx.y; i < 32; i += blockDim.y) y[(bx + i) * n + by + threadIdx.x] = tile[threadIdx.x][i];
}
__global__ void transpose_conflicts(const float* x, float* y, int n) {
    __shared__ float tile[32][32];
    int bx = blockIdx.x * 32, by = blockIdx.y * 32;
    for (int i = threadIdx.y; i < 32; i += blockDim.y) tile[i][threadIdx.x] = x[(by + i) * n + bx + threadIdx.x];
    __syncthreads();
    for (int i = threadIdx.y; i < 32; i += blockDim.y) y[(bx + i) * n + by + threadIdx.x] = tile[threadIdx.x][i];
}

// Functions of the library: many paths, local memory for sin of large arguments.
__global__ void functions(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float v = x[i];
    float* o = y + i * 12;
    o[0] = tanhf(v); o[1] = expf(v); o[2] = logf(fabsf(v)); o[3] = sinf(v * 1e5f); o[4] = cosf(v);
    o[5] = sqrtf(fabsf(v)); o[6] = rsqrtf(fabsf(v)); o[7] = powf(fabsf(v), 1.7f); o[8] = v / 3.7f;
    o[9] = erff(v); o[10] = floorf(v * 10.f); o[11] = (float)lrintf(v * 10.f);
}

// Integers of several widths, division by runtime values, 64-bit products.
__global__ void integers(const int* a, const int* b, long long* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int p = a[i], q = b[i];
    unsigned u = p, w = q;
    long long* o = y + i * 12;
    o[0] = p / q; o[1] = p % q; o[2] = u / w; o[3] = u % w; o[4] = (long long)p * q / 7; o[5] = __mulhi(p, q);
    o[6] = __umulhi(u, w); o[7] = __popc(u) + 100 * __clz(p) + 10000 * __ffs(p); o[8] = __brev(u);
    o[9] = (short)p * (short)q; o[10] = (p >> (q & 31)) ^ (int)(u << (w & 31)); o[11] = ((long long)p << 20) % (q | 1);
}

struct Tensors { float* p[8]; int n[8]; float scale; };

// A struct of pointers as a parameter, indexed at run time.
__global__ void scale_all(const __grid_constant__ Tensors t) {
    int which = blockIdx.y;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < t.n[which]; i += gridDim.x * blockDim.x)
        t.p[which][i] *= t.scale;
}

__constant__ float weights[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
__device__ unsigned ticket = 0;

// The last block adds what the others have left: threadfence and a ticket.
__global__ void last_block(const float* x, float* parts, double* out, int n) {
    __shared__ bool last;
    double s = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) s += x[i] * weights[i % 9];
    for (int o = 16; o; o >>= 1) s += __shfl_down_sync(~0u, s, o);
    if (threadIdx.x % 32 == 0) atomicAdd(out + 1, s);
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = (float)s;
        __threadfence();
        last = atomicInc(&ticket, gridDim.x - 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        double t = 0;
        for (unsigned b = 0; b < gridDim.x; b++) t += ((volatile float*)parts)[b];
        out[0] = t;
    }
}

__global__ void say(int n) {
    if ((int)threadIdx.x < n) printf("%d of %u: %5.2f [%-4s] %lld\n", threadIdx.x, n, threadIdx.x * 0.5, "ab", 1ll << 40);
}

__global__ void check(int n) { assert((int)threadIdx.x < n); }

__global__ void local_array(const int* index, float* y) {
    float v[16];
    for (int i = 0; i < 16; i++) v[i] = i * threadIdx.x;
    y[threadIdx.x] = v[index[threadIdx.x] & 15] + v[index[threadIdx.x + 32] & 15];
}

}
