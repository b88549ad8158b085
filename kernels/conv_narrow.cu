// conv_narrow.cu - a convolution and its adjoint where the result has few channels: pictures and maps of patches.
//   math    conv_fprop_narrow, conv_dgrad_narrow: the formulas of conv.cu and conv_dgrad.cu
//   shapes  at most 6 channels in the result; in the input a multiple of 4, and pixels that begin at multiples of 4
//           elements; the filter's taps of one class are in shared memory, as f32
//   launch  128 threads; a warp computes 4 pixels of a class at a time and divides their sums among its lanes; any number
//           of blocks per class; deterministic
//   cost    2*pixels*channels*k*r*s operations; a tile of 64 columns would leave 58 or more of them unused
//   source  our own mapping; checked by tests/parity rows conv
#include "pixels.cuh"

// Pixels that a warp computes at a time; they share every value read from the filter.
constexpr int TOGETHER = NARROW_TOGETHER;

__device__ constexpr int next_power_of_two(int x)
{
    int power = 1;
    while (power < x) power *= 2;
    return power;
}

__device__ __forceinline__ float4 four(const float* at) { return *(const float4*)at; }

#if defined(PRECISION_BF16)
__device__ __forceinline__ float4 four(const elem* at)
{
    uint2 v = *(const uint2*)at;
    return make_float4(__uint_as_float(v.x << 16), __uint_as_float(v.x & 0xffff0000u), __uint_as_float(v.y << 16),
                       __uint_as_float(v.y & 0xffff0000u));
}
#endif

// The sums of `COUNT` values over a warp, COUNT a power of two: in each step half of the values go to the other half of
// the lanes, so that value i ends in the lanes l with l / (32 / COUNT) = i. The order of every sum is fixed.
// The steps are template instances: in a loop the compiler would put the values in local memory.
template <int COUNT, int MASK, int ALL> __device__ __forceinline__ float spread_sum(float (&values)[ALL])
{
    if constexpr (MASK > 0) {
        if constexpr (COUNT > 1) {
            bool upper = (threadIdx.x & MASK) != 0;
#pragma unroll
            for (int i = 0; i < COUNT / 2; i++) {
                float low = values[i], high = values[i + COUNT / 2];
                values[i] = (upper ? high : low) + __shfl_xor_sync(0xffffffffu, upper ? low : high, MASK);
            }
            return spread_sum<COUNT / 2, MASK / 2>(values);
        } else {
            values[0] += __shfl_xor_sync(0xffffffffu, values[0], MASK);
            return spread_sum<1, MASK / 2>(values);
        }
    } else {
        return values[0];
    }
}

// Computes the pixels of one class, `OUTS` channels each; the result has as many channels or fewer.
template <bool ADJOINT, int OUTS>
__device__ __forceinline__ void narrow_pixels(Tensor in, const float* w, const float* bias, Tensor out, Window window,
                                              Merge merge, Axis down, Axis across, int block, int blocks)
{
    constexpr int PLACES = next_power_of_two(TOGETHER * OUTS);
    static_assert(PLACES <= 32, "a lane for every value");
    extern __shared__ __align__(16) float filter[];
    int terms = down.taps * across.taps * in.c, all_taps = window.r * window.s;
    for (int i = threadIdx.x; i < OUTS * terms; i += CONV_THREADS) {
        int o = i / terms, flat = (i - o * terms) / in.c, c = i - o * terms - flat * in.c;
        int t = flat / across.taps, u = flat - t * across.taps;
        int tap = (down.tap_first + down.tap_step * t) * window.s + across.tap_first + across.tap_step * u;
        size_t at = ADJOINT ? ((size_t)c * all_taps + tap) * out.c + o : ((size_t)o * all_taps + tap) * in.c + c;
        filter[i] = o < out.c ? w[at] : 0.0f;
    }
    __syncthreads();
    int lane = threadIdx.x % 32, warps = CONV_THREADS / 32, runs = in.c / 4;
    int plane = down.count * across.count, rows = in.n * plane;
    int stride = blocks * warps * TOGETHER;
    for (int first = (block * warps + threadIdx.x / 32) * TOGETHER; first < rows; first += stride) {
        int h[TOGETHER], v[TOGETHER], from[TOGETHER], to[TOGETHER];
        float sum[TOGETHER][OUTS];
        int n = first / plane, y = (first - n * plane) / across.count, x = first - n * plane - y * across.count;
#pragma unroll
        for (int i = 0; i < TOGETHER; i++) {
            bool there = first + i < rows;
            h[i] = there ? down.in_first + down.in_step * y : -(1 << 30);
            v[i] = across.in_first + across.in_step * x;
            from[i] = there ? (n * in.h + h[i]) * in.w + v[i] : 0;
            to[i] = (n * out.h + down.out_first + down.out_step * y) * out.w + across.out_first + across.out_step * x;
            bool row_ends = ++x == across.count;
            x = row_ends ? 0 : x;
            y += row_ends;
            bool picture_ends = y == down.count;
            y = picture_ends ? 0 : y;
            n += picture_ends;
#pragma unroll
            for (int o = 0; o < OUTS; o++) sum[i][o] = 0.0f;
        }
        for (int e = lane; e < terms / 4; e += 32) {
            int flat = e / runs, t = flat / across.taps, u = flat - t * across.taps;
            int dh = ADJOINT ? -t : t, dw = ADJOINT ? -u : u, c = (e - flat * runs) * 4;
            float4 value[TOGETHER];
#pragma unroll
            for (int i = 0; i < TOGETHER; i++) {
                bool there = (unsigned)(h[i] + dh) < (unsigned)in.h && (unsigned)(v[i] + dw) < (unsigned)in.w;
                value[i] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
                if (there) value[i] = four(pixel(in, from[i] + dh * in.w + dw) + c);
            }
#pragma unroll
            for (int o = 0; o < OUTS; o++) {
                float4 f = *(const float4*)(filter + o * terms + 4 * e);
#pragma unroll
                for (int i = 0; i < TOGETHER; i++) {
                    float s = fmaf(value[i].x, f.x, sum[i][o]);
                    s = fmaf(value[i].y, f.y, s);
                    s = fmaf(value[i].z, f.z, s);
                    sum[i][o] = fmaf(value[i].w, f.w, s);
                }
            }
        }
        // Value v = i * OUTS + o is channel o of pixel i; its sum ends in the 32 / PLACES lanes from v * (32 / PLACES) on.
        float values[PLACES];
#pragma unroll
        for (int i = 0; i < PLACES; i++) values[i] = i < TOGETHER * OUTS ? sum[i / OUTS][i % OUTS] : 0.0f;
        float total = spread_sum<PLACES, 16>(values);
        int place = lane / (32 / PLACES), i = place / OUTS, o = place - i * OUTS, at = to[0];
#pragma unroll
        for (int j = 1; j < TOGETHER; j++)
            if (i == j) at = to[j];
        if (lane % (32 / PLACES) == 0 && i < TOGETHER && first + i < rows && o < out.c) {
            if (bias) total += bias[o];
            store(pixel(out, at) + o, total, merge);
        }
    }
}

template <bool ADJOINT>
__device__ __forceinline__ void narrow(Tensor in, const float* w, const float* bias, Tensor out, Window window,
                                       Merge merge)
{
    int classes = ADJOINT ? window.stride * window.stride : 1, block = blockIdx.x / classes;
    int of_class = blockIdx.x - block * classes, down_class = of_class / window.stride;
    Axis down = axis<ADJOINT>(in.h, out.h, window.r, window.stride, window.pad, down_class);
    Axis across =
        axis<ADJOINT>(in.w, out.w, window.s, window.stride, window.pad, of_class - down_class * window.stride);
    int blocks = gridDim.x / classes;
    if (out.c > NARROW_PAIR) return;
    if (out.c == NARROW_MAP)
        narrow_pixels<ADJOINT, NARROW_MAP>(in, w, bias, out, window, merge, down, across, block, blocks);
    else if (out.c <= NARROW_PICTURE)
        narrow_pixels<ADJOINT, NARROW_PICTURE>(in, w, bias, out, window, merge, down, across, block, blocks);
    else
        narrow_pixels<ADJOINT, NARROW_PAIR>(in, w, bias, out, window, merge, down, across, block, blocks);
}

extern "C" __global__ void __launch_bounds__(CONV_THREADS, 4)
conv_fprop_narrow(Tensor x, const float* w, const float* bias, Tensor y, Window window, Merge merge)
{
    narrow<false>(x, w, bias, y, window, merge);
}

extern "C" __global__ void __launch_bounds__(CONV_THREADS, 4)
conv_dgrad_narrow(Tensor dy, const float* w, const float* bias, Tensor dx, Window window, Merge merge)
{
    narrow<true>(dy, w, bias, dx, window, merge);
}
