//! What is odd about a data set, and the plan of a training on it, before it is trained on for a day.
//!
//! [`check`] reads every pair once and reduces each picture to a few numbers; [`Report::findings`] says in words what
//! they show: pictures that are constant, saturated, doubled, nearly doubled, in train and in val, pairs whose B
//! lies beside its A, classes that are rare. [`Plan`] says what `train` would do with the data set, each
//! setting with its reason.

mod alike;
mod look;
mod page;
mod plan;
mod shift;
mod sides;

use rayon::prelude::*;

use crate::data::{Domain, DomainKind, Folder, FoundSide, Half, Pair};
use crate::error::Error;
use look::Look;
use shift::{Correlator, Shift};

pub use page::page;
pub use plan::{HEAD, Plan, Setting};

/// Something about a data set that a user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it spoils a training or its scores; otherwise it is only said.
    pub fault: bool,
    /// The sentence.
    pub text: String,
    /// The names of the pairs that it is about, all of them.
    pub pairs: Vec<String>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Pairs to train on, to validate on, to test on.
    pub pairs: [usize; 3],
    /// What A and B are.
    pub sides: [FoundSide; 2],
    /// What is odd, faults first.
    pub findings: Vec<Finding>,
}

/// A pair that was looked at.
struct Seen<'a> {
    pair: &'a Pair,
    train: bool,
    looks: [Look; 2],
    /// Whether A and B are one picture.
    equal: bool,
    shift: Option<Shift>,
    /// Pixels whose colour was not exactly that of a class, of A and B.
    soft: [usize; 2],
    /// Whether the mask leaves nothing.
    masked: bool,
}

/// Names that a sentence lists.
const LISTED: usize = 3;
/// Below this many pairs to train on, a generator learns them by heart.
const FEW: usize = 20;
/// Pixels by which shifts differ that are taken for one.
const ALIKE: i64 = 2;
/// The share of pairs with one shift from which on it is that of the whole set.
const MOST: f64 = 0.5;

/// Reads every pair to train and to validate on, of a data set whose sides were found to be `sides`. What cannot be
/// read is a finding.
pub fn check(folder: &Folder, sides: &[FoundSide; 2]) -> Report {
    let domains = [&sides[0].domain, &sides[1].domain];
    let correlators = [64, 128, 256].map(Correlator::new);
    let phases = [(true, &folder.train), (false, &folder.val)];
    let pairs: Vec<(bool, &Pair)> = phases
        .into_iter()
        .flat_map(|(train, of)| of.iter().map(move |pair| (train, pair)))
        .collect();
    let looked: Vec<std::result::Result<Seen, Finding>> = pairs
        .par_iter()
        .map(|(train, pair)| look_at(pair, *train, domains, &correlators))
        .collect();
    let (mut all, mut findings) = (Vec::new(), Vec::new());
    for result in looked {
        match result {
            Ok(seen) => all.push(seen),
            Err(finding) => findings.push(finding),
        }
    }
    for skipped in &folder.skipped {
        let name = skipped.path.display().to_string();
        findings.push(Finding { fault: true, text: skipped.reason.clone(), pairs: vec![name] });
    }
    for (i, side) in sides.iter().enumerate() {
        let half = if i == 0 { Half::A } else { Half::B };
        findings.extend(sides::findings(&all, i, half.name(), side));
    }
    findings.extend(alike::findings(&all));
    findings.extend(pairs_findings(&all));
    findings.extend(set_findings(folder));
    findings.sort_by_key(|finding| !finding.fault);
    let pairs = [folder.train.len(), folder.val.len(), folder.test.len()];
    Report { pairs, sides: sides.clone(), findings }
}

/// Reads a pair; a finding if that fails.
fn look_at<'a>(
    pair: &'a Pair,
    train: bool,
    domains: [&Domain; 2],
    correlators: &[Correlator; 3],
) -> std::result::Result<Seen<'a>, Finding> {
    let wrong = |error: Error| Finding {
        fault: true,
        text: error.to_string(),
        pairs: vec![pair.name.clone()],
    };
    let ((a, b), notes) = pair.read_as(domains).map_err(wrong)?;
    let mask = pair.read_mask().map_err(wrong)?;
    let masked = mask.is_some_and(|mask| mask.samples.is_all_zero());
    let soft = match &notes {
        [Some((_, notes)), None] => [notes.soft; 2],
        [a, b] => [a, b].map(|of| of.as_ref().map_or(0, |(_, notes)| notes.soft)),
    };
    let looks = [Look::of(domains[0], &a), Look::of(domains[1], &b)];
    let side = a.width.min(a.height);
    let correlator = match side {
        0..96 => &correlators[0],
        96..192 => &correlators[1],
        _ => &correlators[2],
    };
    let shift = if side < 32 { None } else { correlator.shift(&a, &b) };
    Ok(Seen { pair, train, looks, equal: a == b, shift, soft, masked })
}

/// "3 of 10 pictures", "1 of 10 pictures".
fn of(count: usize, all: usize) -> String {
    let s = if all == 1 { "" } else { "s" };
    format!("{count} of {all} picture{s}")
}

/// "1 pair", "3 pairs".
fn count(pairs: usize) -> String {
    let s = if pairs == 1 { "" } else { "s" };
    format!("{pairs} pair{s}")
}

/// "x, y, z and 4 more".
fn names<'a>(pairs: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<&str> = pairs.into_iter().collect();
    let shown = all[..all.len().min(LISTED)].join(", ");
    match all.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn finding(fault: bool, pairs: &[&Seen], text: impl FnOnce(&str) -> String) -> Option<Finding> {
    if pairs.is_empty() {
        return None;
    }
    let all: Vec<String> = pairs.iter().map(|seen| seen.pair.name.clone()).collect();
    let text = text(&names(all.iter().map(String::as_str)));
    Some(Finding { fault, text, pairs: all })
}

/// What concerns both pictures of a pair.
fn pairs_findings(all: &[Seen]) -> Vec<Finding> {
    let whole = all.len();
    let mut findings = Vec::new();
    let equal: Vec<&Seen> = all.iter().filter(|s| s.equal).collect();
    findings.extend(finding(true, &equal, |names| {
        format!("A and B of {} of {whole} pairs are one picture: {names}", equal.len())
    }));
    let shifted: Vec<&Seen> = all.iter().filter(|s| s.shift.is_some()).collect();
    let usual = shifted
        .iter()
        .filter_map(|s| s.shift)
        .max_by_key(|shift| shifted.iter().filter(|s| s.shift == Some(*shift)).count());
    if let Some(shift) = usual {
        let is_alike = |other: Shift| {
            (other.right - shift.right).abs() <= ALIKE && (other.down - shift.down).abs() <= ALIKE
        };
        let alike = shifted.iter().filter(|s| s.shift.is_some_and(is_alike)).count();
        let words = in_words(shift);
        if alike as f64 > MOST * whole as f64 && whole > 3 {
            findings.extend(finding(true, &shifted, |_| {
                format!(
                    "the data set is shifted: in {alike} of {whole} pairs B lies {words} its A; move all B back, or \
                     a generator learns to blur"
                )
            }));
        } else {
            findings.extend(finding(true, &shifted, |_| {
                let each: Vec<String> = shifted
                    .iter()
                    .take(LISTED)
                    .filter_map(|s| Some(format!("{} ({} its A)", s.pair.name, in_words(s.shift?))))
                    .collect();
                let more = shifted.len().saturating_sub(LISTED);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!(
                    "B lies beside A in {} of {whole} pairs: {}{more}; cut both from the same place",
                    shifted.len(),
                    each.join(", ")
                )
            }));
        }
    }
    let masked: Vec<&Seen> = all.iter().filter(|s| s.masked).collect();
    findings.extend(finding(true, &masked, |names| {
        format!("the masks of {} of {whole} pairs leave no pixel: {names}", masked.len())
    }));
    findings
}

/// "5 pixels to the right of and 2 below".
fn in_words(Shift { right, down }: Shift) -> String {
    let across = match right {
        0 => None,
        1.. => Some(format!("{right} pixels to the right of")),
        _ => Some(format!("{} pixels to the left of", -right)),
    };
    let along = match down {
        0 => None,
        1.. => Some(format!("{down} pixels below")),
        _ => Some(format!("{} pixels above", -down)),
    };
    [across, along].into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

/// What concerns the set as a whole.
fn set_findings(folder: &Folder) -> Vec<Finding> {
    let said = |fault: bool, text: String| Finding { fault, text, pairs: Vec::new() };
    // Those of `val` are among the pairs whose pictures were compared.
    let leaks = folder.leaks.iter().filter(|(phase, _)| *phase != "val");
    let mut findings: Vec<Finding> = leaks.map(|(_, leak)| said(true, leak.clone())).collect();
    let is_leak = |note: &String| folder.leaks.iter().any(|(_, leak)| leak == note);
    let notes = folder.notes().into_iter().filter(|note| !is_leak(note));
    findings.extend(notes.map(|note| said(false, note)));
    if !folder.test.is_empty() {
        findings.push(said(
            false,
            format!("the pictures of {} of `test` were not looked at", count(folder.test.len())),
        ));
    }
    let n = folder.train.len();
    if n < FEW {
        findings.push(said(
            false,
            format!(
                "{} to train on: few, a generator learns them by heart; some hundred are usual",
                count(n)
            ),
        ));
    }
    if folder.val.is_empty() {
        findings.push(said(
            false,
            "there are no pairs to validate on: put some aside in a folder `val`, so that the best model is known"
                .to_string(),
        ));
    }
    let small: Vec<&Pair> = folder.train.iter().filter(|p| p.width.min(p.height) < 64).collect();
    if let Some(first) = small.first() {
        findings.push(said(
            false,
            format!(
                "{} smaller than 64 pixels, such as {} with {} x {}",
                of(small.len(), n),
                first.name,
                first.width,
                first.height
            ),
        ));
    }
    let sides = folder.train.iter().map(|p| p.width.max(p.height));
    if let (Some(least), Some(most)) = (sides.clone().min(), sides.max())
        && most >= 4 * least
    {
        findings.push(said(
            false,
            format!(
                "pictures differ much in size: their longer sides are {least} to {most} pixels"
            ),
        ));
    }
    findings
}

/// Whether the samples of a side are classes.
fn is_labels(side: &FoundSide) -> bool {
    matches!(side.domain.kind, DomainKind::Labels { .. })
}
