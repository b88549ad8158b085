//! Evaluation of a generator during training: scores on validation pairs, and sheets of input,
//! output and target.

use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};

use super::{Networks, Recipe};
use crate::data::{self, Direction, Domains, Image, Pairs};
use crate::error::{Error, Result};
use crate::kernel::Backend;
use crate::metric;
use crate::tape::{Program, Tape};
use crate::tensor::{SampleRange, Shape};

/// Scores of an output against its target, or their means over several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Mean absolute difference of pixels in [-1, 1].
    pub l1: f64,
    /// Peak signal-to-noise ratio in dB; infinite for equal images, null in a file.
    #[serde(deserialize_with = "or_infinite")]
    pub psnr: f64,
    /// Structural similarity, at most 1; NaN for images smaller than [`metric::SSIM_WINDOW`], null
    /// in a file.
    #[serde(deserialize_with = "or_nan")]
    pub ssim: f64,
}

/// JSON has no infinity: null stands for it.
fn or_infinite<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::INFINITY))
}

/// JSON has no NaN: null stands for it.
fn or_nan<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

impl Scores {
    /// Scores of an output against its target, whose samples have this `range`.
    ///
    /// # Errors
    /// Images that differ in size, channels or sample type.
    pub fn of(output: &Image, target: &Image, range: SampleRange) -> Result<Scores> {
        if (output.width, output.height) != (target.width, target.height) {
            return Err(Error::input(format!(
                "the output is {} x {}, the target {} x {}",
                output.width, output.height, target.width, target.height
            )));
        }
        if output.format() != target.format() {
            return Err(Error::input(format!(
                "the output has {}, the target {}",
                output.format(),
                target.format()
            )));
        }
        let (a, b) = (output.samples.as_slice(), target.samples.as_slice());
        let size = [output.height, output.width];
        let small = output.width.min(output.height) < metric::SSIM_WINDOW;
        let ssim = if small { f64::NAN } else { metric::ssim(a, b, size, range)? };
        Ok(Scores { l1: metric::l1(a, b, range)?, psnr: metric::psnr(a, b, range)?, ssim })
    }

    /// "L1 0.1234, PSNR 12.34 dB, SSIM 0.5678", without SSIM if it is NaN.
    pub fn line(&self) -> String {
        let ssim =
            if self.ssim.is_nan() { String::new() } else { format!(", SSIM {:.4}", self.ssim) };
        format!("L1 {:.4}, PSNR {:.2} dB{ssim}", self.l1, self.psnr)
    }

    /// The mean of several.
    pub fn mean(all: &[Scores]) -> Scores {
        let n = all.len().max(1) as f64;
        let mean = |f: fn(&Scores) -> f64| all.iter().map(f).sum::<f64>() / n;
        Scores { l1: mean(|s| s.l1), psnr: mean(|s| s.psnr), ssim: mean(|s| s.ssim) }
    }
}

/// Runs the preview of a recipe on single images of the training size.
#[derive(Debug)]
pub struct Viewer {
    program: Program,
    input: &'static str,
    size: usize,
    direction: Direction,
    domains: Domains,
}

impl Viewer {
    /// Records the preview of a recipe for one image of `size` x `size` pixels, and plans it for
    /// the device `b`; its memory follows that of the networks.
    ///
    /// # Errors
    /// A size that the network or the device cannot take.
    pub fn record(
        recipe: &dyn Recipe,
        networks: &Networks,
        size: usize,
        direction: Direction,
        domains: Domains,
        b: &dyn Backend,
    ) -> Result<Self> {
        let tape = &mut Tape::new();
        let [input, _] = recipe.inputs();
        let x = tape.input(input.name, Shape::new(1, size, size, input.channels));
        let y = recipe.preview(tape, networks, x)?;
        tape.output("y", y);
        let program = tape.compile(b, networks.end())?;
        Ok(Viewer { program, input: input.name, size, direction, domains })
    }

    /// One past its last unit of 4 bytes in the arena.
    pub fn end(&self) -> usize {
        self.program.end()
    }

    /// Input, output and target of pair `i`.
    ///
    /// # Errors
    /// A pair that cannot be read, or whose channels or sample types differ from the domains.
    pub fn view(&self, b: &mut dyn Backend, pairs: &dyn Pairs, i: usize) -> Result<[Image; 3]> {
        let (input, target) = data::plain(pairs, i, self.size, self.direction)?;
        let Domains { input: from, target: to } = &self.domains;
        let name = pairs.name(i);
        from.format().check(&input, &format!("the input of {name}"))?;
        to.format().check(&target, &format!("the target of {name}"))?;
        b.upload_images(input.samples.as_slice(), from.range(), self.program.view(self.input)?)?;
        self.program.run(b)?;
        let y = self.program.view("y")?;
        let samples = b.download_images(y, to.range(), to.samples)?;
        let output = Image::new(self.size, self.size, y.shape.c, samples)?;
        Ok([input, output, target])
    }

    /// Mean scores over all pairs.
    ///
    /// # Errors
    /// As [`Viewer::view`].
    pub fn score(
        &self,
        recipe: &dyn Recipe,
        b: &mut dyn Backend,
        pairs: &dyn Pairs,
    ) -> Result<Scores> {
        let range = self.domains.target.range();
        let score = |i| {
            let [_, output, target] = self.view(b, pairs, i)?;
            recipe.score(&output, &target, range)
        };
        let all: Vec<Scores> = (0..pairs.len()).map(score).collect::<Result<_>>()?;
        Ok(Scores::mean(&all))
    }

    /// Writes a sheet with a row for each of the first `rows` pairs.
    ///
    /// # Errors
    /// As [`Viewer::view`]; a file that cannot be written.
    pub fn sheet(
        &self,
        b: &mut dyn Backend,
        pairs: &dyn Pairs,
        rows: usize,
        path: &Path,
    ) -> Result<()> {
        let ranges = [&self.domains.input, &self.domains.target, &self.domains.target]
            .map(|domain| domain.range());
        let row = |i| -> Result<Vec<Image>> {
            let images = self.view(b, pairs, i)?;
            Ok(images.iter().zip(ranges).map(|(image, range)| image.preview(range)).collect())
        };
        let rows: Vec<_> = (0..pairs.len().min(rows)).map(row).collect::<Result<_>>()?;
        data::sheet(&rows)?.write_png(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A checkpoint holds the best scores, also those of images that are equal or too small for
    /// SSIM.
    #[test]
    fn scores_that_json_has_no_number_for_are_read_back() {
        let image = Image::filled(8, 8, &[7; 3]);
        let scores = Scores::of(&image, &image, SampleRange::BYTE).unwrap();
        let text = serde_json::to_string(&scores).unwrap();
        assert_eq!(text, r#"{"l1":0.0,"psnr":null,"ssim":null}"#);
        let read: Scores = serde_json::from_str(&text).unwrap();
        assert!(read.psnr == f64::INFINITY && read.ssim.is_nan());
    }
}
