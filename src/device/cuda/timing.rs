//! Times measured by the device's own clock.
//!
//! An event is a point in the stream; the time between two events is that of the work between them.
//! It leaves out the host's time for a launch only while the device has other work: the memory that
//! a [`Stopwatch`] writes right before it starts provides that, in addition to emptying the cache.

use cudarc::driver::sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE;
use cudarc::driver::sys::CUevent_flags::CU_EVENT_DEFAULT;
use cudarc::driver::{CudaEvent, CudaSlice};

use super::{Cuda, Failure, failed};
use crate::error::Result;

/// Two events, and memory that is written before the first to empty the cache.
pub struct Stopwatch {
    begin: CudaEvent,
    end: CudaEvent,
    flush: Option<CudaSlice<u8>>,
}

fn timing(error: Failure) -> crate::Error {
    failed("time its work", &error)
}

impl Cuda {
    /// Bytes of the GPU's L2 cache.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn cache_bytes(&self) -> Result<usize> {
        let bytes = self.context.attribute(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE).map_err(timing)?;
        Ok(usize::try_from(bytes).unwrap_or(0))
    }

    /// A stopwatch that writes `flush` bytes each time before it starts, 0 for none. If these are
    /// more than the L2 cache holds, no timed kernel finds its operands there.
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where there is not enough memory.
    pub fn stopwatch(&self, flush: usize) -> Result<Stopwatch> {
        let event = || self.context.new_event(Some(CU_EVENT_DEFAULT)).map_err(timing);
        let flush = (flush > 0).then(|| self.allocate(flush)).transpose()?;
        Ok(Stopwatch { begin: event()?, end: event()?, flush })
    }

    /// Seconds that the device takes for what `work` launches. Waits for it.
    ///
    /// # Errors
    /// Those of `work` and of the driver.
    pub fn time(
        &mut self,
        watch: &mut Stopwatch,
        work: impl FnOnce(&mut Cuda) -> Result<()>,
    ) -> Result<f64> {
        self.tell()?;
        if let Some(flush) = &mut watch.flush {
            self.stream.memset_zeros(flush).map_err(timing)?;
        }
        watch.begin.record(&self.stream).map_err(timing)?;
        work(self)?;
        watch.end.record(&self.stream).map_err(timing)?;
        let ms = watch.begin.elapsed_ms(&watch.end).map_err(timing)?;
        Ok(f64::from(ms) * 1e-3)
    }

    /// Bytes per second, read plus written, of a copy of `bytes` bytes within the device's memory;
    /// the fastest of `repetitions`. An upper bound for kernels that only move bytes.
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where there is not enough memory.
    pub fn copy_rate(&mut self, bytes: usize, repetitions: usize) -> Result<f64> {
        let from = self.stream.alloc_zeros::<u8>(bytes.max(1)).map_err(timing)?;
        let mut to = self.allocate(bytes)?;
        // The write is not for the cache, which a copy of this size exceeds, but to let the host
        // run ahead of the device.
        let mut watch = self.stopwatch(bytes / 4)?;
        let mut least = f64::INFINITY;
        // One repetition more: the first copy touches pages for the first time.
        for _ in 0..=repetitions.max(1) {
            let copy = |cuda: &mut Cuda| {
                cuda.stream.memcpy_dtod(&from, &mut to).map_err(|e| failed("copy", &e))
            };
            least = least.min(self.time(&mut watch, copy)?);
        }
        // Events have a resolution of half a microsecond.
        Ok(2.0 * bytes as f64 / least.max(5e-7))
    }
}
