//! Graphs.

use std::ffi::{c_ulonglong, c_void};

use super::{api, here, lock, on_stream, put};
use crate::error::CuError;
use crate::handle::Id;

api! {
    fn cuGraphInstantiateWithFlags(exec: *mut u64, graph: u64, flags: c_ulonglong) {
        let (mut driver, _) = here()?;
        if exec.is_null() {
            return Err(CuError::INVALID_VALUE);
        }
        let id = driver.instantiate(Id::from_raw(graph), flags)?;
        // SAFETY: `put` checks; the rest is the caller's contract.
        unsafe { put(exec, id.raw()) }
    }

    queue fn cuGraphLaunch(exec: u64, stream: u64) {
        let (mut driver, _, stream) = on_stream(stream)?;
        driver.launch_graph(Id::from_raw(exec), stream)
    }

    fn cuGraphUpload(exec: u64, stream: u64) {
        let (mut driver, _, stream) = on_stream(stream)?;
        driver.refuse_capture(stream, "cuGraphUpload")?;
        // Everything that a graph needs is there from its instantiation.
        driver.execs.get(Id::from_raw(exec)).map(|_| ()).ok_or(CuError::INVALID_VALUE)
    }

    fn cuGraphExecUpdate_v2(exec: u64, graph: u64, result: *mut c_void) {
        let _ = (exec, graph, result);
        let why = "cuGraphExecUpdate_v2 is not built; instantiate the new graph";
        lock()?.report.complain(why.into());
        Err(CuError::NOT_SUPPORTED)
    }

    fn cuGraphExecDestroy(exec: u64) {
        lock()?.execs.remove(Id::from_raw(exec)).map(|_| ()).ok_or(CuError::INVALID_VALUE)
    }

    fn cuGraphDestroy(graph: u64) {
        lock()?.graphs.remove(Id::from_raw(graph)).map(|_| ()).ok_or(CuError::INVALID_VALUE)
    }
}
