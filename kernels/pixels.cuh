// pixels.cuh - a convolution and its adjoint, as one matrix product whose rows are pixels.
//
//   math    out[n, o(i), o(j), m] = bias[m] + sum over taps t, u and channels c of
//           in[n, first + step i + sign t, .., c] * filter(t, u, c, m)
//   shapes  rows: pixels (n, i, j) of one class; columns: channels of out; k: (t, u, c), c fastest
//
// A convolution is one class with step = stride. Its adjoint has stride x stride classes of pixels, by their position
// plus the padding modulo the stride: a class meets only every stride-th tap, and each tap of it reads neighbouring
// pixels, so that nothing is multiplied by an inserted zero.
#pragma once
#include "tile.cuh"

// One axis of a class.
struct Axis {
    // Position i of the class is position out_first + out_step * i of the result.
    int out_first, out_step, count;
    // Tap t of the class is tap tap_first + tap_step * t of the filter. Taps that meet only padding are left out.
    int tap_first, tap_step, taps;
    // Position i and tap 0 read position in_first + in_step * i of the input; tap t reads t further, t less in the adjoint.
    int in_first, in_step;
};

template <bool ADJOINT>
__device__ __forceinline__ Axis axis(int in, int out, int window, int stride, int pad, int of_class)
{
    Axis a;
    int from, to;
    if (ADJOINT) {
        a.out_first = (of_class - pad) % stride;
        if (a.out_first < 0) a.out_first += stride;
        a.out_step = stride;
        a.count = out > a.out_first ? (out - a.out_first + stride - 1) / stride : 0;
        int last_tap_in = (a.out_first + pad - of_class) / stride;
        from = max(0, last_tap_in - (in - 1));
        to = min((max(window - of_class, 0) + stride - 1) / stride, last_tap_in + a.count);
        a.tap_first = of_class + stride * from;
        a.tap_step = stride;
        a.in_first = last_tap_in - from;
        a.in_step = 1;
    } else {
        a.out_first = 0;
        a.out_step = 1;
        a.count = out;
        from = max(0, pad - (out - 1) * stride);
        to = min(window, in + pad);
        a.tap_first = from;
        a.tap_step = 1;
        a.in_first = from - pad;
        a.in_step = stride;
    }
    a.taps = max(0, to - from);
    return a;
}

// Where the rows of a tile read and write; `out` is -1 after the last row.
template <int ROWS> struct Rows {
    int pixel[ROWS], h[ROWS], w[ROWS], out[ROWS];
};

template <int ROWS>
__device__ __forceinline__ void find_rows(Rows<ROWS>& rows, Tensor in, Tensor out, Axis down, Axis across, int first)
{
    for (int i = threadIdx.x; i < ROWS; i += CONV_THREADS) {
        int m = first + i, n = m / (down.count * across.count), left = m - n * down.count * across.count;
        int y = left / across.count, x = left - y * across.count;
        bool there = n < in.n;
        // So far outside that no tap is inside.
        int h = there ? down.in_first + down.in_step * y : -(1 << 30);
        int w = across.in_first + across.in_step * x;
        rows.h[i] = h;
        rows.w[i] = w;
        rows.pixel[i] = there ? (n * in.h + h) * in.w + w : 0;
        int at = (n * out.h + down.out_first + down.out_step * y) * out.w + across.out_first + across.out_step * x;
        rows.out[i] = there ? at : -1;
    }
}

// Operands whose input channels are whole chunks, 16-byte aligned: copied one tap at a time, in whole vectors.
template <int ROWS, bool ADJOINT> struct WholeChunks {
    static constexpr int PER_ROW = CHUNK / VECTOR;
    static constexpr int PASSES = (ROWS * PER_ROW + CONV_THREADS - 1) / CONV_THREADS;
    // Filters are f32 in memory: vectors of four.
    static constexpr int FILTER_RUN = ADJOINT ? TILE_COLUMNS / 4 : CHUNK / 4;
    static constexpr int FILTER_PASSES = TILE_COLUMNS * CHUNK / 4 / CONV_THREADS;

    Tensor in;
    const float* w;
    Axis down, across;
    int columns, column, taps, width, t, u, c;
    int pixel[PASSES], y[PASSES], x[PASSES];
#if defined(PRECISION_BF16)
    float4 held[FILTER_PASSES];
#endif

    __device__ __forceinline__ WholeChunks(Tensor in, const float* w, Axis down, Axis across, Window window,
                                           const Rows<ROWS>& rows, int columns, int column, int first)
        : in(in), w(w), down(down), across(across), columns(columns), column(column), taps(window.r * window.s),
          width(window.s)
    {
#pragma unroll
        for (int i = 0; i < PASSES; i++) {
            int row = min(threadIdx.x / PER_ROW + CONV_THREADS / PER_ROW * i, ROWS - 1);
            pixel[i] = rows.pixel[row];
            y[i] = rows.h[row];
            x[i] = rows.w[row];
        }
        int per_tap = in.c / CHUNK, tap = first / per_tap;
        c = (first - tap * per_tap) * CHUNK;
        t = across.taps > 0 ? tap / across.taps : 0;
        u = tap - t * across.taps;
    }

    __device__ __forceinline__ static int chunks(Tensor in, Axis down, Axis across)
    {
        return down.taps * across.taps * (in.c / CHUNK);
    }

    __device__ __forceinline__ void begin(int, elem* a, elem* b)
    {
        int dh = ADJOINT ? -t : t, dw = ADJOINT ? -u : u;
        int part = threadIdx.x % PER_ROW * VECTOR;
#pragma unroll
        for (int i = 0; i < PASSES; i++) {
            int row = threadIdx.x / PER_ROW + CONV_THREADS / PER_ROW * i;
            bool there = (unsigned)(y[i] + dh) < (unsigned)in.h && (unsigned)(x[i] + dw) < (unsigned)in.w;
            const elem* from = in.data + (there ? (size_t)(pixel[i] + dh * in.w + dw) * in.pitch + c + part : 0);
            if (ROWS * PER_ROW >= CONV_THREADS || row < ROWS) copy_vector(a + along(row, part), from, there);
        }
        int tap = (down.tap_first + down.tap_step * t) * width + across.tap_first + across.tap_step * u;
#pragma unroll
        for (int i = 0; i < FILTER_PASSES; i++) {
            int row = threadIdx.x / FILTER_RUN + CONV_THREADS / FILTER_RUN * i, run = threadIdx.x % FILTER_RUN * 4;
            bool there = ADJOINT ? column + run < columns : column + row < columns;
            size_t at = ADJOINT ? ((size_t)(c + row) * taps + tap) * columns + column + run
                                : ((size_t)(column + row) * taps + tap) * in.c + c + run;
            const float* from = w + (there ? at : 0);
#if defined(PRECISION_BF16)
            held[i] = there ? *(const float4*)from : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#else
            copy_vector(b + (ADJOINT ? row * (TILE_COLUMNS + 8) + run : along(row, run)), from, there);
#endif
        }
        c += CHUNK;
        if (c == in.c) {
            c = 0;
            if (++u == across.taps) { u = 0; t++; }
        }
    }

    __device__ __forceinline__ void end(elem* b)
    {
#if defined(PRECISION_BF16)
#pragma unroll
        for (int i = 0; i < FILTER_PASSES; i++) {
            int row = threadIdx.x / FILTER_RUN + CONV_THREADS / FILTER_RUN * i, run = threadIdx.x % FILTER_RUN * 4;
            union { elem e[4]; uint2 all; } bits;
            const float* value = &held[i].x;
#pragma unroll
            for (int e = 0; e < 4; e++) bits.e[e] = from_float(value[e]);
            *(uint2*)(b + (ADJOINT ? row * (TILE_COLUMNS + 8) + run : along(row, run))) = bits.all;
        }
#endif
    }
};

// Operands with any number of channels at any address: copied element by element; k runs over taps and channels without
// gaps.
template <int ROWS, bool ADJOINT> struct Elements {
    Tensor in;
    const float* w;
    const Rows<ROWS>& rows;
    Axis down, across;
    int columns, column, taps, width;

    __device__ __forceinline__ Elements(Tensor in, const float* w, Axis down, Axis across, Window window,
                                        const Rows<ROWS>& rows, int columns, int column, int)
        : in(in), w(w), rows(rows), down(down), across(across), columns(columns), column(column),
          taps(window.r * window.s), width(window.s)
    {
    }

    __device__ __forceinline__ static int chunks(Tensor in, Axis down, Axis across)
    {
        return (down.taps * across.taps * in.c + CHUNK - 1) / CHUNK;
    }

    // The tap and channel of position k; false after the last.
    __device__ __forceinline__ bool find(int k, int& t, int& u, int& c, int& tap) const
    {
        int flat = k / in.c;
        c = k - flat * in.c;
        if (flat >= down.taps * across.taps) return false;
        t = flat / across.taps;
        u = flat - t * across.taps;
        tap = (down.tap_first + down.tap_step * t) * width + across.tap_first + across.tap_step * u;
        return true;
    }

    __device__ __forceinline__ void begin(int chunk, elem* a, elem* b)
    {
        int k = threadIdx.x % CHUNK, t = 0, u = 0, c = 0, tap = 0;
        bool inside = find(chunk * CHUNK + k, t, u, c, tap);
        int dh = ADJOINT ? -t : t, dw = ADJOINT ? -u : u;
#pragma unroll 4
        for (int row = threadIdx.x / CHUNK; row < ROWS; row += CONV_THREADS / CHUNK) {
            bool there = inside && (unsigned)(rows.h[row] + dh) < (unsigned)in.h &&
                         (unsigned)(rows.w[row] + dw) < (unsigned)in.w;
            size_t at = there ? (size_t)(rows.pixel[row] + dh * in.w + dw) * in.pitch + c : 0;
            copy_one(a + along(row, k), in.data + at, there);
        }
        if (ADJOINT) {
            int n = threadIdx.x % TILE_COLUMNS;
#pragma unroll 2
            for (int row = threadIdx.x / TILE_COLUMNS; row < CHUNK; row += CONV_THREADS / TILE_COLUMNS) {
                bool there = find(chunk * CHUNK + row, t, u, c, tap) && column + n < columns;
                size_t at = there ? ((size_t)c * taps + tap) * columns + column + n : 0;
                copy_one(b + row * (TILE_COLUMNS + 8) + n, w + at, there);
            }
        } else {
#pragma unroll 4
            for (int row = threadIdx.x / CHUNK; row < TILE_COLUMNS; row += CONV_THREADS / CHUNK) {
                bool there = inside && column + row < columns;
                size_t at = there ? ((size_t)(column + row) * taps + tap) * in.c + c : 0;
                copy_one(b + along(row, k), w + at, there);
            }
        }
    }

    __device__ __forceinline__ void end(elem*) {}
};

// Writes pixels of the result; `rows` holds the pixel of each row of a tile, -1 for none.
struct OutPixels {
    Tensor out;
    const float* bias;
    const int* rows;
    int column;
    bool add, vectors;

    __device__ __forceinline__ bool has(int row) const { return rows[row] >= 0; }

    __device__ __forceinline__ void write(int row, int run, float4 v) const
    {
        int c = column + run, there = out.c - c;
        if (there <= 0) return;
        if (bias && there >= 4 && (size_t)bias % 16 == 0) {
            float4 b = *(const float4*)(bias + c);
            v.x += b.x; v.y += b.y; v.z += b.z; v.w += b.w;
        } else if (bias) {
            v.x += bias[c];
            if (there > 1) v.y += bias[c + 1];
            if (there > 2) v.z += bias[c + 2];
            if (there > 3) v.w += bias[c + 3];
        }
        put_run(pixel(out, rows[row]) + c, v, there, vectors && there >= 4, add);
    }
};

__device__ __forceinline__ OutPixels out_pixels(Tensor out, const float* bias, const int* rows, int column, Merge merge)
{
    bool vectors = out.pitch % 4 == 0 && (size_t)out.data % (4 * sizeof(elem)) == 0;
    return {out, bias, rows, column, merge.add != 0, vectors};
}

// One tile of ROWS pixels by 64 channels. Blocks: tiles of each class along x, channels along y, parts of the sum along
// z.
template <int ROWS, int STAGES, bool ADJOINT, template <int, bool> class Load>
__device__ __forceinline__ void pixel_tile(Tensor in, const float* w, const float* bias, Tensor out, Window window,
                                           Merge merge, Split split)
{
    typedef Sums<ROWS, true, !ADJOINT> Tile;
    __shared__ __align__(16) elem memory[memory_size<Tile>(STAGES)];
    __shared__ Rows<ROWS> rows;
    int classes = ADJOINT ? window.stride * window.stride : 1;
    int tile = blockIdx.x / classes, of_class = blockIdx.x - tile * classes;
    int down_class = of_class / window.stride, across_class = of_class - down_class * window.stride;
    Axis down = axis<ADJOINT>(in.h, out.h, window.r, window.stride, window.pad, down_class);
    Axis across = axis<ADJOINT>(in.w, out.w, window.s, window.stride, window.pad, across_class);
    if (tile * ROWS >= in.n * down.count * across.count) return;
    find_rows(rows, in, out, down, across, tile * ROWS);
    __syncthreads();
    int column = blockIdx.y * TILE_COLUMNS;
    int chunks = Load<ROWS, ADJOINT>::chunks(in, down, across), share = (chunks + split.parts - 1) / split.parts;
    int first = min((int)blockIdx.z * share, chunks), last = min(first + share, chunks);
    Load<ROWS, ADJOINT> load(in, w, down, across, window, rows, out.c, column, first);
    Tile sums;
    add_chunks<STAGES>(sums, load, memory, first, last);
    OutPixels to = out_pixels(out, bias, rows.out, column, merge);
    finish<ROWS>(to, (float*)memory, split, blockIdx.y * gridDim.x + blockIdx.x, blockIdx.z);
}
