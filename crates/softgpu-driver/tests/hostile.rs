//! Callers that mean no good: the answer is an error code, never a panic (`CUDA_ERROR_UNKNOWN`),
//! never a crash.

mod common;

use std::ffi::{CString, c_void};
use std::ptr::{null, null_mut};

use common::card;
use cuda::Options;
use cudarc::driver::sys::{self, CUresult};
use cudarc::driver::{CudaFunction, CudaStream};
use cudarc::nvrtc::Ptx;

const KERNELS: &str = r"
.version 7.0
.target sm_75
.address_size 64
.global .align 4 .b8 state[64];
.visible .entry empty() { ret; }
.visible .entry store(.param .u64 to, .param .u32 value) {
    .reg .b32 %r<3>;
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [to];
    ld.param.u32 %r1, [value];
    st.global.u32 [%rd1], %r1;
    ret;
}
";

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[(self.next() % choices.len() as u64) as usize]
    }
}

fn launch(stream: &CudaStream, kernel: &CudaFunction, extents: [u32; 6], shared: u32) -> CUresult {
    let [a, b, c, x, y, z] = extents;
    // SAFETY: the kernel has no parameters.
    unsafe {
        sys::cuLaunchKernel(
            kernel.cu_function(),
            a,
            b,
            c,
            x,
            y,
            z,
            shared,
            stream.cu_stream(),
            null_mut(),
            null_mut(),
        )
    }
}

#[test]
fn wild_launch_parameters() {
    let (_gpu, context) = card(Options::new().device("rtx3060"));
    let module = context.load_module(Ptx::from_src(KERNELS)).expect("a sound module");
    let empty = module.load_function("empty").expect("it is there");
    let stream = context.default_stream();
    let mut random = Random(1);
    let extents = [
        0,
        1,
        2,
        3,
        31,
        32,
        64,
        65,
        1024,
        1025,
        65_535,
        65_536,
        i32::MAX as u32,
        1 << 31,
        u32::MAX,
    ];
    let mut refused = 0;
    for _ in 0..5000 {
        let e: [u32; 6] = std::array::from_fn(|_| random.of(&extents));
        let shared = random.of(&[0, 1, 48 << 10, (48 << 10) + 1, 99 << 10, u32::MAX]);
        let product = |e: &[u32]| e.iter().map(|&n| u128::from(n)).product::<u128>();
        // The limits as the programming guide's table gives them.
        let sound = e.iter().all(|&n| n > 0)
            && e[0] <= i32::MAX as u32
            && e[1].max(e[2]) <= 65_535
            && e[5] <= 64
            && product(&e[3..]) <= 1024
            && shared <= 48 << 10;
        if sound && product(&e[..3]) > 1000 {
            continue; // a launch like any other, but a long one
        }
        let expected =
            if sound { CUresult::CUDA_SUCCESS } else { CUresult::CUDA_ERROR_INVALID_VALUE };
        assert_eq!(launch(&stream, &empty, e, shared), expected, "{e:?} {shared}");
        refused += usize::from(!sound);
    }
    assert!(refused > 1000);
    assert_eq!(context.synchronize(), Ok(()));
}

#[test]
fn arguments_that_are_missing_or_point_nowhere() {
    let (gpu, context) = card(Options::new());
    let module = context.load_module(Ptx::from_src(KERNELS)).expect("a sound module");
    let store = module.load_function("store").expect("it is there");
    let (function, stream) = (store.cu_function(), context.default_stream());
    let raw = stream.cu_stream();
    // SAFETY: each call gives as many argument pointers as the kernel has parameters, or none at
    // all.
    unsafe {
        let call = |arguments: *mut *mut c_void, extra: *mut *mut c_void| {
            sys::cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, raw, arguments, extra)
        };
        let bad = CUresult::CUDA_ERROR_INVALID_VALUE;
        assert_eq!(call(null_mut(), null_mut()), bad);
        let mut none: [*mut c_void; 2] = [null_mut(); 2];
        assert_eq!(call(none.as_mut_ptr(), null_mut()), bad);
        assert_eq!(call(none.as_mut_ptr().byte_add(1), null_mut()), bad, "misaligned");
        // The packed form: tags 1 (buffer), 2 (its size), 0 (end).
        let target = stream.alloc_zeros::<u32>(1).expect("there is room");
        let at = cudarc::driver::DevicePtr::device_ptr(&target, &stream).0;
        let mut buffer = [0u8; 16];
        buffer[..8].copy_from_slice(&at.to_le_bytes());
        buffer[8..12].copy_from_slice(&77u32.to_le_bytes());
        let mut size = 12usize;
        let size_at: *mut usize = &mut size;
        let mut extra = [
            std::ptr::without_provenance_mut(1),
            buffer.as_mut_ptr().cast(),
            std::ptr::without_provenance_mut(2),
            size_at.cast(),
            null_mut(),
        ];
        assert_eq!(call(null_mut(), extra.as_mut_ptr()), CUresult::CUDA_SUCCESS);
        assert_eq!(call(none.as_mut_ptr(), extra.as_mut_ptr()), bad, "both forms");
        size_at.write(11);
        assert_eq!(call(null_mut(), extra.as_mut_ptr()), bad, "too short");
        size_at.write(usize::MAX);
        assert_eq!(call(null_mut(), extra.as_mut_ptr()), bad, "too long");
        let mut unknown = [std::ptr::without_provenance_mut(9), null_mut(), null_mut()];
        assert_eq!(call(null_mut(), unknown.as_mut_ptr()), bad);
        assert_eq!(stream.clone_dtoh(&target), Ok(vec![77]));
        // A pointer into nothing is the kernel's affair, and ends it alone.
        let (mut to, mut value) = (0xdead_beef_0000u64, 1u32);
        let mut arguments: [*mut c_void; 2] = [(&raw mut to).cast(), (&raw mut value).cast()];
        assert_eq!(call(arguments.as_mut_ptr(), null_mut()), CUresult::CUDA_SUCCESS);
    }
    assert!(context.synchronize().is_err());
    assert_eq!(gpu.findings().last().map(|f| f.kind.clone()), Some("out-of-bounds".to_owned()));
    drop((store, module, stream));
    let _ = context.check_err();
}

/// Calls that a null or garbage handle or pointer must make fail; each returns its code.
fn nonsense(raw: usize) -> Vec<(&'static str, CUresult)> {
    let (mut number, mut long, mut real) = (0i32, 0usize, 0f32);
    let name = CString::new("name").expect("no NUL inside");
    // SAFETY: handles are numbers to the driver; every pointer is null or good.
    unsafe {
        vec![
            (
                "cuCtxSetCurrent",
                if raw == 0 {
                    CUresult::CUDA_ERROR_INVALID_VALUE
                } else {
                    sys::cuCtxSetCurrent(raw as _)
                },
            ),
            ("cuCtxDestroy", sys::cuCtxDestroy_v2(raw as _)),
            ("cuCtxGetCurrent", sys::cuCtxGetCurrent(null_mut())),
            ("cuDeviceGetCount", sys::cuDeviceGetCount(null_mut())),
            ("cuDeviceGet", sys::cuDeviceGet(&mut number, raw as i32 | 1 << 20)),
            ("cuDeviceGetName", sys::cuDeviceGetName(null_mut(), 10, 0)),
            ("cuDeviceGetName", sys::cuDeviceGetName((&raw mut number).cast(), 0, 0)),
            ("cuDeviceTotalMem", sys::cuDeviceTotalMem_v2(null_mut(), 0)),
            ("cuDeviceTotalMem", sys::cuDeviceTotalMem_v2(&mut long, -1)),
            ("cuDevicePrimaryCtxRetain", sys::cuDevicePrimaryCtxRetain(null_mut(), 99)),
            ("cuMemAlloc", sys::cuMemAlloc_v2(null_mut(), 16)),
            ("cuMemAlloc", sys::cuMemAlloc_v2(null_mut(), 0)),
            ("cuMemAllocAsync", sys::cuMemAllocAsync(null_mut(), 16, null_mut())),
            ("cuMemHostAlloc", sys::cuMemHostAlloc(null_mut(), 16, 0)),
            ("cuMemAllocManaged", sys::cuMemAllocManaged(null_mut(), 16, 1)),
            (
                "cuMemHostGetDevicePointer",
                sys::cuMemHostGetDevicePointer_v2(null_mut(), raw as _, 0),
            ),
            (
                "cuStreamAttachMemAsync",
                sys::cuStreamAttachMemAsync(raw as _, raw as u64, usize::MAX, 1),
            ),
            ("cuMemFree", sys::cuMemFree_v2(raw as u64 | 1)),
            ("cuMemFreeAsync", sys::cuMemFreeAsync(raw as u64 | 1, null_mut())),
            ("cuMemFreeHost", sys::cuMemFreeHost(raw as _)),
            ("cuMemcpyHtoD", sys::cuMemcpyHtoD_v2(raw as u64, (&raw const number).cast(), 4)),
            ("cuMemcpyHtoD", sys::cuMemcpyHtoD_v2(raw as u64, null(), 4)),
            (
                "cuMemcpyHtoD",
                sys::cuMemcpyHtoD_v2(raw as u64, (&raw const number).cast(), usize::MAX),
            ),
            ("cuMemcpyDtoH", sys::cuMemcpyDtoH_v2((&raw mut number).cast(), raw as u64, 4)),
            ("cuMemcpyDtoH", sys::cuMemcpyDtoH_v2(null_mut(), raw as u64, 4)),
            ("cuMemcpyDtoDAsync", sys::cuMemcpyDtoDAsync_v2(raw as u64, raw as u64, 4, null_mut())),
            ("cuMemsetD8Async", sys::cuMemsetD8Async(raw as u64, 0, usize::MAX, null_mut())),
            ("cuModuleLoadData", sys::cuModuleLoadData(null_mut(), null())),
            ("cuModuleLoad", sys::cuModuleLoad(null_mut(), null())),
            ("cuModuleUnload", sys::cuModuleUnload(raw as _)),
            ("cuModuleGetFunction", sys::cuModuleGetFunction(null_mut(), raw as _, name.as_ptr())),
            ("cuModuleGetFunction", sys::cuModuleGetFunction(null_mut(), raw as _, null())),
            (
                "cuModuleGetGlobal",
                sys::cuModuleGetGlobal_v2(null_mut(), null_mut(), raw as _, name.as_ptr()),
            ),
            (
                "cuFuncGetAttribute",
                sys::cuFuncGetAttribute(
                    &mut number,
                    sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_NUM_REGS,
                    raw as _,
                ),
            ),
            (
                "cuLaunchKernel",
                sys::cuLaunchKernel(
                    raw as _,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    0,
                    null_mut(),
                    null_mut(),
                    null_mut(),
                ),
            ),
            (
                "cuLaunchCooperativeKernel",
                sys::cuLaunchCooperativeKernel(
                    raw as _,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    0,
                    null_mut(),
                    null_mut(),
                ),
            ),
            ("cuLaunchHostFunc", sys::cuLaunchHostFunc(null_mut(), None, null_mut())),
            ("cuEventDestroy", sys::cuEventDestroy_v2(raw as _)),
            ("cuEventRecord", sys::cuEventRecord(raw as _, null_mut())),
            ("cuEventSynchronize", sys::cuEventSynchronize(raw as _)),
            ("cuEventQuery", sys::cuEventQuery(raw as _)),
            ("cuEventElapsedTime", sys::cuEventElapsedTime_v2(&mut real, raw as _, raw as _)),
            ("cuStreamWaitEvent", sys::cuStreamWaitEvent(null_mut(), raw as _, 0)),
            ("cuStreamEndCapture", sys::cuStreamEndCapture(null_mut(), null_mut())),
            ("cuStreamIsCapturing", sys::cuStreamIsCapturing(null_mut(), null_mut())),
            (
                "cuGraphInstantiateWithFlags",
                sys::cuGraphInstantiateWithFlags(null_mut(), raw as _, 0),
            ),
            ("cuGraphLaunch", sys::cuGraphLaunch(raw as _, null_mut())),
            ("cuGraphUpload", sys::cuGraphUpload(raw as _, null_mut())),
            ("cuGraphDestroy", sys::cuGraphDestroy(raw as _)),
            ("cuGraphExecDestroy", sys::cuGraphExecDestroy(raw as _)),
            (
                "cuOccupancy",
                sys::cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
                    &mut number,
                    raw as _,
                    32,
                    0,
                    0,
                ),
            ),
            (
                "cuOccupancy",
                sys::cuOccupancyMaxPotentialBlockSizeWithFlags(
                    null_mut(),
                    null_mut(),
                    raw as _,
                    None,
                    0,
                    0,
                    0,
                ),
            ),
            ("cuGetErrorName", sys::cuGetErrorName(CUresult::CUDA_ERROR_UNKNOWN, null_mut())),
        ]
    }
}

#[test]
fn null_and_garbage_handles() {
    let (_gpu, context) = card(Options::new());
    let event = context.new_event(None).expect("an event");
    for raw in
        [0, 1, 2, 3, 0xdead_beef, usize::MAX, usize::MAX << 4, event.cu_event() as usize + 16]
    {
        context.bind_to_thread().expect("alive");
        for (name, code) in nonsense(raw) {
            assert_ne!(code, CUresult::CUDA_SUCCESS, "{name} of {raw:#x}");
            assert_ne!(code, CUresult::CUDA_ERROR_UNKNOWN, "{name} of {raw:#x} panicked");
        }
    }
    assert_eq!(context.synchronize(), Ok(()));
}

/// Loads the text and gives the module back; the code.
fn load(text: &[u8]) -> CUresult {
    let Ok(text) = CString::new(text) else { return CUresult::CUDA_ERROR_INVALID_IMAGE };
    let mut module = null_mut();
    // SAFETY: a NUL-terminated text; the module is unloaded once.
    unsafe {
        let code = sys::cuModuleLoadData(&mut module, text.as_ptr().cast());
        if code == CUresult::CUDA_SUCCESS {
            assert_eq!(sys::cuModuleUnload(module), CUresult::CUDA_SUCCESS);
        }
        code
    }
}

#[test]
fn truncated_and_mutilated_ptx() {
    let (_gpu, context) = card(Options::new().quiet(true));
    context.bind_to_thread().expect("alive");
    let text = KERNELS.as_bytes();
    assert_eq!(load(text), CUresult::CUDA_SUCCESS);
    let mut refused = 0;
    for end in 0..text.len() {
        let code = load(&text[..end]);
        assert_ne!(code, CUresult::CUDA_ERROR_UNKNOWN, "cut at {end} panicked");
        refused += usize::from(code != CUresult::CUDA_SUCCESS);
    }
    assert!(refused > text.len() / 2, "most cuts break it: {refused}");
    let mut random = Random(2);
    for round in 0..3000 {
        let mut bytes = text.to_vec();
        for _ in 0..1 + random.next() % 4 {
            let at = (random.next() % bytes.len() as u64) as usize;
            match random.next() % 3 {
                0 => bytes[at] = random.of(b"{}[]()<>,;.:%@!-+ \n\t\"0123456789abcxfUL_$\xff"),
                1 => drop(bytes.remove(at)),
                _ => {
                    let from = (random.next() % bytes.len() as u64) as usize;
                    let piece = bytes[from..(from + 12).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        assert_ne!(
            load(&bytes),
            CUresult::CUDA_ERROR_UNKNOWN,
            "round {round} panicked: {}",
            String::from_utf8_lossy(&bytes)
        );
    }
    assert_eq!(context.synchronize(), Ok(()));
}
