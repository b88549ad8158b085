// cross_entropy.cu - softmax cross entropy over channels with an ignored class, the mean over the pixels that count, and its gradient.
//   math    y = 1/count * sum over pixels of log(sum over k of exp(x[k])) - x[t];  dx[k] = dy / count * (softmax(x)[k] - (k == t));
//           0 at ignored pixels and where all are;  a label that is no class: NaN, in the loss and at its pixel
//   shapes  x, dx (n,h,w,c), any pitch; labels (n,h,w,1) f32, any pitch; y, dy, count one f32
//   launch  256 threads, a pixel a thread a turn; any number of blocks; the last adds the blocks' sums in order, in f64; deterministic
//   cost    reads x from memory once and a second time from the cache; the gradient also writes dx once
//   source  PyTorch's cross_entropy with ignore_index, which is NaN where all are ignored; checked by tests/parity rows cross_entropy
#include "common.cuh"

// What a label says beside a class.
constexpr int IGNORED = -1, WRONG = -2;

// The class of pixel `i`, below `classes`.
__device__ __forceinline__ int class_of(Labels labels, size_t i, int classes)
{
    float label = labels.data[i * labels.pitch];
    if (labels.ignored >= 0 && label == (float)labels.ignored) return IGNORED;
    return label >= 0.0f && label < (float)classes && label == floorf(label) ? (int)label : WRONG;
}

// The largest logit of a pixel, and the sum of exp(x - largest).
struct Softmax { float largest, sum; };

__device__ __forceinline__ Softmax softmax(const elem* x, int classes)
{
    float largest = __int_as_float(0xff800000), sum = 0.0f;
    for (int k = 0; k < classes; k++) largest = fmaxf(largest, to_float(x[k]));
    for (int k = 0; k < classes; k++) sum += expf(to_float(x[k]) - largest);
    return {largest, sum};
}

extern "C" __global__ void __launch_bounds__(CROSS_ENTROPY_THREADS)
cross_entropy(Tensor x, Labels labels, float* y, float* counted, double* parts, unsigned* counters)
{
    __shared__ double sums[CROSS_ENTROPY_THREADS], counts[CROSS_ENTROPY_THREADS];
    size_t stride = (size_t)gridDim.x * blockDim.x, all = pixels(x);
    double sum = 0.0, count = 0.0;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < all; i += stride) {
        int t = class_of(labels, i, x.c);
        if (t == IGNORED) continue;
        const elem* at = pixel(x, i);
        Softmax of = softmax(at, x.c);
        sum += t == WRONG ? __int_as_float(0x7fc00000) : of.largest - to_float(at[t]) + logf(of.sum);
        count += 1.0;
    }
    sums[threadIdx.x] = sum;
    counts[threadIdx.x] = count;
    for (int half = CROSS_ENTROPY_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) {
            sums[threadIdx.x] += sums[threadIdx.x + half];
            counts[threadIdx.x] += counts[threadIdx.x + half];
        }
    }
    if (threadIdx.x == 0) {
        parts[2 * blockIdx.x] = sums[0];
        parts[2 * blockIdx.x + 1] = counts[0];
    }
    if (!last_block(counters, gridDim.x)) return;
    if (threadIdx.x == 0) {
        sum = count = 0.0;
        for (int part = 0; part < gridDim.x; part++) {
            sum += parts[2 * part];
            count += parts[2 * part + 1];
        }
        *y = (float)(sum / fmax(count, 1.0));
        *counted = (float)count;
    }
}

extern "C" __global__ void __launch_bounds__(CROSS_ENTROPY_THREADS)
cross_entropy_grad(Tensor x, Labels labels, const float* counted, const float* dy, Tensor dx, Merge merge)
{
    size_t stride = (size_t)gridDim.x * blockDim.x, all = pixels(x);
    float scale = *dy / fmaxf(*counted, 1.0f);
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < all; i += stride) {
        int t = class_of(labels, i, x.c);
        const elem* at = pixel(x, i);
        elem* to = pixel(dx, i);
        Softmax of = softmax(at, x.c);
        for (int k = 0; k < x.c; k++) {
            float slope = expf(to_float(at[k]) - of.largest) / of.sum - (k == t ? 1.0f : 0.0f);
            if (t == WRONG) slope = __int_as_float(0x7fc00000);
            store(to + k, t == IGNORED ? 0.0f : scale * slope, merge);
        }
    }
}
