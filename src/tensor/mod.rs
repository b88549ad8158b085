//! Shapes and views: where a tensor lies, as plain numbers; samples of images and crops of them.
//! Imports nothing of the crate but errors.

mod crop;
mod elem;
mod sample;
mod shape;
mod view;

pub use crop::Crop;
pub use elem::Elem;
pub(crate) use sample::with_samples;
pub use sample::{Sample, SampleRange, SampleSlice, SampleType, Samples};
pub use shape::Shape;
pub use view::View;
