//! The names of blocks and parameters in state dicts of the PyTorch port of pix2pix
//! (`models/networks.py` of junyanz/pytorch-CycleGAN-and-pix2pix).

use crate::tensor::Shape;

/// The modules of the port that hold a block's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortModules {
    /// Its convolution: "model.model.1.model.1".
    pub conv: String,
    /// Its norm, which has parameters under batch norm only: "model.model.1.model.2".
    pub norm: String,
    /// Whether the port's convolution has a bias. Under norm none the port leaves out the biases of
    /// inner convolutions, where ours has them.
    pub bias: bool,
}

/// A parameter's tensor in a state dict of the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortTensor {
    /// "model.model.1.model.1.weight".
    pub name: String,
    /// Extents in PyTorch's order: filters (dim0, dim1, r, s), which are our (dim0, r, s, dim1) for
    /// both kinds of convolution; vectors (c).
    pub size: Vec<usize>,
    /// The port's files lack this tensor, which is then zero.
    pub implied: bool,
}

impl PortTensor {
    /// The tensor of a filter that is (dim0, r, s, dim1) here.
    pub fn filter(name: String, shape: Shape) -> Self {
        let Shape { n, h, w, c } = shape;
        PortTensor { name, size: vec![n, c, h, w], implied: false }
    }

    /// The tensor of a bias or of a vector of a norm.
    pub fn vector(name: String, length: usize) -> Self {
        PortTensor { name, size: vec![length], implied: false }
    }
}
