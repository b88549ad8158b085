//! Memory that the host and kernels reach under one address: managed, and page-locked as an argument.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{card, code};
use cuda::Options;
use cudarc::driver::sys::{self, CUmem_advise as Advice, CUmemAttach_flags as Attach, CUresult};
use cudarc::driver::sys::{CUmemLocation, CUmemLocationType as Place};
use cudarc::driver::{CudaContext, CudaFunction, CudaStream, LaunchConfig, PushKernelArg, result};
use cudarc::nvrtc::Ptx;

/// Doubles a word a thread.
const DOUBLE: &str = "
.version 8.0
.target sm_75
.address_size 64
.visible .entry double(.param .u64 data) {
    .reg .b64 %rd<4>;
    .reg .b32 %r<4>;
    ld.param.u64 %rd1, [data];
    cvta.to.global.u64 %rd1, %rd1;
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd2, %r1, 4;
    add.s64 %rd3, %rd1, %rd2;
    ld.global.u32 %r2, [%rd3];
    add.u32 %r2, %r2, %r2;
    st.global.u32 [%rd3], %r2;
    ret;
}";

fn double(context: &Arc<CudaContext>) -> CudaFunction {
    let module = context.load_module(Ptx::from_src(DOUBLE)).expect("the PTX is right");
    module.load_function("double").expect("it is there")
}

/// Doubles `threads` words at `address`.
fn launch(stream: &CudaStream, function: &CudaFunction, address: u64, threads: u32) {
    let config =
        LaunchConfig { grid_dim: (1, 1, 1), block_dim: (threads, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the kernel takes one address; what lies there is the test's subject.
    unsafe { stream.launch_builder(function).arg(&address).launch(config) }.expect("submitted");
}

fn managed(bytes: usize) -> u64 {
    // SAFETY: only a request for memory.
    unsafe { result::malloc_managed(bytes, Attach::CU_MEM_ATTACH_GLOBAL) }.expect("there is room")
}

/// The words of `count` at an address of ours.
fn words(address: u64, count: usize) -> Vec<u32> {
    let at = std::ptr::with_exposed_provenance::<u32>(address as usize);
    // SAFETY: the callers name live allocations of as many words, with nothing in flight.
    (0..count).map(|i| unsafe { at.add(i).read_volatile() }).collect()
}

fn write(address: u64, values: &[u32]) {
    let at = std::ptr::with_exposed_provenance_mut::<u32>(address as usize);
    for (i, value) in values.iter().enumerate() {
        // SAFETY: as in `words`.
        unsafe { at.add(i).write_volatile(*value) };
    }
}

fn at(kind: Place, id: i32) -> CUmemLocation {
    CUmemLocation { type_: kind, id }
}

#[test]
fn managed_memory_is_the_same_for_host_kernels_and_copies() {
    let (gpu, context) = card(Options::new());
    let (stream, function) = (context.new_stream().expect("a stream"), double(&context));
    let before = context.mem_get_info();
    let data = managed(64 * 4);
    assert!(data.is_multiple_of(256));
    assert_ne!(words(data, 64), [0; 64], "new memory holds no zeros");
    assert_eq!(context.mem_get_info(), before, "it is no memory of the card");
    let values: Vec<u32> = (1..=64).collect();
    write(data, &values);
    // SAFETY: hints for an allocation that lives to the end of the test.
    unsafe {
        let (device, host) =
            (at(Place::CU_MEM_LOCATION_TYPE_DEVICE, 0), at(Place::CU_MEM_LOCATION_TYPE_HOST, 0));
        for advice in [Advice::CU_MEM_ADVISE_SET_READ_MOSTLY, Advice::CU_MEM_ADVISE_SET_ACCESSED_BY]
        {
            assert_eq!(result::mem_advise(data, 256, advice, device), Ok(()));
        }
        assert_eq!(result::mem_prefetch_async(data, 256, device, stream.cu_stream()), Ok(()));
        launch(&stream, &function, data, 32);
        let single = Attach::CU_MEM_ATTACH_SINGLE;
        assert_eq!(result::stream::attach_mem_async(stream.cu_stream(), data, 0, single), Ok(()));
        assert_eq!(result::mem_prefetch_async(data, 256, host, stream.cu_stream()), Ok(()));
    }
    assert_eq!(words(data, 64), values, "nothing ran yet");
    stream.synchronize().expect("nothing failed");
    let doubled: Vec<u32> = (1..=64).map(|v| if v <= 32 { 2 * v } else { v }).collect();
    assert_eq!(words(data, 64), doubled);
    let mut copied = [0u32; 64];
    // SAFETY: both ranges hold 256 bytes.
    unsafe {
        result::memcpy_dtoh_sync(&mut copied, data).expect("in range");
        assert_eq!(copied[..], doubled);
        result::memset_d8_sync(data, 0, 128).expect("in range");
        context.synchronize().expect("nothing failed");
        assert_eq!(words(data, 33), [&[0; 32][..], &[33]].concat());
        assert_eq!(result::free_sync(data), Ok(()));
        assert_eq!(code(result::free_sync(data)), CUresult::CUDA_ERROR_INVALID_VALUE);
    }
    assert_eq!(gpu.findings(), []);
}

#[test]
fn a_kernel_reads_and_writes_page_locked_memory() {
    let (gpu, context) = card(Options::new());
    let (stream, function) = (context.new_stream().expect("a stream"), double(&context));
    // SAFETY: written before it is read.
    let mut pinned = unsafe { context.alloc_pinned::<u32>(64) }.expect("there is room");
    pinned.as_mut_slice().expect("idle").copy_from_slice(&[21; 64]);
    let host = pinned.as_mut_ptr().expect("idle");
    let pointer = |host: *mut u32, flags: u32| {
        let mut address = 0;
        // SAFETY: it writes one address, and looks its argument up.
        let said = unsafe { sys::cuMemHostGetDevicePointer_v2(&mut address, host.cast(), flags) };
        (said, address)
    };
    let (said, address) = pointer(host.wrapping_add(32), 0);
    assert_eq!((said, address), (CUresult::CUDA_SUCCESS, host as u64 + 128));
    launch(&stream, &function, address, 32);
    stream.synchronize().expect("nothing failed");
    let expected = [[21u32; 32], [42; 32]].concat();
    assert_eq!(pinned.as_slice().expect("idle"), expected);
    let mut own = 0u32;
    for (host, flags) in [(&raw mut own, 0), (host, 1), (std::ptr::null_mut(), 0)] {
        assert_eq!(pointer(host, flags).0, CUresult::CUDA_ERROR_INVALID_VALUE, "flags {flags}");
    }
    assert_eq!(gpu.findings(), []);
}

#[test]
fn wrong_requests_are_refused() {
    const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;
    let (_gpu, context) = card(Options::new());
    context.bind_to_thread().expect("alive");
    let own = context.new_stream().expect("a stream");
    let (stream, none) = (own.cu_stream(), std::ptr::null_mut());
    let (data, mut address) = (managed(256), 0);
    let here = at(Place::CU_MEM_LOCATION_TYPE_DEVICE, 0);
    let advise = Advice::CU_MEM_ADVISE_SET_PREFERRED_LOCATION;
    // SAFETY: every call below is one that the driver must refuse.
    unsafe {
        for (bytes, flags) in [(0, 1), (64, 0), (64, 3), (64, 4)] {
            assert_eq!(sys::cuMemAllocManaged(&mut address, bytes, flags), INVALID, "{flags}");
        }
        let device = result::malloc_sync(256).expect("there is room");
        for (at, bytes) in [(device, 256), (data, 257), (data, 0), (0, 1), (u64::MAX, 2)] {
            assert_eq!(code(result::mem_prefetch_async(at, bytes, here, stream)), INVALID);
            assert_eq!(code(result::mem_advise(at, bytes, advise, here)), INVALID);
        }
        let seventh = at(Place::CU_MEM_LOCATION_TYPE_DEVICE, 7);
        let no_device = CUresult::CUDA_ERROR_INVALID_DEVICE;
        assert_eq!(code(result::mem_prefetch_async(data, 256, seventh, stream)), no_device);
        assert_eq!(code(result::mem_advise(data, 256, advise, seventh)), no_device);
        let nowhere = at(Place::CU_MEM_LOCATION_TYPE_INVALID, 0);
        assert_eq!(code(result::mem_prefetch_async(data, 256, nowhere, stream)), INVALID);
        assert_eq!(sys::cuMemPrefetchAsync_v2(data, 256, here, 1, stream), INVALID);
        for (stream, at, bytes, flags) in [
            (none, data, 0, 4),
            (stream, data, 128, 1),
            (stream, data + 8, 0, 1),
            (stream, data, 0, 3),
            (stream, device, 0, 1),
        ] {
            assert_eq!(sys::cuStreamAttachMemAsync(stream, at, bytes, flags), INVALID, "{flags}");
        }
        assert_eq!(code(result::free_async(data, stream)), INVALID, "of no pool");
        assert_eq!(code(result::free_host(data as *mut _)), INVALID, "not page-locked");
        assert_eq!(result::free_sync(data), Ok(()));
        assert_eq!(result::free_sync(device), Ok(()));
    }
}

#[test]
fn a_kernel_outside_it_is_stopped() {
    for freed in [false, true] {
        let (gpu, context) = card(Options::new());
        let (stream, function) = (context.new_stream().expect("a stream"), double(&context));
        let data = managed(64);
        write(data, &[1; 16]);
        if freed {
            // SAFETY: nothing is in flight; the address is used on purpose afterwards.
            unsafe { result::free_sync(data) }.expect("it is live");
        }
        launch(&stream, &function, data, 17);
        let said = code(stream.synchronize());
        assert_eq!(said, CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
        let kind = if freed { "use-after-free" } else { "out-of-bounds" };
        assert_eq!(gpu.findings().iter().map(|f| &*f.kind).collect::<Vec<_>>(), [kind]);
    }
}

/// The program may write while a kernel runs: it sees and makes words, and nothing breaks.
#[test]
fn host_and_kernels_may_touch_it_at_once() {
    let (gpu, context) = card(Options::new());
    let (stream, function) = (context.new_stream().expect("a stream"), double(&context));
    let data = managed(32 * 4);
    write(data, &[0; 32]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                write(data, &[1 << 16; 32]);
            }
        });
        for _ in 0..200 {
            launch(&stream, &function, data, 32);
            stream.synchronize().expect("nothing failed");
        }
        done.store(true, Ordering::Relaxed);
    });
    let powers = words(data, 32).iter().all(|word| *word == 0 || word.is_power_of_two());
    assert!(powers, "no word is torn: {:?}", words(data, 32));
    assert_eq!(gpu.findings(), []);
}

/// Two kernels that only add atomically may run at once; with a store in one of them they may not.
#[test]
fn atomics_of_two_streams_are_no_hazard() {
    let kernel = |name: &str, instruction: &str| {
        format!(
            ".visible .entry {name}(.param .u64 data) {{
                .reg .b64 %rd<2>;
                .reg .b32 %r<3>;
                .shared .align 4 .b32 part;
                ld.param.u64 %rd1, [data];
                cvta.to.global.u64 %rd1, %rd1;
                mov.u32 %r1, 1;
                {instruction}
                ret;
            }}"
        )
    };
    let text = [
        ".version 8.0\n.target sm_75\n.address_size 64".to_string(),
        kernel("adds", "red.global.add.u32 [%rd1], %r1;"),
        kernel("sums", "st.shared.u32 [part], %r1;\nred.global.add.u32 [%rd1], %r1;"),
        kernel("adds_in_block", "atom.global.cta.add.u32 %r2, [%rd1], %r1;"),
        kernel("stores", "st.global.u32 [%rd1], %r1;"),
        kernel("loads", "ld.global.u32 %r2, [%rd1];\nst.global.u32 [%rd1+4], %r2;"),
    ]
    .join("\n");
    for (first, second, wrong) in [
        ("adds", "adds", false),
        ("adds", "sums", false),
        ("adds", "stores", true),
        ("stores", "adds", true),
        ("adds", "loads", true),
        ("adds_in_block", "adds_in_block", true),
    ] {
        let (gpu, context) = card(Options::new());
        // SAFETY: the two streams are left unordered on purpose.
        unsafe { context.disable_event_tracking() };
        let module = context.load_module(Ptx::from_src(text.as_str())).expect("the PTX is right");
        let [a, b] = [0, 1].map(|_| context.new_stream().expect("a stream"));
        let data = a.clone_htod(&[40u32, 0]).expect("there is room");
        context.synchronize().expect("nothing failed");
        let address = {
            use cudarc::driver::DevicePtr;
            data.device_ptr(&a).0
        };
        launch(&a, &module.load_function(first).expect("it is there"), address, 1);
        launch(&b, &module.load_function(second).expect("it is there"), address, 1);
        context.synchronize().expect("nothing failed");
        let found = gpu.findings();
        let hazards = found.iter().filter(|f| f.kind == "stream-hazard").count();
        assert_eq!(found.len(), hazards, "{first}, {second}: {found:?}");
        assert_eq!(hazards > 0, wrong, "{first}, {second}: {found:?}");
        if !wrong {
            assert_eq!(a.clone_dtoh(&data), Ok(vec![42, 0]));
        }
    }
}
