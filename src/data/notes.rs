//! What reading a picture changes or leaves out, for one picture and counted over many.

use std::path::{Path, PathBuf};

/// Below this a 16-bit picture is called dim: of its 256 levels as 8 bits at most a sixteenth is used,
/// as with 12-bit samples that were not scaled.
pub const DIM: u16 = 4096;

/// How reading changes an image, for a note to the user. What only the pixels show is set by
/// [`Image::decode`](super::Image::decode) alone, the rest by
/// [`ImageHeader::read`](super::ImageHeader::read) as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// An alpha channel is composited over white.
    pub alpha: bool,
    /// The alpha channel is 0 everywhere, and is ignored: only the pixels show it.
    pub transparent: bool,
    /// 16 bits a channel are rounded to 8: known when the picture is read as what it is to be.
    pub sixteen_bits: bool,
    /// The highest of 16-bit samples that are all below 4,096, so that the picture becomes almost
    /// black: only the pixels show it.
    pub dim: Option<u16>,
    /// Colours become grey.
    pub grey: bool,
    /// Pixels whose colour is not exactly that of a class, and that got the nearest: only the samples show
    /// it.
    pub soft: usize,
    /// Pixels of no class, which do not count: only the samples show it.
    pub no_class: usize,
    /// Numbers that single precision cannot hold were rounded: only the samples show it.
    pub rounded: usize,
    /// The image is rotated or mirrored, as its EXIF orientation says.
    pub turned: bool,
    /// A colour profile other than sRGB by name is not applied.
    pub profile: bool,
    /// Pages or frames behind the first, which are not read.
    pub more_frames: usize,
    /// Channels behind red, green and blue (or grey) that are no alpha, and are not read.
    pub more_channels: usize,
}

/// Notes on many pictures: how many each is true of, with one of them by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoteCounts {
    alpha: Count,
    transparent: Count,
    sixteen_bits: Count,
    grey: Count,
    rounded: Count,
    soft: Count,
    no_class: Count,
    dim: Count,
    highest: u16,
    profile: Count,
    frames: Count,
    channels: Count,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Count {
    files: usize,
    first: PathBuf,
}

impl Count {
    fn add(&mut self, holds: bool, path: &Path) {
        if holds {
            if self.files == 0 {
                self.first = path.to_path_buf();
            }
            self.files += 1;
        }
    }

    fn merge(&mut self, other: Count) {
        if self.files == 0 {
            self.first = other.first;
        }
        self.files += other.files;
    }

    /// "3 pictures, first NAME, " and the rest, if there are any.
    fn line(&self, rest: &str) -> Option<String> {
        let first = self.first.display();
        match self.files {
            0 => None,
            1 => Some(format!("1 picture ({first}) {rest}")),
            n => Some(format!("{n} pictures (first {first}) {rest}")),
        }
    }
}

impl NoteCounts {
    /// The counts where all pages are read.
    pub fn with_all_pages(mut self) -> NoteCounts {
        self.frames = Count::default();
        self
    }

    /// Counts the notes on one picture.
    pub fn add(&mut self, notes: &Notes, path: &Path) {
        self.alpha.add(notes.alpha && !notes.transparent, path);
        self.transparent.add(notes.transparent, path);
        self.dim.add(notes.dim.is_some(), path);
        self.highest = self.highest.max(notes.dim.unwrap_or(0));
        self.profile.add(notes.profile, path);
        self.frames.add(notes.more_frames > 0, path);
        self.channels.add(notes.more_channels > 0, path);
    }

    /// Counts what only the pixels of a picture show, where its header is counted already.
    pub fn add_pixels(&mut self, notes: &Notes, path: &Path) {
        self.transparent.add(notes.transparent, path);
        self.sixteen_bits.add(notes.sixteen_bits, path);
        self.grey.add(notes.grey, path);
        self.rounded.add(notes.rounded > 0, path);
        self.soft.add(notes.soft > 0, path);
        self.no_class.add(notes.no_class > 0, path);
        self.dim.add(notes.dim.is_some(), path);
        self.highest = self.highest.max(notes.dim.unwrap_or(0));
    }

    /// Adds the notes on other pictures.
    pub fn merge(&mut self, other: NoteCounts) {
        let NoteCounts {
            alpha,
            transparent,
            sixteen_bits,
            grey,
            rounded,
            soft,
            no_class,
            dim,
            highest,
            profile,
            frames,
            channels,
        } = other;
        self.alpha.merge(alpha);
        self.transparent.merge(transparent);
        self.sixteen_bits.merge(sixteen_bits);
        self.grey.merge(grey);
        self.rounded.merge(rounded);
        self.soft.merge(soft);
        self.no_class.merge(no_class);
        self.dim.merge(dim);
        self.highest = self.highest.max(highest);
        self.profile.merge(profile);
        self.frames.merge(frames);
        self.channels.merge(channels);
    }

    /// One sentence for each kind that there is.
    pub fn lines(&self) -> Vec<String> {
        let highest = self.highest;
        let dim = format!(
            "with 16 bits a channel whose samples reach {highest} of 65535 at most, so that {} of 256 \
             levels are left as 8 bits: stretch them to the full range first",
            (u32::from(highest) + 128) / 257 + 1
        );
        [
            self.alpha.line(
                "with an alpha channel: it is composited over white, unless it is 0 everywhere",
            ),
            self.transparent.line(
                "transparent everywhere: the alpha channel is ignored and the colours are used",
            ),
            self.sixteen_bits.line("with 16 bits a channel: they are rounded to 8"),
            self.grey.line("in colour: they become grey by the luma weights of Rec. 601"),
            self.rounded.line(
                "with numbers that single precision cannot hold, such as integers above 2^24: they are \
                 rounded",
            ),
            self.soft.line(
                "with colours that are not exactly those of a class, as of a JPEG: such pixels get the \
                 nearest class",
            ),
            self.no_class.line("with pixels of no class: they do not count"),
            self.dim.line(&dim),
            self.profile.line(
                "with a colour profile, which is not applied: convert to sRGB where colours matter",
            ),
            self.frames.line("with several pages or frames: only the first is used"),
            self.channels
                .line("with further channels: only red, green and blue, or grey, are used"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
