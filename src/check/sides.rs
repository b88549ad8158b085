//! What is odd about the pictures of one side.

use super::{Finding, Seen, finding, is_labels, of};
use crate::data::{DomainKind, FoundSide};
use crate::tensor::SampleType;

/// The share of samples at one end from which on a picture is saturated.
const SATURATED: f64 = 0.25;
/// Where more pictures than this share are so, it is how the pictures are: drawings are mostly white.
const MINORITY: f64 = 0.2;
/// A range this many times as far from the others' as they are wide is of another unit.
const FAR: f64 = 3.0;
/// A class with a smaller share of all pixels is rare.
const RARE: f64 = 1e-3;

/// Findings of side `i`, which is called `name`.
pub(super) fn findings(all: &[Seen], i: usize, name: &str, side: &FoundSide) -> Vec<Finding> {
    let mut findings = Vec::new();
    let whole = all.len();
    let labels = is_labels(side);
    let constant: Vec<&Seen> = all.iter().filter(|s| s.looks[i].is_constant).collect();
    let (blank, flat): (Vec<&Seen>, Vec<&Seen>) =
        constant.into_iter().partition(|s| s.looks[i].ends.is_none());
    findings.extend(finding(true, &blank, |names| {
        format!("{} of {name} have no pixel that counts: {names}", of(blank.len(), whole))
    }));
    findings.extend(finding(!labels, &flat, |names| {
        format!("{} of {name} have one value everywhere: {names}", of(flat.len(), whole))
    }));
    if labels {
        findings.extend(classes(all, i, name, side));
    } else {
        findings.extend(values(all, i, name, side));
    }
    let holes: Vec<&Seen> =
        all.iter().filter(|s| s.looks[i].holes > 0.5 && s.looks[i].ends.is_some()).collect();
    findings.extend(finding(false, &holes, |names| {
        format!("more than half of {} of {name} does not count: {names}", of(holes.len(), whole))
    }));
    findings
}

fn values(all: &[Seen], i: usize, name: &str, side: &FoundSide) -> Vec<Finding> {
    let (mut findings, whole) = (Vec::new(), all.len());
    for (end, what) in [(0, "darkest"), (1, "brightest")] {
        let light = side.domain.is_light();
        let what = match (light, end) {
            (true, _) => what,
            (false, 0) => "lowest",
            (false, _) => "highest",
        };
        let is = |s: &&Seen| s.looks[i].at_ends[end] > SATURATED && !s.looks[i].is_constant;
        let saturated: Vec<&Seen> = all.iter().filter(is).collect();
        if saturated.len() as f64 <= MINORITY * whole as f64 {
            findings.extend(finding(true, &saturated, |names| {
                format!(
                    "{} of {name} are saturated, with more than a quarter at the {what} value: {names}",
                    of(saturated.len(), whole)
                )
            }));
        }
    }
    // Light has one unit.
    let far = if side.domain.is_light() { Vec::new() } else { far(all, i) };
    let ends = |s: &Seen| s.looks[i].ends.unwrap_or_default();
    findings.extend(finding(true, &far, |names| {
        let [low, high] = far.first().map(|s| ends(s)).unwrap_or_default();
        format!(
            "the values of {} of {name} lie far from the others', as of another unit: {names} ({low} to {high})",
            of(far.len(), whole)
        )
    }));
    if side.domain.samples == SampleType::U16 && whole > 0 && all.iter().all(|s| s.looks[i].shallow)
    {
        findings.push(Finding {
            fault: false,
            text: format!(
                "the 16 bits of {name} hold no more than 8: they were widened, or never filled"
            ),
            pairs: Vec::new(),
        });
    }
    findings
}

/// Pictures whose range lies apart from those of the others.
fn far<'a, 'b>(all: &'a [Seen<'b>], i: usize) -> Vec<&'a Seen<'b>> {
    let known: Vec<[f64; 2]> = all.iter().filter_map(|s| s.looks[i].ends).collect();
    if known.len() < 4 {
        return Vec::new();
    }
    let median = |of: &dyn Fn(&[f64; 2]) -> f64| {
        let mut values: Vec<f64> = known.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let (low, high) = (median(&|e| e[0]), median(&|e| e[1]));
    let width = high - low;
    if width <= 0.0 {
        // Most pictures are constant, and any other one would be far.
        return Vec::new();
    }
    let is_far = |[l, h]: [f64; 2]| h > high + FAR * width || l < low - FAR * width;
    all.iter().filter(|s| s.looks[i].ends.is_some_and(is_far)).collect()
}

fn classes(all: &[Seen], i: usize, name: &str, side: &FoundSide) -> Vec<Finding> {
    let DomainKind::Labels { classes } = &side.domain.kind else { return Vec::new() };
    let mut findings = Vec::new();
    let soft: Vec<&Seen> = all.iter().filter(|s| s.soft[i] > 0).collect();
    findings.extend(finding(true, &soft, |names| {
        format!(
            "{} of {name} have colours that are no class's, as JPEG or smooth resizing makes them; each pixel \
             gets the nearest: {names}",
            of(soft.len(), all.len())
        )
    }));
    let count = |class: usize, train: bool| -> u64 {
        all.iter().filter(|s| s.train == train).map(|s| s.looks[i].classes[class]).sum()
    };
    let total: u64 = (0..=classes.len()).map(|class| count(class, true)).sum();
    let said = |fault: bool, text: String| Finding { fault, text, pairs: Vec::new() };
    let mut rare = Vec::new();
    for (class, of) in classes.iter().enumerate() {
        let (train, val) = (count(class, true), count(class, false));
        let holders = all.iter().filter(|s| s.train && s.looks[i].classes[class] > 0).count();
        if train == 0 && val > 0 {
            findings.push(said(
                true,
                format!(
                    "class {} of {name} is in val and never in train: it cannot be learnt",
                    of.name
                ),
            ));
        } else if train == 0 {
            findings.push(said(false, format!("class {} of {name} is in no picture", of.name)));
        } else if (train as f64) < RARE * total as f64 {
            let share = 100.0 * train as f64 / total.max(1) as f64;
            rare.push(format!("{} ({share:.3} % of the pixels, in {holders} pictures)", of.name));
        }
    }
    if !rare.is_empty() {
        findings.push(said(false, format!("rare classes of {name}: {}", rare.join(", "))));
    }
    let none = count(classes.len(), true) + count(classes.len(), false);
    if none > 0 {
        let text = format!("{none} pixels of {name} are of no class and do not count");
        findings.push(said(false, text));
    }
    findings
}
