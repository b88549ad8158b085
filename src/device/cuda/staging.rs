//! Pictures on their way to the device: copied to pinned memory, from there by a stream of their own,
//! so that the next batch travels while a step is computed.
#![allow(unsafe_code)]

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaEvent, CudaSlice, CudaStream, PinnedHostSlice};

use super::{ByteAddress, Cuda, Failure, failed};
use crate::error::Result;

/// Batches of pictures that can be on their way at a time: input and target of two steps.
const SLOTS: usize = 4;

/// One batch of pictures.
struct Slot {
    host: PinnedHostSlice<u8>,
    device: CudaSlice<u8>,
    /// The copy to the device is done.
    arrived: CudaEvent,
    /// The kernels that read it are done.
    read: CudaEvent,
}

/// A ring of slots and the stream that fills them.
pub(super) struct Staging {
    stream: Arc<CudaStream>,
    slots: Vec<Slot>,
    next: usize,
}

fn carrying(error: Failure) -> crate::Error {
    failed("take pictures", &error)
}

impl Staging {
    pub fn new(context: &Arc<CudaContext>) -> Result<Self> {
        let stream = context.new_stream().map_err(carrying)?;
        Ok(Staging { stream, slots: Vec::new(), next: 0 })
    }
}

impl Slot {
    fn new(context: &Arc<CudaContext>, stream: &Arc<CudaStream>, len: usize) -> Result<Self> {
        // SAFETY: both are written before they are read: `Cuda::stage` fills the front of the host's
        // and copies as much.
        let (host, device) = unsafe { (context.alloc_pinned::<u8>(len), stream.alloc::<u8>(len)) };
        let event = || context.new_event(None).map_err(carrying);
        Ok(Slot {
            host: host.map_err(carrying)?,
            device: device.map_err(carrying)?,
            arrived: event()?,
            read: event()?,
        })
    }
}

impl Cuda {
    /// Sends bytes to the device, in one copy, and calls `read`, which launches what reads them from the
    /// addresses it is given, multiples of 16. Returns at once: kernels wait for the bytes, the bytes for an earlier reader of
    /// their place.
    ///
    /// # Errors
    /// Those of `read` and of the driver.
    pub fn stage<const N: usize>(
        &mut self,
        parts: [&[u8]; N],
        read: impl FnOnce(&mut Cuda, [ByteAddress; N]) -> Result<()>,
    ) -> Result<()> {
        let staging = &mut self.staging;
        let at = staging.next % SLOTS;
        staging.next += 1;
        let stream = staging.stream.clone();
        let mut end = 0;
        let begins = parts.map(|part| {
            let begin = end;
            end = (begin + part.len()).next_multiple_of(16);
            begin
        });
        let len = end.next_multiple_of(256);
        if staging.slots.get(at).is_none_or(|slot| slot.device.len() < len) {
            // A slot in use must not go: wait for both streams.
            stream.synchronize().map_err(carrying)?;
            self.stream.synchronize().map_err(carrying)?;
            let slot = Slot::new(&self.context, &stream, len)?;
            if at < staging.slots.len() {
                staging.slots[at] = slot;
            } else {
                staging.slots.push(slot);
            }
        }
        let slot = &mut staging.slots[at];
        // The last copy out of it, two steps ago, must be done: cudarc's own event of the slice is not
        // recorded, its tracking is off.
        slot.arrived.synchronize().map_err(carrying)?;
        let host = slot.host.as_mut_slice().map_err(carrying)?;
        for (part, begin) in parts.into_iter().zip(begins) {
            host[begin..begin + part.len()].copy_from_slice(part);
        }
        stream.wait(&slot.read).map_err(carrying)?;
        let mut target = slot.device.slice_mut(0..slot.host.len());
        stream.memcpy_htod(&slot.host, &mut target).map_err(carrying)?;
        slot.arrived.record(&stream).map_err(carrying)?;
        self.stream.wait(&slot.arrived).map_err(carrying)?;
        let base = self.address_of(Some(&self.staging.slots[at].device));
        read(self, begins.map(|begin| ByteAddress(base + begin as u64)))?;
        self.staging.slots[at].read.record(&self.stream).map_err(carrying)
    }

    /// Calls `write` with the address of `bytes.len()` bytes on the device, which it launches a
    /// kernel to fill, and copies them back.
    ///
    /// # Errors
    /// Those of `write` and of the driver.
    pub fn fetch(
        &mut self,
        bytes: &mut [u8],
        write: impl FnOnce(&mut Cuda, ByteAddress) -> Result<()>,
    ) -> Result<()> {
        let buffer = self.allocate(bytes.len())?;
        write(self, ByteAddress(self.address_of(Some(&buffer))))?;
        let copied = self.stream.memcpy_dtoh(&buffer.slice(0..bytes.len()), bytes);
        copied.map_err(|e| failed("give pictures", &e))?;
        self.finish()
    }
}
