//! Evaluation of a generator during training: scores on validation pairs, and sheets of input,
//! output and target.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Deserializer, Serialize};

use super::{Networks, Recipe, RunConfig};
use crate::data::{
    self, Domain, DomainKind, Domains, Image, LoaderOptions, Mask, Pairs, PlainPair,
};
use crate::error::{Error, Result};
use crate::kernel::{Backend, Statistics};
use crate::metric::{self, Confusion, LabelScores};
use crate::tape::{Program, Tape};
use crate::tensor::{SampleRange, Samples, Shape};

/// Scores of an output against its target, or their means over several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Mean absolute difference of pixels in [-1, 1]; NaN of classes, which have no differences.
    #[serde(default = "nan", skip_serializing_if = "is_nan")]
    pub l1: f64,
    /// Peak signal-to-noise ratio in dB; infinite for equal images, null in a file.
    #[serde(deserialize_with = "or_infinite")]
    pub psnr: f64,
    /// Structural similarity, at most 1; NaN for images smaller than [`metric::SSIM_WINDOW`], null
    /// in a file.
    #[serde(deserialize_with = "or_nan")]
    pub ssim: f64,
    /// Of labels, and of colours that stand for classes: how often the classes are right, over all pixels of
    /// all images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelScores>,
    /// Of a mean: how many outputs equal their target, and are not in the mean of the PSNR.
    #[serde(default, skip_serializing_if = "none")]
    pub exact: usize,
    /// Of a mean: how many images are too small for SSIM, and are not in its mean.
    #[serde(default, skip_serializing_if = "none")]
    pub small: usize,
}

fn nan() -> f64 {
    f64::NAN
}

fn is_nan(value: &f64) -> bool {
    value.is_nan()
}

fn none(count: &usize) -> bool {
    *count == 0
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
        Scores::counting(output, target, range, None)
    }

    /// [`Scores::of`] the pixels that count: not those that are 0 in `counts`, where it is given.
    ///
    /// # Errors
    /// As [`Scores::of`]; no pixel that counts.
    pub fn counting(
        output: &Image,
        target: &Image,
        range: SampleRange,
        counts: Option<&[u8]>,
    ) -> Result<Scores> {
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
        let ssim = if small { f64::NAN } else { metric::ssim(a, b, size, range, counts)? };
        let (a, b) = match counts {
            Some(counts) => (output.samples_that_count(counts), target.samples_that_count(counts)),
            None => (output.samples.clone(), target.samples.clone()),
        };
        let (a, b) = (a.as_slice(), b.as_slice());
        let (l1, psnr) = (metric::l1(a, b, range)?, metric::psnr(a, b, range)?);
        Ok(Scores { l1, psnr, ssim, ..Scores::default() })
    }

    /// Whether they are better than others: a higher mean IoU where classes are scored, else a lower L1.
    pub fn better_than(&self, other: &Scores) -> bool {
        match (&self.labels, &other.labels) {
            (Some(mine), Some(others)) => mine.mean_iou > others.mean_iou,
            _ => self.l1 < other.l1,
        }
    }

    /// The figure that decides which are better: "mean IoU" or "L1", and its value.
    pub fn deciding(&self) -> (&'static str, f64) {
        self.labels.as_ref().map_or(("L1", self.l1), |labels| ("mean IoU", labels.mean_iou))
    }

    /// "L1 0.1234, PSNR 12.34 dB, SSIM 0.5678", with what is not in a mean; without SSIM if it is NaN.
    pub fn line(&self) -> String {
        let without = |count: usize, why: &str| match count {
            0 => String::new(),
            n => format!(" (without {n} {why})"),
        };
        let exact = without(self.exact, "equal to the target");
        let small = without(self.small, "too small for it");
        let ssim = if self.ssim.is_nan() {
            String::new()
        } else {
            format!(", SSIM {:.4}{small}", self.ssim)
        };
        let pixels = format!("L1 {:.4}, PSNR {:.2} dB{exact}{ssim}", self.l1, self.psnr);
        let Some(LabelScores { pixel_accuracy, class_accuracy, mean_iou }) = self.labels else {
            return pixels;
        };
        let classes = format!(
            "mean IoU {mean_iou:.4}, pixel accuracy {pixel_accuracy:.4}, class accuracy {class_accuracy:.4}"
        );
        if self.l1.is_nan() { classes } else { format!("{classes}, {pixels}") }
    }

    /// The mean of several. An infinite PSNR and an SSIM that there is none of would leave nothing of a
    /// mean: they are left out and counted, unless all are so.
    pub fn mean(all: &[Scores]) -> Scores {
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let psnr: Vec<f64> = all.iter().map(|s| s.psnr).filter(|v| *v != f64::INFINITY).collect();
        let ssim: Vec<f64> = all.iter().map(|s| s.ssim).filter(|v| !v.is_nan()).collect();
        let left_out = |kept: usize| if kept == 0 { 0 } else { all.len() - kept };
        let (exact, small) = (left_out(psnr.len()), left_out(ssim.len()));
        let or = |values: Vec<f64>, none: f64| if values.is_empty() { none } else { mean(values) };
        Scores {
            l1: mean(all.iter().map(|s| s.l1).collect()),
            psnr: or(psnr, f64::INFINITY),
            ssim: or(ssim, f64::NAN),
            exact,
            small,
            labels: None,
        }
    }
}

/// The numbers of a mask.
fn counts(mask: &Mask) -> &[u8] {
    match &mask.samples {
        Samples::U8(counts) => counts,
        _ => panic!("masks are of u8"),
    }
}

/// The scores of several outputs.
#[derive(Clone, Debug)]
pub struct Tally {
    target: Domain,
    each: Vec<Scores>,
    table: Option<Confusion>,
}

impl Tally {
    /// Of outputs of this domain.
    pub fn new(target: &Domain) -> Self {
        let table = target.class_names().map(|names| Confusion::new(names.len()));
        Tally { target: target.clone(), each: Vec::new(), table }
    }

    /// Adds the scores of a [prepared](Domain::prepared) output against its target, over the pixels that count;
    /// nothing if there are none.
    ///
    /// # Errors
    /// As [`Scores::of`].
    pub fn add(&mut self, output: &Image, target: &Image, mask: Option<&Mask>) -> Result<()> {
        let mask = mask.map(counts);
        if mask.is_some_and(|mask| mask.iter().all(|&counts| counts == 0)) {
            return Ok(());
        }
        if matches!(self.target.kind, DomainKind::Labels { .. }) {
            let mean = Scores { l1: f64::NAN, ssim: f64::NAN, ..Scores::default() };
            self.each.push(mean);
        } else {
            self.each.push(Scores::counting(output, target, self.target.range(), mask)?);
        }
        let both = (self.target.class_indices(target), self.target.class_indices(output));
        if let (Some(table), (Some(classes), Some(given))) = (&mut self.table, both) {
            let pixels = classes.into_iter().zip(given).enumerate();
            let counts = |i: usize| mask.is_none_or(|mask| mask[i] != 0);
            pixels
                .filter(|(i, _)| counts(*i))
                .for_each(|(_, (class, given))| table.add(class, given));
        }
        Ok(())
    }

    /// How many outputs were scored.
    pub fn len(&self) -> usize {
        self.each.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// The scores of all: means of the figures of pixels, and figures of classes over all pixels.
    pub fn scores(&self) -> Scores {
        Scores { labels: self.table.as_ref().map(Confusion::scores), ..Scores::mean(&self.each) }
    }
}

/// The result of a validation: the scores that count, and with which statistics of batch norm.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    /// Mean scores with [`Validation::statistics`].
    pub scores: Scores,
    /// The better of the two, where both were measured; else the batch's.
    pub statistics: Statistics,
    /// Mean scores with the other statistics; none where they were not measured.
    pub other: Option<Scores>,
    /// Which classes were taken for which, where there are classes.
    pub confusion: Option<Confusion>,
}

impl Validation {
    /// The better of both; the batch's where they are equal.
    fn better(batch: (Scores, Option<Confusion>), running: (Scores, Option<Confusion>)) -> Self {
        let ((scores, confusion), statistics, (other, _)) = match running.0.better_than(&batch.0) {
            true => (running, Statistics::Running, batch),
            false => (batch, Statistics::Batch, running),
        };
        Validation { scores, statistics, other: Some(other), confusion }
    }

    /// What a model file remembers of it; none if nothing was compared.
    pub fn compared(&self) -> Option<Compared> {
        let other = self.other?;
        let (figure, l1) = self.scores.deciding();
        let (_, other_l1) = other.deciding();
        Some(Compared { used: self.statistics, l1, other_l1, by_iou: figure != "L1" })
    }
}

/// Which statistics of batch norm gave the better figure on the validation pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The better ones: translations and samples use them.
    pub used: Statistics,
    /// Their mean L1, of pixels in [-1, 1], or their mean IoU.
    pub l1: f64,
    /// That of the others.
    pub other_l1: f64,
    /// Whether the figure is the mean IoU of classes, not the L1.
    #[serde(default, skip_serializing_if = "is_false")]
    pub by_iou: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Runs the preview of a recipe on single images of the training size.
#[derive(Debug)]
pub struct Viewer {
    /// With the batch's statistics, which are the image's own.
    own: Program,
    /// With the running statistics, if they are compared.
    running: Option<Program>,
    input: &'static str,
    /// How pairs are read.
    pairs: LoaderOptions,
}

impl Viewer {
    /// Records the preview of a recipe for one image of the size of `config`, and plans it for the
    /// device `b`; its memory follows that of the networks.
    ///
    /// # Errors
    /// A size that the network or the device cannot take.
    pub fn record(
        recipe: &dyn Recipe,
        networks: &Networks,
        config: &RunConfig,
        b: &dyn Backend,
    ) -> Result<Self> {
        let size = config.size;
        let inputs = recipe.inputs();
        let input = &inputs[0];
        let program = |statistics| {
            let tape = &mut Tape::new();
            let x = tape.input(input.name, Shape::new(1, size.height, size.width, input.channels));
            let y = recipe.preview(tape, networks, x, statistics)?;
            tape.output("y", y);
            tape.compile(b, networks.end())
        };
        let own = program(Statistics::Batch)?;
        let both = config.compares_statistics();
        let running = both.then(|| program(Statistics::Running)).transpose()?;
        Ok(Viewer { own, running, input: input.name, pairs: config.loader() })
    }

    /// One past its last unit of 4 bytes in the arena.
    pub fn end(&self) -> usize {
        self.running.as_ref().map_or(0, Program::end).max(self.own.end())
    }

    /// Input, output and target of pair `i`; the image's own statistics are used where the running
    /// ones are not compared ([`RunConfig::compares_statistics`]).
    ///
    /// # Errors
    /// A pair that cannot be read, or whose channels or sample types differ from the domains.
    pub fn view(
        &self,
        b: &mut dyn Backend,
        pairs: &dyn Pairs,
        i: usize,
        statistics: Statistics,
    ) -> Result<[Image; 3]> {
        let PlainPair { input, target, .. } = self.load(pairs, i)?;
        let program = match statistics {
            Statistics::Running => self.running.as_ref().unwrap_or(&self.own),
            Statistics::Batch => &self.own,
        };
        let output = self.run(b, program, &input)?;
        Ok([input, output, target])
    }

    /// Input and target of pair `i`.
    fn load(&self, pairs: &dyn Pairs, i: usize) -> Result<PlainPair> {
        data::plain(pairs, i, &self.pairs)
    }

    fn run(&self, b: &mut dyn Backend, program: &Program, input: &Image) -> Result<Image> {
        let Domains { input: from, target: to } = &self.pairs.domains;
        let (samples, range) = from.network_samples(&input.samples);
        b.upload_images(samples.as_slice(), range, program.view(self.input)?)?;
        program.run(b)?;
        let y = program.view("y")?;
        let (range, stored) = to.network_output();
        let samples = b.download_images(y, range, stored)?;
        Ok(to.from_network(y.shape.w, y.shape.h, samples))
    }

    /// Mean scores over all pairs; `None` if `stop` was set before the last of them.
    ///
    /// # Errors
    /// As [`Viewer::view`].
    pub fn score(
        &self,
        b: &mut dyn Backend,
        pairs: &dyn Pairs,
        stop: &AtomicBool,
    ) -> Result<Option<Validation>> {
        let programs: Vec<&Program> = std::iter::once(&self.own).chain(&self.running).collect();
        let mut all = vec![Tally::new(&self.pairs.domains.target); programs.len()];
        for i in 0..pairs.len() {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let PlainPair { input, target, mask } = self.load(pairs, i)?;
            for (program, tally) in programs.iter().zip(&mut all) {
                let output = self.run(b, program, &input)?;
                tally.add(&output, &target, mask.as_ref())?;
            }
        }
        let mut all = all.into_iter().map(|tally| (tally.scores(), tally.table));
        let (first, second) = (all.next().expect("at least one program"), all.next());
        Ok(Some(match second {
            Some(running) => Validation::better(first, running),
            None => {
                let (scores, confusion) = first;
                Validation { scores, statistics: Statistics::Batch, other: None, confusion }
            }
        }))
    }

    /// Writes a sheet with a row for each of the first `rows` pairs; returns input, output and target of
    /// each.
    ///
    /// # Errors
    /// As [`Viewer::view`]; a file that cannot be written.
    pub fn sheet(
        &self,
        b: &mut dyn Backend,
        pairs: &dyn Pairs,
        rows: usize,
        statistics: Statistics,
        path: &Path,
    ) -> Result<Vec<[Image; 3]>> {
        let Domains { input, target } = &self.pairs.domains;
        let domains = [input, target, target];
        let view = |i| self.view(b, pairs, i, statistics);
        let views: Vec<_> = (0..pairs.len().min(rows)).map(view).collect::<Result<_>>()?;
        let row = |images: &[Image; 3]| -> Vec<Image> {
            images.iter().zip(domains).map(|(image, domain)| domain.shown(image)).collect()
        };
        data::sheet(&views.iter().map(row).collect::<Vec<_>>())?.write_png(path)?;
        Ok(views)
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

    #[test]
    fn one_exact_or_tiny_image_neither_spoils_a_mean_nor_hides_it() {
        let score = |psnr, ssim| Scores { l1: 0.25, psnr, ssim, ..Scores::default() };
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let mean = Scores::mean(&[score(20.0, 0.5), score(inf, 1.0), score(30.0, nan)]);
        assert_eq!((mean.psnr, mean.ssim, mean.exact, mean.small), (25.0, 0.75, 1, 1));
        assert_eq!(
            mean.line(),
            "L1 0.2500, PSNR 25.00 dB (without 1 equal to the target), SSIM 0.7500 (without 1 too small \
             for it)"
        );
        let equal = Scores::mean(&[score(inf, nan), score(inf, nan)]);
        assert_eq!(equal.line(), "L1 0.2500, PSNR inf dB");
        assert_eq!(Scores::mean(&[score(20.0, 0.5)]).line(), score(20.0, 0.5).line());
        // NaN is no exact output.
        assert!(Scores::mean(&[score(nan, 0.5), score(20.0, 0.5)]).psnr.is_nan());
    }
}
