//! Pictures that are in a data set twice, or nearly.

use std::collections::HashMap;

use rayon::prelude::*;

use super::look::{Look, THUMB};
use super::{Finding, Seen, count, finding};

/// Thumbs of length 1 that are closer than this are of nearly one picture: of 32 x 32 means, whose root mean
/// square is 1/32, they differ by 4 % of it. Crops that are a pixel apart and other JPEG qualities are.
const NEAR: f32 = 0.04;
/// The most pictures that are compared each with each.
const MOST: usize = 20_000;

/// Findings about pictures that are more than once in the set.
pub(super) fn findings(all: &[Seen]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut by_checksum: HashMap<u64, Vec<&Seen>> = HashMap::new();
    for seen in all.iter().filter(|s| !s.looks[0].is_constant) {
        by_checksum.entry(seen.looks[0].checksum).or_default().push(seen);
    }
    let mut groups: Vec<Vec<&Seen>> = by_checksum.into_values().filter(|g| g.len() > 1).collect();
    groups.sort_by(|a, b| a[0].pair.name.cmp(&b[0].pair.name));
    let target = |s: &Seen| s.looks[1].checksum;
    let (mut twice, mut torn, mut leaks) = (Vec::new(), Vec::new(), Vec::new());
    for group in &groups {
        let one_target = group.iter().all(|s| target(s) == target(group[0]));
        let of_train = group.iter().filter(|s| s.train).count();
        if of_train > 0 && of_train < group.len() {
            leaks.extend(group.iter().filter(|s| !s.train).copied());
        }
        if of_train > 1 {
            let to = if one_target { &mut twice } else { &mut torn };
            to.extend(group.iter().filter(|s| s.train).copied());
        }
    }
    findings.extend(finding(true, &leaks, |names| {
        format!(
            "{} to validate on with an A that is in train too, so that scores say nothing of new pictures: {names}",
            count(leaks.len())
        )
    }));
    findings.extend(finding(true, &twice, |names| {
        format!("{} pairs are in train more than once: {names}", twice.len())
    }));
    findings.extend(finding(true, &torn, |names| {
        format!(
            "{} pairs have the same A and different B, which no generator can learn: {names}",
            torn.len()
        )
    }));
    findings.extend(near(all));
    findings
}

fn near(all: &[Seen]) -> Vec<Finding> {
    if all.len() > MOST {
        return vec![Finding {
            fault: false,
            text: format!(
                "pictures that are nearly equal were not looked for among more than {MOST}; equal ones were"
            ),
            pairs: Vec::new(),
        }];
    }
    let coarse: Vec<[f32; 16]> = all.iter().map(|s| coarse(&s.looks[0])).collect();
    let twin = |i: usize| -> Option<usize> {
        let mine = &all[i].looks[0];
        mine.thumb.as_ref()?;
        (0..i).find(|&j| {
            // The distance of means is at most that of what they are the means of.
            let bound: f32 = coarse[i].iter().zip(&coarse[j]).map(|(a, b)| (a - b) * (a - b)).sum();
            let other = &all[j].looks[0];
            bound * (THUMB * THUMB / 16) as f32 <= NEAR * NEAR
                && mine.checksum != other.checksum
                && mine.distance(other) < NEAR
        })
    };
    let twins: Vec<Option<usize>> = (0..all.len()).into_par_iter().map(twin).collect();
    let (mut leaks, mut others) = (Vec::new(), Vec::new());
    let mut example = [None, None];
    for (i, j) in twins.iter().enumerate().filter_map(|(i, j)| Some((i, (*j)?))) {
        let leak = all[i].train != all[j].train;
        example[usize::from(leak)].get_or_insert((i, j));
        if leak { &mut leaks } else { &mut others }.push(&all[i]);
    }
    let pair = |at: Option<(usize, usize)>| {
        at.map_or(String::new(), |(i, j)| format!("{} like {}", all[i].pair.name, all[j].pair.name))
    };
    let [of_train, of_both] = example.map(pair);
    let of_both = finding(true, &leaks, |_| {
        format!(
            "{} to validate on with an A that is nearly one of train, such as {of_both}: scores on them are too good",
            count(leaks.len())
        )
    });
    let of_train = finding(false, &others, |_| {
        format!("{} with an A that is nearly another's, such as {of_train}", count(others.len()))
    });
    of_both.into_iter().chain(of_train).collect()
}

/// Means of 4 x 4 cells of a thumb.
fn coarse(look: &Look) -> [f32; 16] {
    let mut means = [0.0; 16];
    let cell = THUMB / 4;
    for (i, v) in look.thumb.iter().flatten().enumerate() {
        means[i / THUMB / cell * 4 + i % THUMB / cell] += v / (cell * cell) as f32;
    }
    means
}
