//! Before `cuInit`, and without a context: alone in its process, because the driver stays
//! initialised for good.

use cudarc::driver::sys::{self, CUresult};

#[test]
fn nothing_works_before_init_and_little_without_a_context() {
    cuda::install().expect("softgpu is built beside the tests");
    let mut count = 0i32;
    let mut address = 0u64;
    // SAFETY: all pointers are good.
    unsafe {
        assert_eq!(sys::cuDeviceGetCount(&mut count), CUresult::CUDA_ERROR_NOT_INITIALIZED);
        assert_eq!(sys::cuMemAlloc_v2(&mut address, 4), CUresult::CUDA_ERROR_NOT_INITIALIZED);
        assert_eq!(sys::cuInit(1), CUresult::CUDA_ERROR_INVALID_VALUE);
        assert_eq!(sys::cuInit(0), CUresult::CUDA_SUCCESS);
        assert_eq!(sys::cuInit(0), CUresult::CUDA_SUCCESS, "as often as one likes");
        assert_eq!(sys::cuDeviceGetCount(&mut count), CUresult::CUDA_SUCCESS);
        assert_eq!(count, 1);
        assert_eq!(sys::cuMemAlloc_v2(&mut address, 4), CUresult::CUDA_ERROR_INVALID_CONTEXT);
        assert_eq!(sys::cuDevicePrimaryCtxRelease_v2(0), CUresult::CUDA_ERROR_INVALID_CONTEXT);
        let mut context = std::ptr::null_mut();
        assert_eq!(sys::cuDevicePrimaryCtxRetain(&mut context, 0), CUresult::CUDA_SUCCESS);
        assert_eq!(sys::cuCtxSetCurrent(context), CUresult::CUDA_SUCCESS);
        assert_eq!(sys::cuMemAlloc_v2(&mut address, 4), CUresult::CUDA_SUCCESS);
        assert_eq!(sys::cuDevicePrimaryCtxRelease_v2(0), CUresult::CUDA_SUCCESS);
        assert_eq!(sys::cuMemAlloc_v2(&mut address, 4), CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED);
    }
}
