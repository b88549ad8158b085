//! Shapes and views: where a tensor lies, as plain numbers. Imports nothing of the crate but errors.

mod elem;
mod shape;
mod view;

pub use elem::Elem;
pub use shape::Shape;
pub use view::View;
