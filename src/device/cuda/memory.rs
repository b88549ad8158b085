//! [`Device`] on a GPU: the arena, transfers, the step's state and the ring of losses.

use std::sync::Arc;

use cudarc::driver::CudaSlice;

use super::{ByteAddress, COUNTERS, Cuda, HeldConstant, STATE_BYTES, State, failed};
use crate::device::{Device, FreeMemory, RING_ROWS, RING_WIDTH, StepState};
use crate::error::Result;
use crate::tensor::{Elem, View};

/// Appends the bytes of one number, as `elem` stores it.
fn stored(elem: Elem, value: f32, out: &mut Vec<u8>) {
    match elem {
        Elem::F32 => out.extend_from_slice(&value.to_le_bytes()),
        Elem::Bf16 => out.extend_from_slice(&half::bf16::from_f32(value).to_le_bytes()),
    }
}

/// The number that `elem` stores as `bytes`.
fn loaded(elem: Elem, bytes: &[u8]) -> f32 {
    match elem {
        Elem::F32 => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        Elem::Bf16 => half::bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
    }
}

/// First byte of the counts in the memory of constants, behind the counters.
const COUNTS_AT: usize = STATE_BYTES + 4 * (RING_ROWS * RING_WIDTH + COUNTERS);

/// `COUNTERS` whole numbers of 4 bytes that kernels add to and the host reads.
impl Cuda {
    /// Where the counts are.
    pub(crate) fn counts_address(&self) -> ByteAddress {
        ByteAddress(self.state_address().0 + COUNTS_AT as u64)
    }

    /// Sets the first `count` of the counts to 0, after everything that was launched.
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where the device failed.
    pub(crate) fn clear_counts(&mut self, count: usize) -> Result<()> {
        let mut counts = self.constants.slice_mut(COUNTS_AT..COUNTS_AT + 4 * count);
        let cleared = self.stream.memset_zeros(&mut counts);
        cleared.map_err(|e| failed("clear its counts", &e))
    }

    /// The first `count` of the counts. Waits for everything that was launched.
    ///
    /// # Errors
    /// [`Error::Machine`](crate::Error::Machine) where a kernel failed.
    pub(crate) fn counts(&self, count: usize) -> Result<Vec<u32>> {
        let counts = self.constants.slice(COUNTS_AT..COUNTS_AT + 4 * count);
        let bytes = self.stream.clone_dtoh(&counts).map_err(|e| failed("give its counts", &e))?;
        self.finish()?;
        let number = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        Ok(bytes.chunks_exact(4).map(number).collect())
    }
}

impl Device for Cuda {
    fn reserve(&mut self, units: usize) -> Result<()> {
        let have = self.arena.as_ref().map_or(0, CudaSlice::len);
        if 4 * units <= have {
            return Ok(());
        }
        self.graphs.clear();
        let mut arena = self.allocate(4 * units)?;
        if let Some(old) = &self.arena {
            let copied = self.stream.memcpy_dtod(old, &mut arena.slice_mut(0..have));
            copied.map_err(|e| failed("move its memory", &e))?;
        }
        self.finish()?;
        self.arena = Some(arena);
        Ok(())
    }

    fn upload(&mut self, to: View, from: &[f32]) -> Result<()> {
        let size = to.elem.size();
        if to.is_dense() {
            let mut bytes = Vec::with_capacity(from.len() * size);
            from.iter().for_each(|&value| stored(to.elem, value, &mut bytes));
            return self.write(to.byte(), &bytes);
        }
        for (i, pixel) in from.chunks_exact(to.shape.c).enumerate() {
            let mut bytes = Vec::with_capacity(pixel.len() * size);
            pixel.iter().for_each(|&value| stored(to.elem, value, &mut bytes));
            self.write(to.byte() + i * to.pitch * size, &bytes)?;
        }
        Ok(())
    }

    fn copy_constant(&mut self, values: &Arc<[f32]>, to: View) -> Result<()> {
        let key = Arc::downgrade(values);
        let known = |held: &[HeldConstant]| held.iter().position(|c| c.values.ptr_eq(&key));
        let i = match known(&self.held) {
            Some(i) => i,
            None => {
                self.held.retain(|c| c.values.strong_count() > 0);
                let mut copy = self.allocate(4 * values.len())?;
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                let copied = self.stream.memcpy_htod(&bytes, &mut copy);
                copied.map_err(|e| failed("be given a constant", &e))?;
                // `bytes` is freed when this returns.
                self.finish()?;
                self.held.push(HeldConstant { values: key, copy });
                self.held.len() - 1
            }
        };
        let Some(arena) = &mut self.arena else { return Ok(()) };
        let bytes = 4 * values.len();
        let source = self.held[i].copy.slice(0..bytes);
        let copied =
            self.stream.memcpy_dtod(&source, &mut arena.slice_mut(to.byte()..to.byte() + bytes));
        copied.map_err(|e| failed("copy a constant", &e))
    }

    fn download(&self, from: View, to: &mut [f32]) -> Result<()> {
        let size = from.elem.size();
        let rows = if from.is_dense() {
            vec![(0, to)]
        } else {
            to.chunks_exact_mut(from.shape.c).enumerate().collect()
        };
        for (i, values) in rows {
            let mut bytes = vec![0; values.len() * size];
            self.read(from.byte() + i * from.pitch * size, &mut bytes)?;
            for (value, bytes) in values.iter_mut().zip(bytes.chunks_exact(size)) {
                *value = loaded(from.elem, bytes);
            }
        }
        Ok(())
    }

    fn set_state(&mut self, state: StepState) {
        self.step = state;
        let row = (self.state.row + 1) % RING_ROWS as u32;
        let StepState { seed, step, lr, micro } = state;
        self.state = State { seed, step, lr, row, micro };
        self.told = false;
    }

    fn kept_losses(&self, runs: usize, count: usize) -> Result<Vec<Vec<f32>>> {
        let ring = self.constants.slice(STATE_BYTES..STATE_BYTES + 4 * RING_ROWS * RING_WIDTH);
        let bytes = self.stream.clone_dtoh(&ring).map_err(|e| failed("give its losses", &e))?;
        self.finish()?;
        let row = |back: usize| {
            let row = (self.state.row as usize + RING_ROWS - back) % RING_ROWS;
            let row = &bytes[4 * RING_WIDTH * row..][..4 * count];
            row.chunks_exact(4).map(|b| loaded(Elem::F32, b)).collect()
        };
        Ok((0..runs.min(RING_ROWS)).rev().map(row).collect())
    }

    fn runs_ahead(&self) -> usize {
        RING_ROWS / 2
    }

    fn is_host(&self) -> bool {
        false
    }

    fn elem(&self) -> Elem {
        self.options.precision.elem()
    }

    fn free_memory(&self) -> Option<FreeMemory> {
        self.context.mem_get_info().ok().map(|(free, _)| (free as u64).into())
    }

    fn describe(&self) -> String {
        let name = self.context.name().unwrap_or_else(|_| "GPU".to_string());
        let (major, minor) = self.nvrtc.version;
        format!(
            "{name} (cuda:{}), precision {}, NVRTC {major}.{minor}",
            self.options.ordinal,
            self.options.precision.name()
        )
    }
}
