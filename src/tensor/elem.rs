//! The type of a tensor's elements.

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Elem {
    /// IEEE single precision: everything on the CPU; parameters, statistics, losses everywhere.
    #[default]
    F32,
    /// The upper half of an f32: activations and their gradients, where a GPU runs in bf16.
    Bf16,
}

impl Elem {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Elem::F32 => 4,
            Elem::Bf16 => 2,
        }
    }

    /// Units of the arena, which are 4 bytes each, that `count` elements take.
    pub const fn units(self, count: usize) -> usize {
        (count * self.size()).div_ceil(4)
    }
}
