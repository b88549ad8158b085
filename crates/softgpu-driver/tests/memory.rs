//! Allocation, copies and fills through cudarc, and their errors.

mod common;

use common::{card, code};
use cuda::Options;
use cudarc::driver::sys::{self, CUresult};
use cudarc::driver::{CudaContext, result};

#[test]
fn a_card_tells_what_it_is() {
    let (_gpu, context) = card(Options::new().device("h100,rtx3060"));
    assert_eq!(CudaContext::device_count(), Ok(2));
    assert_eq!(context.compute_capability(), Ok((9, 0)));
    assert!(context.name().is_ok_and(|name| name.contains("H100")));
    assert_eq!(context.total_mem(), Ok(80 << 30));
    let second = CudaContext::new(1).expect("two cards were asked for");
    assert_eq!(second.compute_capability(), Ok((8, 6)));
    assert_ne!(context.uuid().map(|u| u.bytes), second.uuid().map(|u| u.bytes));
    assert_eq!(code(CudaContext::new(2)), CUresult::CUDA_ERROR_INVALID_DEVICE);
}

#[test]
fn bytes_come_back_as_they_went() {
    let (gpu, context) = card(Options::new());
    let stream = context.default_stream();
    let sent: Vec<u32> = (0..100_000).map(|i: u32| i.wrapping_mul(2_654_435_761)).collect();
    let there = stream.clone_htod(&sent).expect("there is room");
    let copy = stream.clone_dtod(&there).expect("there is room");
    assert_eq!(stream.clone_dtoh(&copy), Ok(sent.clone()));
    let mut zeroed = copy;
    stream.memset_zeros(&mut zeroed.slice_mut(10..20)).expect("in range");
    let back = stream.clone_dtoh(&zeroed).expect("in range");
    assert_eq!(back[..10], sent[..10]);
    assert_eq!(back[10..20], [0; 10]);
    assert_eq!(back[20..], sent[20..]);
    assert_eq!(gpu.findings(), []);
}

#[test]
fn pinned_memory_is_read_when_the_copy_runs_and_pageable_at_the_call() {
    let (_gpu, context) = card(Options::new());
    let stream = context.new_stream().expect("a stream");
    // SAFETY: written before it is read.
    let mut pinned = unsafe { context.alloc_pinned::<u32>(4) }.expect("there is room");
    pinned.as_mut_slice().expect("idle").copy_from_slice(&[1, 2, 3, 4]);
    let at = pinned.as_mut_ptr().expect("idle");
    let mut pageable = [1u32, 2, 3, 4];
    let from_pinned = stream.clone_htod(&pinned).expect("there is room");
    let from_pageable = stream.clone_htod(&pageable).expect("there is room");
    // SAFETY: the copy has not run, which is just what is under test; no reference to the memory is
    // alive.
    unsafe { at.write(100) };
    pageable[0] = 100;
    assert_eq!(stream.clone_dtoh(&from_pageable), Ok(vec![1, 2, 3, 4]));
    assert_eq!(stream.clone_dtoh(&from_pinned), Ok(vec![100, 2, 3, 4]), "lazy streams copy late");
    assert_eq!(pageable[0], 100);
}

#[test]
fn an_eager_card_copies_at_once() {
    let (_gpu, context) = card(Options::new().eager(true));
    let stream = context.new_stream().expect("a stream");
    // SAFETY: written before it is read.
    let mut pinned = unsafe { context.alloc_pinned::<u32>(1) }.expect("there is room");
    pinned.as_mut_slice().expect("idle")[0] = 1;
    let at = pinned.as_mut_ptr().expect("idle");
    let there = stream.clone_htod(&pinned).expect("there is room");
    // SAFETY: no reference to the memory is alive.
    unsafe { at.write(100) };
    assert_eq!(stream.clone_dtoh(&there), Ok(vec![1]));
}

#[test]
fn memory_is_counted_and_ends() {
    let (_gpu, context) = card(Options::new().device("rtx3060"));
    let stream = context.default_stream();
    let (free, total) = context.mem_get_info().expect("a context");
    assert_eq!((free, total), (12 << 30, 12 << 30));
    // SAFETY: never read.
    let held = unsafe { stream.alloc::<u8>(1 << 20) }.expect("there is room");
    assert_eq!(context.mem_get_info(), Ok((free - (1 << 20), total)));
    // SAFETY: never read.
    let too_much = unsafe { stream.alloc::<u8>(12 << 30) };
    assert_eq!(code(too_much), CUresult::CUDA_ERROR_OUT_OF_MEMORY);
    drop(held);
    context.synchronize().expect("nothing failed");
    assert_eq!(context.mem_get_info(), Ok((free, total)));
}

#[test]
fn wrong_ranges_and_frees_are_refused_at_the_call() {
    let (_gpu, context) = card(Options::new());
    context.bind_to_thread().expect("alive");
    // SAFETY: every call below is one that the driver must refuse or that keeps to its allocation.
    unsafe {
        let at = result::malloc_sync(64).expect("there is room");
        let byte = [0u8; 65];
        assert_eq!(code(result::memcpy_htod_sync(at, &byte)), CUresult::CUDA_ERROR_INVALID_VALUE);
        assert_eq!(
            code(result::memcpy_htod_sync(at + 1, &byte[..64])),
            CUresult::CUDA_ERROR_INVALID_VALUE
        );
        assert_eq!(
            code(result::memcpy_htod_sync(0, &byte[..1])),
            CUresult::CUDA_ERROR_INVALID_VALUE
        );
        assert_eq!(
            code(result::memcpy_htod_sync(u64::MAX, &byte[..1])),
            CUresult::CUDA_ERROR_INVALID_VALUE
        );
        assert_eq!(result::memcpy_htod_sync(at, &byte[..64]), Ok(()));
        assert_eq!(code(result::free_sync(at + 1)), CUresult::CUDA_ERROR_INVALID_VALUE);
        assert_eq!(result::free_sync(at), Ok(()));
        assert_eq!(code(result::free_sync(at)), CUresult::CUDA_ERROR_INVALID_VALUE);
        assert_eq!(
            code(result::memcpy_htod_sync(at, &byte[..1])),
            CUresult::CUDA_ERROR_INVALID_VALUE
        );
        assert_eq!(sys::cuMemFree_v2(0), CUresult::CUDA_SUCCESS);
        let stream = std::ptr::null_mut();
        let at = result::malloc_async(stream, 64).expect("there is room");
        assert_eq!(result::free_async(at, stream), Ok(()));
        assert_eq!(code(result::free_async(at, stream)), CUresult::CUDA_ERROR_INVALID_VALUE);
    }
}

#[test]
fn reading_what_was_never_written_is_found() {
    let (gpu, context) = card(Options::new());
    let stream = context.default_stream();
    // SAFETY: the bytes are any; that they are read is the mistake under test.
    let never = unsafe { stream.alloc::<u32>(16) }.expect("there is room");
    stream.clone_dtoh(&never).expect("a copy like any other");
    let found = gpu.findings();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].kind, "uninitialized-memory");
}
