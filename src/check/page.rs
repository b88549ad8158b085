//! The report as a page that needs nothing beside it.

use std::fmt::Write;

use super::{Finding, Plan, Report, Setting};
use crate::data::{Folder, Pair};
use crate::error::Result;
use crate::page::{document, escaped, png};

/// Pairs that are shown of the whole set, and of each finding.
const SHOWN: usize = 8;
/// Height of a picture on the page, in pixels.
const HEIGHT: usize = 120;

/// The report with pictures, as HTML; `lines` say what the sides are.
///
/// # Errors
/// A picture that cannot be written.
pub fn page(
    folder: &Folder,
    report: &Report,
    plan: &Plan,
    data: &str,
    lines: &[String],
) -> Result<String> {
    let domains = [&report.sides[0].domain, &report.sides[1].domain];
    let picture = |pair: &Pair| -> Option<String> {
        let ((a, b), _) = pair.read_as(domains).ok()?;
        let shown = [(domains[0], a), (domains[1], b)].map(|(domain, image)| {
            let shown = domain.shown(&domain.prepared(image).0);
            let width = (shown.width * HEIGHT / shown.height).max(1);
            png(&shown.resize(width, HEIGHT))
        });
        let [a, b] = shown;
        Some(format!(
            "<figure><img alt=\"A\" src=\"{}\"><img alt=\"B\" src=\"{}\"><figcaption>{}</figcaption></figure>",
            a.ok()?,
            b.ok()?,
            escaped(&pair.name)
        ))
    };
    let all: Vec<&Pair> = folder.pairs().collect();
    let gallery = |pairs: Vec<&Pair>| -> String {
        let shown: String = pairs.into_iter().filter_map(picture).collect();
        if shown.is_empty() { shown } else { format!("<div class=row>{shown}</div>") }
    };
    let spread = all.len().div_ceil(SHOWN).max(1);
    let mut body = String::new();
    let [train, val, test] = report.pairs;
    let _ = write!(
        body,
        "<h1>{}</h1><p>{train} pairs to train on, {val} to validate on, {test} to test on</p>",
        escaped(data)
    );
    for line in lines {
        let _ = write!(body, "<p>{}</p>", escaped(line));
    }
    body += &gallery(all.iter().copied().step_by(spread).collect());
    body += "<h2>What is odd</h2>";
    if report.findings.is_empty() {
        body += "<p>Nothing was found.</p>";
    }
    for Finding { fault, text, pairs } in &report.findings {
        let class = if *fault { "fault" } else { "note" };
        let _ = write!(body, "<p class={class}>{}</p>", escaped(text));
        let of = |name: &String| all.iter().find(|pair| pair.name == *name).copied();
        body += &gallery(pairs.iter().filter_map(of).take(SHOWN).collect());
    }
    body += "<h2>The plan</h2><table>";
    for Setting { key, value, reason } in &plan.settings {
        let _ = write!(
            body,
            "<tr><th>{key}</th><td>{}</td><td>{}</td></tr>",
            escaped(value),
            escaped(reason)
        );
    }
    body += "</table>";
    Ok(document(data, STYLE, &body))
}

const STYLE: &str = "\
.row{display:flex;flex-wrap:wrap;gap:.75rem;margin:.5rem 0}\
figure{margin:0;max-width:100%}figure img{height:120px;max-width:50%;object-fit:contain;vertical-align:top;\
image-rendering:pixelated;border:1px solid #ddd;background:#fff}\
.fault,.note{border-left:.3rem solid #c9302c;padding-left:.6rem}.note{border-color:#b8a13b}\
td:nth-child(2){font-family:ui-monospace,monospace;white-space:nowrap}";
