//! What the program says about sizes and statistics, in training, translation and `describe`.

use super::shown;
use crate::data::{Direction, Domain, DomainKind, Fit, FoundSide, SourceSizes, Spread, StoredType};
use crate::kernel::Statistics;
use crate::train::{Compared, RunConfig, Trained};
use crate::translate::{Tiled, Tiling, Translator};

/// Said of a run whose validations cannot compare batch norm's statistics.
pub const NOT_COMPARED: &str = "no validation compares batch norm's two statistics, so \
    translations use each picture's own; --norm running uses those of training";

/// What is done to pictures that are not square, in training and in validation, if there are any.
pub fn fit(
    config: &RunConfig,
    train: Option<&SourceSizes>,
    val: Option<&SourceSizes>,
) -> Vec<String> {
    let size = config.size;
    // Whether some have other proportions than the size.
    let [w, h] = size.across();
    let others = |sources: &&SourceSizes| {
        let as_size = |spread: Spread, side: usize, other: usize, of: Spread| {
            spread.min * other == of.min * side && spread.max * other == of.max * side
        };
        let SourceSizes { width, height, .. } = **sources;
        let all_alike = width.min == width.max && height.min == height.max;
        match size.square() {
            Some(_) => sources.not_square > 0,
            None => !(all_alike && as_size(width, w, h, height)),
        }
    };
    let mut lines = Vec::new();
    for (sources, name, random) in
        [(train, "pictures", config.jitter), (val, "validation pictures", false)]
    {
        let Some(sources) = sources.filter(others) else { continue };
        let SourceSizes { pairs, width, height, not_square, too_long, .. } = sources;
        let what = match config.fit {
            Fit::Crop | Fit::Native if random => format!(
                "parts of {size} are cut out of them at random (--fit {})",
                if config.fit == Fit::Crop { "crop" } else { "native" }
            ),
            Fit::Crop => "the part in their middle is used (--fit crop)".to_string(),
            Fit::Native => format!("the {size} in their middle are used (--fit native)"),
            Fit::Pad => "they are filled up by reflection (--fit pad)".to_string(),
            Fit::Stretch => format!("they are squeezed to {size} (--fit stretch)"),
        };
        lines.push(match size.square() {
            Some(_) => format!(
                "{not_square} of {pairs} {name} are not square ({width} x {height} pixels): {what}"
            ),
            None => format!(
                "the {pairs} {name} of {width} x {height} pixels have other proportions than {size}: {what}"
            ),
        });
        if *too_long > 0 && config.fit == Fit::Crop {
            lines.push(format!(
                "{too_long} are longer than {} times their shorter side: of these only the middle is \
                 used; --fit pad uses all",
                Fit::LONGEST
            ));
        }
    }
    lines
}

/// The statistics that are used, and the others.
fn names(used: Statistics) -> [&'static str; 2] {
    match used {
        Statistics::Batch => ["each picture's own statistics", "the running ones"],
        Statistics::Running => ["the running statistics", "each picture's own"],
    }
}

/// What validations are compared by.
fn figure(by_iou: bool) -> &'static str {
    if by_iou { "mean IoU" } else { "L1" }
}

/// Which statistics of batch norm are better.
pub fn compared(Compared { used, l1, other_l1, by_iou }: &Compared) -> String {
    let ([used, other], figure) = (names(*used), figure(*by_iou));
    format!("batch norm uses {used} (validation {figure} {l1:.4}; with {other} {other_l1:.4})")
}

/// Behind the scores of a validation: what they are with, and the figure of the others.
pub fn scored_with(Compared { used, other_l1, by_iou, .. }: &Compared) -> String {
    let ([used, other], figure) = (names(*used), figure(*by_iou));
    format!(" with {used} ({figure} {other_l1:.4} with {other})")
}

/// How a model is run, as far as its file decides it.
pub fn translator(translator: &Translator) -> Vec<String> {
    let mut lines =
        vec![format!("scale     pictures {}", shown(&translator.resizing().to_string()))];
    if let Some(found) = &translator.trained().statistics {
        lines.push(if found.used == translator.statistics() {
            format!("norm      {}", compared(found))
        } else {
            "norm      not the statistics that validation found better, as --norm says".to_string()
        });
    }
    lines
}

/// ", computed at 128 x 96" for a picture that is resized for its translation.
pub fn computed(translator: &Translator, size: [usize; 2]) -> String {
    let [width, height] = translator.resizing().size(size);
    if [width, height] == size {
        return String::new();
    }
    format!(", computed at {width} x {height}")
}

/// What a model's file remembers of its training.
pub fn trained(trained: &Trained) -> Vec<String> {
    let Trained { direction, domains, size, fit, sources, statistics, masked: _ } = trained;
    let mut lines = Vec::new();
    if let Some(direction) = direction {
        lines.push(match direction {
            Direction::AToB => "direction: A to B".to_string(),
            Direction::BToA => "direction: B to A".to_string(),
        });
    }
    if let Some(domains) = domains {
        lines.push(format!("pictures: {} to {}", domain(&domains.input), domain(&domains.target)));
    }
    if let Some(size) = size {
        let from = match sources {
            None => String::new(),
            Some(SourceSizes { pairs, width, height, .. }) => {
                format!(" from {pairs} pairs of {width} x {height} pixels")
            }
        };
        let fit = match (sources, fit) {
            (Some(sources), Some(fit)) if sources.not_square > 0 => format!(
                ", {} of them not square ({})",
                sources.not_square,
                match fit {
                    Fit::Crop => "cropped",
                    Fit::Pad => "filled up",
                    Fit::Stretch => "stretched",
                    Fit::Native => "not resized",
                }
            ),
            _ => String::new(),
        };
        lines.push(format!("trained at {size} pixels{from}{fit}"));
    }
    lines.extend(statistics.iter().map(compared));
    lines
}

/// What was found of one side, "A" or "B".
pub fn side(found: &FoundSide, name: &str) -> Vec<String> {
    let mut lines = vec![format!("{name}: {}", domain(&found.domain))];
    lines.extend(found.lines.iter().map(|line| shown(line)));
    lines
}

/// "8-bit colour (red, green, blue)", "32-bit floats from -10 to 90 m (height)".
fn domain(domain: &Domain) -> String {
    let stored = match domain.stored() {
        StoredType::U8 => "8-bit".to_string(),
        StoredType::U16 => "16-bit".to_string(),
        StoredType::F32 => "32-bit float".to_string(),
        other => other.to_string(),
    };
    let names = match domain.channels.len() {
        0..=8 => domain.channels.join(", "),
        n => format!("{n} channels, {}, ...", domain.channels[..3].join(", ")),
    };
    match &domain.kind {
        DomainKind::Colour => format!("{stored} colour ({names})"),
        DomainKind::Values { low, high, unit, ranges, .. } => {
            let unit = unit.as_ref().map_or(String::new(), |unit| format!(" {unit}"));
            let own = if ranges.is_empty() { "" } else { ", each channel with its own range" };
            format!("{stored} values from {low} to {high}{unit}{own} ({names})")
        }
        DomainKind::Labels { classes } => format!("labels of {} classes", classes.len()),
    }
}

/// How a picture is cut into tiles.
pub fn tiling(tiling: &Tiling) -> String {
    let Tiling { side, overlap, measured, exact, .. } = *tiling;
    let result = match (exact, measured) {
        (true, _) => "as in one piece, bit for bit",
        (false, true) => "norms use statistics of the whole picture, measured by a pass before",
        (false, false) => "tiles pass into each other where they overlap",
    };
    format!("{side} x {side} pixels that share {overlap}; {result}")
}

/// What came of the tiles, behind the size of a picture.
pub fn tiled(tiled: &Tiled) -> String {
    let Tiled { tiles, empty, repeated, seam } = *tiled;
    let mut text = format!(", {tiles} tiles");
    if empty > 0 {
        text += &format!(", {empty} of them empty");
    }
    if repeated > 0 {
        text += &format!(", {repeated} of one colour, as the one before");
    }
    if let Some(seam) = seam {
        text += &format!(", seam {seam:.2}");
    }
    text
}
