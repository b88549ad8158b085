//! What needs no training, so that a figure means something: the input as it is, and the mean target.

use super::{Case, System, Task};
use crate::data::{Domain, DomainKind, Domains, Image};
use crate::error::Result;
use crate::tensor::{Sample, Samples, with_samples};

/// The input, taken for the output.
#[derive(Debug)]
pub struct InputAsItIs;

impl InputAsItIs {
    /// Whether inputs can be taken for outputs; else why not.
    ///
    /// # Errors
    /// The reason, as a sentence.
    pub fn fits(task: &Task) -> Result<(), String> {
        let Domains { input, target } = &task.domains;
        let labels = |domain: &Domain| matches!(domain.kind, DomainKind::Labels { .. });
        if !task.has_inputs {
            return Err("no inputs are known".to_string());
        }
        if labels(target) || labels(input) {
            return Err("classes are no samples".to_string());
        }
        match input.format() == target.format() {
            true => Ok(()),
            false => Err(format!("inputs have {}, targets {}", input.format(), target.format())),
        }
    }
}

impl System for InputAsItIs {
    fn name(&self) -> &str {
        "the input as it is"
    }

    fn is_baseline(&self) -> bool {
        true
    }

    fn output(&mut self, _case: &Case, input: &Image) -> Result<Image> {
        Ok(input.clone())
    }
}

/// The mean of all targets that are scored by, pixel by pixel where they have one size, else one colour; of labels
/// the most frequent class.
#[derive(Debug)]
pub struct MeanTarget {
    size: Option<[usize; 2]>,
    domain: Domain,
    /// The mean of each sample of a picture, or of each channel.
    means: Vec<f64>,
    channels: usize,
}

impl MeanTarget {
    /// Of the targets of a task that can be read; pixels that do not count are in no mean.
    pub fn of(task: &Task) -> MeanTarget {
        let domain = &task.domains.target;
        let size = |case: &Case| [case.pair.width, case.pair.height];
        let one = task.cases.first().map(size);
        let one = one.filter(|one| task.cases.iter().all(|case| size(case) == *one));
        let channels = domain.format().channels;
        let classes = match &domain.kind {
            DomainKind::Labels { classes } => Some(classes.len()),
            _ => None,
        };
        let places = one.map_or(1, |[width, height]| width * height);
        let width = classes.unwrap_or(channels);
        let (mut sums, mut counted) = (vec![0.0; places * width], vec![0u64; places]);
        for i in 0..task.cases.len() {
            // What cannot be read is not scored by, which the evaluation says.
            let Ok(truth) = task.read(i) else { continue };
            let counts = truth.counts();
            with_samples!(Samples, &truth.target.samples, all => {
                for (p, pixel) in all.chunks_exact(channels).enumerate() {
                    if counts.is_some_and(|counts| counts[p] == 0) {
                        continue;
                    }
                    let place = if one.is_some() { p } else { 0 };
                    let sums = &mut sums[place * width..][..width];
                    counted[place] += 1;
                    if classes.is_some() {
                        sums[f64::from(pixel[0]) as usize] += 1.0;
                    } else {
                        sums.iter_mut().zip(pixel).for_each(|(sum, &v)| *sum += f64::from(v));
                    }
                }
            });
        }
        let means = match classes {
            Some(_) => sums
                .chunks_exact(width)
                .map(|counts| {
                    let more = |best: usize, i: usize| {
                        if counts[i] > counts[best] { i } else { best }
                    };
                    (1..width).fold(0, more) as f64
                })
                .collect(),
            None => sums
                .chunks_exact(width)
                .zip(&counted)
                .flat_map(|(sums, &n)| sums.iter().map(move |sum| sum / n.max(1) as f64))
                .collect(),
        };
        MeanTarget { size: one, domain: domain.clone(), means, channels }
    }
}

impl System for MeanTarget {
    fn name(&self) -> &str {
        match self.domain.kind {
            DomainKind::Labels { .. } => "the most frequent class",
            _ => "the mean target",
        }
    }

    fn is_baseline(&self) -> bool {
        true
    }

    fn output(&mut self, case: &Case, _input: &Image) -> Result<Image> {
        let [width, height] = self.size.unwrap_or([case.pair.width, case.pair.height]);
        let count = width * height * self.channels;
        let mut samples = Samples::zeros(self.domain.format().samples, count);
        with_samples!(Samples, &mut samples, all => {
            for (sample, mean) in all.iter_mut().zip(self.means.iter().cycle()) {
                *sample = Sample::nearest(*mean as f32);
            }
        });
        Image::new(width, height, self.channels, samples)
    }
}
