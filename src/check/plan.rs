//! The plan of a training: what `train` does with a data set where no flag says otherwise, each setting with its
//! reason.

use crate::data::{Direction, DomainKind, Fit, Folder, FoundSide, Pair};
use crate::error::settings::SIZE;
use crate::error::{Error, Result};
use crate::tensor::Size;
use crate::train::RunConfig;

/// A setting of a plan: a long flag of `train` without its dashes, its value and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The flag.
    pub key: &'static str,
    /// Its value, as the flag takes it.
    pub value: String,
    /// Why.
    pub reason: String,
}

/// The plan of a training.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they are read.
    pub settings: Vec<Setting>,
    /// Height and width of training pictures.
    pub size: Size,
    /// How pictures get it.
    pub fit: Fit,
    /// Epochs.
    pub epochs: u64,
}

/// The side of the paper's pictures, which its networks are made for.
const SIDE: usize = 256;
/// The smallest side that measurements are cropped from at their own scale: resizing would leave a sixteenth of
/// them.
const LARGE: usize = 4 * SIDE;
/// Epochs of the paper's small data sets.
const EPOCHS: usize = 200;
/// Steps of these: 400 pairs, 200 times.
const STEPS: usize = 80_000;
/// Fewest epochs that are planned.
const FEWEST: usize = 10;
/// By how much two proportions may differ that are taken for one.
const ONE: f64 = 0.03;

impl Plan {
    /// For a data set whose sides were found to be `sides`.
    ///
    /// # Errors
    /// No pair to train on; pictures too small for any network.
    pub fn new(folder: &Folder, sides: &[FoundSide; 2], direction: Direction) -> Result<Plan> {
        let pairs = folder.training()?;
        let measured = sides.iter().any(|side| !side.domain.is_light());
        let (size, fit) = size_of(pairs, measured)?;
        let epochs = (STEPS / pairs.len()).clamp(FEWEST, EPOCHS);
        let mut plan = Plan { settings: Vec::new(), size, fit, epochs: epochs as u64 };
        let flag = match size.square() {
            Some(side) => side.to_string(),
            None => format!("{}x{}", size.height, size.width),
        };
        plan.add("size", flag, size_reason(pairs, size, fit));
        let depth = RunConfig::depth_for(size)?;
        let least = size.map(|side| side >> depth);
        plan.add("depth", depth, format!("halves {size} to {} x {}", least.height, least.width));
        plan.add("fit", name(fit), fit_reason(pairs, fit));
        plan.add(
            "norm",
            "batch",
            "the paper's; with one picture a step it normalises each picture by itself".to_string(),
        );
        plan.add(
            "batch-size",
            1,
            "the paper's: larger ones came out worse on small data sets".to_string(),
        );
        plan.add("epochs", epochs, epochs_reason(pairs.len(), epochs));
        plan.sides(sides, direction);
        if direction == Direction::BToA {
            plan.add("direction", "b2a", "as given: B is the input".to_string());
        }
        Ok(plan)
    }

    fn add(&mut self, key: &'static str, value: impl ToString, reason: String) {
        self.settings.push(Setting { key, value: value.to_string(), reason });
    }

    fn sides(&mut self, sides: &[FoundSide; 2], direction: Direction) {
        for (key, side) in [("range-a", &sides[0]), ("range-b", &sides[1])] {
            if let DomainKind::Values { low, high, ranges, .. } = &side.domain.kind
                && ranges.is_empty()
            {
                let reason = side.lines.first().cloned().unwrap_or_default();
                self.add(key, format!("{low}..{high}"), reason);
            }
        }
        let (_, target) = direction.order(&sides[0], &sides[1]);
        if matches!(target.domain.kind, DomainKind::Labels { .. }) {
            self.add(
                "gan",
                "none",
                "targets are classes, learnt by cross entropy alone".to_string(),
            );
        }
    }

    /// Replaces settings by flags that were given, each with its value.
    pub fn given(&mut self, flags: Vec<(&'static str, String)>) {
        for (key, value) in flags {
            let reason = "as given".to_string();
            match self.settings.iter_mut().find(|setting| setting.key == key) {
                Some(setting) => *setting = Setting { key, value, reason },
                None => self.settings.push(Setting { key, value, reason }),
            }
        }
    }

    /// The value of a setting.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.settings.iter().find(|s| s.key == key).map(|s| s.value.as_str())
    }

    /// As a TOML file, the reasons as comments.
    pub fn toml(&self, data: &str) -> String {
        let mut text = format!(
            "{HEAD} {}\n# `train --plan` follows it; every flag that is given counts more.\n\n",
            data.replace(char::is_control, " ")
        );
        for Setting { key, value, reason } in &self.settings {
            let value = match (value.parse::<u64>(), value.as_str()) {
                (Ok(number), _) => number.to_string(),
                (_, "true") => "true".to_string(),
                _ => toml::Value::String(value.clone()).to_string(),
            };
            text += &format!("{key} = {value} # {reason}\n");
        }
        text
    }
}

/// How the file of a plan begins.
pub const HEAD: &str = "# The plan of a training on";

/// The size, and how pictures get it; where they are `measured`, not photographs, their scale means something.
fn size_of(pairs: &[Pair], measured: bool) -> Result<(Size, Fit)> {
    let least = pairs.iter().map(|p| p.width.min(p.height)).min().unwrap_or(0);
    let side = SIDE.min(least / 16 * 16);
    if side == 0 {
        return Err(Error::input(format!(
            "the smallest pictures have {least} pixels a side, and a generator takes 16 or more: enlarge them, or name a size by {SIZE}"
        )));
    }
    if measured && least >= LARGE {
        return Ok((Size::from(side), Fit::Native));
    }
    let proportion = |p: &Pair| p.width as f64 / p.height as f64;
    let first = pairs.first().map_or(1.0, proportion);
    let one = pairs.iter().all(|p| (proportion(p) / first - 1.0).abs() < ONE);
    if !one || (0.8..1.25).contains(&first) {
        return Ok((Size::from(side), Fit::Crop));
    }
    let long = |factor: f64| ((side as f64 * factor / 16.0).round() as usize * 16).max(16);
    let size = match first > 1.0 {
        true => Size { height: side, width: long(first) },
        false => Size { height: long(1.0 / first), width: side },
    };
    Ok((size, Fit::Crop))
}

fn name(fit: Fit) -> &'static str {
    match fit {
        Fit::Native => "native",
        _ => "crop",
    }
}

fn size_reason(pairs: &[Pair], size: Size, fit: Fit) -> String {
    let least = pairs.iter().map(|p| p.width.min(p.height)).min().unwrap_or(0);
    match (fit, size.square()) {
        (Fit::Native, _) => {
            "the paper's size, as a window into pictures that are much larger".to_string()
        }
        (_, None) => {
            let first = &pairs[0];
            format!("all pictures have the proportions of {} x {}", first.width, first.height)
        }
        (_, Some(SIDE)) => {
            format!("the paper's size; the smallest side of the pictures is {least}")
        }
        (_, Some(_)) => format!("the largest multiple of 16 that the smallest side, {least}, has"),
    }
}

fn fit_reason(pairs: &[Pair], fit: Fit) -> String {
    let square = pairs.iter().filter(|p| p.width == p.height).count();
    match fit {
        Fit::Native => {
            "pictures are not resized: each step takes a random part of one at its own scale"
                .to_string()
        }
        _ if square == pairs.len() => "all pictures are square: nothing is cut".to_string(),
        _ => format!(
            "{} of {} pictures are not square: they are resized and cut at random",
            pairs.len() - square,
            pairs.len()
        ),
    }
}

fn epochs_reason(pairs: usize, epochs: usize) -> String {
    match epochs {
        EPOCHS => format!("the paper's 200, with {pairs} pairs {} steps", pairs * epochs),
        _ => format!(
            "with {pairs} pairs {} steps, as many as the paper's 400 pairs have in 200",
            pairs * epochs
        ),
    }
}
