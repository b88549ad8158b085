//! Streams, events, the default stream's barriers, and the check of what nothing orders.

mod common;

use std::sync::atomic::{AtomicU32, Ordering};

use common::{card, code};
use cuda::Options;
use cudarc::driver::sys::{self, CUresult};
use cudarc::driver::{CudaContext, CudaStream, result};

/// The functions that streams called, as decimal digits in order.
static CALLED: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn note(digit: *mut std::ffi::c_void) {
    let digit = digit as usize as u32;
    CALLED
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| Some(10 * n + digit))
        .expect("always some");
}

fn call(stream: &CudaStream, digit: usize) {
    // SAFETY: `note` takes any argument for a number.
    unsafe { sys::cuLaunchHostFunc(stream.cu_stream(), Some(note), digit as *mut _) }
        .result()
        .expect("submitted");
}

fn called() -> u32 {
    CALLED.swap(0, Ordering::SeqCst)
}

fn blocking_stream() -> sys::CUstream {
    result::stream::create(result::stream::StreamKind::Default).expect("a stream")
}

#[test]
fn nothing_runs_before_it_is_waited_for_and_events_order_streams() {
    let (_gpu, context) = card(Options::new());
    called();
    let (a, b) = (context.new_stream().expect("a stream"), context.new_stream().expect("a stream"));
    call(&a, 1);
    let event = a.record_event(None).expect("recorded");
    call(&a, 2);
    b.wait(&event).expect("submitted");
    call(&b, 3);
    assert_eq!(called(), 0, "submitting runs nothing");
    b.synchronize().expect("nothing failed");
    assert_eq!(called(), 13, "what b needs of a, and no more");
    context.synchronize().expect("nothing failed");
    assert_eq!(called(), 2);
}

#[test]
fn the_legacy_stream_is_a_barrier_for_blocking_streams_alone() {
    let (_gpu, context) = card(Options::new());
    called();
    let default = context.default_stream();
    let free = context.new_stream().expect("a stream");
    // SAFETY: destroyed below, after the last use.
    let blocking = unsafe { context.wrap_borrowed_stream(blocking_stream()) };
    call(&blocking, 1);
    call(&free, 9);
    call(&default, 2);
    call(&blocking, 3);
    blocking.synchronize().expect("nothing failed");
    assert_eq!(called(), 123, "in the order of submission, without the non-blocking stream");
    free.synchronize().expect("nothing failed");
    assert_eq!(called(), 9);
    // SAFETY: a living stream of ours.
    unsafe { result::stream::destroy(blocking.cu_stream()) }.expect("alive");
}

#[test]
fn a_seed_chooses_among_the_orders_that_streams_allow() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let (_gpu, context) = card(Options::new().seed(seed));
        called();
        let (a, b) =
            (context.new_stream().expect("a stream"), context.new_stream().expect("a stream"));
        for (stream, digit) in [(&a, 1), (&a, 2), (&b, 3), (&b, 4)] {
            call(stream, digit);
        }
        context.synchronize().expect("nothing failed");
        seen.insert(called());
    }
    // Two chains of two have 6 interleavings; that 40 draws miss one of them has probability below
    // 0.005, and the draws are the same in every run.
    assert_eq!(seen, [1234, 1324, 1342, 3124, 3142, 3412].into());
}

#[test]
fn queries_make_progress_and_calls_back_may_not_use_cuda() {
    unsafe extern "C" fn misuse(count: *mut std::ffi::c_void) {
        // SAFETY: `count` is alive in the test below, which waits for this call.
        unsafe {
            let code = sys::cuDeviceGetCount(count.cast());
            assert_eq!(code, CUresult::CUDA_ERROR_NOT_PERMITTED);
            count.cast::<i32>().write(-7);
        }
    }
    let (_gpu, context) = card(Options::new());
    let stream = context.new_stream().expect("a stream");
    let mut count = 0i32;
    let to: *mut i32 = &mut count;
    // SAFETY: `count` outlives the wait below.
    unsafe { sys::cuLaunchHostFunc(stream.cu_stream(), Some(misuse), to.cast()) }
        .result()
        .expect("submitted");
    let event = stream.record_event(None).expect("recorded");
    assert_eq!(event.try_is_complete(), Ok(false), "not at the first question");
    while !event.try_is_complete().expect("nothing failed") {
        std::thread::yield_now();
    }
    // SAFETY: the call is over.
    assert_eq!(unsafe { to.read_volatile() }, -7);
}

#[test]
fn times_are_virtual_and_streams_overlap_in_them() {
    let (_gpu, context) = card(Options::new());
    let timed = Some(sys::CUevent_flags::CU_EVENT_DEFAULT);
    let (a, b) = (context.new_stream().expect("a stream"), context.new_stream().expect("a stream"));
    let bytes = vec![0u8; 1_000_000];
    let start = a.record_event(timed).expect("recorded");
    b.wait(&start).expect("submitted");
    let _x = a.clone_htod(&bytes).expect("there is room");
    let _y = b.clone_htod(&bytes).expect("there is room");
    let half = a.record_event(timed).expect("recorded");
    a.join(&b).expect("submitted");
    let _z = a.clone_htod(&bytes).expect("there is room");
    let end = a.record_event(timed).expect("recorded");
    let together = start.elapsed_ms(&half).expect("both are timed");
    let whole = start.elapsed_ms(&end).expect("both are timed");
    // A copy lasts 1 us and a nanosecond for each ten bytes: 0.101 ms.
    assert!((together - 0.101).abs() < 1e-4, "{together}");
    assert!((whole - 0.202).abs() < 1e-4, "{whole}");
    let untimed = a.record_event(None).expect("recorded");
    assert_eq!(code(start.elapsed_ms(&untimed)), CUresult::CUDA_ERROR_INVALID_HANDLE);
}

#[test]
fn two_streams_on_the_same_bytes_are_found_and_an_event_cures_it() {
    let (gpu, context) = card(Options::new());
    // SAFETY: this test orders its streams itself, or fails to on purpose.
    unsafe { context.disable_event_tracking() };
    let (a, b) = (context.new_stream().expect("a stream"), context.new_stream().expect("a stream"));
    let mut buffer = a.alloc_zeros::<u32>(1024).expect("there is room");
    context.synchronize().expect("nothing failed");

    a.memset_zeros(&mut buffer.slice_mut(0..512)).expect("in range");
    b.memset_zeros(&mut buffer.slice_mut(512..1024)).expect("in range");
    context.synchronize().expect("nothing failed");
    assert_eq!(gpu.findings(), [], "different bytes");

    a.memset_zeros(&mut buffer).expect("in range");
    b.join(&a).expect("submitted");
    let back = b.clone_dtoh(&buffer).expect("in range");
    assert_eq!(gpu.findings(), [], "an event orders them");

    a.memcpy_htod(&back, &mut buffer).expect("in range");
    a.synchronize().expect("nothing failed");
    b.memset_zeros(&mut buffer).expect("in range");
    b.synchronize().expect("nothing failed");
    assert_eq!(gpu.findings(), [], "the host ordered them");

    a.memset_zeros(&mut buffer.slice_mut(0..513)).expect("in range");
    b.memset_zeros(&mut buffer.slice_mut(512..1024)).expect("in range");
    context.synchronize().expect("nothing failed");
    let found = gpu.findings();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].kind, "stream-hazard");
    assert!(found[0].text.contains("write after write"), "{}", found[0].text);
}

#[test]
fn a_free_that_nothing_orders_after_the_last_use_is_found() {
    let (gpu, context) = card(Options::new());
    // SAFETY: the missing order is the mistake under test.
    unsafe { context.disable_event_tracking() };
    let (a, b) = (context.new_stream().expect("a stream"), context.new_stream().expect("a stream"));
    let buffer = a.alloc_zeros::<u8>(64).expect("there is room");
    context.synchronize().expect("nothing failed");
    let mut copy = b.alloc_zeros::<u8>(64).expect("there is room");
    b.memcpy_dtod(&buffer, &mut copy).expect("in range");
    drop(buffer); // frees on a
    b.synchronize().expect("the copy comes first in this schedule");
    context.synchronize().expect("nothing failed");
    let found = gpu.findings();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].text.contains("write after read") && found[0].text.contains("cuMemFreeAsync"),
        "{}",
        found[0].text
    );
}

#[test]
fn dead_and_foreign_handles_are_refused() {
    let (_gpu, context) = card(Options::new());
    context.bind_to_thread().expect("alive");
    let event = context.new_event(None).expect("an event");
    // SAFETY: every handle is one that the driver must refuse without looking behind it.
    unsafe {
        for raw in [3usize, 0xdead_beef, usize::MAX, event.cu_event() as usize] {
            let code = sys::cuStreamSynchronize(raw as sys::CUstream);
            assert_eq!(code, CUresult::CUDA_ERROR_INVALID_HANDLE, "{raw:#x}");
        }
        let stream = blocking_stream();
        assert_eq!(sys::cuStreamDestroy_v2(stream), CUresult::CUDA_SUCCESS);
        assert_eq!(sys::cuStreamDestroy_v2(stream), CUresult::CUDA_ERROR_INVALID_HANDLE);
        assert_eq!(
            sys::cuEventRecord(event.cu_event(), stream),
            CUresult::CUDA_ERROR_INVALID_HANDLE
        );
        assert_eq!(
            sys::cuStreamDestroy_v2(std::ptr::null_mut()),
            CUresult::CUDA_ERROR_INVALID_HANDLE
        );
        assert_eq!(sys::cuEventCreate(std::ptr::null_mut(), 0), CUresult::CUDA_ERROR_INVALID_VALUE);
    }
    let other = CudaContext::new_non_primary(0, 0).expect("a second context");
    let foreign = other.new_stream().expect("a stream");
    let mixed = unsafe { result::event::record(event.cu_event(), foreign.cu_stream()) };
    assert_eq!(code(mixed), CUresult::CUDA_ERROR_INVALID_HANDLE);
}
