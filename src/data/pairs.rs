//! The interface of training data, pairs of images that are loaded one by one, and pairs in memory.

use std::fs::metadata;
use std::io::Read;
use std::path::Path;

use super::fingerprint::CONTENT_BYTES;
use super::loader::{Loaded, prepared};
use super::{Augment, Domain, Half, Image, LoaderOptions, Mask, Pair, PairSource, WindowSource};
use crate::error::{Error, Result};
use crate::regular::open_regular;
use crate::tensor::Size;

/// A part of a pair: A, B, and which pixels count if not all do.
pub type PairPart = (Image, Image, Option<Mask>);

/// Pairs of images in a fixed order, numbered from 0.
pub trait Pairs: Send + Sync {
    /// Number of pairs.
    fn len(&self) -> usize;

    /// Whether there are no pairs.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Loads pair `i`: (A, B), whatever the direction of the training. All As have the same pixel
    /// format, and all Bs.
    ///
    /// # Errors
    /// A pair that cannot be read, with its file or name.
    fn load(&self, i: usize) -> Result<(Image, Image)>;

    /// Which pixels of pair `i` count: one channel of u8, 1 or 0, of the size of its images; `None` if all do,
    /// which is the default. Pixels that are NaN or marked as no data need no mask.
    ///
    /// # Errors
    /// As [`Pairs::load`].
    fn mask(&self, _i: usize) -> Result<Option<Mask>> {
        Ok(None)
    }

    /// The part of pair `i` of this size whose upper left corner is at (x, y), and which of its pixels count, as
    /// [`Pairs::load`] and [`Pairs::mask`] would have them, without loading the rest; `None` where that cannot be
    /// done, which is the default.
    ///
    /// # Errors
    /// As [`Pairs::load`].
    fn part(&self, _i: usize, _at: [usize; 2], _size: Size) -> Result<Option<PairPart>> {
        Ok(None)
    }

    /// The name of pair `i` in messages.
    fn name(&self, i: usize) -> String;

    /// Width and height of the images of pair `i` in pixels, without loading them; `None` where
    /// they are not known. A model then does not remember what size its training images had.
    fn size(&self, _i: usize) -> Option<[usize; 2]> {
        None
    }

    /// The size of pair `i` in bytes as it is stored, for [`Fingerprint`](super::Fingerprint); 0 if
    /// it is not known without loading the pair, which is the default.
    ///
    /// # Errors
    /// A file that cannot be read.
    fn bytes(&self, _i: usize) -> Result<u64> {
        Ok(0)
    }

    /// CRC-32 of the content of pair `i` as it is stored, for [`Fingerprint`](super::Fingerprint);
    /// `None` by default.
    ///
    /// # Errors
    /// A file that cannot be read.
    fn checksum(&self, _i: usize) -> Result<Option<u32>> {
        Ok(None)
    }
}

/// The pairs of a folder, decoded when they are loaded.
impl Pairs for Vec<Pair> {
    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn load(&self, i: usize) -> Result<(Image, Image)> {
        self[i].read()
    }

    fn name(&self, i: usize) -> String {
        self[i].name.clone()
    }

    fn size(&self, i: usize) -> Option<[usize; 2]> {
        Some([self[i].width, self[i].height])
    }

    fn bytes(&self, i: usize) -> Result<u64> {
        let size =
            |path: &Path| Ok(metadata(path).map_err(|e| Error::file("read", path, e))?.len());
        self[i].paths().map(size).sum()
    }

    /// Of the first MiB of each file.
    fn checksum(&self, i: usize) -> Result<Option<u32>> {
        let mut sum = crc32fast::Hasher::new();
        for path in self[i].paths() {
            let unreadable = |e| Error::file("read", path, e);
            let mut content = Vec::new();
            let (file, _) = open_regular(path, "read")?;
            file.take(CONTENT_BYTES).read_to_end(&mut content).map_err(unreadable)?;
            sum.update(&content);
        }
        Ok(Some(sum.finalize()))
    }
}

/// Pairs held in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryPairs {
    pairs: Vec<(Image, Image)>,
}

impl MemoryPairs {
    /// A list of pairs (A, B), which may be empty.
    ///
    /// # Errors
    /// A pair of different sizes; an A or a B whose pixel format differs from the first one's.
    pub fn new(pairs: Vec<(Image, Image)>) -> Result<Self> {
        for (i, (a, b)) in pairs.iter().enumerate() {
            if (a.width, a.height) != (b.width, b.height) {
                return Err(Error::input(format!(
                    "pair {i}: A is {}x{} and B is {}x{}: a pair needs one size, so resize one of \
                     them",
                    a.width, a.height, b.width, b.height
                )));
            }
            pairs[0].0.format().check(a, &format!("A of pair {i}"))?;
            pairs[0].1.format().check(b, &format!("B of pair {i}"))?;
        }
        Ok(MemoryPairs { pairs })
    }
}

impl Pairs for MemoryPairs {
    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn load(&self, i: usize) -> Result<(Image, Image)> {
        Ok(self.pairs[i].clone())
    }

    fn name(&self, i: usize) -> String {
        format!("pair {i}")
    }

    fn size(&self, i: usize) -> Option<[usize; 2]> {
        let a = &self.pairs[i].0;
        Some([a.width, a.height])
    }

    fn bytes(&self, i: usize) -> Result<u64> {
        let (a, b) = &self.pairs[i];
        Ok((a.samples.as_slice().bytes().len() + b.samples.as_slice().bytes().len()) as u64)
    }

    fn checksum(&self, i: usize) -> Result<Option<u32>> {
        let mut sum = crc32fast::Hasher::new();
        let (a, b) = &self.pairs[i];
        sum.update(a.samples.as_slice().bytes());
        sum.update(b.samples.as_slice().bytes());
        Ok(Some(sum.finalize()))
    }
}

/// Pairs of a folder, read as domains say.
#[derive(Clone, Debug, PartialEq)]
pub struct FilePairs {
    /// The pairs.
    pub pairs: Vec<Pair>,
    /// What the samples of A and of B mean.
    pub domains: [Domain; 2],
}

impl Pairs for FilePairs {
    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn load(&self, i: usize) -> Result<(Image, Image)> {
        Ok(self.pairs[i].read_as(self.domains.each_ref())?.0)
    }

    fn mask(&self, i: usize) -> Result<Option<Mask>> {
        self.pairs[i].read_mask()
    }

    fn part(&self, i: usize, [x, y]: [usize; 2], size: Size) -> Result<Option<PairPart>> {
        let pair = &self.pairs[i];
        // Windows are of the first page.
        if pair.page > 0 || pair.stacked {
            return Ok(None);
        }
        let read = |half: Half| -> Result<Option<Image>> {
            let (domain, first) = match (half, &pair.source) {
                (Half::A, _) => (&self.domains[0], x),
                (Half::B, PairSource::SideBySide(_)) => (&self.domains[1], pair.width + x),
                (Half::B, PairSource::Two { .. }) => (&self.domains[1], x),
            };
            let windows = domain.windows(pair.half(half))?;
            // Whether alpha hides a picture only the whole shows.
            let Some(mut windows) = windows.filter(|windows| !windows.has_alpha()) else {
                return Ok(None);
            };
            windows.read(first, y, size.width, size.height).map(Some)
        };
        let (Some(a), Some(b)) = (read(Half::A)?, read(Half::B)?) else { return Ok(None) };
        let mask = pair.read_mask()?.map(|mask| mask.crop(x, y, size.width, size.height));
        Ok(Some((a, b, mask)))
    }

    fn name(&self, i: usize) -> String {
        self.pairs.name(i)
    }

    fn size(&self, i: usize) -> Option<[usize; 2]> {
        self.pairs.size(i)
    }

    fn bytes(&self, i: usize) -> Result<u64> {
        Pairs::bytes(&self.pairs, i)
    }

    fn checksum(&self, i: usize) -> Result<Option<u32>> {
        self.pairs.checksum(i)
    }
}

/// A pair for validation.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainPair {
    /// The input, [prepared](Domain::prepared).
    pub input: Image,
    /// The target, likewise.
    pub target: Image,
    /// Which pixels count, if not all do.
    pub mask: Option<Mask>,
}

/// Pair `i` for validation, of the size of the options and read as they say: the middle of images of other
/// proportions with [`Fit::Crop`](super::Fit::Crop) and [`Fit::Native`](super::Fit::Native), otherwise neither
/// cropped nor flipped.
///
/// # Errors
/// A pair that cannot be read, whose images differ in size, or that the domains do not fit.
pub fn plain(pairs: &dyn Pairs, i: usize, options: &LoaderOptions) -> Result<PlainPair> {
    let size = options.size;
    let (a, b) = pairs.load(i)?;
    let mask = if options.masked { pairs.mask(i)? } else { None };
    let augment = Augment::plain(size, options.fit);
    let Loaded { a, b, mask } = prepared(options, &augment, (a, b, mask), &pairs.name(i))?;
    let crop = augment.draw(0, i, 0, [a.width, a.height]);
    let cut = |image: Image| {
        let whole = (image.width, image.height) == (size.width, size.height);
        if whole { image } else { image.crop(crop.x, crop.y, size.width, size.height) }
    };
    let (input, target) = options.direction.order(cut(a), cut(b));
    Ok(PlainPair { input, target, mask: mask.map(cut) })
}
