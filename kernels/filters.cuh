// filters.cuh - the filter gradient of a convolution as a matrix product.
//
//   math    dw[k][(r,s,c)] = sum over pixels (n,p,q) of dy[n,p,q,k] * x[n, p*stride-pad+r, q*stride-pad+s, c]
//   shapes  rows: k; columns: (r, s, c), c fastest, as the filter is stored; k of the product: pixels (n, p, q)
#pragma once
#include "tile.cuh"

// Both operands are stored across k: neighbouring channels of a pixel, `RUN` at a time.
template <int ROWS, int RUN> struct PixelPairs {
    static constexpr int A_PER_ROW = ROWS / RUN, B_PER_ROW = TILE_COLUMNS / RUN;
    static constexpr int A_PASSES = (CHUNK * A_PER_ROW + CONV_THREADS - 1) / CONV_THREADS;
    static constexpr int A_STEP = CONV_THREADS / A_PER_ROW, B_STEP = CONV_THREADS / B_PER_ROW;
    static constexpr int B_PASSES = CHUNK / B_STEP;

    Tensor x, dy;
    Window window;
    // This thread's first channel of dy, and the pixels of dy.
    int k, pixels_of_dy;
    // This thread's first channel and tap of x, and the pixel that it reads next.
    int c, tap_h, tap_w, n, p, q;
    bool column_there;

    __device__ __forceinline__ PixelPairs(Tensor x, Tensor dy, Window window, int row, int column, int first)
        : x(x), dy(dy), window(window)
    {
        k = row + threadIdx.x % A_PER_ROW * RUN;
        pixels_of_dy = pixels(dy);
        int flat = column + threadIdx.x % B_PER_ROW * RUN, tap = flat / x.c;
        c = flat - tap * x.c;
        column_there = tap < window.r * window.s;
        int r = tap / window.s;
        tap_h = r - window.pad;
        tap_w = tap - r * window.s - window.pad;
        int pixel = first * CHUNK + threadIdx.x / B_PER_ROW, rows = pixel / dy.w;
        q = pixel - rows * dy.w;
        n = rows / dy.h;
        p = rows - n * dy.h;
    }

    __device__ __forceinline__ static void copy(elem* to, const elem* from, bool there)
    {
        if (RUN == 1) copy_one(to, from, there);
        else copy_vector(to, from, there);
    }

    __device__ __forceinline__ void begin(int chunk, elem* a, elem* b)
    {
        int run = threadIdx.x % A_PER_ROW * RUN;
#pragma unroll
        for (int i = 0; i < A_PASSES; i++) {
            int row = threadIdx.x / A_PER_ROW + A_STEP * i, at = chunk * CHUNK + row;
            bool there = at < pixels_of_dy && k < dy.c;
            if (A_STEP * A_PASSES == CHUNK || row < CHUNK)
                copy(a + row * (ROWS + 8) + run, there ? pixel(dy, at) + k : dy.data, there);
        }
        run = threadIdx.x % B_PER_ROW * RUN;
#pragma unroll
        for (int i = 0; i < B_PASSES; i++) {
            int row = threadIdx.x / B_PER_ROW + B_STEP * i;
            int h = p * window.stride + tap_h, w = q * window.stride + tap_w;
            bool there = column_there && n < x.n && (unsigned)h < (unsigned)x.h && (unsigned)w < (unsigned)x.w;
            copy(b + row * (TILE_COLUMNS + 8) + run, there ? pixel(x, (size_t)(n * x.h + h) * x.w + w) + c : x.data, there);
            q += B_STEP;
            while (q >= dy.w) {
                q -= dy.w;
                if (++p == dy.h) { p = 0; n++; }
            }
        }
    }

    __device__ __forceinline__ void end(elem*) {}
};

// Writes a tile of a filter gradient.
struct OutFilter {
    float* dw;
    int rows, columns, row, column;
    bool add, vectors;

    __device__ __forceinline__ bool has(int i) const { return row + i < rows; }

    __device__ __forceinline__ void write(int i, int run, float4 v) const
    {
        int at = column + run, there = columns - at;
        if (there > 0) put_run(dw + (size_t)(row + i) * columns + at, v, there, vectors && there >= 4, add);
    }
};

// One tile of ROWS filters by 64 of their elements. Blocks: elements along x, filters along y, parts of the sum over
// pixels along z.
template <int ROWS, int STAGES, int RUN>
__device__ __forceinline__ void filter_tile(Tensor x, Tensor dy, float* dw, Window window, Merge merge, Split split)
{
    typedef Sums<ROWS, false, false> Tile;
    __shared__ __align__(16) elem memory[memory_size<Tile>(STAGES)];
    int column = blockIdx.x * TILE_COLUMNS, row = blockIdx.y * ROWS, columns = window.r * window.s * x.c;
    if (column >= columns || row >= dy.c) return;
    int chunks = (pixels(dy) + CHUNK - 1) / CHUNK, share = (chunks + split.parts - 1) / split.parts;
    int first = min((int)blockIdx.z * share, chunks), last = min(first + share, chunks);
    PixelPairs<ROWS, RUN> load(x, dy, window, row, column, first);
    Tile sums;
    add_chunks<STAGES>(sums, load, memory, first, last);
    bool vectors = columns % 4 == 0 && (size_t)dw % 16 == 0;
    OutFilter to = {dw, dy.c, columns, row, column, merge.add != 0, vectors};
    finish<ROWS>(to, (float*)memory, split, blockIdx.y * gridDim.x + blockIdx.x, blockIdx.z);
}
