//! An evaluation as files for other programs.

use serde_json::{Value, json};

use super::{Evaluation, Measure};
use crate::metric::{Interval, RESAMPLES};

/// A line for each picture of each system: its figures, empty where it has none.
pub fn csv(evaluation: &Evaluation) -> String {
    let Evaluation { cases, systems, measures, .. } = evaluation;
    let keys: Vec<&str> = measures.iter().map(|measure| measure.key()).collect();
    let mut text = format!("picture,system,{}\n", keys.join(","));
    for system in systems {
        for (case, score) in cases.iter().zip(&system.scores) {
            let figure = |measure: &Measure| match score.as_ref().map(|s| s.figure(*measure)) {
                Some(figure) if !figure.is_nan() => figure.to_string(),
                _ => String::new(),
            };
            let figures: Vec<String> = measures.iter().map(figure).collect();
            text += &format!("{},{},{}\n", cell(case), cell(&system.name), figures.join(","));
        }
    }
    text
}

/// A cell of comma-separated text (RFC 4180).
fn cell(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_string(),
    }
}

/// Everything: figures of all systems with their intervals, differences from the first system, figures of each
/// picture, definitions, the distributions of L, a and b (pixels of each whole number: of L from 0, of a and b from -110),
/// and what was not scored. A figure that there is none of is null, an infinite one "inf".
pub fn json(evaluation: &Evaluation) -> String {
    let Evaluation { cases, systems, missing, measures, seed } = evaluation;
    let number = |figure: f64| match figure {
        f64::INFINITY => json!("inf"),
        figure => json!(figure),
    };
    let interval = |interval: Option<Interval>| match interval {
        Some(interval) => json!([number(interval.low), number(interval.high)]),
        None => Value::Null,
    };
    let each = |i: usize| -> Value {
        let figures: serde_json::Map<String, Value> = evaluation
            .summaries(i)
            .into_iter()
            .map(|s| {
                let value = json!({
                    "value": number(s.value), "interval": interval(s.interval), "pictures": s.pictures,
                    "left_out": s.left_out,
                });
                (s.measure.key().to_string(), value)
            })
            .collect();
        let differences: serde_json::Map<String, Value> = match i {
            0 => Default::default(),
            i => evaluation
                .differences(i)
                .into_iter()
                .map(|d| {
                    let value = json!({
                        "value": number(d.value), "interval": interval(d.interval), "pictures": d.pictures,
                    });
                    (d.measure.key().to_string(), value)
                })
                .collect(),
        };
        let pictures: Vec<Value> = cases
            .iter()
            .zip(&systems[i].scores)
            .map(|(case, score)| {
                let mut of = serde_json::Map::new();
                of.insert("picture".to_string(), json!(case));
                for measure in measures {
                    let figure = score.as_ref().map_or(f64::NAN, |s| s.figure(*measure));
                    of.insert(measure.key().to_string(), number(figure));
                }
                Value::Object(of)
            })
            .collect();
        let [[l, a, b], _] = evaluation.colours(i);
        let lab = if l.is_empty() { Value::Null } else { json!({ "l": l, "a": a, "b": b }) };
        json!({
            "lab": lab, "system": systems[i].name, "baseline": systems[i].baseline, "figures": figures,
            "difference_from_first": differences, "pictures": pictures,
        })
    };
    let all: Vec<Value> = (0..systems.len()).map(each).collect();
    let definitions: serde_json::Map<String, Value> =
        measures.iter().map(|m| (m.key().to_string(), json!(m.definition()))).collect();
    let not_scored: Vec<Value> = missing
        .iter()
        .map(|[system, picture, why]| json!({"system": system, "picture": picture, "why": why}))
        .collect();
    let [_, [l, a, b]] = match systems.is_empty() {
        true => Default::default(),
        false => evaluation.colours(0),
    };
    let lab = if l.is_empty() { Value::Null } else { json!({ "l": l, "a": a, "b": b }) };
    let whole = json!({
        "lab_of_targets": lab,
        "pictures": cases.len(),
        "intervals": format!(
            "95 %, percentile bootstrap over pictures, {} resamples, seed {seed}", RESAMPLES
        ),
        "definitions": definitions,
        "systems": all,
        "not_scored": not_scored,
    });
    let mut text = serde_json::to_string_pretty(&whole).expect("plain data");
    text.push('\n');
    text
}
