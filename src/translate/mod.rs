//! Translation of images of any size by a model.
//!
//! An image is resized as those of the training were ([`Scale`]), padded by reflection to the
//! multiple of pixels that the generator takes, translated, cropped, and resized back. By default
//! norms use the statistics that the last validation found better, else the image's own, as in
//! training and in the paper's tests (Isola et al. 2017, section 3.4), and dropout is off, where the
//! paper keeps it on as its only noise: a translation is then a function of the image, and closer to
//! the target on average. [`TranslateOptions`] switches each of them.
//!
//! A picture that does not fit into memory is translated by overlapping tiles ([`Tiling`]), and from file to file in
//! bounded memory ([`Translator::translate_stream`]).

mod grid;
mod scale;
mod strip;
mod tiles;

use std::path::Path;
use std::time::Instant;

use crate::checkpoint::{self, Tensors};
use crate::data::{Direction, Domain, DomainKind, Domains, Image};
use crate::device::{Arena, StepState};
use crate::error::settings::{NORM, SCALE};
use crate::error::{Error, Result};
use crate::kernel::{Backend, Statistics};
use crate::limits::bytes;
use crate::model::{GeneratorConfig, Network, NormKind};
use crate::nn::{Mode, Placement, Running};
use crate::tape::{Program, Tape};
use crate::tensor::{Samples, Shape};
use crate::train::Trained;

pub use scale::{Resizing, Scale};
pub use tiles::{Progress, Tiled, Tiling};

/// How a model is run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TranslateOptions {
    /// How images are resized before.
    pub scale: Scale,
    /// The statistics that batch norm uses; `None` for those that the model's file names, else each
    /// image's own.
    pub statistics: Option<Statistics>,
    /// Whether dropout drops.
    pub dropout: bool,
    /// Seed of the dropout masks.
    pub seed: u64,
    /// Height and width of tiles, in pixels: larger pictures are cut into such. `None` for tiles only where a
    /// picture does not fit into memory, of a side that does.
    pub tile: Option<usize>,
    /// Pixels that neighbouring tiles share; `None` for as many as make tiles exact, if they are no more than
    /// half a tile, else a quarter.
    pub overlap: Option<usize>,
}

/// A generator on a device, ready to translate.
pub struct Translator {
    config: GeneratorConfig,
    generator: Box<dyn Network>,
    domains: Domains,
    trained: Trained,
    statistics: Statistics,
    resizing: Resizing,
    options: TranslateOptions,
    base: usize,
    /// The program recorded last: images of one size share it.
    recorded: Option<Recorded>,
    /// Bytes that the largest program so far took of the device.
    held: u64,
    backend: Box<dyn Backend>,
}

/// A recorded translation.
struct Recorded {
    /// Width and height of what is computed.
    size: [usize; 2],
    passage: Passage,
    program: Program,
    /// Bytes that it takes of the device, with workspace.
    bytes: u64,
    /// How far the network takes in what lies beyond an edge, in pixels.
    reach: usize,
}

/// Where norms have their statistics from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passage {
    /// As for a picture in one piece.
    Whole,
    /// From what is translated, which the host reads.
    Measured,
    /// From the host.
    Shared,
}

/// The longest side at which an image is translated, in pixels: larger ones are read from no file, and
/// the numbers of larger ones could overflow.
const LONGEST: usize = 1 << 20;

/// Height and width of the image that [`Translator::seconds_per_pixel`] is measured on, as far as the
/// network takes it.
pub const MEASURED: usize = 256;

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
        let trained = Trained::of(&weights.metadata, path)?;
        Translator::new(path, &config, &tensors, trained, options, backend)
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
        let trained = Trained { domains: Some(domains), ..Trained::default() };
        Translator::new(Path::new("the network"), config, values, trained, options, backend)
    }

    /// As [`Translator::from_network`]; `name` stands for the network in messages.
    fn new(
        name: &Path,
        config: &GeneratorConfig,
        values: &Tensors,
        trained: Trained,
        options: TranslateOptions,
        mut backend: Box<dyn Backend>,
    ) -> Result<Self> {
        options.scale.check()?;
        let found = trained.statistics.filter(|_| config.norm == NormKind::Batch);
        let found = found.map_or(Statistics::Batch, |compared| compared.used);
        let statistics = options.statistics.unwrap_or(found);
        if statistics == Statistics::Running && config.norm != NormKind::Batch {
            return Err(Error::input(format!(
                "{} has no running statistics, its norm is not batch norm; use {NORM} batch",
                name.display()
            )));
        }
        let domains = trained.domains.clone().unwrap_or_else(|| Domains {
            input: Domain::of_channels(config.in_channels),
            target: Domain::of_channels(config.out_channels),
        });
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
            statistics,
            resizing: Resizing::new(options.scale, &trained),
            trained,
            options,
            base,
            recorded: None,
            held: 0,
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
        self.trained.direction
    }

    /// What its file tells of its training.
    pub fn trained(&self) -> &Trained {
        &self.trained
    }

    /// The statistics that batch norm uses.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// How images are resized.
    pub fn resizing(&self) -> &Resizing {
        &self.resizing
    }

    /// Width and height in pixels of what is computed for an image of this width and height: resized
    /// and padded.
    pub fn computed(&self, image: [usize; 2]) -> [usize; 2] {
        let step = self.generator.multiple();
        let [width, height] = self.resizing.size(image);
        let sides = if self.resizing.squares() { [width.max(height); 2] } else { [width, height] };
        sides.map(|side| side.checked_next_multiple_of(step).unwrap_or(side))
    }

    /// Bytes of memory that the device needs for an image of this width and height, beside the
    /// weights; on the CPU with the images themselves, as read, resized and padded, and the output
    /// likewise.
    ///
    /// # Errors
    /// An image that is computed at more than 2^20 pixels a side, or that the device cannot compute.
    pub fn memory(&mut self, image: [usize; 2]) -> Result<u64> {
        let computed = self.computed(image);
        let program = self.record(computed, Passage::Whole)?.bytes;
        if !self.backend.is_host() {
            return Ok(program);
        }
        let pixels = [image, self.resizing.size(image), computed]
            .iter()
            .map(|[width, height]| *width as u64 * *height as u64)
            .sum::<u64>();
        let Domains { input, target } = &self.domains;
        // Of labels a byte for each class goes in, and a logit for each comes out.
        let classes = |domain: &Domain, bytes: usize| match domain.kind {
            DomainKind::Labels { .. } => bytes * domain.network_channels(),
            _ => 0,
        };
        let pixel = input.format().size() + target.format().size();
        let pixel = pixel + classes(input, 1) + classes(target, 4);
        Ok(program + pixels * pixel as u64)
    }

    /// Refuses an image of this width and height if there is too little memory for it.
    ///
    /// # Errors
    /// [`Error::Machine`] with the bytes needed and free; as [`Translator::memory`].
    pub fn check_memory(&mut self, image: [usize; 2]) -> Result<()> {
        let needed = self.memory(image)?;
        // What earlier images took is used again.
        let free = self.backend.free_memory().map(|mut free| {
            free.bytes = free.bytes.saturating_add(self.held);
            free
        });
        let Some(free) = free.filter(|free| needed > free.bytes) else { return Ok(()) };
        // Memory grows with the number of pixels; a tenth less, as padding adds some.
        let [width, _] = self.resizing.size(image);
        let factor =
            0.9 * (free.bytes as f64 / needed as f64).sqrt() * width as f64 / image[0] as f64;
        let factor = (factor * 100.0).floor() / 100.0;
        let cure = if factor > 0.0 {
            format!("use {SCALE} {factor}")
        } else {
            "translate a smaller picture".to_string()
        };
        let [w, h] = self.computed(image);
        Err(Error::machine(format!(
            "a picture of {} x {} pixels, computed at {w} x {h}, needs {} of memory and {free}; \
             {cure}",
            image[0],
            image[1],
            bytes(needed)
        )))
    }

    /// Seconds that this device takes for a pixel of [`Translator::computed`], measured on a blank
    /// image of [`MEASURED`] pixels. The first use of a device takes longer and is not counted.
    ///
    /// # Errors
    /// As [`Translator::translate`].
    pub fn seconds_per_pixel(&mut self) -> Result<f64> {
        let size = [MEASURED.next_multiple_of(self.generator.multiple()); 2];
        let format = self.domains.input.prepared_format();
        let samples = Samples::zeros(format.samples, size[0] * size[1] * format.channels);
        let blank = Image::new(size[0], size[1], format.channels, samples)?;
        self.compute(&blank, size)?;
        let begun = Instant::now();
        self.compute(&blank, size)?;
        Ok(begun.elapsed().as_secs_f64() / (size[0] * size[1]) as f64)
    }

    /// Translates an image into one of the same size, by tiles where [`Translator::tiling`] says so. Where a
    /// model's training had pixels that do not count, an input may have them: the output has none there, as
    /// [`Domain::without`] marks it.
    ///
    /// # Errors
    /// An image whose channels or sample type differ from the input domain's; too little memory for
    /// one of this size.
    pub fn translate(&mut self, image: &Image) -> Result<Image> {
        Ok(self.translate_with(image, &mut |_, _| {})?.0)
    }

    /// As [`Translator::translate`], with what came of the tiles, of which `progress` is told.
    ///
    /// # Errors
    /// As [`Translator::translate`].
    pub fn translate_with(
        &mut self,
        image: &Image,
        progress: &mut Progress,
    ) -> Result<(Image, Option<Tiled>)> {
        // Samples that are not finite are pixels that do not count.
        self.domains.input.format().check_format(image, "the picture")?;
        let size = [image.width, image.height];
        let tiling = self.tiling(size)?;
        let [width, height] = self.resizing.size(size);
        let Domains { input, target } = &self.domains;
        let (target, range) = (target.clone(), target.range());
        let (prepared, holes) = input.prepared(image.clone());
        if holes.is_some() && !self.trained.masked {
            return Err(not_masked());
        }
        let resized = match input.kind {
            DomainKind::Labels { .. } => prepared.resize_nearest(width, height),
            _ => prepared.resize(width, height),
        };
        let (output, tiled) = match tiling {
            Some(tiling) => {
                let (output, tiled) =
                    self.translate_tiles(&resized, holes.as_ref(), tiling, progress)?;
                (output, Some(tiled))
            }
            None => {
                let [w, h] = self.computed(size);
                let output = self.compute(&resized.reflected(w, h), [w, h])?;
                (output.crop((w - width) / 2, (h - height) / 2, width, height), None)
            }
        };
        let finish = |output: Image| match &holes {
            Some(mask) => target.without(target.restored(output), mask),
            None => target.restored(output),
        };
        let output = if (width, height) == (image.width, image.height) {
            output
        } else if matches!(target.kind, DomainKind::Labels { .. }) {
            output.resize_nearest(image.width, image.height)
        } else {
            // The cubic overshoots at edges; a network's output does not.
            output.resize(image.width, image.height).clamped(range)
        };
        Ok((finish(output), tiled))
    }

    /// Runs the generator on an image of a size that it takes.
    fn compute(&mut self, image: &Image, size: [usize; 2]) -> Result<Image> {
        self.run(image, size, Passage::Whole, &[])?;
        let program = &self.recorded.as_ref().expect("it has just run").program;
        let target = &self.domains.target;
        let (range, stored) = target.network_output();
        let samples = self.backend.download_images(program.view("y")?, range, stored)?;
        Ok(target.from_network(size[0], size[1], samples))
    }

    /// Runs the generator with these numbers in the inputs of these names.
    fn run(
        &mut self,
        image: &Image,
        size: [usize; 2],
        passage: Passage,
        given: &[(String, Vec<f32>)],
    ) -> Result<()> {
        self.record(size, passage)?;
        let Recorded { program, bytes, .. } = self.recorded.as_ref().expect("recorded just above");
        let backend = &mut *self.backend;
        backend.reserve(program.end())?;
        self.held = self.held.max(*bytes);
        backend.set_state(StepState { seed: self.options.seed, step: 1, lr: 0.0, micro: 0 });
        let (samples, range) = self.domains.input.network_samples(&image.samples);
        backend.upload_images(samples.as_slice(), range, program.view("x")?)?;
        for (name, values) in given {
            backend.upload(program.view(name)?, values)?;
        }
        program.run(backend)
    }

    /// The program for images of this width and height.
    ///
    /// # Errors
    /// As [`Translator::memory`].
    fn record(&mut self, size: [usize; 2], passage: Passage) -> Result<&Recorded> {
        let known = |last: &Recorded| last.size == size && last.passage == passage;
        if !self.recorded.as_ref().is_some_and(known) {
            let [w, h] = size;
            if w.max(h) > LONGEST {
                return Err(Error::input(format!(
                    "a picture would be computed at {w} x {h} pixels, and at most {LONGEST} a side \
                     can be; use a smaller {SCALE}"
                )));
            }
            let tape = &mut Tape::new();
            let x = tape.input("x", Shape::new(1, h, w, self.config.in_channels));
            let (statistics, running) = match passage {
                Passage::Whole => (self.statistics, Running::Keep),
                Passage::Measured => (Statistics::Batch, Running::Shared),
                Passage::Shared => (Statistics::Running, Running::Shared),
            };
            let mode = Mode { statistics, dropout: self.options.dropout, running, runs: 1 };
            let y = self.generator.forward(tape, x, mode)?;
            tape.output("y", y);
            let reach = tape.margin(y);
            let program = tape.compile(&*self.backend, self.base)?;
            let bytes = 4 * (program.planned() + program.workspace(&*self.backend)) as u64;
            self.recorded = Some(Recorded { size, passage, program, bytes, reach });
        }
        Ok(self.recorded.as_ref().expect("recorded just above"))
    }
}

fn not_masked() -> Error {
    Error::input(
        "the picture has pixels without a value or a class, and no picture of the model's training had such: \
         fill them first",
    )
}
