//! How a GPU stores activations and multiplies.

use crate::tensor::Elem;

/// How a GPU stores activations and multiplies. Parameters, moments, statistics, losses and the
/// sums of products are f32 in all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// f32 activations; convolutions in f32 arithmetic.
    F32,
    /// f32 activations; convolutions on tensor cores, operands rounded to 10 bits of fraction.
    Tf32,
    /// bf16 activations (7 bits of fraction); convolutions on tensor cores, operands in bf16.
    Bf16,
}

impl Precision {
    /// Its name on the command line: f32, tf32, bf16.
    pub const fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Tf32 => "tf32",
            Precision::Bf16 => "bf16",
        }
    }

    /// The type that activations are stored as.
    pub const fn elem(self) -> Elem {
        match self {
            Precision::Bf16 => Elem::Bf16,
            _ => Elem::F32,
        }
    }

    /// The precision that kernels on elements of type `elem` are compiled for: losses and
    /// statistics are f32 in bf16 too.
    pub(super) fn of(self, elem: Elem) -> Self {
        match (self, elem) {
            (Precision::Bf16, Elem::F32) => Precision::F32,
            (precision, _) => precision,
        }
    }

    /// The compiler option that selects it in `common.cuh`.
    pub(super) const fn define(self) -> &'static str {
        match self {
            Precision::F32 => "-DPRECISION_F32",
            Precision::Tf32 => "-DPRECISION_TF32",
            Precision::Bf16 => "-DPRECISION_BF16",
        }
    }
}
