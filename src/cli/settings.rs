//! Applies flags to the settings of a run.

use super::args::{NetworkArgs, ScheduleKind, TrainArgs};
use super::resume::Begun;
use crate::error::{Error, Result};
use crate::model::DiscriminatorConfig;
use crate::nn::Schedule;
use crate::train::{Gan, RunConfig};

/// Epochs by default: the port's 100 + 100.
pub const EPOCHS: u64 = 200;

impl NetworkArgs {
    /// Applies the flags of the networks.
    ///
    /// # Errors
    /// A size or patch that no network has; a loss for discriminators that a run does not have.
    pub fn apply(&self, config: &mut RunConfig) -> Result<()> {
        if let Some(size) = self.size {
            config.size = size;
        }
        if let Some(kind) = self.generator {
            config.generator.kind = kind;
        }
        if let Some(depth) = self.depth {
            config.generator.depth = depth;
        } else if self.size.is_some() || self.generator.is_some() {
            config.generator.depth = config.default_depth()?;
        }
        if let Some(channels) = self.base_channels {
            config.generator.base_channels = channels;
        }
        if let Some(norm) = self.norm {
            config.generator.norm = norm;
        }
        config.generator.dropout &= !self.no_dropout;
        if let Some(gan) = self.gan {
            config.objective.gan = gan;
        }
        config.objective.conditional &= !self.unconditional;
        if config.discriminators.is_empty() && self.gan.is_some_and(|g| g != Gan::None) {
            return Err(Error::input("this run has no discriminator; start a new one for --gan"));
        }
        for d in &mut config.discriminators {
            if let Some(channels) = self.discriminator_channels.or(self.base_channels) {
                d.base_channels = channels;
            }
            if let Some(norm) = self.norm {
                d.norm = norm;
            }
            if let Some(patch) = self.patch {
                d.layers = DiscriminatorConfig::layers_for(patch)?;
            }
        }
        config.fit_discriminators();
        Ok(())
    }
}

/// Applies all flags but those of the schedule.
///
/// # Errors
/// As [`NetworkArgs::apply`].
pub fn apply(args: &TrainArgs, config: &mut RunConfig) -> Result<()> {
    let set = |to: &mut f32, from: Option<f32>| *to = from.unwrap_or(*to);
    set(&mut config.objective.lambda, args.lambda_l1);
    set(&mut config.lr, args.lr);
    set(&mut config.beta1, args.beta1);
    config.objective.distance = args.distance.unwrap_or(config.objective.distance);
    config.batch_size = args.batch_size.unwrap_or(config.batch_size);
    config.direction = args.direction.unwrap_or(config.direction);
    config.fit = args.fit.unwrap_or(config.fit);
    config.seed = args.seed.unwrap_or(config.seed);
    config.jitter &= !args.no_jitter;
    config.flip &= !args.no_flip;
    config.flip_vertical |= args.flip_vertical;
    config.turn |= args.turn;
    config.shading.noise = args.noise.unwrap_or(config.shading.noise);
    config.shading.brightness = args.brightness.unwrap_or(config.shading.brightness);
    config.shuffle &= !args.no_shuffle;
    args.network.apply(config)
}

/// The epochs over which a linear schedule is spread: those of the run, but 200 for a run of `steps` with
/// fewer, so that a run of some steps, prolonged later, equals a longer one from the start.
fn spread(steps: Option<u64>, epochs: u64) -> u64 {
    if steps.is_some() { epochs.max(EPOCHS) } else { epochs }
}

/// The schedule of a new run of `epochs`.
pub fn schedule(args: &TrainArgs, epochs: u64) -> Schedule {
    let linear = spread(args.steps, epochs);
    match args.schedule.unwrap_or(ScheduleKind::Linear) {
        ScheduleKind::Constant => Schedule::Constant,
        ScheduleKind::Linear => match (args.full_epochs, args.decay_epochs) {
            (None, None) => Schedule::halves(linear),
            (Some(full), None) => {
                Schedule::Linear { epochs: full, decay: epochs.saturating_sub(full) }
            }
            (None, Some(decay)) => Schedule::Linear { epochs: epochs.saturating_sub(decay), decay },
            (Some(full), Some(decay)) => Schedule::Linear { epochs: full, decay },
        },
        ScheduleKind::Step => {
            Schedule::Step { every: args.full_epochs.unwrap_or(50).max(1), factor: 0.1 }
        }
        ScheduleKind::Cosine => Schedule::Cosine { epochs },
    }
}

/// The schedule of a run that goes on to `epochs`, or to so many `steps`, in all. A flag sets it anew;
/// otherwise it follows the run's length where that is no longer the one it was `begun` with.
pub fn resumed_schedule(
    args: &TrainArgs,
    begun: &Begun,
    steps: Option<u64>,
    epochs: u64,
) -> Schedule {
    if args.schedule.is_some() || args.full_epochs.is_some() || args.decay_epochs.is_some() {
        return schedule(args, epochs);
    }
    let Begun { schedule, epochs: Some(from), steps: by, .. } = *begun else {
        return begun.schedule;
    };
    match schedule {
        Schedule::Linear { .. } => schedule.with_length(spread(by, from), spread(steps, epochs)),
        other => other.with_length(from, epochs),
    }
}
