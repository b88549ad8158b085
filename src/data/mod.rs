//! Data: from a folder of pictures to batches of bytes, in an order that a seed decides.
//!
//! [`Folder`] lists the pairs, [`Image`] decodes and resizes one picture, [`Augment`] draws crop
//! and flip, [`Loader`] does all of it ahead of the trainer in threads, [`sheet()`] puts results side
//! by side. Everything here is host bytes: RGB, 8 bits, rows from the top, channels fastest. The
//! step uploads them, cuts and mirrors as was drawn, and makes [-1, 1] of them; [`values`] has the
//! same arithmetic for the host.

mod augment;
mod decode;
mod folder;
mod image;
mod loader;
mod order;
mod pair;
mod resize;
mod scan;
mod sheet;
pub mod values;

pub use augment::{Augment, Draw};
pub use decode::{ImageHeader, MAX_PIXELS, MAX_SIDE, Notes};
pub use folder::{Folder, Layout, ScanOptions, Skipped};
pub use image::Image;
pub use loader::{Batch, Loader, LoaderOptions, plain};
pub use order::Order;
pub use pair::{Direction, Pair, PairSource};
pub use scan::{Listing, list};
pub use sheet::{GAP, sheet};
