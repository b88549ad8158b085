//! A safe reader for the pickles that `torch.save` writes for a state dict.
//!
//! A pickle is a program for a stack machine that may call anything Python can import. This machine
//! can build plain values and tensors' descriptions, nothing else: every other name it asks for is
//! refused with that name. Values live in one table and refer to each other by index, so no input,
//! however nested or cyclic, makes anything recurse; table, stack and memo have fixed limits, and
//! strings are slices of the input.
//!
//! Source: CPython's `Lib/pickletools.py` for the operations, `torch/_utils.py` and
//! `torch/serialization.py` for the four functions and the persistent ids.

mod machine;

use super::float_type::FloatType;
use machine::Machine;

/// A parse result; the error is a sentence without the file's name.
pub type Parse<T> = std::result::Result<T, String>;

/// A value's place in [`Pickle::values`].
pub type Id = u32;

/// The names that a state dict may load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`.
    RebuildParameter,
    /// A storage class such as `torch.FloatStorage`.
    Storage(Kind),
}

/// What a storage holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Floating-point numbers, which can be read.
    Float(FloatType),
    /// Something else of this many bytes each, which can only be skipped.
    Other(usize),
}

impl Kind {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Kind::Float(float_type) => float_type.size(),
            Kind::Other(size) => size,
        }
    }
}

/// What a pickle can build here.
#[derive(Clone, Debug)]
pub enum Object<'a> {
    /// Python's None.
    None,
    /// True or False.
    Bool(bool),
    /// An integer of at most 16 bytes.
    Int(i128),
    /// A float; none is ever read.
    Float,
    /// Text, or bytes that are ASCII, as Python 2 wrote its text.
    Text(&'a str),
    /// Other bytes; none are ever read.
    Bytes,
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A dictionary, plain or ordered.
    Dict(Vec<(Id, Id)>),
    /// A permitted name.
    Global(Global),
    /// Numbers stored beside the pickle.
    Storage(Storage<'a>),
    /// A view of a storage.
    Tensor(Box<TensorObject<'a>>),
}

/// Numbers stored beside the pickle.
#[derive(Clone, Copy, Debug)]
pub struct Storage<'a> {
    /// Its name in the archive.
    pub key: &'a str,
    /// What it holds.
    pub kind: Kind,
    /// Its elements, as claimed.
    pub count: u64,
    /// First element of a view, in files from before 2018.
    pub view: u64,
}

/// A view of a storage.
#[derive(Clone, Debug)]
pub struct TensorObject<'a> {
    /// Where its numbers are.
    pub storage: Storage<'a>,
    /// First element.
    pub offset: u64,
    /// Extents, in PyTorch's order.
    pub size: Vec<usize>,
    /// Elements from one index to the next, for each extent.
    pub stride: Vec<usize>,
}

/// A pickle that was read.
pub struct Pickle<'a> {
    /// Everything it built; members refer to it by index.
    pub values: Vec<Object<'a>>,
    /// What it returns.
    pub root: Id,
    /// Bytes that it took of the input.
    pub length: usize,
}

impl<'a> Pickle<'a> {
    /// Runs the pickle at the start of `input`.
    ///
    /// # Errors
    /// A sentence that names what is refused, or the byte where the pickle is damaged.
    pub fn read(input: &'a [u8]) -> Parse<Self> {
        Machine::new(input).run()
    }

    /// The value behind an index.
    pub fn get(&self, id: Id) -> &Object<'a> {
        &self.values[id as usize]
    }
}
