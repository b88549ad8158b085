// image.cu - pictures in and out: bytes to elements in [-1, 1], cropped and flipped, and back.
//   math    x[n,h,w,c] = byte[n, corner.y+h, corner.x+w, c] / 127.5 - 1, w from the right end where flipped;
//           byte = round((x + 1) * 127.5), halves away from 0, kept in 0..255
//   shapes  bytes (n,h,w,c) dense; x any pitch, and on the way in any size that the corners leave inside the pictures
//   launch  256 threads, one element a thread a turn; any number of blocks
//   cost    one byte and one element each
//   source  the PyTorch port truncates on the way out; rounding makes the two inverses. Checked by tests/parity rows image
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(256) image_unpack(Uncropped from, Tensor x)
{
    size_t count = (size_t)pixels(x) * x.c, stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
        size_t at = i / x.c, c = i - at * x.c;
        unsigned line = (unsigned)at / x.w, w = (unsigned)at - line * x.w, n = line / x.h, h = line - n * x.h;
        CropArg corner = ((const CropArg*)from.corners)[n];
        unsigned column = corner.x + (corner.flip ? x.w - 1 - w : w);
        size_t byte = (((size_t)n * from.h + corner.y + h) * from.w + column) * x.c + c;
        pixel(x, at)[c] = from_float(from.bytes[byte] / 127.5f - 1.0f);
    }
}

extern "C" __global__ void __launch_bounds__(256) image_pack(Tensor x, unsigned char* bytes)
{
    size_t count = (size_t)pixels(x) * x.c, stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
        float value = roundf((to_float(pixel(x, i / x.c)[i % x.c]) + 1.0f) * 127.5f);
        bytes[i] = (unsigned char)fminf(fmaxf(value, 0.0f), 255.0f);
    }
}
