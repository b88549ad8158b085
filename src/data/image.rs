//! An image in memory: any number of channels, samples of any type, rows from top to bottom.

use std::path::Path;

use image::metadata::Orientation;

use super::format::{self, Format, FormatError, PNG};
use super::{Attributes, StoredType, Turn};
use crate::atomic;
use crate::error::{Error, Result};
use crate::tensor::{Sample, SampleRange, SampleSlice, SampleType, Samples, with_samples};

/// The quality of a JPEG that is written, of 1 to 100: at 95 its error is below that of a translation,
/// at the `image` crate's 75 it is seen.
pub const QUALITY: u8 = 95;

/// Pixels of `channels` samples each: `samples[(y * width + x) * channels + channel]`, so one image
/// is the NHWC samples of a batch of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Rows.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Samples of a pixel.
    pub channels: usize,
    /// `height * width * channels` samples.
    pub samples: Samples,
}

/// The channels and the sample type of an image's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelFormat {
    /// Samples of a pixel.
    pub channels: usize,
    /// The type of each.
    pub samples: SampleType,
}

impl PixelFormat {
    /// 8-bit RGB.
    pub const RGB: PixelFormat = PixelFormat { channels: 3, samples: SampleType::U8 };

    /// Bytes of a pixel.
    pub const fn size(self) -> usize {
        self.channels * self.samples.size()
    }

    /// Refuses an image of another format, and one with samples that are NaN or infinite; `name`
    /// stands for the image in the message.
    ///
    /// # Errors
    /// [`Error::Input`] with both formats, or with the place of the first such sample.
    pub fn check(self, image: &Image, name: &str) -> Result<()> {
        self.check_format(image, name)?;
        image.check_finite(name)
    }

    /// As [`PixelFormat::check`], but for samples that are NaN or infinite.
    pub(crate) fn check_format(self, image: &Image, name: &str) -> Result<()> {
        if image.format() == self {
            return Ok(());
        }
        Err(Error::input(format!(
            "{name} has {}, and {self} are needed: convert it",
            image.format()
        )))
    }
}

impl std::fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let s = if self.channels == 1 { "" } else { "s" };
        write!(f, "{} channel{s} of {}", self.channels, self.samples)
    }
}

impl Image {
    /// An image from its `width * height * channels` samples, at least one.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of samples.
    pub fn new(
        width: usize,
        height: usize,
        channels: usize,
        samples: impl Into<Samples>,
    ) -> Result<Self> {
        let samples = samples.into();
        let count = width.checked_mul(height).and_then(|n| n.checked_mul(channels));
        if samples.is_empty() || count != Some(samples.len()) {
            return Err(Error::shape(
                "image",
                format!(
                    "{} samples are not {width}x{height} pixels of {channels} channels",
                    samples.len()
                ),
            ));
        }
        Ok(Image { height, width, channels, samples })
    }

    /// An image of one colour: 8 bits a channel, as many channels as `colour` has.
    pub fn filled(width: usize, height: usize, colour: &[u8]) -> Self {
        let samples: Vec<u8> =
            colour.iter().copied().cycle().take(width * height * colour.len()).collect();
        Image { height, width, channels: colour.len(), samples: samples.into() }
    }

    /// Its channels and sample type.
    pub fn format(&self) -> PixelFormat {
        PixelFormat { channels: self.channels, samples: self.samples.sample_type() }
    }

    /// Refuses an image with samples that are NaN or infinite, of which a network makes nothing but
    /// more of them.
    fn check_finite(&self, name: &str) -> Result<()> {
        let Samples::F32(samples) = &self.samples else { return Ok(()) };
        let Some(i) = samples.iter().position(|v| !v.is_finite()) else { return Ok(()) };
        let count = samples.iter().filter(|v| !v.is_finite()).count();
        let (pixel, others) = (i / self.channels, count - 1);
        let others = match others {
            0 => String::new(),
            1 => ", and 1 other sample is not finite".to_string(),
            n => format!(", and {n} other samples are not finite"),
        };
        Err(Error::input(format!(
            "{name} has the sample {} at row {}, column {}, channel {}{others}: replace such samples \
             by numbers of its range, or leave the picture out",
            samples[i],
            pixel / self.width,
            pixel % self.width,
            i % self.channels
        )))
    }

    /// The samples of row `y`.
    pub fn row(&self, y: usize) -> SampleSlice<'_> {
        let row = self.width * self.channels;
        self.samples.as_slice().part(y * row..(y + 1) * row)
    }

    /// The samples of the pixel at column `x` and row `y`.
    pub fn at(&self, x: usize, y: usize) -> SampleSlice<'_> {
        let i = (y * self.width + x) * self.channels;
        self.samples.as_slice().part(i..i + self.channels)
    }

    /// The part of `width` x `height` pixels whose upper left corner is at (`x`, `y`). It must lie
    /// inside the image.
    pub fn crop(&self, x: usize, y: usize, width: usize, height: usize) -> Image {
        let (row, c) = (self.width * self.channels, self.channels);
        let samples = with_samples!(Samples, &self.samples, v => {
            let mut part = Vec::with_capacity(width * height * c);
            for line in v.chunks_exact(row).skip(y).take(height) {
                part.extend_from_slice(&line[x * c..(x + width) * c]);
            }
            Samples::from(part)
        });
        Image { height, width, channels: c, samples }
    }

    /// The image with another on its right.
    ///
    /// # Panics
    /// If the other has another height or pixel format.
    pub fn beside(&self, right: &Image) -> Image {
        assert_eq!(
            (self.height, self.format()),
            (right.height, right.format()),
            "images side by side"
        );
        let row = (self.width + right.width) * self.channels;
        let mut samples = Samples::zeros(self.samples.sample_type(), row * self.height);
        for y in 0..self.height {
            samples.copy_at(y * row, self.row(y));
            samples.copy_at(y * row + self.width * self.channels, right.row(y));
        }
        Image { width: self.width + right.width, samples, ..*self }
    }

    /// Each sample `times` times, one behind the other: grey as colours.
    pub(crate) fn repeated(&self, times: usize) -> Image {
        let samples = with_samples!(Samples, &self.samples, all => {
            let each = all.iter().flat_map(|&v| std::iter::repeat_n(v, times));
            Samples::from(each.collect::<Vec<_>>())
        });
        Image { channels: self.channels * times, samples, ..*self }
    }

    /// Each channel as an image.
    pub fn by_channel(&self) -> Vec<Image> {
        let channel = |c: usize| {
            let samples = with_samples!(Samples, &self.samples, all => {
                Samples::from(all.iter().skip(c).step_by(self.channels).copied().collect::<Vec<_>>())
            });
            Image { channels: 1, samples, ..*self }
        };
        (0..self.channels).map(channel).collect()
    }

    /// The image mirrored left to right.
    pub fn mirror(&self) -> Image {
        let columns: Vec<usize> = (0..self.width).rev().collect();
        let rows: Vec<usize> = (0..self.height).collect();
        self.gather(&columns, &rows)
    }

    /// The image turned as an orientation says.
    pub(super) fn oriented(self, orientation: Orientation) -> Image {
        let quarters = |quarters, flip| self.turned(Turn { quarters, flip });
        match orientation {
            Orientation::NoTransforms => self,
            Orientation::Rotate90 => quarters(3, false),
            Orientation::Rotate180 => quarters(2, false),
            Orientation::Rotate270 => quarters(1, false),
            Orientation::FlipHorizontal => self.mirror(),
            Orientation::FlipVertical => quarters(0, true),
            Orientation::Rotate90FlipH => quarters(3, false).mirror(),
            Orientation::Rotate270FlipH => quarters(1, false).mirror(),
        }
    }

    /// One channel that is 1 where any sample is above 0, and 0 elsewhere.
    pub(super) fn counting(&self) -> Image {
        let counts: Vec<u8> = with_samples!(Samples, &self.samples, all => {
            let some = |pixel: &[_]| u8::from(pixel.iter().any(|&v| f64::from(v) > 0.0));
            all.chunks_exact(self.channels).map(some).collect()
        });
        Image { height: self.height, width: self.width, channels: 1, samples: counts.into() }
    }

    /// Of two masks of one size, where both are 1.
    pub(crate) fn both(mut self, other: Image) -> Image {
        if let (Samples::U8(all), Samples::U8(others)) = (&mut self.samples, &other.samples) {
            all.iter_mut().zip(others).for_each(|(a, b)| *a &= b);
        }
        self
    }

    /// The image with samples outside of `range` moved to its ends; NaN stays.
    pub fn clamped(mut self, range: SampleRange) -> Image {
        with_samples!(Samples, &mut self.samples, all => {
            let [low, high] = [range.low, range.high].map(|end| Sample::nearest(end as f32));
            for sample in all {
                if *sample < low {
                    *sample = low;
                } else if *sample > high {
                    *sample = high;
                }
            }
        });
        self
    }

    /// The pixels at the crossings of `columns` and `rows`, which may repeat.
    pub(crate) fn gather(&self, columns: &[usize], rows: &[usize]) -> Image {
        let c = self.channels;
        let samples = with_samples!(Samples, &self.samples, v => {
            let mut all = Vec::with_capacity(rows.len() * columns.len() * c);
            for line in rows.iter().map(|y| &v[y * self.width * c..]) {
                columns.iter().for_each(|x| all.extend_from_slice(&line[x * c..(x + 1) * c]));
            }
            Samples::from(all)
        });
        Image { height: rows.len(), width: columns.len(), channels: c, samples }
    }

    /// An 8-bit RGB rendering: the first three channels, or the first as grey if there are fewer;
    /// samples of `range` become 0 to 255.
    pub fn preview(&self, range: SampleRange) -> Image {
        if self.format() == PixelFormat::RGB && range == SampleRange::BYTE {
            return self.clone();
        }
        let c = self.channels;
        let shown = if c < 3 { [0; 3] } else { [0, 1, 2] };
        let samples: Vec<u8> = with_samples!(Samples, &self.samples, v => {
            let byte = |x| SampleRange::BYTE.sample::<u8>(range.value(x));
            v.chunks_exact(c).flat_map(|pixel| shown.map(|i| byte(pixel[i]))).collect()
        });
        Image { height: self.height, width: self.width, channels: 3, samples: samples.into() }
    }

    /// The bytes of a PNG of an image of 8-bit RGB.
    ///
    /// # Errors
    /// [`Error::Input`] for other channels or samples.
    pub fn png_bytes(&self) -> Result<Vec<u8>> {
        format::rgb_png(self)
            .ok_or_else(|| Error::input(format!("a PNG of {} is not made here", self.format())))
    }

    /// Writes a PNG, atomically: a reader never sees half an image. The folder must exist.
    ///
    /// # Errors
    /// As [`Image::write`].
    pub fn write_png(&self, path: &Path) -> Result<()> {
        self.write_as(path, &PNG, QUALITY)
    }

    /// Writes the format that the extension names (.jpg, .png, .bmp, .tiff, .webp), atomically; a JPEG
    /// with [`QUALITY`]. The folder must exist.
    ///
    /// # Errors
    /// [`Error::Input`] for another extension, or for channels or samples that the format cannot
    /// hold; [`Error::File`] if the disk fails.
    pub fn write(&self, path: &Path) -> Result<()> {
        self.write_with_quality(path, QUALITY)
    }

    /// As [`Image::write`], a JPEG with a quality of 1 to 100. The other formats are exact.
    ///
    /// # Errors
    /// As [`Image::write`].
    pub fn write_with_quality(&self, path: &Path, quality: u8) -> Result<()> {
        let format = format::by_extension(path).ok_or_else(|| {
            Error::input(format!(
                "{}: pictures are written as {}",
                path.display(),
                format::writable_extensions()
            ))
        })?;
        self.write_as(path, format, quality)
    }

    /// Writes pages of one size and pixel format to the format that the extension names, atomically, as
    /// samples of [`Attributes::stored`]; a JPEG with a quality of 1 to 100. Returns what of the
    /// attributes the format has no place for.
    ///
    /// # Errors
    /// As [`Image::write`]; several pages for a format that holds one.
    pub fn write_pages(
        pages: &[Image],
        attributes: &Attributes,
        path: &Path,
        quality: u8,
    ) -> Result<Vec<&'static str>> {
        let format = format::by_extension(path).ok_or_else(|| {
            Error::input(format!(
                "{}: pictures are written as {}",
                path.display(),
                format::writable_extensions()
            ))
        })?;
        let mut lost = Vec::new();
        atomic::replace(path, |sink| {
            let failed = |e| unwritten(e, path, format);
            lost = format.encode(pages, attributes, sink, quality).map_err(failed)?;
            Ok(())
        })?;
        Ok(lost)
    }

    fn write_as(&self, path: &Path, format: &dyn Format, quality: u8) -> Result<()> {
        atomic::replace(path, |sink| {
            let attributes = Attributes::new(StoredType::of(self.samples.sample_type()));
            let pages = std::slice::from_ref(self);
            format.encode(pages, &attributes, sink, quality).map(drop).map_err(|e| {
                let e = match e {
                    FormatError::Unsupported(_) => {
                        FormatError::Unsupported(self.format().to_string())
                    }
                    other => other,
                };
                unwritten(e, path, format)
            })
        })
    }
}

/// What is said of a picture that a format did not write.
pub(super) fn unwritten(error: FormatError, path: &Path, format: &dyn Format) -> Error {
    match error {
        FormatError::Unsupported(what) => Error::input(format!(
            "{}: {} files hold no {what}: write another format",
            path.display(),
            format.name(),
        )),
        FormatError::TooLarge | FormatError::Metadata => {
            Error::file("write", path, "the image is too large")
        }
        FormatError::CutShort => Error::file("write", path, "the disk took less"),
        FormatError::Failed(cause) => Error::file("write", path, cause),
    }
}
