//! Capturing streams, and the calls that a capture forbids. Kernels in graphs are in `kernels.rs`.

mod common;

use common::{card, code};
use cuda::Options;
use cudarc::driver::result;
use cudarc::driver::sys::{
    self, CUgraphInstantiate_flags as Flags, CUresult, CUstreamCaptureMode as Mode,
};

const LOCAL: Mode = Mode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;

#[test]
fn a_graph_plays_what_was_captured_as_often_as_it_is_launched() {
    let (gpu, context) = card(Options::new());
    // SAFETY: everything here is on one stream.
    unsafe { context.disable_event_tracking() };
    let stream = context.new_stream().expect("a stream");
    let mut data = stream.clone_htod(&[7u32; 8]).expect("there is room");
    stream.begin_capture(LOCAL).expect("not capturing");
    stream.memset_zeros(&mut data.slice_mut(2..4)).expect("captured");
    let graph = stream.end_capture(Flags(0)).expect("capturing").expect("a graph");
    assert_eq!(stream.clone_dtoh(&data), Ok(vec![7; 8]), "capturing runs nothing");
    for round in 0..3 {
        stream.memcpy_htod(&[round; 8], &mut data).expect("in range");
        graph.upload().expect("nothing to do");
        graph.launch().expect("instantiated");
        let expected = [round, round, 0, 0, round, round, round, round];
        assert_eq!(stream.clone_dtoh(&data), Ok(expected.to_vec()));
    }
    assert_eq!(gpu.findings(), []);
}

#[test]
fn streams_fork_and_join_inside_a_capture() {
    for seed in 0..8 {
        let (gpu, context) = card(Options::new().seed(seed));
        // SAFETY: the events below order the two streams.
        unsafe { context.disable_event_tracking() };
        let (a, b) =
            (context.new_stream().expect("a stream"), context.new_stream().expect("a stream"));
        let mut data = a.clone_htod(&[1u8; 64]).expect("there is room");
        let mut copy = a.alloc_zeros::<u8>(64).expect("there is room");
        context.synchronize().expect("nothing failed");
        a.begin_capture(LOCAL).expect("not capturing");
        a.memset_zeros(&mut data.slice_mut(0..32)).expect("captured");
        b.join(&a).expect("drawn into the capture");
        assert_eq!(
            b.capture_status(),
            Ok(sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_ACTIVE)
        );
        b.memset_zeros(&mut data.slice_mut(32..48)).expect("captured");
        a.memset_zeros(&mut data.slice_mut(48..64)).expect("captured");
        a.join(&b).expect("joined");
        a.memcpy_dtod(&data, &mut copy).expect("captured");
        let graph = a.end_capture(Flags(0)).expect("capturing").expect("a graph");
        graph.launch().expect("instantiated");
        graph.launch().expect("instantiated");
        assert_eq!(a.clone_dtoh(&copy), Ok(vec![0; 64]), "seed {seed}");
        assert_eq!(gpu.findings(), [], "seed {seed}");
    }
}

#[test]
fn branches_of_a_graph_that_share_bytes_are_found() {
    let (gpu, context) = card(Options::new());
    // SAFETY: the missing order is the mistake under test.
    unsafe { context.disable_event_tracking() };
    let (a, b) = (context.new_stream().expect("a stream"), context.new_stream().expect("a stream"));
    let mut data = a.alloc_zeros::<u8>(64).expect("there is room");
    context.synchronize().expect("nothing failed");
    a.begin_capture(LOCAL).expect("not capturing");
    b.join(&a).expect("drawn into the capture");
    a.memset_zeros(&mut data).expect("captured");
    b.memset_zeros(&mut data).expect("captured");
    a.join(&b).expect("joined");
    let graph = a.end_capture(Flags(0)).expect("capturing").expect("a graph");
    graph.launch().expect("instantiated");
    context.synchronize().expect("nothing failed");
    let found = gpu.findings();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].kind, "stream-hazard");
}

#[test]
fn what_a_capture_forbids_is_refused_and_spoils_it() {
    let (_gpu, context) = card(Options::new());
    // SAFETY: nothing here shares memory.
    unsafe { context.disable_event_tracking() };
    let (a, b) = (context.new_stream().expect("a stream"), context.new_stream().expect("a stream"));
    let before = b.record_event(None).expect("recorded");
    let spoil = |what: &str, expected: CUresult, call: &dyn Fn() -> CUresult| {
        a.begin_capture(LOCAL).expect("not capturing");
        assert_eq!(call(), expected, "{what}");
        let ended = a.end_capture(Flags(0)).map(|_| ());
        assert_eq!(code(ended), CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "{what}");
    };
    spoil("synchronize", CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, &|| {
        code(a.synchronize())
    });
    spoil("context", CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, &|| {
        code(context.synchronize())
    });
    spoil("isolation", CUresult::CUDA_ERROR_STREAM_CAPTURE_ISOLATION, &|| code(a.wait(&before)));
    spoil("allocation", CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, &|| {
        // SAFETY: refused.
        code(unsafe { result::malloc_sync(16) })
    });
    spoil("a captured event", CUresult::CUDA_ERROR_CAPTURED_EVENT, &|| {
        let event = a.record_event(None).expect("captured");
        code(event.synchronize())
    });

    a.begin_capture(LOCAL).expect("not capturing");
    assert_eq!(code(a.begin_capture(LOCAL)), CUresult::CUDA_ERROR_ILLEGAL_STATE);
    b.join(&a).expect("drawn into the capture");
    assert_eq!(code(b.end_capture(Flags(0))), CUresult::CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
    a.end_capture(Flags(0)).expect("b added nothing, so nothing is unjoined");
    assert_eq!(code(a.end_capture(Flags(0))), CUresult::CUDA_ERROR_ILLEGAL_STATE);
    let default = context.default_stream();
    assert_eq!(code(default.begin_capture(LOCAL)), CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
}

#[test]
fn unjoined_work_and_another_thread_are_refused() {
    let (_gpu, context) = card(Options::new());
    // SAFETY: nothing here shares memory.
    unsafe { context.disable_event_tracking() };
    let (a, b) = (context.new_stream().expect("a stream"), context.new_stream().expect("a stream"));
    let mut data = a.alloc_zeros::<u8>(16).expect("there is room");
    a.begin_capture(LOCAL).expect("not capturing");
    b.join(&a).expect("drawn into the capture");
    b.memset_zeros(&mut data).expect("captured");
    let elsewhere = std::thread::scope(|scope| {
        scope.spawn(|| code(a.end_capture(Flags(0)).map(|_| ()))).join()
    });
    assert_eq!(elsewhere.expect("no panic"), CUresult::CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
    assert_eq!(code(a.end_capture(Flags(0))), CUresult::CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
    assert_eq!(a.synchronize(), Ok(()), "the capture is over");
}

#[test]
fn the_legacy_stream_does_not_wait_for_a_capture() {
    let (_gpu, context) = card(Options::new());
    let raw = result::stream::create(result::stream::StreamKind::Default).expect("a stream");
    // SAFETY: destroyed with the context.
    let blocking = unsafe { context.wrap_borrowed_stream(raw) };
    let mut data = context.default_stream().alloc_zeros::<u8>(16).expect("there is room");
    blocking.begin_capture(LOCAL).expect("not capturing");
    let implicit = context.default_stream().memset_zeros(&mut data);
    assert_eq!(code(implicit), CUresult::CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    assert_eq!(
        code(blocking.end_capture(Flags(0))),
        CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
    );
}

#[test]
fn updating_a_graph_is_refused_by_name() {
    let (gpu, context) = card(Options::new().quiet(true));
    context.bind_to_thread().expect("alive");
    // SAFETY: refused before any pointer is looked at.
    let answer = unsafe {
        sys::cuGraphExecUpdate_v2(std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut())
    };
    assert_eq!(answer, CUresult::CUDA_ERROR_NOT_SUPPORTED);
    assert!(
        gpu.notes().iter().any(|note| note.contains("cuGraphExecUpdate_v2")),
        "{:?}",
        gpu.notes()
    );
}
