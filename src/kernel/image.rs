//! Images to and from a device: samples to numbers in [-1, 1], cropped and flipped, and back.

use crate::device::{Cpu, Device};
use crate::error::settings::LR;
use crate::error::{Error, Result};
use crate::tensor::{
    Crop, Sample, SampleRange, SampleSlice, SampleType, Samples, View, with_samples,
};

/// A batch of images as samples, and the crop to take from each.
#[derive(Clone, Copy, Debug)]
pub struct ImageBatch<'a> {
    /// (n, height, width, c), dense.
    pub samples: SampleSlice<'a>,
    /// The sample that becomes -1, and the one that becomes 1.
    pub range: SampleRange,
    /// Rows of an image.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// One per image.
    pub crops: &'a [Crop],
}

impl ImageBatch<'_> {
    /// Checks that the crops fill `to`.
    ///
    /// # Errors
    /// [`Error::Shape`] for a wrong number of samples or crops, a crop that ends outside its image,
    /// or an empty range.
    pub(super) fn check(&self, to: View) -> Result<()> {
        let ImageBatch { samples, range, height, width, crops } = *self;
        check_range("upload_crops", range)?;
        let (shape, len) = (to.shape, to.shape.n * height * width * to.shape.c);
        let detail = if samples.len() != len {
            format!(
                "{} samples are not {} pictures of {height}x{width}x{}",
                samples.len(),
                shape.n,
                shape.c
            )
        } else if crops.len() != shape.n {
            format!("{} crops of {} pictures", crops.len(), shape.n)
        } else {
            let fits =
                |at: usize, size, whole| at.checked_add(size).is_some_and(|end| end <= whole);
            let outside = |c: &Crop| !fits(c.x, shape.w, width) || !fits(c.y, shape.h, height);
            let Some(i) = crops.iter().position(outside) else { return Ok(()) };
            let Crop { x, y, .. } = crops[i];
            format!(
                "the crop of {}x{} at row {y}, column {x} is not inside picture {i} of {height}x{width}",
                shape.h, shape.w
            )
        };
        Err(Error::shape("upload_crops", detail))
    }
}

/// Checks that a range goes from a number to a larger one.
pub(super) fn check_range(op: &'static str, range: SampleRange) -> Result<()> {
    if range.half() > 0.0 && range.half().is_finite() {
        return Ok(());
    }
    let SampleRange { low, high } = range;
    let detail = format!("{low} to {high} is not a range of samples: set a finite high above low");
    Err(Error::shape(op, detail))
}

/// Images to and from a device. Samples are (n,h,w,c), dense.
pub trait ImageKernels {
    /// x[n, h, w, c] = (sample[n, y + h, x + w, c] - low) / half - 1 with the corner (x, y) of
    /// image n's crop and half = (high - low) / 2; in a flipped crop w counts from the right end.
    ///
    /// # Errors
    /// [`Error::Shape`] for samples or crops that do not fill `to`, a crop outside its image or an
    /// empty range; nothing is sent then. Else what the device reports.
    fn upload_crops(&mut self, from: ImageBatch, to: View) -> Result<()>;

    /// [`ImageKernels::upload_crops`] of whole images.
    ///
    /// # Errors
    /// As [`ImageKernels::upload_crops`].
    fn upload_images(&mut self, samples: SampleSlice, range: SampleRange, to: View) -> Result<()> {
        let crops = vec![Crop::default(); to.shape.n];
        let (height, width) = (to.shape.h, to.shape.w);
        self.upload_crops(ImageBatch { samples, range, height, width, crops: &crops }, to)
    }

    /// All of x as samples of type `of`: (x + 1) * half + low, rounded and clamped where the type
    /// is an integer. Rounding, where the PyTorch port truncates, makes download the inverse of
    /// upload.
    ///
    /// # Errors
    /// [`Error::Input`] where numbers of x are NaN or infinite: they would pass for a picture as integers.
    /// [`Error::Shape`] for an empty range; else what the device reports.
    fn download_images(
        &mut self,
        from: View,
        range: SampleRange,
        of: SampleType,
    ) -> Result<Samples>;
}

/// Refuses a computed picture of which `wrong` of `of` numbers are not finite.
///
/// # Errors
/// [`Error::NotFinite`] if any is.
pub(crate) fn check_finite(wrong: usize, of: usize) -> Result<()> {
    if wrong == 0 {
        return Ok(());
    }
    Err(Error::NotFinite(format!(
        "{wrong} of {of} numbers of the computed picture are NaN or infinite: the weights of its network \
         are too large, as after training that diverged; use an earlier checkpoint, or train with a \
         smaller {LR}"
    )))
}

/// Writes the crops of all images to the memory of `to`.
fn unpack<T: Sample>(samples: &[T], from: &ImageBatch, to: View, out: &mut [f32]) {
    let (shape, row) = (to.shape, from.width * to.shape.c);
    for (i, out) in out.chunks_mut(shape.w * to.pitch).enumerate() {
        let (n, h) = (i / shape.h, i % shape.h);
        let Crop { x, y, flip } = from.crops[n];
        let begin = (n * from.height + y + h) * row + x * shape.c;
        let samples = &samples[begin..begin + shape.w * shape.c];
        for (w, pixel) in out.chunks_mut(to.pitch).enumerate() {
            let w = if flip { shape.w - 1 - w } else { w };
            for (x, sample) in pixel.iter_mut().zip(&samples[w * shape.c..][..shape.c]) {
                *x = from.range.value(*sample);
            }
        }
    }
}

impl ImageKernels for Cpu {
    fn upload_crops(&mut self, from: ImageBatch, to: View) -> Result<()> {
        from.check(to)?;
        let ([out], _, _) = self.split([to]);
        with_samples!(SampleSlice, from.samples, v => unpack(v, &from, to, out));
        Ok(())
    }

    fn download_images(
        &mut self,
        from: View,
        range: SampleRange,
        of: SampleType,
    ) -> Result<Samples> {
        check_range("download_images", range)?;
        let mut values = vec![0.0; from.shape.count()];
        self.download(from, &mut values)?;
        check_finite(values.iter().filter(|v| !v.is_finite()).count(), values.len())?;
        let mut samples = Samples::zeros(of, values.len());
        with_samples!(Samples, &mut samples, v => {
            v.iter_mut().zip(&values).for_each(|(v, &x)| *v = range.sample(x));
        });
        Ok(samples)
    }
}
