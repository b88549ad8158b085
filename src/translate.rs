//! Translation of images of any size by a model.
//!
//! An image is padded by reflection to the multiple of pixels that the generator takes, translated,
//! and cropped back. By default norms use the image's own statistics, as in training and in the
//! paper's tests (Isola et al. 2017, section 3.4), and dropout is off, where the paper keeps it on
//! as its only noise: a translation is then a function of the image, and closer to the target on
//! average. [`TranslateOptions`] switches each of them.

use std::path::Path;

use serde::Deserialize;

use crate::checkpoint::{self, Tensors};
use crate::data::{Direction, Domain, Domains, Image};
use crate::device::{Arena, StepState};
use crate::error::settings::NORM;
use crate::error::{Error, Result};
use crate::kernel::{Backend, Statistics};
use crate::model::{GeneratorConfig, Network, NormKind};
use crate::nn::{Mode, Placement, Running};
use crate::tape::{Program, Tape};
use crate::tensor::Shape;

/// How a model is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TranslateOptions {
    /// The statistics that batch norm uses.
    pub statistics: Statistics,
    /// Whether dropout drops.
    pub dropout: bool,
    /// Seed of the dropout masks.
    pub seed: u64,
}

impl Default for TranslateOptions {
    fn default() -> Self {
        TranslateOptions { statistics: Statistics::Batch, dropout: false, seed: 0 }
    }
}

/// A generator on a device, ready to translate.
pub struct Translator {
    config: GeneratorConfig,
    generator: Box<dyn Network>,
    domains: Domains,
    direction: Option<Direction>,
    options: TranslateOptions,
    base: usize,
    /// The program recorded last, with its height and width: images of one size share it.
    program: Option<([usize; 2], Program)>,
    backend: Box<dyn Backend>,
}

/// What a translation needs of the training settings in a model file, which may lack them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Training {
    direction: Option<Direction>,
    domains: Option<Domains>,
}

impl Translator {
    /// Loads the generator of a model file, the folder of a run, a training checkpoint, or a
    /// PyTorch state dict. Images are 8-bit where the file states no [`Domains`].
    ///
    /// # Errors
    /// A file that cannot be read or has no generator; domains that do not fit the generator;
    /// running statistics of a model without batch norm.
    pub fn open(path: &Path, options: TranslateOptions, backend: Box<dyn Backend>) -> Result<Self> {
        let path = &checkpoint::model_file(path);
        let weights = checkpoint::load_weights(path)?;
        let Some((config, tensors)) = weights.generator else {
            return Err(Error::input(format!(
                "{} holds a discriminator and no generator; give the generator's file",
                path.display()
            )));
        };
        let training: Training = match weights.metadata.get("config") {
            None => Training::default(),
            Some(config) => serde_json::from_str(config).map_err(|e| {
                Error::input(format!(
                    "{}: its metadata key `config` is damaged ({e}); convert or train it again",
                    path.display()
                ))
            })?,
        };
        let domains = training.domains.unwrap_or_else(|| Domains {
            input: Domain::of_channels(config.in_channels),
            target: Domain::of_channels(config.out_channels),
        });
        let translator = Translator::new(path, &config, &tensors, domains, options, backend)?;
        Ok(Translator { direction: training.direction, ..translator })
    }

    /// A translator of a network in host memory, with the domains of its images.
    ///
    /// # Errors
    /// Tensors that are missing or have another shape; domains that do not fit the generator;
    /// running statistics of a network without batch norm.
    pub fn from_network(
        config: &GeneratorConfig,
        values: &Tensors,
        domains: Domains,
        options: TranslateOptions,
        backend: Box<dyn Backend>,
    ) -> Result<Self> {
        Translator::new(Path::new("the network"), config, values, domains, options, backend)
    }

    /// As [`Translator::from_network`]; `name` stands for the network in messages.
    fn new(
        name: &Path,
        config: &GeneratorConfig,
        values: &Tensors,
        domains: Domains,
        options: TranslateOptions,
        mut backend: Box<dyn Backend>,
    ) -> Result<Self> {
        if options.statistics == Statistics::Running && config.norm != NormKind::Batch {
            return Err(Error::input(format!(
                "{} has no running statistics, its norm is not batch norm; use {NORM} batch",
                name.display()
            )));
        }
        domains.check([config.in_channels, config.out_channels]).map_err(|e| {
            Error::input(format!("{}: its domains do not fit: {e}", name.display()))
        })?;
        let mut generator = config.build()?;
        let mut arena = Arena::default();
        generator.params_mut().place(&mut arena, Placement::Values);
        backend.reserve(arena.len())?;
        checkpoint::upload(&mut *backend, generator.params(), values, name)?;
        let base = arena.len();
        Ok(Translator {
            config: config.clone(),
            generator,
            domains,
            direction: None,
            options,
            base,
            program: None,
            backend,
        })
    }

    /// What the generator is made of.
    pub fn config(&self) -> &GeneratorConfig {
        &self.config
    }

    /// The domains of the images that it takes and gives.
    pub fn domains(&self) -> &Domains {
        &self.domains
    }

    /// The direction in which it was trained, if its file states one.
    pub fn direction(&self) -> Option<Direction> {
        self.direction
    }

    /// Translates an image into one of the same size.
    ///
    /// # Errors
    /// An image whose channels or sample type differ from the input domain's; too little memory for
    /// one of this size.
    pub fn translate(&mut self, image: &Image) -> Result<Image> {
        let Domains { input, target } = &self.domains;
        input.format().check(image, "the picture")?;
        let (from, to, samples) = (input.range(), target.range(), target.samples);
        let step = self.generator.multiple();
        let [h, w] = [image.height, image.width].map(|n| n.next_multiple_of(step));
        let padded = pad(image, h, w);
        self.record(h, w)?;
        let (_, program) = self.program.as_ref().expect("recorded just above");
        let backend = &mut *self.backend;
        backend.set_state(StepState { seed: self.options.seed, step: 1, lr: 0.0, micro: 0 });
        backend.upload_images(padded.samples.as_slice(), from, program.view("x")?)?;
        program.run(backend)?;
        let y = program.view("y")?;
        let output = Image::new(w, h, y.shape.c, backend.download_images(y, to, samples)?)?;
        let (x, y) = ((w - image.width) / 2, (h - image.height) / 2);
        Ok(output.crop(x, y, image.width, image.height))
    }

    /// Plans the program for images of `h` x `w`.
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
        let program = tape.compile(&*self.backend, self.base)?;
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

/// The image in the middle of `h` x `w` pixels, reflected at its edges as often as needed; the edge
/// pixel itself is not repeated.
fn pad(image: &Image, h: usize, w: usize) -> Image {
    let mirror = |i: usize, before: usize, len: usize| {
        if len == 1 {
            return 0;
        }
        let period = 2 * (len - 1);
        let at = (i + period * before.div_ceil(period) - before) % period;
        at.min(period - at)
    };
    let taken = |len: usize, padded: usize| -> Vec<usize> {
        (0..padded).map(|i| mirror(i, (padded - len) / 2, len)).collect()
    };
    image.gather(&taken(image.width, w), &taken(image.height, h))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Samples;

    /// Columns of a padded row.
    fn row(width: usize, to: usize) -> Vec<u8> {
        let samples: Vec<u8> = (0..width as u8).collect();
        match pad(&Image::new(width, 1, 1, samples).unwrap(), 1, to).samples {
            Samples::U8(padded) => padded,
            other => panic!("{other:?}"),
        }
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
