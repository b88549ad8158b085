// conv_thin.cu - a convolution and the gradient of its filter where the input has few channels, as pictures have.
//   math    conv_fprop_thin, conv_wgrad_thin: the formulas of conv.cu
//   shapes  x dense, at most 6 channels, its rows in whole vectors of 16 bytes; r and s at most 4, stride at most 2; k of
//           wgrad in vectors of 16 bytes. Small results (q below 32) are left to conv.cu
//   launch  128 threads; fprop: tiles of 64 pixels of one row of y by 64 channels; wgrad: 16 filters by 64 of their
//           elements, summed over chunks of neighbouring pixels; parts of the sum along z; deterministic
//   cost    2*n*p*q*k*r*s*c operations; the pixels of neighbouring windows are read once per tile, not once per tap
//   source  our own mapping; checked by tests/parity rows conv_thin
//
// A window of few channels begins at any address and overlaps its neighbours, so that threads that gather taps would
// read parts of the same sectors many times. But what neighbouring windows read of one row of x is contiguous: such a
// run is copied to shared memory in whole sectors, and the operands are gathered from there.
#include "filters.cuh"
#include "pixels.cuh"

// Elements of one sector of device memory, which is two vectors.
constexpr int SECTOR = 2 * VECTOR;
// Elements that cover all 32 banks once.
constexpr int LINE = 128 / sizeof(elem);
// Elements in the 4 bytes of a bank.
constexpr int WORD = 4 / sizeof(elem);
struct alignas(4) Word { elem e[WORD]; };

// Upper bound of `Runs::pitch` for `pixels` windows, which sizes the shared memory.
__device__ constexpr int most_pitch(int pixels)
{
    return ((pixels - 1) * THIN_STRIDE + THIN_TAPS) * THIN_CHANNELS + 2 * SECTOR + LINE;
}

// What the windows of neighbouring pixels read: one run from each of the rows that they touch. The first pixel is a
// multiple of a chunk, so that all runs have the same alignment.
struct Runs {
    Tensor x;
    Window window;
    // Elements from one window to the next, in a row of a window, and in that rounded up to whole vectors.
    int step, length, padded;
    // Elements from the start of a sector to the first window.
    int shift;
    // Vectors in a run, and elements from run to run, which move the next run by `padded` elements among the banks.
    int vectors, pitch;
    // Neighbouring lanes take pixels that are 2^apart from each other, which avoids bank conflicts.
    int apart;

    __device__ __forceinline__ Runs(Tensor x, Window window, int pixels) : x(x), window(window)
    {
        step = window.stride * x.c;
        length = window.s * x.c;
        padded = (length + VECTOR - 1) / VECTOR * VECTOR;
        shift = (SECTOR - window.pad * x.c % SECTOR) % SECTOR;
        vectors = (shift + (pixels - 1) * step + length + SECTOR - 1) / SECTOR * 2;
        pitch = padded + (vectors * VECTOR - padded + LINE - 1) / LINE * LINE;
        // 2^apart times 2 c words is an odd multiple of 8 words.
        apart = x.c % 2 != 0 ? 2 : x.c % 4 != 0 ? 1 : 0;
    }

    // Starts the copies of the runs of the windows from pixel q of row p on, with zeros for the padding.
    __device__ __forceinline__ void copy(elem* to, int image, int p, int q) const
    {
        int begin = q * step - window.pad * x.c - shift, row = x.w * x.c;
        for (int i = threadIdx.x; i < window.r * vectors; i += CONV_THREADS) {
            int r = i / vectors, v = i - r * vectors, h = p * window.stride - window.pad + r, at = begin + v * VECTOR;
            bool there = (unsigned)h < (unsigned)x.h && (unsigned)at < (unsigned)row;
            copy_vector(to + r * pitch + v * VECTOR, x.data + (there ? (size_t)(image * x.h + h) * row + at : 0), there);
        }
    }
};

// The row r of a window, and element e in it, at position `flat`, where rows are `pitch` apart; false outside the window.
__device__ __forceinline__ bool in_window(const Runs& runs, int flat, int pitch, int& r, int& e)
{
    r = flat / pitch;
    e = flat - r * pitch;
    return r < runs.window.r && e < runs.length;
}

// The operands of fprop: pixels (a) and filters (b), both along k, which runs over the rows of a window, each padded to
// whole vectors.
template <int ROWS> struct ThinPixels {
    const Runs& runs;
    const elem* run;
    const float* w;
    int columns, column;

    // The pixel of a row of the tile. The two rows that a warp stores at a time hold pixels whose windows begin 16
    // banks apart.
    __device__ __forceinline__ static int pixel_in(int row, int apart)
    {
        int by = apart + WORD, pair = row >> 1;
        return (pair >> by << (by + 1)) + ((row & 1) << by) + (pair & ((1 << by) - 1));
    }

    __device__ __forceinline__ void begin(int chunk, elem* a, elem* b)
    {
        constexpr int LANES = CHUNK / WORD;
        int k = threadIdx.x % LANES * WORD, from[WORD];
        bool there[WORD];
        elem zero = from_float(0.0f);
#pragma unroll
        for (int u = 0; u < WORD; u++) {
            int r, e;
            there[u] = in_window(runs, chunk * CHUNK + k + u, runs.padded, r, e);
            from[u] = there[u] ? r * runs.pitch + runs.shift + e : 0;
        }
#pragma unroll 4
        for (int row = threadIdx.x / LANES; row < ROWS; row += CONV_THREADS / LANES) {
            const elem* at = run + pixel_in(row, runs.apart) * runs.step;
            Word word;
#pragma unroll
            for (int u = 0; u < WORD; u++) word.e[u] = there[u] ? at[from[u]] : zero;
            *(Word*)(a + along(row, k)) = word;
        }
        int r, e;
        k = threadIdx.x % CHUNK;
        bool inside = in_window(runs, chunk * CHUNK + k, runs.padded, r, e);
        int filter = runs.window.r * runs.length, in_filter = r * runs.length + e;
#pragma unroll 4
        for (int row = threadIdx.x / CHUNK; row < TILE_COLUMNS; row += CONV_THREADS / CHUNK) {
            bool both = inside && column + row < columns;
            copy_one(b + along(row, k), w + (both ? (size_t)(column + row) * filter + in_filter : 0), both);
        }
    }

    __device__ __forceinline__ void end(elem*) {}
};

// Two stages are enough, because the filters come from the L2 cache, and leave room for more blocks.
extern "C" __global__ void __launch_bounds__(CONV_THREADS)
conv_fprop_thin(Tensor x, const float* w, const float* bias, Tensor y, Window window, Merge merge, Split split)
{
    typedef Sums<THIN_PIXELS, true, true> Tile;
    __shared__ __align__(16) elem memory[memory_size<Tile>(2)];
    __shared__ __align__(16) elem run[THIN_TAPS * most_pitch(THIN_PIXELS)];
    __shared__ int rows[THIN_PIXELS];
    int per_row = (y.w + THIN_PIXELS - 1) / THIN_PIXELS, line = blockIdx.x / per_row;
    if (line >= y.n * y.h) return;
    int q = (blockIdx.x - line * per_row) * THIN_PIXELS, column = blockIdx.y * TILE_COLUMNS;
    Runs runs(x, window, THIN_PIXELS);
    runs.copy(run, line / y.h, line % y.h, q);
    copy_commit();
    for (int i = threadIdx.x; i < THIN_PIXELS; i += CONV_THREADS) {
        int at = q + ThinPixels<THIN_PIXELS>::pixel_in(i, runs.apart);
        rows[i] = at < y.w ? line * y.w + at : -1;
    }
    copy_wait<0>();
    __syncthreads();
    int chunks = (window.r * runs.padded + CHUNK - 1) / CHUNK, share = (chunks + split.parts - 1) / split.parts;
    int first = min((int)blockIdx.z * share, chunks), last = min(first + share, chunks);
    ThinPixels<THIN_PIXELS> load = {runs, run, w, y.c, column};
    Tile sums;
    add_chunks<2>(sums, load, memory, first, last);
    OutPixels to = out_pixels(y, bias, rows, column, merge);
    finish<THIN_PIXELS>(to, (float*)memory, split, blockIdx.y * gridDim.x + blockIdx.x, blockIdx.z);
}

// The pixel at position `at` of a chunk: lanes of a product take four neighbouring positions.
__device__ __forceinline__ int pixel_at(int at, int apart)
{
    int run = CHUNK >> apart;
    return ((at & (run - 1)) << apart) + at / run;
}

// Sums of a filter gradient whose operand b is not gathered: it is read from the runs directly.
template <int ROWS_OF_TILE> struct ThinSums : Sums<ROWS_OF_TILE, false, false> {
    typedef Sums<ROWS_OF_TILE, false, false> Base;
    using Base::ACROSS; using Base::DOWN; using Base::A_PITCH;
    static constexpr int B_SIZE = THIN_TAPS * most_pitch(CHUNK);
    int place[ACROSS], step, apart;

    __device__ __forceinline__ ThinSums(const Runs& runs, int column) : step(runs.step), apart(runs.apart)
    {
        int lane = threadIdx.x % 32;
#pragma unroll
        for (int j = 0; j < ACROSS; j++) {
#if TENSOR_CORES
            int of_tile = Base::warp_column() + 8 * j + lane / 4, of_lane = (lane % 4 * WORD << apart) * step;
#else
            int of_tile = Base::column(j), of_lane = 0;
#endif
            int r, e;
            bool there = in_window(runs, column + of_tile, runs.length, r, e);
            place[j] = runs.shift + of_lane + (there ? r * runs.pitch + e : 0);
        }
    }

#if defined(PRECISION_BF16)
    __device__ __forceinline__ unsigned fragment(const elem* at) const
    {
        return at[0].bits | (unsigned)at[step << apart].bits << 16;
    }
#elif defined(PRECISION_TF32)
    __device__ __forceinline__ unsigned fragment(const elem* at) const { return to_tf32(*at); }
#endif

    __device__ __forceinline__ void add_chunk(const elem* a, const elem* b)
    {
#if TENSOR_CORES
#pragma unroll
        for (int k = 0; k < CHUNK; k += 2 * VECTOR) {
            unsigned fb[ACROSS][2];
#pragma unroll
            for (int j = 0; j < ACROSS; j++)
#pragma unroll
                for (int u = 0; u < 2; u++) fb[j][u] = fragment(b + pixel_at(k + u * VECTOR, apart) * step + place[j]);
#pragma unroll
            for (int i = 0; i < DOWN; i++) {
                unsigned fa[4];
                Base::load_a(fa, a, Base::warp_row() + 16 * i, k);
#pragma unroll
                for (int j = 0; j < ACROSS; j++) multiply(this->sum[i][j], fa, fb[j][0], fb[j][1]);
            }
        }
#else
#pragma unroll 4
        for (int k = 0; k < CHUNK; k++) {
            float fb[ACROSS];
#pragma unroll
            for (int j = 0; j < ACROSS; j++) fb[j] = b[pixel_at(k, apart) * step + place[j]];
#pragma unroll
            for (int i = 0; i < DOWN; i++) {
                float fa = a[k * A_PITCH + Base::row(i)];
#pragma unroll
                for (int j = 0; j < ACROSS; j++) this->sum[i][j] = fmaf(fa, fb[j], this->sum[i][j]);
            }
        }
#endif
    }
};

// The operands of wgrad, across k, which runs over the pixels of a row in chunks. After a row's last pixel dy is 0, so
// that the values of x there do not matter.
template <int ROWS> struct ThinFilters {
    const Runs& runs;
    Tensor dy;
    int row, per_row;

    __device__ __forceinline__ void begin(int chunk, elem* a, elem* b)
    {
        constexpr int PER_PIXEL = ROWS / VECTOR;
        int line = chunk / per_row, q = (chunk - line * per_row) * CHUNK, run = threadIdx.x % PER_PIXEL * VECTOR;
        for (int at = threadIdx.x / PER_PIXEL; at < CHUNK; at += CONV_THREADS / PER_PIXEL) {
            int of_row = q + pixel_at(at, runs.apart);
            bool there = of_row < dy.w && row + run < dy.c;
            const elem* from = there ? pixel(dy, (size_t)line * dy.w + of_row) + row + run : dy.data;
            copy_vector(a + at * (ROWS + 8) + run, from, there);
        }
        runs.copy(b, line / dy.h, line % dy.h, q);
    }

    __device__ __forceinline__ void end(elem*) {}
};

extern "C" __global__ void __launch_bounds__(CONV_THREADS)
conv_wgrad_thin(Tensor x, Tensor dy, float* dw, Window window, Merge merge, Split split)
{
    typedef ThinSums<THIN_FILTERS> Tile;
    __shared__ __align__(16) elem memory[memory_size<Tile>(4)];
    int column = blockIdx.x * TILE_COLUMNS, row = blockIdx.y * THIN_FILTERS, columns = window.r * window.s * x.c;
    if (column >= columns || row >= dy.c) return;
    int per_row = (dy.w + CHUNK - 1) / CHUNK, chunks = dy.n * dy.h * per_row;
    int share = (chunks + split.parts - 1) / split.parts;
    int first = min((int)blockIdx.z * share, chunks), last = min(first + share, chunks);
    Runs runs(x, window, CHUNK);
    ThinFilters<THIN_FILTERS> load = {runs, dy, row, per_row};
    Tile sums(runs, column);
    add_chunks<4>(sums, load, memory, first, last);
    bool vectors = columns % 4 == 0 && (size_t)dw % 16 == 0;
    OutFilter to = {dw, dy.c, columns, row, column, merge.add != 0, vectors};
    finish<THIN_FILTERS>(to, (float*)memory, split, blockIdx.y * gridDim.x + blockIdx.x, blockIdx.z);
}
