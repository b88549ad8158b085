//! Allocations, copies and fills, as the calls of the driver submit them.

use std::sync::Arc;

use crate::context::Context;
use crate::driver::Driver;
use crate::error::{CuError, Result};
use crate::handle::Id;
use crate::host::HostSpan;
use crate::ops::{OpId, Work};
use crate::stream::Stream;

/// How an allocation was made.
pub enum Kind {
    /// `cuMemAlloc`.
    Device,
    /// `cuMemAllocAsync`.
    Pool,
    /// `cuMemHostAlloc`: host memory under the address that kernels know it by too.
    Pinned,
    /// `cuMemAllocManaged`: the same, freed as device memory is.
    Managed,
}

impl Kind {
    /// Whether the host reaches it by its address.
    fn is_host(&self) -> bool {
        matches!(self, Kind::Pinned | Kind::Managed)
    }
}

/// One live allocation.
pub struct Block {
    /// Length in bytes.
    pub bytes: u64,
    /// Ordinal of its device.
    pub device: usize,
    /// Its context.
    pub context: Id<Context>,
    /// How it was made.
    pub kind: Kind,
    /// Whether a free is in flight.
    pub freeing: bool,
}

impl Driver {
    /// Allocates `bytes` on the context's device, of kind `Device` or `Pool`.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY` past the card's size, or past what this machine can give.
    pub fn allocate(&mut self, context: Id<Context>, bytes: u64, kind: Kind) -> Result<u64> {
        let device = self.context(context)?.device;
        let card = &self.devices[device];
        if bytes > card.preset.memory - card.used.min(card.preset.memory) {
            return Err(CuError::OUT_OF_MEMORY);
        }
        if let Some(room) = machine_memory()
            && bytes > room
        {
            self.report.note(format!(
                "{bytes} bytes fit the card but not this machine, which has {room} bytes free"
            ));
            return Err(CuError::OUT_OF_MEMORY);
        }
        let address = self.memory.alloc(bytes).map_err(|_| CuError::OUT_OF_MEMORY)?;
        self.devices[device].used += bytes;
        self.blocks.insert(address, Block { bytes, device, context, kind, freeing: false });
        Ok(address)
    }

    /// Allocates in stream order.
    ///
    /// # Errors
    /// As [`Driver::allocate`]; `STREAM_CAPTURE_UNSUPPORTED` in a capture, where softgpu has no
    /// allocation nodes.
    pub fn allocate_async(&mut self, stream: Id<Stream>, bytes: u64) -> Result<u64> {
        self.refuse_capture(stream, "cuMemAllocAsync")?;
        let context = self.streams.get(stream).ok_or(CuError::INVALID_HANDLE)?.context;
        if bytes == 0 {
            return Ok(0);
        }
        let address = self.allocate(context, bytes, Kind::Pool)?;
        self.submit(stream, Work::Begin { address, bytes }, "cuMemAllocAsync", Vec::new())?;
        Ok(address)
    }

    /// Frees in stream order.
    ///
    /// # Errors
    /// `INVALID_VALUE` for what is no allocation, managed, or being freed already;
    /// `STREAM_CAPTURE_UNSUPPORTED` in a capture.
    pub fn free_async(&mut self, stream: Id<Stream>, address: u64) -> Result<()> {
        self.refuse_capture(stream, "cuMemFreeAsync")?;
        if address == 0 {
            return Ok(());
        }
        if self.blocks.get(&address).is_some_and(|block| block.kind.is_host()) {
            return Err(CuError::INVALID_VALUE);
        }
        self.begin_free(address)?;
        self.submit(stream, Work::Free { address }, "cuMemFreeAsync", Vec::new())?;
        Ok(())
    }

    /// Marks an allocation as being freed; [`Driver::release`] ends it once nothing is in flight.
    ///
    /// # Errors
    /// `INVALID_VALUE` for what is no allocation, is pinned host memory, or is being freed already.
    pub fn begin_free(&mut self, address: u64) -> Result<()> {
        let block = self.blocks.get_mut(&address).ok_or(CuError::INVALID_VALUE)?;
        if block.freeing || matches!(block.kind, Kind::Pinned) {
            return Err(CuError::INVALID_VALUE);
        }
        block.freeing = true;
        Ok(())
    }

    /// Ends an allocation.
    pub fn release(&mut self, address: u64) {
        let Some(block) = self.blocks.remove(&address) else { return };
        if !block.kind.is_host() {
            let used = &mut self.devices[block.device].used;
            *used = used.saturating_sub(block.bytes);
        }
        // Refused only for what is no allocation of the interpreter, which was looked up just now.
        let _ = self.memory.free(address);
    }

    /// The allocation that holds `address`: its start and length.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub fn find_block(&self, address: u64) -> Result<(u64, u64)> {
        let (&base, block) = self.blocks.range(..=address).next_back().ok_or(CuError::NOT_FOUND)?;
        if address - base < block.bytes { Ok((base, block.bytes)) } else { Err(CuError::NOT_FOUND) }
    }

    /// Fails unless all of the range is live device memory.
    ///
    /// # Errors
    /// `INVALID_VALUE`.
    pub fn check_range(&self, address: u64, bytes: u64) -> Result<()> {
        let end = address.checked_add(bytes).ok_or(CuError::INVALID_VALUE)?;
        match self.memory.lookup(address) {
            Some(found) if end <= found.address + found.bytes => Ok(()),
            _ => Err(CuError::INVALID_VALUE),
        }
    }

    /// Allocates memory of the host that kernels reach too, of kind `Pinned` or `Managed`. It takes
    /// nothing of a card's memory.
    ///
    /// # Errors
    /// `INVALID_VALUE` for no bytes, `OUT_OF_MEMORY`.
    pub fn allocate_host(&mut self, context: Id<Context>, bytes: u64, kind: Kind) -> Result<u64> {
        let device = self.context(context)?.device;
        if bytes == 0 {
            return Err(CuError::INVALID_VALUE);
        }
        if machine_memory().is_some_and(|room| bytes > room) {
            return Err(CuError::OUT_OF_MEMORY);
        }
        let address = self.memory.alloc_host(bytes).map_err(|_| CuError::OUT_OF_MEMORY)?;
        self.blocks.insert(address, Block { bytes, device, context, kind, freeing: false });
        Ok(address)
    }

    /// Fails unless all of the range is managed memory.
    ///
    /// # Errors
    /// `INVALID_VALUE`.
    pub fn check_managed(&self, address: u64, bytes: u64) -> Result<()> {
        self.check_range(address, bytes)?;
        let (base, _) = self.find_block(address).map_err(|_| CuError::INVALID_VALUE)?;
        match self.blocks.get(&base) {
            Some(Block { kind: Kind::Managed, freeing: false, .. }) => Ok(()),
            _ => Err(CuError::INVALID_VALUE),
        }
    }

    /// Moves managed memory to where it is said to be needed, or ties it to a stream, in stream
    /// order: there is but one place that it can be in, so it only takes its turn.
    ///
    /// # Errors
    /// `INVALID_VALUE` for no bytes, and for what is not managed memory.
    pub fn place_managed(
        &mut self,
        stream: Id<Stream>,
        address: u64,
        bytes: u64,
        label: &'static str,
    ) -> Result<()> {
        if bytes == 0 {
            return Err(CuError::INVALID_VALUE);
        }
        self.check_managed(address, bytes)?;
        self.submit(stream, Work::Nothing, label, Vec::new()).map(drop)
    }

    /// The address by which kernels know page-locked memory: the host's.
    ///
    /// # Errors
    /// `INVALID_VALUE` for what is not page-locked memory.
    pub fn device_pointer(&self, host: u64) -> Result<u64> {
        let (base, _) = self.find_block(host).map_err(|_| CuError::INVALID_VALUE)?;
        self.check_host_block(base).map(|()| host)
    }

    /// Fails unless `address` is the start of page-locked memory.
    ///
    /// # Errors
    /// `INVALID_VALUE`.
    pub fn check_host_block(&self, address: u64) -> Result<()> {
        match self.blocks.get(&address) {
            Some(Block { kind: Kind::Pinned, .. }) => Ok(()),
            _ => Err(CuError::INVALID_VALUE),
        }
    }

    /// Whether the driver knows this host memory: then copies read it when they run, not at the
    /// call.
    fn is_pinned(&self, span: HostSpan) -> bool {
        self.blocks.range(..=span.address()).next_back().is_some_and(|(&base, block)| {
            block.kind.is_host() && span.address() - base + span.bytes() as u64 <= block.bytes
        })
    }

    /// Copies host memory to the device in stream order. Returns what the call must wait for.
    ///
    /// # Errors
    /// `INVALID_VALUE` when the range is not live device memory.
    pub fn upload(&mut self, stream: Id<Stream>, to: u64, from: HostSpan) -> Result<()> {
        if from.bytes() == 0 {
            return Ok(());
        }
        self.check_range(to, from.bytes() as u64)?;
        // A graph reads pageable memory too when it is launched; otherwise the driver takes a copy
        // at the call.
        let later = self.is_pinned(from) || self.is_capturing(stream);
        let work = if later {
            Work::Upload { to, from }
        } else {
            let mut data = Vec::with_capacity(from.bytes());
            let taken: std::result::Result<(), std::convert::Infallible> =
                from.read_into(|_, piece| {
                    data.extend_from_slice(piece);
                    Ok(())
                });
            let Ok(()) = taken;
            Work::Put { to, data: Arc::from(data) }
        };
        self.submit(stream, work, "copy host to device", Vec::new())?;
        Ok(())
    }

    /// Copies device memory to the host in stream order. The number returned is of the operation
    /// that the call must wait for: a copy to pageable memory returns when it is done.
    ///
    /// # Errors
    /// `INVALID_VALUE` when the range is not live device memory.
    pub fn download(
        &mut self,
        stream: Id<Stream>,
        to: HostSpan,
        from: u64,
    ) -> Result<Option<OpId>> {
        if to.bytes() == 0 {
            return Ok(None);
        }
        self.check_range(from, to.bytes() as u64)?;
        let pinned = self.is_pinned(to);
        let op =
            self.submit(stream, Work::Download { to, from }, "copy device to host", Vec::new())?;
        Ok((!pinned && op != 0).then_some(op))
    }

    /// Copies inside device memory in stream order.
    ///
    /// # Errors
    /// `INVALID_VALUE` when a range is not live device memory.
    pub fn copy(&mut self, stream: Id<Stream>, to: u64, from: u64, bytes: u64) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.check_range(from, bytes)?;
        self.check_range(to, bytes)?;
        self.submit(stream, Work::Copy { to, from, bytes }, "copy device to device", Vec::new())?;
        Ok(())
    }

    /// Fills `count` elements of `pattern` (1, 2 or 4 bytes) in stream order.
    ///
    /// # Errors
    /// `INVALID_VALUE` when the range is not live device memory or not aligned to the pattern.
    pub fn fill(&mut self, stream: Id<Stream>, to: u64, pattern: &[u8], count: u64) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let bytes = count.checked_mul(pattern.len() as u64).ok_or(CuError::INVALID_VALUE)?;
        if !to.is_multiple_of(pattern.len() as u64) {
            return Err(CuError::INVALID_VALUE);
        }
        self.check_range(to, bytes)?;
        let work = Work::Fill { to, pattern: pattern.to_vec(), count };
        self.submit(stream, work, "memset", Vec::new())?;
        Ok(())
    }
}

/// Bytes that this machine can still give, with an eighth kept back; `None` where that is not
/// known.
fn machine_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some((kib << 10) / 8 * 7)
}
