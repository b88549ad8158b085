//! From a batch to the inputs of a step.

use std::borrow::Cow;

use super::{Given, RunConfig};
use crate::data::{Batch, Domains};
use crate::error::Result;
use crate::kernel::{Backend, ImageBatch};
use crate::tensor::{SampleRange, Samples, Size, View};

impl Given {
    /// Uploads what it says of a batch.
    ///
    /// # Errors
    /// What the device reports.
    pub(super) fn upload(
        self,
        batch: &Batch,
        config: &RunConfig,
        backend: &mut dyn Backend,
        to: View,
    ) -> Result<()> {
        let Domains { input, target } = &config.domains;
        let (samples, range) = match (self, &batch.mask) {
            (Given::Input, _) => input.network_samples(&batch.inputs),
            (Given::Target, _) => target.network_samples(&batch.targets),
            (Given::OneHot, _) => (target.network_samples(&batch.targets).0, SampleRange::NETWORK),
            (Given::Classes, _) => (Cow::Borrowed(&batch.targets), SampleRange::NETWORK),
            (Given::Mask, Some(mask)) => (Cow::Borrowed(mask), SampleRange::NETWORK),
            (Given::Share, Some(Samples::U8(mask))) => {
                return backend.upload(to, &[share(batch, mask, config.size)]);
            }
            (Given::Mask | Given::Share, _) => panic!("the loader of such a run is masked"),
        };
        let images = ImageBatch {
            samples: samples.as_slice(),
            range,
            height: batch.load.height,
            width: batch.load.width,
            crops: &batch.crops,
        };
        backend.upload_crops(images, to)
    }
}

/// All pixels of a batch's crops over those that count; 0 where none do.
fn share(batch: &Batch, mask: &[u8], size: Size) -> f32 {
    let Size { height, width } = batch.load;
    let mut counting = 0;
    for (i, crop) in batch.crops.iter().enumerate() {
        for y in crop.y..crop.y + size.height {
            let row = (i * height + y) * width + crop.x;
            counting += mask[row..row + size.width].iter().filter(|&&counts| counts != 0).count();
        }
    }
    let all = batch.crops.len() * size.pixels();
    if counting == 0 { 0.0 } else { (all as f64 / counting as f64) as f32 }
}
