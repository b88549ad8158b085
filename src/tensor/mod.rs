//! Shapes and views of tensors, samples and crops of images: plain numbers, without memory or a
//! device.

mod crop;
mod elem;
mod sample;
mod shape;
mod size;
mod view;

pub use crop::Crop;
pub use elem::Elem;
pub(crate) use sample::with_samples;
pub use sample::{Sample, SampleRange, SampleSlice, SampleType, Samples};
pub use shape::Shape;
pub use size::Size;
pub use view::View;
