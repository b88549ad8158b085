//! An evaluation as a page that needs nothing beside it: tables, and the worst and best cases with maps of their
//! errors.

use std::fmt::Write;

use super::{Evaluation, Measure, Score, System, Task, Truth};
use crate::data::{Domain, DomainKind, Domains, Image};
use crate::error::Result;
use crate::metric::{Interval, RESAMPLES};
use crate::page::{document, escaped, png};
use crate::tensor::{Samples, with_samples};

/// The longest side of a picture on the page, in pixels; larger ones are shown smaller.
const SHOWN: usize = 256;
/// Rows of the table of pictures; all are in the CSV.
const ROWS: usize = 1000;

const STYLE: &str = "\
td,th{padding-right:1rem;font-variant-numeric:tabular-nums}\
td small{color:#57606a;display:block;white-space:nowrap}\
tr.baseline td,tr.baseline th{color:#57606a;font-weight:normal;font-style:italic}\
thead th{border-bottom:1px solid #ccc}thead small{font-weight:normal}\
figure{margin:0}figure img{width:100%;image-rendering:pixelated;border:1px solid #ddd;background:#fff}\
.curves{display:flex;flex-wrap:wrap;gap:1rem}.curves svg{width:27rem;max-width:100%;background:#fff;border:1px solid #ddd}\
.case{display:grid;grid-auto-flow:column;grid-auto-columns:minmax(8rem,16rem);gap:.5rem;margin:.5rem 0 1.5rem;\
overflow-x:auto}\
.fault{border-left:.3rem solid #c9302c;padding-left:.6rem}";

/// The page. `shown` of the worst and of the best cases of the first system are computed again, to be seen; `notes`
/// are sentences about the data.
///
/// # Errors
/// A picture that cannot be read or written.
pub fn page(
    task: &Task,
    evaluation: &Evaluation,
    systems: &mut [Box<dyn System>],
    shown: usize,
    notes: &[String],
) -> Result<String> {
    let Evaluation { cases, systems: scored, missing, measures, seed } = evaluation;
    let mut body = format!("<h1>Evaluation of {} pictures</h1>", cases.len());
    for note in notes {
        let _ = write!(body, "<p>{}</p>", escaped(note));
    }
    body += "<h2>All pictures</h2><div class=wide><table><thead><tr><th>";
    for measure in measures {
        let better = if measure.more_is_better() { "more is better" } else { "less is better" };
        let _ = write!(body, "<th>{}<br><small>{better}</small>", measure.name());
    }
    body += "</thead>";
    for (i, system) in scored.iter().enumerate() {
        let class = if system.baseline { " class=baseline" } else { "" };
        let _ = write!(body, "<tr{class}><th>{}", escaped(&system.name));
        for s in evaluation.summaries(i) {
            let left = match s.left_out {
                0 => String::new(),
                n => format!(", {n} left out"),
            };
            let _ = write!(
                body,
                "<td>{}<small>{}</small><small>{} pictures{left}</small>",
                digits(s.value),
                between(s.interval),
                s.pictures
            );
        }
    }
    let _ = write!(
        body,
        "</table></div><p>Below each figure: its 95 % interval, a percentile bootstrap over the pictures ({RESAMPLES} \
         resamples, seed {seed}).</p>"
    );
    if scored.len() > 1 {
        let _ = write!(
            body,
            "<h2>Differences from {}</h2><p>On the pictures that both have. An interval that contains 0 says that \
             these pictures do not tell the two apart.</p><div class=wide><table><thead><tr><th>",
            escaped(&scored[0].name)
        );
        measures.iter().for_each(|m| body += &format!("<th>{}", m.name()));
        body += "</thead>";
        for (i, system) in scored.iter().enumerate().skip(1) {
            let _ = write!(body, "<tr><th>{}", escaped(&system.name));
            for d in evaluation.differences(i) {
                let _ = write!(
                    body,
                    "<td>{}<small>{}</small><small>{} pictures</small>",
                    signed(d.value),
                    between(d.interval),
                    d.pictures
                );
            }
        }
        body += "</table></div>";
    }
    body += &marginals(evaluation);
    if !missing.is_empty() {
        body += "<h2>Not scored</h2>";
        for [system, case, why] in missing {
            let _ = write!(
                body,
                "<p class=fault>{} of {}: {}</p>",
                escaped(case),
                escaped(system),
                escaped(why)
            );
        }
    }
    let order = evaluation.from_worst();
    let worst = shown.min(order.len());
    let best = shown.min(order.len() - worst);
    for (title, cases) in [
        ("Worst", order[..worst].to_vec()),
        ("Best", order[order.len() - best..].iter().rev().copied().collect()),
    ] {
        if cases.is_empty() {
            continue;
        }
        let _ = write!(
            body,
            "<h2>{title} of {}, by {}</h2><p>{}</p>",
            escaped(&scored[0].name),
            measures[0].name(),
            legend(&task.domains.target)
        );
        for case in cases {
            body += &case_row(task, evaluation, systems, case)?;
        }
    }
    body += "<h2>Each picture</h2>";
    if cases.len() > ROWS {
        let _ = write!(body, "<p>The first {ROWS} of {}; scores.csv has all.</p>", cases.len());
    }
    body +=
        "<details><summary>the table</summary><div class=wide><table><thead><tr><th>picture<th>";
    measures.iter().for_each(|m| body += &format!("<th>{}", m.name()));
    body += "</thead>";
    for (i, case) in cases.iter().enumerate().take(ROWS) {
        for system in scored.iter().filter(|system| !system.baseline) {
            let _ = write!(body, "<tr><th>{}<td>{}", escaped(case), escaped(&system.name));
            for measure in measures {
                let figure = system.scores[i].as_ref().map_or(f64::NAN, |s| s.figure(*measure));
                let _ = write!(body, "<td>{}", digits(figure));
            }
        }
    }
    body += "</table></div></details><h2>What the figures are</h2><table>";
    for measure in measures {
        let _ = write!(body, "<tr><th>{}<td>{}", measure.name(), escaped(measure.definition()));
    }
    body += "</table>";
    Ok(document("Evaluation", STYLE, &body))
}

/// The colours of curves: the targets, then each system.
const CURVES: [&str; 7] =
    ["#000000", "#c9302c", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#17a2b8"];

/// Curves of the distributions of a and b over all pixels, in the logarithm of their shares, as in the paper's Figure 7;
/// nothing where colours are not known.
fn marginals(evaluation: &Evaluation) -> String {
    let systems: Vec<usize> =
        (0..evaluation.systems.len()).filter(|&i| !evaluation.systems[i].baseline).collect();
    let Some(&first) = systems.first() else { return String::new() };
    let [_, targets] = evaluation.colours(first);
    if targets[1].is_empty() {
        return String::new();
    }
    let mut curves = vec![("targets".to_string(), targets)];
    for &i in systems.iter().take(CURVES.len() - 1) {
        let [output, _] = evaluation.colours(i);
        curves.push((evaluation.systems[i].name.clone(), output));
    }
    let mut text = "<h2>Colours</h2><p>The logarithm of the share of all pixels that have a value of a (green to red) and \
                    of b (blue to yellow), in CIE Lab.</p><div class=curves>"
        .to_string();
    for (channel, name) in [(1, "a"), (2, "b")] {
        text += "<svg viewBox=\"0 0 440 200\" role=img>";
        let _ = write!(text, "<title>{name}</title>");
        for ((_, counts), colour) in curves.iter().zip(CURVES) {
            let all: u64 = counts[channel].iter().sum();
            let point = |(bin, &count): (usize, &u64)| {
                // From a share of 1 at the top to one of a millionth at the bottom.
                let depth = -(count as f64 / all as f64).max(1e-6).log10() / 6.0;
                format!("{},{:.1}", 2 * bin, 4.0 + 176.0 * depth)
            };
            let points: Vec<String> = counts[channel].iter().enumerate().map(point).collect();
            let _ = write!(
                text,
                "<polyline fill=none stroke=\"{colour}\" stroke-width=1.5 points=\"{}\"/>",
                points.join(" ")
            );
        }
        for at in [-100, -50, 0, 50, 100] {
            let _ = write!(
                text,
                "<text x={} y=196 text-anchor=middle font-size=11>{at}</text>",
                2 * (at + 110)
            );
        }
        let _ = write!(text, "<text x=4 y=14 font-size=12>{name}</text></svg>");
    }
    text += "</div><p>";
    for ((name, _), colour) in curves.iter().zip(CURVES) {
        let _ = write!(text, "<b style=\"color:{colour}\">{}</b> ", escaped(name));
    }
    if systems.len() > CURVES.len() - 1 {
        let _ = write!(text, "and {} more in scores.json", systems.len() + 1 - CURVES.len());
    }
    text + "</p>"
}

/// Input, target, and the output of each system with its error.
fn case_row(
    task: &Task,
    evaluation: &Evaluation,
    systems: &mut [Box<dyn System>],
    case: usize,
) -> Result<String> {
    let Domains { input: from, target: to } = &task.domains;
    let Truth { input, prepared, .. } = task.read(case)?;
    let mut row = format!("<p>{}</p><div class=case>", escaped(&evaluation.cases[case]));
    let mut add = |name: &str, image: &Image| -> Result<()> {
        let _ = write!(
            row,
            "<figure><img alt=\"{0}\" src=\"{1}\"><figcaption>{0}</figcaption></figure>",
            escaped(name),
            png(&small(image))?
        );
        Ok(())
    };
    if task.has_inputs {
        add("input", &from.shown(&from.prepared(input.clone()).0))?;
    }
    add("target", &to.shown(&prepared))?;
    for (system, scored) in systems.iter_mut().zip(&evaluation.systems) {
        let (Some(score), false) = (&scored.scores[case], scored.baseline) else { continue };
        if let Some(seen) = system.seen(&task.cases[case], &input)? {
            add(&scored.name, &from.shown(&from.prepared(seen).0))?;
        }
        let output = to.prepared(system.output(&task.cases[case], &input)?).0;
        let figure = caption(&evaluation.measures, score);
        add(&format!("{}: {figure}", scored.name), &to.shown(&output))?;
        add(&format!("error of {}", scored.name), &error_map(to, &output, &prepared))?;
    }
    row += "</div>";
    Ok(row)
}

fn caption(measures: &[Measure], score: &Score) -> String {
    let first = measures.iter().take(4).filter(|m| !score.figure(**m).is_nan());
    let all = first.map(|m| format!("{} {}", m.name(), digits(score.figure(*m))));
    all.collect::<Vec<_>>().join(", ")
}

/// What the map of errors shows.
fn legend(target: &Domain) -> String {
    match target.kind {
        DomainKind::Labels { .. } => {
            "Errors: white where the class is wrong, black where it is right.".to_string()
        }
        _ => format!(
            "Errors: the mean absolute difference of a pixel's channels, from black (0) over orange to white \
             ({} % of the data's range and more).",
            FULL * 100.0
        ),
    }
}

/// The share of the range at which an error is white.
const FULL: f64 = 0.5;

/// The error of every pixel of a prepared output as a picture.
fn error_map(domain: &Domain, output: &Image, target: &Image) -> Image {
    let labels = matches!(domain.kind, DomainKind::Labels { .. });
    let values = |image: &Image| -> Vec<f64> {
        with_samples!(Samples, &image.samples, all => all.iter().map(|&v| f64::from(v)).collect())
    };
    let (a, b) = (values(output), values(target));
    let channels = target.channels;
    let scale = match labels {
        true => 1.0,
        false => FULL * 2.0 * domain.range().half() * channels as f64,
    };
    let colour = |(a, b): (&[f64], &[f64])| {
        let error: f64 = a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / scale;
        // Black, red, orange, white, at even distances.
        let ramp = |from: f64| (255.0 * (3.0 * error - from).clamp(0.0, 1.0)) as u8;
        [ramp(0.0), ramp(1.0), ramp(2.0)]
    };
    let samples: Vec<u8> =
        a.chunks_exact(channels).zip(b.chunks_exact(channels)).flat_map(colour).collect();
    Image { height: target.height, width: target.width, channels: 3, samples: samples.into() }
}

/// An image that is not larger than a page shows it.
fn small(image: &Image) -> Image {
    let longest = image.width.max(image.height);
    if longest <= SHOWN {
        return image.clone();
    }
    let side = |side: usize| (side * SHOWN / longest).max(1);
    image.resize(side(image.width), side(image.height))
}

/// A figure with four digits that matter; "none" for NaN.
pub fn digits(figure: f64) -> String {
    if figure.is_nan() {
        return "none".to_string();
    }
    if figure.is_infinite() || figure == 0.0 {
        return figure.to_string();
    }
    let before = figure.abs().log10().floor().clamp(-5.0, 3.0);
    let places = (3.0 - before) as usize;
    format!("{figure:.places$}")
}

fn signed(figure: f64) -> String {
    if figure > 0.0 { format!("+{}", digits(figure)) } else { digits(figure) }
}

fn between(interval: Option<Interval>) -> String {
    match interval {
        Some(Interval { low, high }) => format!("{} to {}", digits(low), digits(high)),
        None => "no interval".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_four_digits() {
        let cases = [
            (0.123456, "0.1235"),
            (23.456, "23.46"),
            (0.0, "0"),
            (f64::NAN, "none"),
            (f64::INFINITY, "inf"),
            (12345.6, "12346"),
            (0.000012348, "0.00001235"),
        ];
        for (figure, want) in cases {
            assert_eq!(digits(figure), want);
        }
        assert_eq!(signed(0.5), "+0.5000");
    }
}
