// dropout.cu - dropout whose mask is a function of (seed, step, micro-step, stream, element): nothing is stored.
//   math    y = x * mask / (1 - rate); the gradient is the same function of dy
//   shapes  x, y (n,h,w,c), any pitch; the mask counts elements of the dense tensor, channels fastest
//   launch  256 threads, four elements per thread and iteration, from one random draw; any number of blocks; deterministic
//   cost    reads x and writes y once
//   source  Srivastava et al., JMLR 2014, scaled as in PyTorch; checked bit for bit by tests/parity rows dropout
#include "philox.cuh"

extern "C" __global__ void __launch_bounds__(MAP_THREADS) dropout(Tensor x, Tensor y, DropoutArg drop, const State* state, Merge merge)
{
    size_t count = (size_t)pixels(x) * x.c, quads = (count + 3) / 4, stride = (size_t)gridDim.x * blockDim.x;
    for (size_t quad = (size_t)blockIdx.x * blockDim.x + threadIdx.x; quad < quads; quad += stride) {
        float4 four = dropout_factors(drop, state, (unsigned)quad);
        float factor[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
        for (int k = 0; k < 4; k++) {
            size_t i = 4 * quad + k;
            if (i < count) store(pixel(y, i / x.c) + i % x.c, factor[k] * to_float(pixel(x, i / x.c)[i % x.c]), merge);
        }
    }
}
