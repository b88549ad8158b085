//! Upload of pictures: copied to pinned memory and from there to the device on a separate stream,
//! so that the next batch is transferred while a step is computed.
#![allow(unsafe_code)]

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaEvent, CudaSlice, CudaStream, PinnedHostSlice};

use super::{ByteAddress, Cuda, Failure, failed};
use crate::error::Result;

/// Batches of pictures that can be in transfer at a time: input and target of two steps.
const SLOTS: usize = 4;

/// One batch of pictures.
struct Slot {
    host: PinnedHostSlice<u8>,
    device: CudaSlice<u8>,
    /// Recorded after the copy to the device.
    arrived: CudaEvent,
    /// Recorded after the kernels that read the batch.
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
        // SAFETY: the buffers are uninitialised. `Cuda::stage` writes every part to the host buffer
        // and copies that to the device before kernels read the parts there; bytes between and
        // after the parts are copied but never read.
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
    /// Sends parts of bytes to the device in one copy, and calls `read` with their addresses there,
    /// multiples of 16, to launch the kernels that read them. Returns without waiting: on the
    /// device, the kernels wait for the copy, and the copy for the previous readers of the slot.
    ///
    /// # Errors
    /// Those of `read` and of the driver.
    pub(crate) fn stage<const N: usize>(
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
            // The old slot may still be in use: wait for both streams before it is freed.
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
        // The previous copy from this host buffer, two steps ago, must be done. cudarc does not
        // wait for it, because its event tracking is off.
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

    /// Calls `write` with the address of a buffer of `bytes.len()` bytes on the device, to launch a
    /// kernel that fills it, and copies the buffer to `bytes`.
    ///
    /// # Errors
    /// Those of `write` and of the driver.
    pub(crate) fn fetch(
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
