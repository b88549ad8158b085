//! Streams.

use std::ffi::{c_int, c_uint, c_void};
use std::sync::Arc;

use super::{IN_CALLBACK, api, gate, here, on_stream, put};
use crate::error::CuError;
use crate::ops::Work;

/// A function that `cuLaunchHostFunc` was given, with its argument.
#[derive(Clone, Copy)]
struct Callback {
    function: unsafe extern "C" fn(*mut c_void),
    data: usize,
}

impl Callback {
    fn call(self) {
        IN_CALLBACK.set(true);
        // SAFETY: the caller of `cuLaunchHostFunc` promised that the function may be called with
        // this argument, from any thread, when the stream comes to it; it is called once for each
        // submission, as on a card.
        unsafe { (self.function)(self.data as *mut c_void) };
        IN_CALLBACK.set(false);
    }
}

api! {
    fn cuStreamCreate(stream: *mut u64, flags: c_uint) {
        let (mut driver, context) = here()?;
        if stream.is_null() {
            return Err(CuError::INVALID_VALUE);
        }
        let id = driver.create_stream(context, flags, 0)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(stream, id.raw()) }
    }

    fn cuStreamCreateWithPriority(stream: *mut u64, flags: c_uint, priority: c_int) {
        let (mut driver, context) = here()?;
        if stream.is_null() {
            return Err(CuError::INVALID_VALUE);
        }
        let id = driver.create_stream(context, flags, priority)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(stream, id.raw()) }
    }

    fn cuStreamGetPriority(stream: u64, priority: *mut c_int) {
        let (driver, _, stream) = on_stream(stream)?;
        let kept = driver.streams.get(stream).map_or(0, |s| s.priority);
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(priority, kept) }
    }

    fn cuStreamDestroy_v2(stream: u64) {
        let (mut driver, _, stream) = on_stream(stream)?;
        driver.destroy_stream(stream)
    }

    fn cuStreamSynchronize(stream: u64) {
        let gate = gate()?;
        let (mut driver, context, stream) = on_stream(stream)?;
        driver.refuse_capture(stream, "cuStreamSynchronize")?;
        let streams = driver.awaited(stream);
        let targets: Vec<_> =
            streams.iter().filter_map(|&s| driver.streams.get(s)).map(|s| s.last).collect();
        let mut driver = gate.wait(driver, &targets);
        for stream in streams {
            driver.host_saw_stream(stream);
        }
        driver.context(context).map(|_| ())
    }

    fn cuStreamQuery(stream: u64) {
        let gate = gate()?;
        let (mut driver, context, stream) = on_stream(stream)?;
        driver.refuse_capture(stream, "cuStreamQuery")?;
        let last = driver.streams.get(stream).map_or(0, |s| s.last);
        if driver.ops.pending.contains_key(&last) {
            gate.nudge(&mut driver, last);
            driver.context(context)?;
            return Err(CuError::NOT_READY);
        }
        driver.host_saw_stream(stream);
        driver.context(context).map(|_| ())
    }

    queue fn cuStreamWaitEvent(stream: u64, event: u64, flags: c_uint) {
        let (mut driver, _, stream) = on_stream(stream)?;
        if flags > 1 {
            return Err(CuError::INVALID_VALUE);
        }
        driver.wait_event(stream, crate::handle::Id::from_raw(event))
    }

    queue fn cuLaunchHostFunc(
        stream: u64,
        function: Option<unsafe extern "C" fn(*mut c_void)>,
        data: *mut c_void,
    ) {
        let (mut driver, _, stream) = on_stream(stream)?;
        let function = function.ok_or(CuError::INVALID_VALUE)?;
        let callback = Callback { function, data: data as usize };
        let work = Work::Host(Arc::new(move || callback.call()));
        driver.submit(stream, work, "cuLaunchHostFunc", Vec::new()).map(|_| ())
    }

    fn cuStreamBeginCapture_v2(stream: u64, mode: c_uint) {
        let (mut driver, _, stream) = on_stream(stream)?;
        driver.begin_capture(stream, mode, std::thread::current().id())
    }

    fn cuStreamEndCapture(stream: u64, graph: *mut u64) {
        let (mut driver, _, stream) = on_stream(stream)?;
        let ended = driver.end_capture(stream, std::thread::current().id());
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(graph, ended.map_or(0, |id| id.raw())) }?;
        ended.map(|_| ())
    }

    fn cuStreamIsCapturing(stream: u64, status: *mut c_uint) {
        let (driver, _, stream) = on_stream(stream)?;
        let value = driver.capture_status(stream)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(status, value) }
    }
}
