//! Translation: a model file, and pictures of any size.
//!
//! A picture is padded by reflection to multiples of what the generator's depth needs, translated,
//! and cropped back. By default norms take the picture's own statistics, as in training and as the
//! paper tests (Isola et al. 2017, section 3.4), and dropout is off, where the paper keeps it on as
//! its only noise: a translation is then a function of the picture, and closer to the target on
//! average. Both are switches of their own.

use std::path::Path;

use crate::checkpoint;
use crate::data::Image;
use crate::device::{Arena, StepState};
use crate::error::{Error, Result};
use crate::kernel::{Backend, Statistics};
use crate::model::{GeneratorConfig, Network, NormKind};
use crate::nn::{Mode, Running};
use crate::tape::{Program, Tape};
use crate::tensor::Shape;
use crate::train::{self, RunConfig, Side};

/// How a model is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TranslateOptions {
    /// Statistics of batch norm.
    pub statistics: Statistics,
    /// Whether dropout drops.
    pub dropout: bool,
    /// Key of the dropout's masks.
    pub seed: u64,
}

impl Default for TranslateOptions {
    fn default() -> Self {
        TranslateOptions { statistics: Statistics::Batch, dropout: false, seed: 0 }
    }
}

/// A generator ready to translate.
pub struct Translator {
    config: GeneratorConfig,
    generator: Box<dyn Network>,
    options: TranslateOptions,
    base: usize,
    /// The pass recorded last, and its height and width: pictures of one size share it.
    program: Option<([usize; 2], Program)>,
    side: Option<Side>,
    backend: Box<dyn Backend>,
}

impl Translator {
    /// Loads the generator of a model file, a training checkpoint, or a PyTorch state dict.
    ///
    /// # Errors
    /// Files without a generator; running statistics asked of a model that has none.
    pub fn open(
        path: &Path,
        options: TranslateOptions,
        mut backend: Box<dyn Backend>,
    ) -> Result<Self> {
        let weights = checkpoint::load_weights(path)?;
        let Some((config, tensors)) = weights.generator else {
            return Err(Error::input(format!(
                "{} holds a discriminator and no generator; give the generator's file",
                path.display()
            )));
        };
        if options.statistics == Statistics::Running && config.norm != NormKind::Batch {
            return Err(Error::input(format!(
                "{} has no running statistics, its norm is not batch norm; use --norm batch",
                path.display()
            )));
        }
        let mut generator = config.build()?;
        let mut arena = Arena::default();
        generator.params_mut().place(&mut arena, false);
        backend.reserve(arena.len())?;
        train::load(&mut *backend, generator.params(), &tensors, path)?;
        let run: Option<RunConfig> =
            weights.metadata.get("config").and_then(|c| serde_json::from_str(c).ok());
        let (base, side) = (arena.len(), run.map(|r| r.direction));
        Ok(Translator { config, generator, options, base, program: None, side, backend })
    }

    /// What the generator is made of.
    pub fn config(&self) -> &GeneratorConfig {
        &self.config
    }

    /// The direction it was trained in, if the file says so.
    pub fn side(&self) -> Option<Side> {
        self.side
    }

    /// The picture's translation, of the same size.
    ///
    /// # Errors
    /// A generator that does not take or give three channels; no memory for a picture of this size.
    pub fn translate(&mut self, picture: &Image) -> Result<Image> {
        let config = &self.config;
        if (config.in_channels, config.out_channels) != (3, 3) {
            return Err(Error::input(format!(
                "this model turns {} channels into {}; only RGB to RGB pictures are translated",
                config.in_channels, config.out_channels
            )));
        }
        let step = self.generator.multiple();
        let [h, w] = [picture.height, picture.width].map(|n| n.next_multiple_of(step));
        let padded = pad(picture, h, w);
        self.record(h, w)?;
        let (_, program) = self.program.as_ref().expect("recorded just above");
        let backend = &mut *self.backend;
        backend.set_state(StepState { seed: self.options.seed, step: 1, lr: 0.0 });
        backend.upload_images(&padded.pixels, program.view("x")?)?;
        program.run(backend)?;
        let mut bytes = vec![0; h * w * 3];
        backend.download_images(program.view("y")?, &mut bytes)?;
        let (x, y) = ((w - picture.width) / 2, (h - picture.height) / 2);
        Ok(Image::new(w, h, bytes)?.crop(x, y, picture.width, picture.height))
    }

    /// Plans the pass for pictures of `h` x `w`.
    fn record(&mut self, h: usize, w: usize) -> Result<()> {
        if self.program.as_ref().is_some_and(|(size, _)| *size == [h, w]) {
            return Ok(());
        }
        let tape = &mut Tape::new();
        let x = tape.input("x", Shape::new(1, h, w, self.config.in_channels));
        let TranslateOptions { statistics, dropout, .. } = self.options;
        let mode = Mode { statistics, dropout, running: Running::Keep, runs: 1 };
        let y = self.generator.forward(tape, x, mode)?;
        tape.output("y", y);
        let program = tape.compile_as(self.backend.elem(), self.base);
        let free = self.backend.free_memory();
        let needed = 4 * (program.planned() + program.workspace(&*self.backend)) as u64;
        if let Some(free) = free.filter(|&free| needed > free) {
            return Err(Error::machine(format!(
                "a picture of {w} x {h} pixels needs {:.2} GB of memory and {:.2} GB are free; \
                 translate a smaller picture",
                needed as f64 / 1e9,
                free as f64 / 1e9
            )));
        }
        self.backend.reserve(program.end())?;
        self.program = Some(([h, w], program));
        Ok(())
    }
}

/// The picture in the middle of `h` x `w` pixels, mirrored at its edges as often as it takes; the
/// edge itself is not repeated.
fn pad(picture: &Image, h: usize, w: usize) -> Image {
    let mirror = |i: usize, before: usize, len: usize| {
        if len == 1 {
            return 0;
        }
        let period = 2 * (len - 1);
        let at = (i + period * before.div_ceil(period) - before) % period;
        at.min(period - at)
    };
    let (top, left) = ((h - picture.height) / 2, (w - picture.width) / 2);
    let columns: Vec<usize> = (0..w).map(|x| mirror(x, left, picture.width)).collect();
    let mut pixels = Vec::with_capacity(h * w * 3);
    for y in 0..h {
        let row = picture.row(mirror(y, top, picture.height));
        columns.iter().for_each(|&x| pixels.extend_from_slice(&row[3 * x..3 * x + 3]));
    }
    Image { width: w, height: h, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns of a padded row, by the red byte.
    fn row(width: usize, to: usize) -> Vec<u8> {
        let pixels = (0..width as u8).flat_map(|v| [v, 0, 0]).collect();
        let padded = pad(&Image { width, height: 1, pixels }, 1, to);
        padded.pixels.chunks(3).map(|p| p[0]).collect()
    }

    #[test]
    fn padding_mirrors_without_repeating_the_edge() {
        assert_eq!(row(4, 8), [2, 1, 0, 1, 2, 3, 2, 1]);
        assert_eq!(row(3, 3), [0, 1, 2]);
        assert_eq!(row(2, 8), [1, 0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(row(1, 4), [0, 0, 0, 0]);
        assert_eq!(row(3, 10), [1, 2, 1, 0, 1, 2, 1, 0, 1, 2]);
    }
}
