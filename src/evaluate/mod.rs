//! Evaluation: outputs of models, or pictures from elsewhere, against their targets. Every picture is scored at the
//! size of its target, by definitions that [`Measure::definition`] states, and none is left out in silence.

mod baseline;
mod files;
mod page;
mod score;
mod scorer;
mod summary;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use baseline::{InputAsItIs, MeanTarget};
pub use files::{csv, json};
pub use page::{digits, page};
pub use score::{ClassPixels, Measure, Score};
pub use scorer::{Photographs, Scorer, ThroughScorer};
pub use summary::{Difference, Summary, difference, summary};
pub use table::{Measured, OF_PAPER, Results};

use crate::data::{Direction, Domain, Domains, Image, Mask, Pair};
use crate::error::{Error, Result};
use crate::tensor::Samples;
use crate::translate::Translator;

/// A picture to score by.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, as that of a prediction without its extension.
    pub name: String,
    /// Another name that predictions of it may have, such as with its phase.
    pub other_name: Option<String>,
    /// Input and target, or twice the target where no input is known.
    pub pair: Pair,
}

/// What is scored, and against what.
#[derive(Clone, Debug)]
pub struct Task {
    /// The pictures.
    pub cases: Vec<Case>,
    /// What the samples of both sides mean.
    pub domains: Domains,
    /// Which picture of a pair is the input.
    pub direction: Direction,
    /// Whether pairs have an input.
    pub has_inputs: bool,
}

impl Task {
    /// Reads a case.
    ///
    /// # Errors
    /// A picture or mask that cannot be read.
    pub fn read(&self, case: usize) -> Result<Truth> {
        let Domains { input, target } = &self.domains;
        let (of_a, of_b) = self.direction.order(input, target);
        let pair = &self.cases[case].pair;
        let ((a, b), _) = pair.read_as([of_a, of_b])?;
        let (input, target) = self.direction.order(a, b);
        let (prepared, holes) = self.domains.target.prepared(target.clone());
        let mask = [pair.read_mask()?, holes].into_iter().flatten().reduce(Image::both);
        Ok(Truth { input, target, prepared, mask })
    }
}

/// What a case holds.
#[derive(Clone, Debug)]
pub struct Truth {
    /// The input as its file has it; without inputs the target.
    pub input: Image,
    /// The target as its file has it.
    pub target: Image,
    /// The target [prepared](Domain::prepared).
    pub prepared: Image,
    /// Which of its pixels count, if not all do.
    pub mask: Option<Mask>,
}

impl Truth {
    /// For each pixel 0 if it does not count; `None` if all do.
    fn counts(&self) -> Option<&[u8]> {
        self.mask.as_ref().map(|mask| match &mask.samples {
            Samples::U8(counts) => &counts[..],
            _ => panic!("masks are of u8"),
        })
    }
}

/// Where outputs come from.
pub trait System {
    /// What it is called in reports.
    fn name(&self) -> &str;

    /// Whether it only serves to compare with.
    fn is_baseline(&self) -> bool {
        false
    }

    /// The output for a case, as files have it.
    ///
    /// # Errors
    /// An output that there is none of, or that cannot be read or computed.
    fn output(&mut self, case: &Case, input: &Image) -> Result<Image>;

    /// What of the input's kind the output was made of, to be shown, where that is not the input itself.
    ///
    /// # Errors
    /// As [`System::output`].
    fn seen(&mut self, _case: &Case, _input: &Image) -> Result<Option<Image>> {
        Ok(None)
    }
}

/// A model.
#[allow(missing_debug_implementations)]
pub struct Model {
    /// What it is called.
    pub name: String,
    /// The model.
    pub translator: Translator,
}

impl System for Model {
    fn name(&self) -> &str {
        &self.name
    }

    fn output(&mut self, _case: &Case, input: &Image) -> Result<Image> {
        self.translator.translate(input)
    }
}

/// Pictures of a folder.
#[derive(Debug)]
pub struct Predictions {
    /// What they are called.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// Each by its path from the folder without the extension.
    pub files: BTreeMap<String, PathBuf>,
    /// What their samples mean: the domain of the targets.
    pub domain: Domain,
}

impl Predictions {
    /// The file for a case.
    pub fn file(&self, case: &Case) -> Option<&PathBuf> {
        let names = std::iter::once(&case.name).chain(&case.other_name);
        names.filter_map(|name| self.files.get(name)).next()
    }
}

impl System for Predictions {
    fn name(&self) -> &str {
        &self.name
    }

    fn output(&mut self, case: &Case, _input: &Image) -> Result<Image> {
        let Some(path) = self.file(case) else {
            return Err(Error::input(format!(
                "there is no picture named {} in {}",
                case.name,
                self.folder.display()
            )));
        };
        Ok(self.domain.read(path, case.pair.page)?.0)
    }
}

/// The scores of a system.
#[derive(Clone, Debug)]
pub struct Scored {
    /// The system.
    pub name: String,
    /// Whether it only serves to compare with.
    pub baseline: bool,
    /// A score for each case; none where there was no output.
    pub scores: Vec<Option<Score>>,
}

/// What an evaluation found.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The names of the cases.
    pub cases: Vec<String>,
    /// The systems, in the order in which they were given; baselines last.
    pub systems: Vec<Scored>,
    /// Outputs that were not scored: the system, the case and why.
    pub missing: Vec<[String; 3]>,
    /// The figures, the one that decides first.
    pub measures: Vec<Measure>,
    /// Seed of the resampling.
    pub seed: u64,
}

/// Scores all outputs of all systems; `done` hears of each case. What cannot be read or computed is in
/// [`Evaluation::missing`].
pub fn evaluate(
    task: &Task,
    systems: &mut [Box<dyn System>],
    seed: u64,
    done: &mut dyn FnMut(),
) -> Evaluation {
    let target = &task.domains.target;
    let mut scored: Vec<Scored> = systems
        .iter()
        .map(|system| Scored {
            name: system.name().to_string(),
            baseline: system.is_baseline(),
            scores: Vec::with_capacity(task.cases.len()),
        })
        .collect();
    let mut missing = Vec::new();
    for (i, case) in task.cases.iter().enumerate() {
        let truth = match task.read(i) {
            Ok(truth) => truth,
            Err(error) => {
                for system in &mut scored {
                    system.scores.push(None);
                    missing.push([system.name.clone(), case.name.clone(), error.to_string()]);
                }
                done();
                continue;
            }
        };
        for (system, scored) in systems.iter_mut().zip(&mut scored) {
            let output = system.output(case, &truth.input);
            match output.and_then(|output| Score::of(target, &output, &truth)) {
                Ok(score) => scored.scores.push(Some(score)),
                Err(error) => {
                    missing.push([scored.name.clone(), case.name.clone(), error.to_string()]);
                    scored.scores.push(None);
                }
            }
        }
        done();
    }
    let has = |of: fn(&Score) -> bool| scored.iter().flat_map(|s| &s.scores).flatten().any(of);
    let mut measures = Vec::new();
    if has(|score| !score.classes.is_empty()) {
        measures.extend(Measure::OF_CLASSES);
    }
    if has(|score| !score.samples.is_empty()) {
        measures.extend(Measure::OF_SAMPLES);
    }
    if has(|score| score.colours.is_some()) {
        measures.extend(Measure::OF_COLOURS);
    }
    let cases = task.cases.iter().map(|case| case.name.clone()).collect();
    Evaluation { cases, systems: scored, missing, measures, seed }
}

impl Evaluation {
    /// The figures of a system over all its pictures.
    pub fn summaries(&self, system: usize) -> Vec<Summary> {
        let scores = &self.systems[system].scores;
        self.measures.iter().map(|&measure| summary(measure, scores, self.seed)).collect()
    }

    /// The differences of a system from the first one.
    pub fn differences(&self, system: usize) -> Vec<Difference> {
        let [scores, first] = [system, 0].map(|i| &self.systems[i].scores);
        self.measures.iter().map(|&measure| difference(measure, scores, first, self.seed)).collect()
    }

    /// The distributions of L, a and b over all outputs of a system, and over their targets; empty where colours are not
    /// known.
    pub fn colours(&self, system: usize) -> [[Vec<u64>; 3]; 2] {
        let mut both = [const { [const { Vec::new() }; 3] }; 2];
        for colours in
            self.systems[system].scores.iter().flatten().filter_map(|s| s.colours.as_ref())
        {
            for (sums, of) in both.iter_mut().zip(colours) {
                sums.iter_mut().zip(&of.counts).for_each(|(sum, counts)| score::add(sum, counts));
            }
        }
        both
    }

    /// The cases of the first system from worst to best by the first figure.
    pub fn from_worst(&self) -> Vec<usize> {
        let (Some(first), Some(&measure)) = (self.systems.first(), self.measures.first()) else {
            return Vec::new();
        };
        let figure = |i: usize| first.scores[i].as_ref().map(|score| score.figure(measure));
        let mut all: Vec<(f64, usize)> = (0..self.cases.len())
            .filter_map(|i| Some((figure(i)?, i)))
            .filter(|(figure, _)| !figure.is_nan())
            .collect();
        let sign = if measure.more_is_better() { 1.0 } else { -1.0 };
        all.sort_by(|a, b| (sign * a.0).total_cmp(&(sign * b.0)).then(a.1.cmp(&b.1)));
        all.into_iter().map(|(_, i)| i).collect()
    }
}
