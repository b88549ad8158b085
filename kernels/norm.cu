// norm.cu - batch and instance norm with the dropout and the activation that follow them, forward and backward.
//   math    xhat = (x - mean) / sqrt(var + eps), y = f(mask * (weight xhat + bias)), skip = max(y, 0); g = (dy + dskip where y > 0) f' mask,
//           dx = weight / sqrt(var + eps) * (g - mean(g) - xhat mean(g xhat)), dweight = sum g xhat, dbias = sum g
//   shapes  x, y, dy, dx (n,h,w,c), any pitch; statistics (groups, c): the batch is divided into `groups` runs of pictures
//   launch  a block takes 32 channels by 8 or 16 pixels at a time; small tensors take one launch (norm_fused, norm_grad), in
//           which a block loops over all pixels of its channels; large ones take two (_sums, _apply): sums over ranges of
//           pixels, added in order by the last block, then the pointwise part; deterministic
//   cost    small: x (and dy) once from memory and again from cache; large: x (and dy) twice; y or dx is written once
//   source  Ioffe and Szegedy, ICML 2015; sums are taken about a first value, so that a large mean costs no digits; checked
//           by tests/parity rows norm
#include "philox.cuh"
#include "rules.cuh"

// Threads of a block per channel: the pixels that it takes at a time.
constexpr int FUSED_ROWS = NORM_FUSED_THREADS / NORM_LANES, ROWS = NORM_THREADS / NORM_LANES;

// Statistics and parameters of one channel of one group.
struct Line { float mean, rstd, weight, bias; };

__device__ __forceinline__ float hat(Line line, float x) { return (x - line.mean) * line.rstd; }

// The factor by which dropout multiplies channel `c` of pixel `i`.
__device__ __forceinline__ float kept(NormRule norm, const State* state, Tensor x, size_t i, int c)
{
    return norm.drop.rate > 0.0f ? dropout_factor(norm.drop, state, i * x.c + c) : 1.0f;
}

__device__ __forceinline__ float forward(NormRule norm, Line line, const State* state, Tensor x, size_t i, int c)
{
    float v = hat(line, to_float(pixel(x, i)[c])) * line.weight + line.bias;
    return value(norm.rule, v * kept(norm, state, x, i, c));
}

// Writes y of one element, and max(y, 0) to the skip output if there is one.
__device__ __forceinline__ void write(NormRule norm, Line line, const State* state, Tensor x, Tensor y, Tensor skip, size_t i, int c)
{
    float v = forward(norm, line, state, x, i, c);
    pixel(y, i)[c] = from_float(v);
    if (skip.data) pixel(skip, i)[c] = from_float(relu(v));
}

// g, the gradient of weight xhat + bias, from the gradients of y and of the skip output max(y, 0).
__device__ __forceinline__ float pulled(NormRule norm, Line line, const State* state, Tensor x, Tensor dy, Tensor dskip, size_t i, int c)
{
    float mask = kept(norm, state, x, i, c);
    float y = value(norm.rule, (hat(line, to_float(pixel(x, i)[c])) * line.weight + line.bias) * mask);
    float g = to_float(pixel(dy, i)[c]);
    if (dskip.data && !(y <= 0.0f)) g += to_float(pixel(dskip, i)[c]);
    return g * slope(norm.rule, y) * mask;
}

// The sum of a channel over the rows of a block, returned in every row.
template <int DEEP> __device__ __forceinline__ float rows_sum(float x, float* shared)
{
    shared[threadIdx.x] = x;
    __syncthreads();
    float sum = 0.0f;
#pragma unroll
    for (int row = 0; row < DEEP; row++) sum += shared[row * NORM_LANES + threadIdx.x % NORM_LANES];
    __syncthreads();
    return sum;
}

// The mean of pixels begin .. end - 1, and the sum of squared distances from it, returned in every row of the block.
template <int DEEP>
__device__ __forceinline__ float2 moments(Tensor x, size_t begin, size_t end, int c, bool on, float* shared)
{
    int row = threadIdx.x / NORM_LANES;
    float first = on ? to_float(pixel(x, begin)[c]) : 0.0f, sum = 0.0f, squares = 0.0f;
    if (on)
        for (size_t i = begin + row; i < end; i += DEEP) sum += to_float(pixel(x, i)[c]) - first;
    float mean = first + rows_sum<DEEP>(sum, shared) / (float)(end - begin);
    if (on)
        for (size_t i = begin + row; i < end; i += DEEP) {
            float d = to_float(pixel(x, i)[c]) - mean;
            squares += d * d;
        }
    return make_float2(mean, rows_sum<DEEP>(squares, shared));
}

// Computes the statistics of a group from its moments, keeps them for the backward pass, and updates the running ones.
__device__ __forceinline__ Line settle(NormRule norm, Stats stats, int at, int c, float mean, float squares, float count)
{
    float rstd = 1.0f / sqrtf(squares / count + norm.eps);
    stats.mean[at] = mean;
    stats.rstd[at] = rstd;
    if (stats.running_mean) {
        float keep = 1.0f - norm.momentum;
        stats.running_mean[c] = keep * stats.running_mean[c] + norm.momentum * mean;
        stats.running_var[c] = keep * stats.running_var[c] + norm.momentum * (squares / fmaxf(count - 1.0f, 1.0f));
    }
    return Line{mean, rstd, 0.0f, 0.0f};
}

__device__ __forceinline__ Line line_of(Stats stats, int at, int c)
{
    return Line{stats.mean[at], stats.rstd[at], stats.weight ? stats.weight[c] : 1.0f, stats.bias ? stats.bias[c] : 0.0f};
}

extern "C" __global__ void __launch_bounds__(NORM_FUSED_THREADS, 2)
norm_fused(Tensor x, Tensor y, Tensor skip, NormRule norm, Stats stats, int each, const State* state)
{
    __shared__ float shared[NORM_FUSED_THREADS];
    int c = blockIdx.x * NORM_LANES + threadIdx.x % NORM_LANES, row = threadIdx.x / NORM_LANES;
    bool on = c < x.c;
    size_t count = pixels(x) / norm.groups;
    for (int group = blockIdx.y * each; group < (blockIdx.y + 1) * each; group++) {
        size_t begin = group * count, end = begin + count;
        float2 m = moments<FUSED_ROWS>(x, begin, end, c, on, shared);
        if (row == 0 && on) settle(norm, stats, group * x.c + c, c, m.x, m.y, (float)count);
        Line line = {m.x, 1.0f / sqrtf(m.y / (float)count + norm.eps), 1.0f, 0.0f};
        if (on && stats.weight) line.weight = stats.weight[c], line.bias = stats.bias[c];
        if (on)
            for (size_t i = begin + row; i < end; i += FUSED_ROWS) write(norm, line, state, x, y, skip, i, c);
    }
}

extern "C" __global__ void __launch_bounds__(NORM_THREADS)
norm_sums(Tensor x, NormRule norm, Stats stats, float* parts, unsigned* counters)
{
    __shared__ float shared[NORM_THREADS];
    int c = blockIdx.x * NORM_LANES + threadIdx.x % NORM_LANES, row = threadIdx.x / NORM_LANES, ranges = gridDim.y;
    bool on = c < x.c;
    size_t count = pixels(x) / norm.groups, each = (count + ranges - 1) / ranges;
    size_t begin = blockIdx.y * each, end = min(begin + each, count), from = blockIdx.z * count;
    float2 m = moments<ROWS>(x, from + begin, from + end, c, on, shared);
    if (row == 0 && on) {
        float* part = parts + 2 * ((size_t)(blockIdx.z * ranges + blockIdx.y) * x.c + c);
        part[0] = m.x;
        part[1] = m.y;
    }
    if (!last_block(counters + blockIdx.x, ranges * gridDim.z)) return;
    if (row > 0 || !on) return;
    for (int group = 0; group < norm.groups; group++) {
        const float* part = parts + 2 * ((size_t)group * ranges * x.c + c);
        float first = part[0], sum = 0.0f, squares = 0.0f;
        for (int range = 0; range < ranges; range++) {
            float n = (float)(min((range + 1) * each, count) - range * each);
            sum += n * (part[2 * (size_t)range * x.c] - first);
        }
        float mean = first + sum / (float)count;
        for (int range = 0; range < ranges; range++) {
            float n = (float)(min((range + 1) * each, count) - range * each);
            float d = part[2 * (size_t)range * x.c] - mean;
            squares += part[2 * (size_t)range * x.c + 1] + n * d * d;
        }
        settle(norm, stats, group * x.c + c, c, mean, squares, (float)count);
    }
}

// The second launch of a large norm. With running statistics (`own` is 0) the only launch of any norm: it uses them and
// keeps them for the backward pass.
extern "C" __global__ void __launch_bounds__(NORM_THREADS)
norm_apply(Tensor x, Tensor y, Tensor skip, NormRule norm, Stats stats, const State* state)
{
    int c = blockIdx.x * NORM_LANES + threadIdx.x % NORM_LANES, row = threadIdx.x / NORM_LANES;
    if (c >= x.c) return;
    size_t count = pixels(x) / norm.groups, each = (count + gridDim.y - 1) / gridDim.y;
    size_t begin = blockIdx.y * each, end = min(begin + each, count), from = blockIdx.z * count;
    int at = blockIdx.z * x.c + c;
    Line line = {0.0f, 0.0f, 1.0f, 0.0f};
    if (norm.own) {
        line = line_of(stats, at, c);
    } else {
        line.mean = stats.running_mean[c];
        line.rstd = 1.0f / sqrtf(stats.running_var[c] + norm.eps);
        if (stats.weight) line.weight = stats.weight[c], line.bias = stats.bias[c];
        if (row == 0 && blockIdx.y == 0) {
            stats.mean[at] = line.mean;
            stats.rstd[at] = line.rstd;
        }
    }
    for (size_t i = from + begin + row; i < from + end; i += ROWS) write(norm, line, state, x, y, skip, i, c);
}

// Writes the gradients of weight and bias from the sums of g (`ones`) and g xhat (`products`) over all groups.
__device__ __forceinline__ void settle_grad(Grads grads, int c, float ones, float products)
{
    if (grads.dweight) grads.dweight[c] = grads.weight_merge.add ? grads.dweight[c] + products : products;
    if (grads.dbias) grads.dbias[c] = grads.bias_merge.add ? grads.dbias[c] + ones : ones;
}

// Writes dx of pixels begin .. end - 1, where `ones` and `products` are the means of g and g xhat.
template <int DEEP>
__device__ __forceinline__ void pull(Tensor x, Tensor dy, Tensor dskip, Tensor dx, NormRule norm, Line line, Merge merge,
                                     const State* state, size_t begin, size_t end, int c, float ones, float products)
{
    for (size_t i = begin + threadIdx.x / NORM_LANES; i < end; i += DEEP) {
        float g = pulled(norm, line, state, x, dy, dskip, i, c), x_hat = hat(line, to_float(pixel(x, i)[c]));
        store(pixel(dx, i) + c, line.weight * line.rstd * (g - ones - x_hat * products), merge);
    }
}

extern "C" __global__ void __launch_bounds__(NORM_FUSED_THREADS, 2)
norm_grad(Tensor x, Tensor dy, Tensor dskip, Tensor dx, NormRule norm, Stats stats, Grads grads, int each, const State* state)
{
    __shared__ float shared[NORM_FUSED_THREADS];
    int c = blockIdx.x * NORM_LANES + threadIdx.x % NORM_LANES, row = threadIdx.x / NORM_LANES;
    bool on = c < x.c;
    size_t count = pixels(x) / norm.groups;
    float all_ones = 0.0f, all_products = 0.0f;
    for (int group = blockIdx.y * each; group < (blockIdx.y + 1) * each; group++) {
        size_t begin = group * count, end = begin + count;
        Line line = {0.0f, 0.0f, 0.0f, 0.0f};
        float ones = 0.0f, products = 0.0f;
        if (on) {
            line = line_of(stats, group * x.c + c, c);
            for (size_t i = begin + row; i < end; i += FUSED_ROWS) {
                float g = pulled(norm, line, state, x, dy, dskip, i, c);
                ones += g;
                products += g * hat(line, to_float(pixel(x, i)[c]));
            }
        }
        ones = rows_sum<FUSED_ROWS>(ones, shared);
        products = rows_sum<FUSED_ROWS>(products, shared);
        all_ones += ones;
        all_products += products;
        float share = norm.own ? 1.0f / (float)count : 0.0f;
        if (on && dx.data)
            pull<FUSED_ROWS>(x, dy, dskip, dx, norm, line, grads.merge, state, begin, end, c, ones * share, products * share);
    }
    if (row == 0 && on) settle_grad(grads, c, all_ones, all_products);
}

extern "C" __global__ void __launch_bounds__(NORM_THREADS)
norm_grad_sums(Tensor x, Tensor dy, Tensor dskip, NormRule norm, Stats stats, Grads grads, float* parts, float* sums, unsigned* counters,
                     const State* state)
{
    __shared__ float shared[NORM_THREADS];
    int c = blockIdx.x * NORM_LANES + threadIdx.x % NORM_LANES, row = threadIdx.x / NORM_LANES, ranges = gridDim.y;
    bool on = c < x.c;
    size_t count = pixels(x) / norm.groups, each = (count + ranges - 1) / ranges;
    size_t begin = blockIdx.y * each, end = min(begin + each, count), from = blockIdx.z * count;
    float ones = 0.0f, products = 0.0f;
    if (on) {
        Line line = line_of(stats, blockIdx.z * x.c + c, c);
        for (size_t i = from + begin + row; i < from + end; i += ROWS) {
            float g = pulled(norm, line, state, x, dy, dskip, i, c);
            ones += g;
            products += g * hat(line, to_float(pixel(x, i)[c]));
        }
    }
    ones = rows_sum<ROWS>(ones, shared);
    products = rows_sum<ROWS>(products, shared);
    if (row == 0 && on) {
        float* part = parts + 2 * ((size_t)(blockIdx.z * ranges + blockIdx.y) * x.c + c);
        part[0] = ones;
        part[1] = products;
    }
    if (!last_block(counters + blockIdx.x, ranges * gridDim.z)) return;
    if (row > 0 || !on) return;
    float all_ones = 0.0f, all_products = 0.0f;
    for (int group = 0; group < norm.groups; group++) {
        const float* part = parts + 2 * ((size_t)group * ranges * x.c + c);
        ones = products = 0.0f;
        for (int range = 0; range < ranges; range++) {
            ones += part[2 * (size_t)range * x.c];
            products += part[2 * (size_t)range * x.c + 1];
        }
        sums[2 * (group * x.c + c)] = ones;
        sums[2 * (group * x.c + c) + 1] = products;
        all_ones += ones;
        all_products += products;
    }
    settle_grad(grads, c, all_ones, all_products);
}

extern "C" __global__ void __launch_bounds__(NORM_THREADS)
norm_grad_apply(Tensor x, Tensor dy, Tensor dskip, Tensor dx, NormRule norm, Stats stats, Merge merge, const float* sums,
                      const State* state)
{
    int c = blockIdx.x * NORM_LANES + threadIdx.x % NORM_LANES;
    if (c >= x.c) return;
    size_t count = pixels(x) / norm.groups, each = (count + gridDim.y - 1) / gridDim.y;
    size_t begin = blockIdx.y * each, end = min(begin + each, count), from = blockIdx.z * count;
    int at = blockIdx.z * x.c + c;
    float share = norm.own ? 1.0f / (float)count : 0.0f;
    pull<ROWS>(x, dy, dskip, dx, norm, line_of(stats, at, c), merge, state, from + begin, from + end, c, sums[2 * at] * share,
            sums[2 * at + 1] * share);
}
