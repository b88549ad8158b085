//! Pictures of another size.

use super::{Made, Put, Tool, Work, beside, halves, other_pages};
use crate::data::{Attributes, Colours, Fit, Image, PictureStack};
use crate::error::Result;
use crate::tensor::{Sample, SampleType, Samples, Size, with_samples};

/// Resizes by bicubic interpolation that averages where it shrinks; indices of a palette and labels take the nearest
/// pixel. Pixels without a measurement (NaN, infinite, or the file's mark of no data) stay so, and no other pixel
/// takes anything from them.
#[derive(Clone, Copy, Debug)]
pub struct Resize {
    /// Height and width of what is written.
    pub size: Size,
    /// How pictures of other proportions get them: [`Fit::Crop`] cuts off what is longer in the middle, and
    /// [`Fit::Pad`] reflects what is shorter at the edges.
    pub fit: Fit,
    /// Each picture is two, side by side: each half is resized by itself.
    pub pairs: bool,
    /// Samples are classes: the nearest pixel is taken.
    pub labels: bool,
}

impl Resize {
    fn resized(&self, image: &Image, nearest: bool, nodata: Option<f64>) -> Image {
        let fit = |image: &Image, by: fn(&Image, usize, usize) -> Image| {
            let image = self.fit.apply(image, self.size, by);
            let [width, height] = self.size.across();
            image.crop((image.width - width) / 2, (image.height - height) / 2, width, height)
        };
        if nearest {
            return fit(image, Image::resize_nearest);
        }
        let Some(mask) = image.counted(nodata) else { return fit(image, Image::resize) };
        // The mean of what counts alone: that of all with 0 for the others, over the weight of what counts.
        let mut filled = Image { samples: floats(&image.samples), ..*image };
        filled.fill_uncounted(&mask, 0.0);
        let sums = fit(&filled, Image::resize);
        let weights = fit(&Image { samples: floats(&mask.samples), ..mask }, Image::resize);
        let mut resized =
            Image { samples: means(&sums, &weights, image.samples.sample_type()), ..sums };
        let mark = nodata.unwrap_or(f64::NAN) as f32;
        resized.fill_uncounted(&fit(&mask, Image::resize_mask), mark);
        resized
    }
}

fn floats(samples: &Samples) -> Samples {
    with_samples!(Samples, samples, all => Samples::F32(all.iter().map(|&v| f64::from(v) as f32).collect()))
}

/// The sums of each pixel over its weight, as samples of a type.
fn means(sums: &Image, weights: &Image, of: SampleType) -> Samples {
    let (Samples::F32(all), Samples::F32(weights)) = (&sums.samples, &weights.samples) else {
        unreachable!("both were made floats")
    };
    let pixels = all.chunks_exact(sums.channels).zip(weights);
    let means = pixels.flat_map(|(pixel, &weight)| pixel.iter().map(move |&v| v / weight));
    match of {
        SampleType::U8 => Samples::U8(means.map(Sample::nearest).collect()),
        SampleType::U16 => Samples::U16(means.map(Sample::nearest).collect()),
        SampleType::F32 => Samples::F32(means.collect()),
    }
}

impl Resize {
    /// Where the pixels of what is made of a picture of this size lie in it: `r` at `scale * r + first`.
    fn mapping(&self, part: [usize; 2]) -> ([f64; 2], [f64; 2]) {
        let used = self.fit.used(part);
        let whole = self.fit.resized(used, self.size);
        let to = self.size.across();
        let (mut scale, mut first) = ([1.0; 2], [0.0; 2]);
        for i in 0..2 {
            scale[i] = used[i] as f64 / whole[i] as f64;
            let before = match whole[i].checked_sub(to[i]) {
                Some(more) => (more / 2) as f64,
                None => -(((to[i] - whole[i]) / 2) as f64),
            };
            first[i] = ((part[i] - used[i]) / 2) as f64 + before * scale[i];
        }
        (scale, first)
    }
}

impl Tool for Resize {
    fn make(&self, work: &Work, put: Put) -> Result<()> {
        let stack = PictureStack::read(&work.file)?;
        let nearest = self.labels || stack.header.colours == Colours::Palette;
        let each = |pages: &[Image]| -> Vec<Image> {
            let nodata = stack.attributes.nodata;
            pages.iter().map(|page| self.resized(page, nearest, nodata)).collect()
        };
        let pages = if self.pairs {
            let [a, b] = halves(&stack.pages, &work.file)?;
            beside(&each(&a), &each(&b))
        } else {
            each(&stack.pages)
        };
        let from = [stack.pages[0].width, stack.pages[0].height];
        let part = if self.pairs { [from[0] / 2, from[1]] } else { from };
        let (scale, first) = self.mapping(part);
        let (place, mut lost) = stack.attributes.place.mapped(scale, first);
        lost.extend(other_pages(&stack.header));
        let attributes = Attributes { place, ..stack.attributes };
        put(Made { name: work.name.clone(), pages, attributes, lost }, None)
    }
}
