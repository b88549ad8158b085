//! Data: from a folder of pictures to batches of samples, in an order that a seed decides.
//!
//! [`Folder`] lists the pairs, [`Image`] decodes and resizes one image, [`Augment`] draws crop and
//! flip, [`Loader`] does all of it ahead of the trainer in threads, from any [`Pairs`]; [`sheet()`] puts
//! results side by side. Everything here is host memory: rows from the top, channels fastest, 8 bits a
//! channel or 16 or floats. The step uploads them, crops and mirrors as was drawn, and makes [-1, 1] of
//! them.

mod augment;
mod decode;
mod domain;
mod folder;
mod format;
mod image;
mod loader;
mod order;
mod pair;
mod pairs;
mod resize;
mod scan;
mod sheet;

pub use augment::Augment;
pub use decode::{ImageHeader, MAX_PIXELS, MAX_SIDE, Notes};
pub use domain::{Class, Domain, DomainKind, Domains};
pub use folder::{Folder, Layout, ScanOptions, Skipped};
pub use format::{is_writable, writable_extensions};
pub use image::{Image, PixelFormat};
pub use loader::{Batch, Loader, LoaderOptions};
pub use order::Order;
pub use pair::{Direction, Pair, PairSource};
pub use pairs::{MemoryPairs, Pairs, plain};
pub use scan::{Listing, list};
pub use sheet::{GAP, sheet};
