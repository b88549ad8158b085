// tile.cuh - one tile of a matrix product: from shared memory to sums in registers, and from there to the result.
//
//   math    c[m][n] += sum over a chunk of a[m][k] b[k][n], summed in f32; operands rounded as the precision says
//   shapes  a tile is ROWS x 64 with ROWS 128, 64 or 16, computed by 128 threads; a chunk is 64 bytes of k
//   source  PTX ISA for the fragments of mma.sync; the swizzle is derived below
//
// An operand has the same order in shared memory as in global memory. "Along k": rows of CHUNK elements; 16-byte vector
// v of row i is stored at position v ^ (i / 2 % 4), so that 8 consecutive rows at one v, and any 2 whole rows, use all 32
// banks once. "Across k": CHUNK rows of the tile's extent plus 8 elements, so that 4 rows by 8 neighbours use all banks.
#pragma once
#include "mma.cuh"

// Elements of a vector of 16 bytes.
constexpr int VECTOR = VECTOR_BYTES / sizeof(elem);
// Elements of k that are in shared memory at a time.
constexpr int CHUNK = CHUNK_BYTES / sizeof(elem);
// Floats from row to row of the sums in shared memory: 8 rows by 4 pairs use all banks.
constexpr int SUMS_PITCH = TILE_COLUMNS + 8;

// The position of element k of row `row` in an operand along k.
__device__ __forceinline__ int along(int row, int k)
{
    return row * CHUNK + ((k / VECTOR ^ (row >> 1 & 3)) * VECTOR) + k % VECTOR;
}

__device__ constexpr int operand_size(int extent, bool along_k) { return along_k ? extent * CHUNK : CHUNK * (extent + 8); }

// The sums of a tile, divided among the threads' registers.
template <int ROWS_OF_TILE, bool A_ALONG, bool B_ALONG> struct Sums {
    static constexpr int ROWS = ROWS_OF_TILE;
    // Elements of the operands of a chunk.
    static constexpr int A_SIZE = operand_size(ROWS, A_ALONG);
    static constexpr int B_SIZE = operand_size(TILE_COLUMNS, B_ALONG);
    static constexpr int A_PITCH = ROWS + 8;
    static constexpr int B_PITCH = TILE_COLUMNS + 8;
    // The part of the tile that a warp computes: four warps as 2 x 2, or side by side in the tile of few rows.
    static constexpr int WARP_ROWS = ROWS == TILE_ROWS_FEW ? 16 : ROWS / 2;
    static constexpr int WARP_COLUMNS = ROWS == TILE_ROWS_FEW ? 16 : 32;

    __device__ __forceinline__ static int warp_row() { return ROWS == TILE_ROWS_FEW ? 0 : threadIdx.x / 64 * WARP_ROWS; }
    __device__ __forceinline__ static int warp_column()
    {
        return ROWS == TILE_ROWS_FEW ? threadIdx.x / 32 * WARP_COLUMNS : threadIdx.x / 32 % 2 * WARP_COLUMNS;
    }

#if TENSOR_CORES
    static constexpr int DOWN = WARP_ROWS / 16;
    static constexpr int ACROSS = WARP_COLUMNS / 8;
    float sum[DOWN][ACROSS][4];

    __device__ __forceinline__ void clear()
    {
#pragma unroll
        for (int i = 0; i < DOWN; i++)
#pragma unroll
            for (int j = 0; j < ACROSS; j++)
#pragma unroll
                for (int e = 0; e < 4; e++) sum[i][j][e] = 0.0f;
    }

    // The fragment of a for one mma: rows row .. row + 15, from column k on.
    __device__ __forceinline__ static void load_a(unsigned (&f)[4], const elem* a, int row, int k)
    {
        int lane = threadIdx.x % 32, matrix = lane / 8;
        if (A_ALONG) {
            load_matrices(f, a + along(row + matrix % 2 * 8 + lane % 8, k + matrix / 2 * VECTOR));
        } else {
#if defined(PRECISION_BF16)
            load_transposed(f, a + (k + matrix / 2 * 8 + lane % 8) * A_PITCH + row + matrix % 2 * 8);
#else
            const elem* at = a + (k + lane % 4) * A_PITCH + row + lane / 4;
            f[0] = __float_as_uint(at[0]);
            f[1] = __float_as_uint(at[8]);
            f[2] = __float_as_uint(at[4 * A_PITCH]);
            f[3] = __float_as_uint(at[4 * A_PITCH + 8]);
#endif
        }
        round(f);
    }

    // The fragments of b for two mma: f[0], f[1] for columns column .. column + 7, f[2], f[3] for the next eight.
    __device__ __forceinline__ static void load_b(unsigned (&f)[4], const elem* b, int column, int k)
    {
        int lane = threadIdx.x % 32, matrix = lane / 8;
        if (B_ALONG) {
            load_matrices(f, b + along(column + matrix / 2 * 8 + lane % 8, k + matrix % 2 * VECTOR));
        } else {
#if defined(PRECISION_BF16)
            load_transposed(f, b + (k + matrix % 2 * 8 + lane % 8) * B_PITCH + column + matrix / 2 * 8);
#else
            const elem* at = b + (k + lane % 4) * B_PITCH + column + lane / 4;
            f[0] = __float_as_uint(at[0]);
            f[1] = __float_as_uint(at[4 * B_PITCH]);
            f[2] = __float_as_uint(at[8]);
            f[3] = __float_as_uint(at[4 * B_PITCH + 8]);
#endif
        }
        round(f);
    }

    __device__ __forceinline__ static void round(unsigned (&f)[4])
    {
#if defined(PRECISION_TF32)
#pragma unroll
        for (int e = 0; e < 4; e++) f[e] = to_tf32(__uint_as_float(f[e]));
#endif
    }

    __device__ __forceinline__ void add_chunk(const elem* a, const elem* b)
    {
        int row = warp_row(), column = warp_column();
#pragma unroll
        for (int k = 0; k < CHUNK; k += 2 * VECTOR) {
            unsigned fb[ACROSS / 2][4];
#pragma unroll
            for (int j = 0; j < ACROSS / 2; j++) load_b(fb[j], b, column + 16 * j, k);
#pragma unroll
            for (int i = 0; i < DOWN; i++) {
                unsigned fa[4];
                load_a(fa, a, row + 16 * i, k);
#pragma unroll
                for (int j = 0; j < ACROSS; j++) multiply(sum[i][j], fa, fb[j / 2][j % 2 * 2], fb[j / 2][j % 2 * 2 + 1]);
            }
        }
    }

    __device__ __forceinline__ void store(float* sums) const
    {
        int lane = threadIdx.x % 32;
        float* at = sums + (warp_row() + lane / 4) * SUMS_PITCH + warp_column() + lane % 4 * 2;
#pragma unroll
        for (int i = 0; i < DOWN; i++)
#pragma unroll
            for (int j = 0; j < ACROSS; j++)
#pragma unroll
                for (int e = 0; e < 4; e += 2)
                    *(float2*)(at + (16 * i + 4 * e) * SUMS_PITCH + 8 * j) = make_float2(sum[i][j][e], sum[i][j][e + 1]);
    }
#else
    static constexpr int DOWN = WARP_ROWS / 8;
    static constexpr int ACROSS = WARP_COLUMNS / 4;
    // A thread takes neighbouring rows only where it can read them as one vector.
    static constexpr bool A_RUNS = !A_ALONG && DOWN >= 4;
    float sum[DOWN][ACROSS];

    __device__ __forceinline__ static int row(int i)
    {
        int lane = threadIdx.x % 32 / 4;
        return warp_row() + (A_RUNS ? lane * 4 + i / 4 * 32 + i % 4 : lane + 8 * i);
    }

    // Pairs of columns where b is along k, so that one swizzle serves all columns of a thread.
    __device__ __forceinline__ static int column(int j)
    {
        int lane = threadIdx.x % 4;
        return warp_column() + (B_ALONG ? lane * 2 + j / 2 * 8 + j % 2 : lane * 4 + j / 4 * 16 + j % 4);
    }

    __device__ __forceinline__ void clear()
    {
#pragma unroll
        for (int i = 0; i < DOWN; i++)
#pragma unroll
            for (int j = 0; j < ACROSS; j++) sum[i][j] = 0.0f;
    }

    __device__ __forceinline__ void add_chunk(const elem* a, const elem* b)
    {
        // As `along`; the swizzle is the same for all rows of a thread, which are 8 apart, and for all its columns.
        const elem* a_row = a + row(0) * CHUNK;
        const elem* b_row = b + column(0) * CHUNK;
        int a_swizzle = threadIdx.x / 8 % 4, b_swizzle = threadIdx.x % 4;
        // Not unrolled further: the compiler would read ahead into more registers than there are.
#pragma unroll(B_ALONG ? 1 : 4)
        for (int k = 0; k < CHUNK; k += 4) {
            float fb[4][ACROSS];
            if (B_ALONG) {
                const float4* from = (const float4*)b_row + (k / 4 ^ b_swizzle);
#pragma unroll
                for (int j = 0; j < ACROSS; j++) {
                    float4 v = from[(column(j) - column(0)) * CHUNK / 4];
                    fb[0][j] = v.x; fb[1][j] = v.y; fb[2][j] = v.z; fb[3][j] = v.w;
                }
            } else {
#pragma unroll
                for (int u = 0; u < 4; u++)
#pragma unroll
                    for (int j = 0; j < ACROSS; j += 4) {
                        float4 v = *(const float4*)(b + (k + u) * B_PITCH + column(j));
                        fb[u][j] = v.x; fb[u][j + 1] = v.y; fb[u][j + 2] = v.z; fb[u][j + 3] = v.w;
                    }
            }
            if (A_ALONG) {
                const float4* from = (const float4*)a_row + (k / 4 ^ a_swizzle);
#pragma unroll
                for (int i = 0; i < DOWN; i++) {
                    float4 v = from[8 * i * CHUNK / 4];
#pragma unroll
                    for (int j = 0; j < ACROSS; j++) {
                        float s = sum[i][j];
                        s = fmaf(v.x, fb[0][j], s);
                        s = fmaf(v.y, fb[1][j], s);
                        s = fmaf(v.z, fb[2][j], s);
                        sum[i][j] = fmaf(v.w, fb[3][j], s);
                    }
                }
            } else {
#pragma unroll
                for (int u = 0; u < 4; u++) {
                    float fa[DOWN];
                    if (A_RUNS) {
#pragma unroll
                        for (int i = 0; i < DOWN; i += 4) {
                            float4 v = *(const float4*)(a + (k + u) * A_PITCH + row(i));
                            fa[i] = v.x; fa[i + 1] = v.y; fa[i + 2] = v.z; fa[i + 3] = v.w;
                        }
                    } else {
#pragma unroll
                        for (int i = 0; i < DOWN; i++) fa[i] = a[(k + u) * A_PITCH + row(i)];
                    }
#pragma unroll
                    for (int i = 0; i < DOWN; i++)
#pragma unroll
                        for (int j = 0; j < ACROSS; j++) sum[i][j] = fmaf(fa[i], fb[u][j], sum[i][j]);
                }
            }
        }
    }

    __device__ __forceinline__ void store(float* sums) const
    {
#pragma unroll
        for (int i = 0; i < DOWN; i++)
#pragma unroll
            for (int j = 0; j < ACROSS; j += 2)
                *(float2*)(sums + row(i) * SUMS_PITCH + column(j)) = make_float2(sum[i][j], sum[i][j + 1]);
    }
#endif
};

// Writes the sums of a tile with an `Out`, whose `row` and `column` count from the tile's corner:
//   bool has(int row)                              whether the row is part of the result
//   void write(int row, int column, float4 sums)   sets four neighbours, or adds to them
//
// With `parts` > 1 several blocks share the sum of a tile. Each writes its sums to memory; the last block adds them, part
// 0 first, so that the result does not depend on which is last, and leaves the counter at 0 for the next launch.
template <int ROWS, class Out>
__device__ __forceinline__ void finish(Out& out, float* sums, Split split, int tile, int part)
{
    constexpr int RUNS = TILE_COLUMNS / 4;
    if (split.parts == 1) {
        for (int i = threadIdx.x; i < ROWS * RUNS; i += CONV_THREADS) {
            int row = i / RUNS, column = i % RUNS * 4;
            if (out.has(row)) out.write(row, column, *(const float4*)(sums + row * SUMS_PITCH + column));
        }
        return;
    }
    __shared__ bool last;
    float4* parts = (float4*)split.sums + (size_t)tile * split.parts * ROWS * RUNS;
    float4* mine = parts + (size_t)part * ROWS * RUNS;
    for (int i = threadIdx.x; i < ROWS * RUNS; i += CONV_THREADS) {
        int row = i / RUNS;
        if (out.has(row)) mine[i] = *(const float4*)(sums + row * SUMS_PITCH + i % RUNS * 4);
    }
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        unsigned* counter = (unsigned*)split.counters + tile;
        last = atomicAdd(counter, 1u) == (unsigned)split.parts - 1;
        if (last) *counter = 0;
    }
    __syncthreads();
    if (!last) return;
    __threadfence();
    for (int i = threadIdx.x; i < ROWS * RUNS; i += CONV_THREADS) {
        int row = i / RUNS;
        if (!out.has(row)) continue;
        float4 total = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 4
        for (int p = 0; p < split.parts; p++) {
            // Bypasses the L1 cache, which may hold stale values of what other multiprocessors wrote.
            float4 v = __ldcg(parts + (size_t)p * ROWS * RUNS + i);
            total.x += v.x; total.y += v.y; total.z += v.z; total.w += v.w;
        }
        out.write(row, i % RUNS * 4, total);
    }
}

// Writes four neighbours, of which the first `there` exist; `whole` where they can be written as one vector.
__device__ __forceinline__ void put_run(float* at, float4 v, int there, bool whole, bool add)
{
    if (whole) {
        if (add) {
            float4 old = *(const float4*)at;
            v.x += old.x; v.y += old.y; v.z += old.z; v.w += old.w;
        }
        *(float4*)at = v;
        return;
    }
    const float* value = &v.x;
#pragma unroll
    for (int e = 0; e < 4; e++)
        if (e < there) at[e] = add ? at[e] + value[e] : value[e];
}

#if defined(PRECISION_BF16)
__device__ __forceinline__ void put_run(elem* at, float4 v, int there, bool whole, bool add)
{
    union { elem e[4]; uint2 all; } bits;
    const float* value = &v.x;
    if (whole) {
        if (add) bits.all = *(const uint2*)at;
#pragma unroll
        for (int e = 0; e < 4; e++) bits.e[e] = from_float(add ? to_float(bits.e[e]) + value[e] : value[e]);
        *(uint2*)at = bits.all;
        return;
    }
#pragma unroll
    for (int e = 0; e < 4; e++)
        if (e < there) at[e] = from_float(add ? to_float(at[e]) + value[e] : value[e]);
}
#endif

// Adds up chunks first .. last - 1, copying them to shared memory `STAGES` - 1 ahead, and leaves the sums in `memory`. A
// job has
//   void begin(int chunk, elem* a, elem* b)    starts the copy of the next chunk
//   void end(elem* b)                          stores what `begin` loaded to registers
template <int STAGES, class S, class Job>
__device__ __forceinline__ void add_chunks(S& sums, Job& job, elem* memory, int first, int last)
{
    constexpr int A = S::A_SIZE, STAGE = A + S::B_SIZE;
    sums.clear();
    for (int s = 0; s < STAGES - 1; s++) {
        if (first + s < last) {
            job.begin(first + s, memory + s * STAGE, memory + s * STAGE + A);
            job.end(memory + s * STAGE + A);
        }
        copy_commit();
    }
    int now = 0, next = STAGES - 1;
    for (int chunk = first; chunk < last; chunk++) {
        copy_wait<STAGES - 2>();
        __syncthreads();
        bool more = chunk + STAGES - 1 < last;
        elem* to = memory + next * STAGE;
        if (more) job.begin(chunk + STAGES - 1, to, to + A);
        copy_commit();
        sums.add_chunk(memory + now * STAGE, memory + now * STAGE + A);
        if (more) job.end(to + A);
        now = now + 1 == STAGES ? 0 : now + 1;
        next = next + 1 == STAGES ? 0 : next + 1;
    }
    // No copy is unfinished: the last chunk has been waited for, and the groups after it are empty.
    __syncthreads();
    sums.store((float*)memory);
    __syncthreads();
}

// Elements of shared memory that `add_chunks` needs.
template <class S> __device__ constexpr int memory_size(int stages)
{
    int chunks = stages * (S::A_SIZE + S::B_SIZE);
    int sums = S::ROWS * SUMS_PITCH * 4 / (int)sizeof(elem);
    return chunks > sums ? chunks : sums;
}
