//! Images to and from a GPU: `kernels/image.cu`.

use super::{names, spread};
use crate::device::{ByteAddress, CounterAddress, Cuda, device_struct};
use crate::error::Result;
use crate::kernel::image::{check_finite, check_range};
use crate::kernel::{ImageBatch, ImageKernels};
use crate::tensor::{Crop, SampleRange, SampleType, Samples, View};

device_struct! {
    /// Images before they are cropped.
    pub struct Uncropped {
        /// Samples (n, h, w, c), dense.
        pub samples: ByteAddress,
        /// One [`CropArg`] per image.
        pub crops: ByteAddress,
        /// Rows of an image.
        pub h: i32,
        /// Pixels in a row.
        pub w: i32,
    }
}

device_struct! {
    /// The type and the range of samples.
    pub struct SampleArg {
        /// Bytes of a sample: 1 is u8, 2 is u16, 4 is f32.
        pub size: i32,
        /// The sample that becomes -1.
        pub low: f32,
        /// Half of the difference between that and the sample that becomes 1.
        pub half: f32,
    }
}

device_struct! {
    /// [`Crop`] as a kernel reads it from memory, and not as an argument, which could not change
    /// between replays of a graph.
    pub struct CropArg {
        /// Columns left of the crop.
        pub x: i32,
        /// Rows above it.
        pub y: i32,
        /// 1 where left and right are exchanged.
        pub flip: i32,
    }
}

impl SampleArg {
    fn new(of: SampleType, range: SampleRange) -> Self {
        SampleArg { size: of.size() as i32, low: range.low as f32, half: range.half() as f32 }
    }
}

/// One [`CropArg`] per crop, as bytes.
fn crop_args(crops: &[Crop]) -> Vec<u8> {
    let words = |c: &Crop| [c.x as i32, c.y as i32, i32::from(c.flip)].map(i32::to_le_bytes);
    crops.iter().flat_map(words).flatten().collect()
}

impl ImageKernels for Cuda {
    fn upload_crops(&mut self, from: ImageBatch, to: View) -> Result<()> {
        from.check(to)?;
        let [h, w] = [from.height, from.width].map(|side| side as i32);
        let sample = SampleArg::new(from.samples.sample_type(), from.range);
        let parts = [from.samples.bytes(), &crop_args(from.crops)];
        self.stage(parts, |cuda, [samples, crops]| {
            let args = (Uncropped { samples, crops, h, w }, sample, cuda.tensor(to));
            cuda.launch(names::IMAGE_UNPACK, to.elem, spread(cuda, to), &args)
        })
    }

    fn download_images(
        &mut self,
        from: View,
        range: SampleRange,
        of: SampleType,
    ) -> Result<Samples> {
        check_range("download_images", range)?;
        let mut samples = Samples::zeros(of, from.shape.count());
        self.clear_counts(1)?;
        let wrong = CounterAddress(self.counts_address().0);
        self.fetch(samples.bytes_mut(), |cuda, at| {
            let args = (cuda.tensor(from), SampleArg::new(of, range), at, wrong);
            cuda.launch(names::IMAGE_PACK, from.elem, spread(cuda, from), &args)
        })?;
        check_finite(self.counts(1)?[0] as usize, samples.len())?;
        Ok(samples)
    }
}
