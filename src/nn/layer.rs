//! The description of one layer of a network, for tables.

use crate::tensor::Shape;

/// A block and the shapes that it has for a certain input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// "down3", "up1", "layer2".
    pub name: String,
    /// Convolution as rows x columns / stride / pad: "transposed 4x4/2/1".
    pub window: String,
    /// Shape of the input, skip connection included.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// Number of trained values.
    pub parameters: usize,
    /// Multiplications of one forward pass over the input.
    pub multiplications: usize,
    /// Norm, dropout and activation behind the convolution: "batch norm, ReLU".
    pub then: String,
}
