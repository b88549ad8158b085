//! Data: from a folder of images to batches of samples, in an order that depends on a seed.
//!
//! [`Folder`] lists the pairs, [`Image`] decodes and resizes one image, [`Augment`] draws crops and
//! flips, [`Fit`] makes images square, [`Loader`] makes batches from any [`Pairs`] in threads, ahead of the trainer; [`sheet()`]
//! puts images side by side. All of it is host memory: rows from top to bottom, channels fastest,
//! samples of 8 or 16 bits or floats. The trainer uploads a batch, and the device crops and mirrors
//! it and maps it to [-1, 1].

mod attributes;
mod augment;
mod classes;
mod colours;
mod convert;
mod decode;
mod domain;
mod find;
mod fingerprint;
mod fit;
mod folder;
mod format;
mod image;
mod kinds;
mod layout;
mod limits;
mod loader;
mod matching;
mod noise;
mod notes;
mod order;
mod pair;
mod pairs;
mod palette;
mod prepare;
mod resize;
mod sheet;
mod sources;
mod stored;
mod survey;
mod walk;
mod window;

pub use attributes::{Attributes, Axes, Place, Tag, VolumeHeader};
pub use augment::{Augment, Turn};
pub(crate) use colours::{Look, colours};
#[cfg(feature = "cli")]
pub(crate) use decode::is_guarded;
pub use decode::{ImageHeader, Picture, PictureStack, PictureWindows};
pub use domain::{Class, Domain, DomainKind, Domains};
pub use find::{FoundSide, ReadAs, SideOptions, find};
pub use fingerprint::Fingerprint;
pub use fit::Fit;
pub(crate) use fit::{mirrored, rounded};
pub use folder::{Check, Folder, Layout, Pages, ScanOptions, Skipped};
pub use format::{Colours, holds, is_lossy, is_writable, stem, writable_extensions};
pub use image::{Image, PixelFormat, QUALITY};
pub use kinds::{Kind, Kinds};
pub use limits::is_large;
pub use loader::{Batch, Loader, LoaderOptions};
pub(crate) use matching::match_folders;
pub use noise::Shading;
pub use notes::{NoteCounts, Notes};
pub use order::Order;
pub use pair::{Direction, Half, Pair, PairSource, PairWithNotes};
pub use pairs::{FilePairs, MemoryPairs, PairPart, Pairs, PlainPair, plain};
pub use palette::{BUILT_IN, palette};
pub use prepare::Mask;
pub use sheet::sheet;
pub use sources::{SourceSizes, Spread};
pub use stored::StoredType;
pub use walk::{Found, LeftOut, Walk, WalkOptions, walk};
pub use window::{RowSink, WindowSource, write_rows};
