//! Signs that a run whose numbers are all finite learns nothing: losses that stand still or grow
//! without bound, a discriminator that is never wrong, outputs that do not depend on their input. Each
//! is said once a run, in one sentence with what to try, and stops nothing: a false alarm costs trust,
//! so every threshold is far from what runs that learn were seen to do.
//!
//! A run that is no longer finite is stopped: [`diverged`] says how to go on.

use std::path::Path;

use super::{Losses, RunConfig};
use crate::checkpoint::LATEST;
use crate::data::{DomainKind, Image};
use crate::error::Error;
use crate::error::settings::{DISCRIMINATOR_CHANNELS, GAN, LAMBDA, LR, NORM, RESUME};
use crate::model::NormKind;

/// The paper's weight of the distance.
const LAMBDA_OF_THE_PAPER: f32 = 100.0;

// "Runs that learn" below are 28,700 steps of nine runs at 64 pixels on all of `samples/atlas`, on 6 of its
// pairs and on one, with and without jitter: vanilla, LSGAN and no adversarial loss, discriminators of 1 to
// 64 channels.

/// Steps in a row with the same bits of a loss, from which on it stands still. Pictures and weights
/// change from step to step, and in runs that learn no loss was ever equal twice in a row: so many are
/// only where no gradient passes.
const STILL: u64 = 100;
/// Steps in a row in which the discriminator makes no mistake worth mentioning, from which on it has
/// won.
const WON: u64 = 200;
/// The largest loss of such a step, on real and on generated pictures. In runs that learn one step had
/// it, and 368 in a row were below ten times as much, where D knows a single pair by heart.
const NO_MISTAKE: f32 = 1e-3;
/// Steps whose losses are averaged, so that one odd picture is no sign.
const BLOCK: u64 = 100;
/// An average adversarial loss above this has exploded: in cross entropy a logit beyond 100, where
/// sigmoid is 1 to 43 digits; in squares an output of 10 where 0 or 1 is asked for. In runs that learn it
/// stayed below 7.
const EXPLODED: f64 = 100.0;
/// Any other loss has exploded when it averages this many times its average over the first block.
const GROWN: f64 = 100.0;
/// Steps from which on the distance to the target must have fallen below that of the first block, at
/// an average of [`RECENT`] blocks. Runs that learn have come down to 25 to 57 percent of it by then.
const PATIENCE: u64 = 2000;
/// Blocks of the average that is compared: 500 steps, so that chance moves it by one or two percent.
const RECENT: usize = 5;
/// The weight of the distance from which on it leads the generator: the paper's is 100, and below 10 the
/// adversarial loss is as large in most of a run.
const LEADS: f32 = 10.0;
/// Steps before outputs are judged: those of networks that are still as they were initialised may be
/// one grey in 8 bits.
const YOUNG: u64 = 200;

/// What is known of one loss.
#[derive(Clone, Debug, Default)]
struct Track {
    name: String,
    /// The last value, and for how many steps it has been the same, bit for bit.
    last: f32,
    same: u64,
    /// The sum of the block that is not finished.
    sum: f64,
    /// The average of the first block, and those of the last ones, newest last.
    first: Option<f64>,
    recent: Vec<f64>,
}

impl Track {
    fn push(&mut self, value: f32, ends_block: bool) {
        self.same = if self.last.to_bits() == value.to_bits() { self.same + 1 } else { 1 };
        self.last = value;
        self.sum += f64::from(value);
        if ends_block {
            let average = std::mem::take(&mut self.sum) / BLOCK as f64;
            self.first.get_or_insert(average);
            self.recent.push(average);
            if self.recent.len() > RECENT {
                self.recent.remove(0);
            }
        }
    }

    fn is_adversarial(&self) -> bool {
        ["g_gan", "d_real", "d_fake"].iter().any(|name| self.name.starts_with(name))
    }

    fn has_exploded(&self) -> bool {
        let (Some(first), Some(last)) = (self.first, self.recent.last()) else { return false };
        let bound = if self.is_adversarial() { EXPLODED } else { GROWN * first };
        first > 0.0 && *last > bound
    }

    /// Whether the average of the last blocks is not below that of the first.
    fn has_not_fallen(&self) -> bool {
        let average = self.recent.iter().sum::<f64>() / self.recent.len().max(1) as f64;
        self.recent.len() == RECENT && self.first.is_some_and(|first| average >= first)
    }
}

/// What was said already: each kind is said once a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Still,
    Won,
    Exploded,
    NotFallen,
    OneColour,
    SameForAll,
}

/// Watches the losses and the outputs of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    steps: u64,
    tracks: Vec<Track>,
    /// Steps in a row in which no discriminator made a mistake.
    won: u64,
    /// Whether the distance to the target is expected to fall from where it begins.
    falls: bool,
    said: Vec<Sign>,
    /// The distance to the target has no weight, so that its loss is 0 throughout.
    weightless: bool,
}

impl Health {
    /// Of a run with these settings, which begins from random values if it is `fresh`: the distance of
    /// another may be as low as it gets already.
    pub fn new(config: &RunConfig, fresh: bool) -> Self {
        let lambda = config.objective.lambda;
        // One class everywhere is how labels of a common class begin.
        let labels = matches!(config.domains.target.kind, DomainKind::Labels { .. });
        let said = if labels { vec![Sign::OneColour, Sign::SameForAll] } else { Vec::new() };
        let (falls, weightless) = (fresh && lambda >= LEADS, lambda == 0.0);
        Health { falls, weightless, said, ..Health::default() }
    }

    /// Says `text` unless a sign of this kind has been said before.
    fn once(&mut self, sign: Sign, text: impl FnOnce() -> String) -> Option<String> {
        if self.said.contains(&sign) {
            return None;
        }
        self.said.push(sign);
        Some(text())
    }

    /// Takes the losses of step `step`, which are finite; returns what the user should know, at most
    /// one thing a step.
    pub fn step(&mut self, step: u64, losses: &Losses) -> Option<String> {
        if self.tracks.is_empty() {
            let track =
                |(name, _): (&str, f32)| Track { name: name.to_string(), ..Track::default() };
            self.tracks = losses.iter().map(track).collect();
        }
        self.steps += 1;
        let ends_block = self.steps.is_multiple_of(BLOCK);
        for (track, (_, value)) in self.tracks.iter_mut().zip(losses.iter()) {
            track.push(value, ends_block);
        }
        self.won(step, losses).or_else(|| self.still(step)).or_else(|| {
            if ends_block { self.exploded(step).or_else(|| self.not_fallen(step)) } else { None }
        })
    }

    fn won(&mut self, step: u64, losses: &Losses) -> Option<String> {
        let of_d: Vec<f32> =
            losses.iter().filter(|(name, _)| name.starts_with("d_")).map(|(_, v)| v).collect();
        let wins = !of_d.is_empty() && of_d.iter().all(|v| (0.0..=NO_MISTAKE).contains(v));
        self.won = if wins { self.won + 1 } else { 0 };
        if self.won < WON {
            return None;
        }
        self.once(Sign::Won, || {
            format!(
                "the discriminator has not been wrong for {WON} steps (step {step}: its losses are below \
                 {NO_MISTAKE}), so that it has stopped learning and its verdict hardly helps the \
                 generator; look at the samples, and if they do not get better try {GAN} lsgan, a smaller \
                 {LR}, a smaller {DISCRIMINATOR_CHANNELS}, or more pairs"
            )
        })
    }

    fn still(&mut self, step: u64) -> Option<String> {
        let has_won = self.won >= WON;
        let names: Vec<&str> = (self.tracks.iter())
            .filter(|t| t.same >= STILL && !(has_won && t.name.starts_with("d_")))
            .filter(|t| !(self.weightless && t.name == "g_l1"))
            .map(|t| t.name.as_str())
            .collect();
        if names.is_empty() {
            return None;
        }
        let have = if names.len() == 1 { "has" } else { "have" };
        let names = names.join(" and ");
        self.once(Sign::Still, || {
            format!(
                "{names} {have} been the same to the last digit for {STILL} steps (step {step}), although \
                 pictures change: nothing is learnt; start again with a smaller {LR}, and check that the \
                 pictures are what they should be"
            )
        })
    }

    fn exploded(&mut self, step: u64) -> Option<String> {
        let track = self.tracks.iter().find(|t| t.has_exploded())?;
        let (name, last) = (track.name.clone(), track.recent.last().copied().unwrap_or_default());
        self.once(Sign::Exploded, || {
            format!(
                "{name} averages {last:.3e} over the last {BLOCK} steps (step {step}), far from what a run \
                 that learns has: the run diverges; start again with a smaller {LR}, with {NORM} batch or \
                 instance if it has none, or with {GAN} vanilla"
            )
        })
    }

    fn not_fallen(&mut self, step: u64) -> Option<String> {
        let due = self.falls
            && self.steps >= PATIENCE
            && self.steps.is_multiple_of(BLOCK * RECENT as u64);
        let track = self.tracks.iter().find(|t| due && t.name == "g_l1" && t.has_not_fallen())?;
        let first = track.first.unwrap_or_default();
        self.once(Sign::NotFallen, || {
            format!(
                "after {step} steps g_l1 is not below the {first:.3} of the first {BLOCK}: the generator \
                 does not come nearer to the targets; check that the pictures of a pair belong together, and try \
                 another {LR} or a larger {LAMBDA}"
            )
        })
    }

    /// Whether outputs are worth looking at: after some steps, until both signs were said.
    fn wants_outputs(&self) -> bool {
        let said = |sign| self.said.contains(&sign);
        self.steps >= YOUNG && !(said(Sign::OneColour) && said(Sign::SameForAll))
    }

    /// Takes input, output and target of the pairs on a sheet of samples, after step `step`; returns what
    /// the user should know.
    pub fn sheet(&mut self, step: u64, views: &[[Image; 3]]) -> Option<String> {
        self.wants_outputs().then(|| self.outputs(step, views)).flatten()
    }

    fn outputs(&mut self, step: u64, views: &[[Image; 3]]) -> Option<String> {
        let try_this = format!(
            "the generator is dead; start again with a smaller {LR}, or from an earlier checkpoint with \
             {RESUME}"
        );
        let blank = |[_, output, target]: &[Image; 3]| is_blank(output) && !is_blank(target);
        if !views.is_empty() && views.iter().all(blank) {
            return self.once(Sign::OneColour, || {
                format!(
                    "after {step} steps every pixel of an output has one colour, although its target has \
                     more: {try_this}"
                )
            });
        }
        let [[input, output, target], others @ ..] = views else { return None };
        let same = |[i, o, t]: &[Image; 3]| i != input && t != target && o == output;
        if others.is_empty() || !others.iter().all(same) {
            return None;
        }
        self.once(Sign::SameForAll, || {
            format!("after {step} steps the outputs for different inputs are equal: {try_this}")
        })
    }
}

/// Whether all pixels of an image are equal.
fn is_blank(image: &Image) -> bool {
    let first = image.at(0, 0);
    (0..image.height).all(|y| (0..image.width).all(|x| image.at(x, y) == first))
}

/// The error of a run that is no longer finite after `step` steps: `what` says which losses or tensors.
/// The checkpoint in the run's folder `out`, if there is one, was written while the run was finite.
pub(super) fn diverged(what: &str, step: u64, config: &RunConfig, out: &Path) -> Error {
    let next = if out.join(LATEST).exists() {
        format!(
            "the last checkpoint was written before that and stands: go on from it with {RESUME} {} and a \
             smaller {LR}, or, if that diverges too, start again",
            out.display()
        )
    } else {
        format!("no checkpoint was written before that: start again with a smaller {LR}")
    };
    let mut hints = format!(" ({LR} is {}", config.lr);
    if config.objective.lambda > LAMBDA_OF_THE_PAPER {
        hints += &format!("; {LAMBDA} is {} and may be the cause", config.objective.lambda);
    }
    if config.generator.norm == NormKind::None {
        hints += &format!("; {NORM} batch keeps a generator in bounds");
    }
    Error::input(format!("the run has diverged after step {step}: {what}; {next}{hints})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["g_gan", "g_l1", "d_real", "d_fake"];

    /// What is said in `steps` steps whose losses `of` gives.
    fn said(falls: bool, steps: u64, of: impl Fn(u64) -> [f32; 4]) -> Vec<(u64, String)> {
        let names = NAMES.map(String::from);
        let mut health = Health { falls, ..Health::default() };
        let mut all = Vec::new();
        for step in 1..=steps {
            let losses = Losses::new(&names, of(step));
            all.extend(health.step(step, &losses).map(|text| (step, text)));
        }
        all
    }

    /// Different in every step, between 0 and 1.
    fn chance(step: u64) -> f32 {
        (step * 2_654_435_761 % 10_007) as f32 / 10_007.0
    }

    /// As in a run that learns: L1 halves, the discriminator is sometimes sure and sometimes wrong.
    fn alive(step: u64) -> [f32; 4] {
        let c = chance(step);
        let falling = 15.0 + 30.0 * (-(step as f32) / 500.0).exp();
        [0.5 + 6.0 * c, falling * (0.6 + 0.8 * c), 1e-4 + 0.6 * c * c, 1e-4 + 0.5 * (1.0 - c)]
    }

    #[test]
    fn a_run_that_learns_hears_nothing() {
        assert_eq!(said(true, 20_000, alive), []);
        // Nor one whose distance is still where it began, nor one that goes on from where another ended.
        let stuck = |s| [1.0, 40.0, 0.7, 0.6].map(|v| v + chance(s));
        assert_eq!(said(true, PATIENCE - 1, stuck), []);
        assert_eq!(said(false, 5000, |s| [1.0, 15.0, 0.7, 0.6].map(|v| v + chance(s))), []);
    }

    #[test]
    fn a_loss_that_stands_still_is_named_once() {
        let all = said(true, PATIENCE - 1, |s| {
            if s < 50 { alive(s) } else { [alive(s)[0], 53.25, 0.5 + chance(s), 0.4] }
        });
        let [(step, text)] = &all[..] else { panic!("{all:?}") };
        assert_eq!(*step, 49 + STILL);
        assert!(text.starts_with("g_l1 and d_fake ") && text.contains("100 steps"), "{text}");
        // One step that differs begins it again.
        let nearly = |s: u64| {
            if s.is_multiple_of(STILL) {
                alive(s)
            } else {
                [alive(s)[0], 20.0, 0.5 + chance(s), 0.4]
            }
        };
        assert_eq!(said(true, 1500, nearly), []);
    }

    #[test]
    fn a_discriminator_that_is_never_wrong_is_said_once() {
        let won = |s: u64| [12.0 + chance(s), alive(s)[1], 1e-4 * chance(s), 9e-4 * chance(s)];
        let all = said(true, 3000, won);
        let [(step, text)] = &all[..] else { panic!("{all:?}") };
        assert_eq!(*step, WON);
        assert!(text.contains("discriminator") && text.contains("lsgan"), "{text}");
        // Losses of exactly 0 are that, and not losses that stand still.
        let all = said(true, 3000, |s| [12.0 + chance(s), alive(s)[1], 0.0, 0.0]);
        assert!(all.iter().any(|(_, text)| text.contains("discriminator")), "{all:?}");
        // A mistake now and then is enough.
        let learns = |s: u64| if s.is_multiple_of(150) { alive(1) } else { won(s) };
        assert_eq!(said(true, 3000, learns), []);
    }

    #[test]
    fn losses_that_explode_are_said_once() {
        for which in [0, 2, 3] {
            let all = said(true, 3000, |s| {
                let mut losses = alive(s);
                losses[which] *= if s > 700 { 1e5 } else { 1.0 };
                losses
            });
            let [(step, text)] = &all[..] else { panic!("{all:?}") };
            assert!((701..=900).contains(step) && text.starts_with(NAMES[which]), "{step}: {text}");
        }
        // From the first step on, and another loss by growing.
        let all = said(true, 500, |s| {
            [1e6 * (1.0 + chance(s)), alive(s)[1], 0.5 + chance(s), 0.5 + chance(s)]
        });
        assert_eq!((all.len(), all[0].0), (1, BLOCK));
        let all = said(true, 500, |s| alive(s).map(|v| if s > 200 { v * 1e3 } else { v }));
        assert_eq!((all.len(), all[0].0), (1, 300));
        // One wild step is none.
        assert_eq!(said(true, 3000, |s| if s == 1555 { [900.0; 4] } else { alive(s) }), []);
    }

    #[test]
    fn a_distance_that_never_falls_is_said_once() {
        let stuck = |s: u64| {
            [
                1.0 + chance(s),
                50.0 + chance(s + 1) + s as f32 * 1e-4,
                0.7 + chance(s),
                0.6 + chance(s),
            ]
        };
        let all = said(true, 6000, stuck);
        let [(step, text)] = &all[..] else { panic!("{all:?}") };
        assert!(*step == PATIENCE && text.contains("g_l1"), "{step}: {text}");
    }

    fn image(seed: u8, blank: bool) -> Image {
        let samples: Vec<u8> = (0..48).map(|i| if blank { seed } else { seed + i }).collect();
        Image::new(4, 4, 3, samples).unwrap()
    }

    fn watched(steps: u64) -> Health {
        let names = NAMES.map(String::from);
        let mut health = Health::default();
        (1..=steps).for_each(|s| drop(health.step(s, &Losses::new(&names, alive(s)))));
        health
    }

    #[test]
    fn outputs_of_one_colour_or_equal_for_all_are_said_once() {
        assert!(!watched(YOUNG - 1).wants_outputs());
        let mut health = watched(YOUNG);
        assert!(health.wants_outputs());
        let view = |seed: u8, output: Image| [image(seed, false), output, image(seed + 1, false)];
        let good = [view(1, image(3, false)), view(2, image(4, false))];
        assert_eq!(health.outputs(200, &good), None);
        // Blank targets, equal inputs, and a single pair prove nothing.
        let blank_targets = [1, 2].map(|s| [image(s, false), image(s, true), image(s, true)]);
        assert_eq!(health.outputs(200, &blank_targets), None);
        assert_eq!(
            health.outputs(200, &[view(1, image(3, false)), view(1, image(3, false))]),
            None
        );
        assert_eq!(health.outputs(200, &good[..1]), None);
        assert_eq!(health.outputs(200, &[]), None);
        let dead = [view(1, image(7, true)), view(2, image(9, true))];
        assert!(health.outputs(300, &dead).unwrap().contains("one colour"));
        assert_eq!(health.outputs(400, &dead), None);
        let same = [view(1, image(3, false)), view(2, image(3, false))];
        assert!(health.outputs(500, &same).unwrap().contains("for different inputs are equal"));
        assert_eq!(health.outputs(600, &same), None);
        assert!(!health.wants_outputs());
    }
}
