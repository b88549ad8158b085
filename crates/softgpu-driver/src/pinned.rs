//! Page-locked host memory, as far as a process without a card can have it: memory that the driver
//! owns.

/// One unit of it; the alignment is what programs may expect of any element type.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// An allocation of it. The bytes are reached through [`Pinned::address`] only, so the vector is
/// never touched again.
#[allow(dead_code)] // kept for its memory alone
pub struct Pinned(Vec<Line>);

impl Pinned {
    /// `bytes` bytes, zeroed.
    pub fn new(bytes: u64) -> Option<Self> {
        let lines = usize::try_from(bytes.div_ceil(64)).ok()?;
        let mut memory = Vec::new();
        memory.try_reserve_exact(lines).ok()?;
        memory.resize(lines, Line([0; 64]));
        Some(Pinned(memory))
    }

    /// Where it begins.
    pub fn address(&mut self) -> u64 {
        self.0.as_mut_ptr() as u64
    }
}
