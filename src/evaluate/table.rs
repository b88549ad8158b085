//! A table of settings with their figures and pictures, as Markdown and as a page.

use std::fmt::Write;

use super::{Measure, Summary, digits};
use crate::data::Image;
use crate::error::Result;
use crate::metric::Interval;
use crate::page::{document, escaped, png};

/// The figures that the paper's tables have, in their order.
pub const OF_PAPER: [Measure; 3] =
    [Measure::PixelAccuracy, Measure::ClassAccuracy, Measure::MeanIou];

/// A row with what was measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Its figures with each seed; for each seed one for each column.
    pub seeds: Vec<Vec<Summary>>,
    /// The paper's three figures.
    pub paper: Option<[f64; 3]>,
}

/// What is written.
#[derive(Clone, Debug)]
pub struct Results {
    /// The head.
    pub title: String,
    /// Sentences before the table.
    pub before: Vec<String>,
    /// The columns.
    pub columns: Vec<Measure>,
    /// The rows.
    pub rows: Vec<Measured>,
    /// Sentences behind the table.
    pub after: Vec<String>,
    /// The columns of the sheet by name.
    pub captions: Vec<String>,
    /// Its rows.
    pub sheet: Vec<Vec<Image>>,
}

impl Measured {
    /// The mean over the seeds of a column, and in brackets what it varies in: from seed to seed, or over the pictures.
    fn cell(&self, column: usize) -> [String; 2] {
        let all: Vec<f64> = self.seeds.iter().map(|figures| figures[column].value).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let range = match &self.seeds[..] {
            [one] => match one[column].interval {
                Some(Interval { low, high }) => format!("{} to {}", digits(low), digits(high)),
                None => String::new(),
            },
            _ => {
                let [low, high] = [f64::min as fn(f64, f64) -> f64, f64::max]
                    .map(|of| all.iter().copied().fold(all[0], of));
                format!("{} to {}", digits(low), digits(high))
            }
        };
        [digits(mean), range]
    }
}

impl Results {
    /// Whether the paper has figures beside ours.
    fn has_paper(&self) -> bool {
        self.columns.starts_with(&OF_PAPER) && self.rows.iter().any(|row| row.paper.is_some())
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", self.title);
        for line in &self.before {
            let _ = writeln!(text, "{line}\n");
        }
        let cell = |text: &str| text.replace('|', "\\|");
        let mut head = vec![String::new()];
        head.extend(self.columns.iter().map(|column| column.name().to_string()));
        if self.has_paper() {
            head.extend(OF_PAPER.map(|column| format!("paper: {}", column.name())));
        }
        let _ = writeln!(text, "| {} |", head.join(" | "));
        let _ = writeln!(text, "|{}", " --- |".repeat(head.len()));
        for row in &self.rows {
            let mut cells = vec![cell(&row.name)];
            for column in 0..self.columns.len() {
                let [mean, range] = row.cell(column);
                cells.push(if range.is_empty() { mean } else { format!("{mean} ({range})") });
            }
            if self.has_paper() {
                cells.extend(row.paper_cells());
            }
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        text.push('\n');
        for line in &self.after {
            let _ = writeln!(text, "{line}\n");
        }
        if !self.sheet.is_empty() {
            let _ = writeln!(text, "![sheet](sheet.png)\n\nColumns: {}.", self.captions.join(", "));
        }
        text
    }

    /// As a page that needs nothing beside it.
    ///
    /// # Errors
    /// A picture that cannot be written.
    pub fn page(&self) -> Result<String> {
        let mut body = format!("<h1>{}</h1>", escaped(&self.title));
        let lines = |body: &mut String, lines: &[String]| {
            lines.iter().for_each(|line| {
                let _ = write!(body, "<p>{}</p>", escaped(line));
            });
        };
        lines(&mut body, &self.before);
        body += "<div class=wide><table><thead><tr><th>";
        self.columns.iter().for_each(|column| body += &format!("<th>{}", column.name()));
        if self.has_paper() {
            OF_PAPER
                .iter()
                .for_each(|column| body += &format!("<th class=paper>paper: {}", column.name()));
        }
        body += "</thead>";
        for row in &self.rows {
            let _ = write!(body, "<tr><th>{}", escaped(&row.name));
            for column in 0..self.columns.len() {
                let [mean, range] = row.cell(column);
                let _ = write!(body, "<td>{mean}<small>{range}</small>");
            }
            if self.has_paper() {
                row.paper_cells()
                    .iter()
                    .for_each(|cell| body += &format!("<td class=paper>{cell}"));
            }
        }
        body += "</table></div>";
        lines(&mut body, &self.after);
        if !self.sheet.is_empty() {
            let _ = write!(
                body,
                "<h2>Pictures</h2><div class=sheet style=\"grid-template-columns:repeat({},minmax(6rem,16rem))\">",
                self.captions.len()
            );
            self.captions.iter().for_each(|name| body += &format!("<b>{}</b>", escaped(name)));
            for row in &self.sheet {
                for (image, name) in row.iter().zip(&self.captions) {
                    let _ = write!(body, "<img alt=\"{}\" src=\"{}\">", escaped(name), png(image)?);
                }
            }
            body += "</div>";
        }
        Ok(document(&self.title, STYLE, &body))
    }
}

impl Measured {
    fn paper_cells(&self) -> [String; 3] {
        match self.paper {
            Some(figures) => figures.map(|figure| format!("{figure:.2}")),
            None => [const { String::new() }; 3],
        }
    }
}

const STYLE: &str = "\
td,th{padding-right:1rem;font-variant-numeric:tabular-nums}td small{color:#57606a;display:block;white-space:nowrap}\
thead th{border-bottom:1px solid #ccc}.paper{color:#57606a;font-weight:normal;font-style:italic}\
.sheet{display:grid;gap:.4rem;overflow-x:auto;font-size:.8rem;align-items:end}\
.sheet img{width:100%;image-rendering:pixelated}";
