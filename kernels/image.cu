// image.cu - pictures in and out: bytes to elements in [-1, 1] and back.
//   math    x = byte / 127.5 - 1;  byte = round((x + 1) * 127.5), halves away from 0, kept in 0..255
//   shapes  bytes (n,h,w,c) dense; x the same, any pitch
//   launch  256 threads, one element a thread a turn; any number of blocks
//   cost    one byte and one element each
//   source  the PyTorch port truncates on the way out; rounding makes the two inverses. Checked by tests/parity rows image
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(256) image_unpack(const unsigned char* bytes, Tensor x)
{
    size_t count = (size_t)pixels(x) * x.c, stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride)
        pixel(x, i / x.c)[i % x.c] = from_float(bytes[i] / 127.5f - 1.0f);
}

extern "C" __global__ void __launch_bounds__(256) image_pack(Tensor x, unsigned char* bytes)
{
    size_t count = (size_t)pixels(x) * x.c, stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
        float value = roundf((to_float(pixel(x, i / x.c)[i % x.c]) + 1.0f) * 127.5f);
        bytes[i] = (unsigned char)fminf(fmaxf(value, 0.0f), 255.0f);
    }
}
