// image.cu - images to and from a device: samples to elements in [-1, 1], cropped and flipped, and back.
//   math    image_unpack: x[n,h,w,c] = (sample[n, crop.y+h, crop.x+w, c] - low) / half - 1, w from the right end if flipped;
//           image_pack: sample = (x + 1) * half + low; u8 and u16 are rounded, halves away from 0, and clamped; numbers of x that
//           are NaN or infinite are counted
//   shapes  samples (n,h,w,c) dense, u8, u16 or f32; x any pitch, in image_unpack of any size for which the crops are
//           inside the images
//   launch  256 threads, one element per thread and iteration; any number of blocks; deterministic
//   cost    reads and writes every element once
//   source  the PyTorch port truncates; rounding makes image_pack the inverse of image_unpack; tests/parity rows image
#include "common.cuh"

// Sample `i` as a number; its type is the same for all threads.
__device__ __forceinline__ float load_sample(const unsigned char* samples, size_t i, int size)
{
    if (size == 1) return samples[i];
    return size == 2 ? ((const unsigned short*)samples)[i] : ((const float*)samples)[i];
}

// Stores `value` as sample `i`; NaN becomes 0 in integer types.
__device__ __forceinline__ void store_sample(unsigned char* samples, size_t i, int size, float value)
{
    if (size == 1)
        samples[i] = (unsigned char)fminf(fmaxf(roundf(value), 0.0f), 255.0f);
    else if (size == 2)
        ((unsigned short*)samples)[i] = (unsigned short)fminf(fmaxf(roundf(value), 0.0f), 65535.0f);
    else
        ((float*)samples)[i] = value;
}

extern "C" __global__ void __launch_bounds__(256) image_unpack(Uncropped from, SampleArg sample, Tensor x)
{
    size_t count = (size_t)pixels(x) * x.c, stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
        size_t at = i / x.c, c = i - at * x.c;
        unsigned line = (unsigned)at / x.w, w = (unsigned)at - line * x.w, n = line / x.h, h = line - n * x.h;
        CropArg crop = ((const CropArg*)from.crops)[n];
        unsigned column = crop.x + (crop.flip ? x.w - 1 - w : w);
        size_t from_at = (((size_t)n * from.h + crop.y + h) * from.w + column) * x.c + c;
        float value = (load_sample(from.samples, from_at, sample.size) - sample.low) / sample.half;
        pixel(x, at)[c] = from_float(value - 1.0f);
    }
}

extern "C" __global__ void __launch_bounds__(256) image_pack(Tensor x, SampleArg sample, unsigned char* samples, unsigned* wrong)
{
    size_t count = (size_t)pixels(x) * x.c, stride = (size_t)gridDim.x * blockDim.x;
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
        // Multiply and add are rounded separately, as on the CPU: fma would differ where low is not 0.
        float value = to_float(pixel(x, i / x.c)[i % x.c]), scaled = __fmul_rn(value + 1.0f, sample.half);
        if (!is_finite(value)) atomicAdd(wrong, 1u);
        store_sample(samples, i, sample.size, scaled + sample.low);
    }
}
