//! Looking at a generator while it learns: metrics on pictures it was not trained on, and sheets of
//! input, output and target.

use std::path::Path;

use crate::data::{self, Direction, Image, Pair};
use crate::error::{Error, Result};
use crate::kernel::{Backend, Statistics};
use crate::metric;
use crate::model::Network;
use crate::nn::{Mode, Running};
use crate::tape::{Program, Tape};
use crate::tensor::{Elem, Shape};

/// Means over a set of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Scores {
    /// Mean absolute difference, pixels in [-1, 1].
    pub l1: f64,
    /// Peak signal to noise ratio, dB; infinite where a target is met exactly, null in a file.
    #[serde(deserialize_with = "or_infinite")]
    pub psnr: f64,
    /// Structural similarity, at most 1; no number for pictures below [`metric::SSIM_WINDOW`],
    /// which no training size is.
    pub ssim: f64,
}

/// JSON has no infinity: null stands for it.
fn or_infinite<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let value: Option<f64> = serde::Deserialize::deserialize(from)?;
    Ok(value.unwrap_or(f64::INFINITY))
}

impl Scores {
    /// Scores of one output against its target, pictures of one size.
    ///
    /// # Errors
    /// Sizes that differ.
    pub fn of(output: &Image, target: &Image) -> Result<Scores> {
        if (output.width, output.height) != (target.width, target.height) {
            return Err(Error::input(format!(
                "the output is {} x {}, the target {} x {}",
                output.width, output.height, target.width, target.height
            )));
        }
        let (a, b) = (&output.pixels, &target.pixels);
        let small = output.width.min(output.height) < metric::SSIM_WINDOW;
        let ssim = if small { f64::NAN } else { metric::ssim(a, b, output.width, output.height)? };
        Ok(Scores { l1: metric::l1(a, b)?, psnr: metric::psnr(a, b)?, ssim })
    }

    /// "L1 0.1234, PSNR 12.34 dB, SSIM 0.5678"; without SSIM where there is none.
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

/// A forward pass of a generator over single pictures of the training size: the picture's own
/// statistics, no dropout, which are also the defaults of translation.
#[derive(Debug)]
pub struct Viewer {
    program: Program,
    size: usize,
    direction: Direction,
}

impl Viewer {
    /// Records the pass over one square picture of shape `input` behind `base`, with activations stored as `elem`.
    ///
    /// # Errors
    /// A size that the generator cannot take.
    pub fn record(
        generator: &dyn Network,
        input: Shape,
        direction: Direction,
        elem: Elem,
        base: usize,
    ) -> Result<Self> {
        let tape = &mut Tape::new();
        let a = tape.input("a", input);
        let mode =
            Mode { statistics: Statistics::Batch, dropout: false, running: Running::Keep, runs: 1 };
        let y = generator.forward(tape, a, mode)?;
        tape.output("y", y);
        Ok(Viewer { program: tape.compile_as(elem, base), size: input.h, direction })
    }

    /// Elements of the arena it needs.
    pub fn end(&self) -> usize {
        self.program.end()
    }

    /// Input, output and target of each pair.
    ///
    /// # Errors
    /// A picture that cannot be read.
    pub fn view(&self, b: &mut dyn Backend, pairs: &[Pair]) -> Result<Vec<[Image; 3]>> {
        let pairs = data::plain(pairs, self.size, self.direction);
        pairs
            .map(|pair| {
                let (input, target) = pair?;
                let mut bytes = vec![0; target.pixels.len()];
                b.upload_images(&input.pixels, self.program.view("a")?)?;
                self.program.run(b)?;
                b.download_images(self.program.view("y")?, &mut bytes)?;
                let output = Image::new(self.size, self.size, bytes)?;
                Ok([input, output, target])
            })
            .collect()
    }

    /// Mean scores over all pairs.
    ///
    /// # Errors
    /// A picture that cannot be read.
    pub fn score(&self, b: &mut dyn Backend, pairs: &[Pair]) -> Result<Scores> {
        let mut all = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let views = self.view(b, std::slice::from_ref(pair))?;
            for [_, output, target] in &views {
                all.push(Scores::of(output, target)?);
            }
        }
        Ok(Scores::mean(&all))
    }

    /// Writes a sheet with a row for each pair.
    ///
    /// # Errors
    /// A picture that cannot be read, a file that cannot be written.
    pub fn sheet(&self, b: &mut dyn Backend, pairs: &[Pair], path: &Path) -> Result<()> {
        let rows: Vec<Vec<Image>> = self.view(b, pairs)?.into_iter().map(Vec::from).collect();
        data::sheet(&rows)?.write_png(path)
    }
}
