//! One layer of a network in words and numbers, for tables.

use crate::tensor::Shape;

/// A block for an input of known extents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// "down3", "up1", "layer2".
    pub name: String,
    /// Convolution as rows x columns / stride / pad: "transposed 4x4/2/1".
    pub window: String,
    /// Extents of the input, skip connection included.
    pub input: Shape,
    /// Extents of the output.
    pub output: Shape,
    /// Trained numbers.
    pub parameters: usize,
    /// Multiplications of one forward pass.
    pub multiplications: usize,
    /// Norm, dropout and activation behind the convolution: "batch norm, ReLU".
    pub then: String,
}
