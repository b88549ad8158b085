//! The paper's tables as rows of settings, and tables from a file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

/// A row: settings that are trained and scored together.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its name in tables.
    pub name: String,
    /// Flags of `train`.
    pub flags: Vec<String>,
    /// Per-pixel accuracy, per-class accuracy and class IoU in the paper.
    pub paper: Option<[f64; 3]>,
}

/// A table of runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its rows.
    pub rows: Vec<Row>,
    /// What the paper says of it, for the head of the result.
    pub about: String,
    /// Whether the targets are classes, so that no scorer is needed.
    pub of_labels: bool,
}

/// A row of the paper: name, flags, and its three figures.
type Printed = (&'static str, &'static str, [f64; 3]);

/// Isola et al. 2017, Table 1.
const LOSSES: [Printed; 5] = [
    ("L1", "--gan none", [0.42, 0.15, 0.11]),
    ("GAN", "--unconditional --distance none", [0.22, 0.05, 0.01]),
    ("cGAN", "--distance none", [0.57, 0.22, 0.16]),
    ("L1+GAN", "--unconditional", [0.64, 0.20, 0.15]),
    ("L1+cGAN", "", [0.66, 0.23, 0.17]),
];

/// Table 2.
const GENERATORS: [Printed; 4] = [
    ("Encoder-decoder (L1)", "--generator encoder-decoder --gan none", [0.35, 0.12, 0.08]),
    ("Encoder-decoder (L1+cGAN)", "--generator encoder-decoder", [0.29, 0.09, 0.05]),
    ("U-net (L1)", "--gan none", [0.48, 0.18, 0.13]),
    ("U-net (L1+cGAN)", "", [0.55, 0.20, 0.14]),
];

/// Table 3.
const PATCHES: [Printed; 4] = [
    ("1x1", "--patch 1", [0.39, 0.15, 0.10]),
    ("16x16", "--patch 16", [0.65, 0.21, 0.17]),
    ("70x70", "--patch 70", [0.66, 0.23, 0.17]),
    ("286x286", "--patch 286", [0.42, 0.16, 0.11]),
];

/// Table 6; cross entropy is not in it.
const SEGMENTATION: [(&str, &str, Option<[f64; 3]>); 4] = [
    ("L1", "--target palette --gan none", Some([0.86, 0.42, 0.35])),
    ("cGAN", "--target palette --distance none", Some([0.74, 0.28, 0.22])),
    ("L1+cGAN", "--target palette", Some([0.83, 0.36, 0.29])),
    ("cross entropy", "--target labels --gan none", None),
];

/// The names of the paper's tables.
pub const NAMES: [&str; 4] = ["losses", "generators", "patches", "segmentation"];

fn flags(text: &str) -> Vec<String> {
    text.split_whitespace().map(String::from).collect()
}

impl Table {
    /// One of the paper's, or that of a file.
    ///
    /// # Errors
    /// A file that cannot be read, or that holds no table.
    pub fn open(name_or_file: &str) -> Result<Table> {
        let of = |rows: &[Printed], about: &str| Table {
            rows: rows
                .iter()
                .map(|(name, text, paper)| Row {
                    name: name.to_string(),
                    flags: flags(text),
                    paper: Some(*paper),
                })
                .collect(),
            about: about.to_string(),
            of_labels: false,
        };
        Ok(match name_or_file {
            "losses" => of(
                &LOSSES,
                "Isola et al. 2017, Table 1: losses, on Cityscapes labels to photographs, 256 x 256, 200 epochs, \
                 batch 1; the ground truth has 0.80, 0.26 and 0.21 there.",
            ),
            "generators" => of(
                &GENERATORS,
                "Isola et al. 2017, Table 2: generators, on Cityscapes labels to photographs, batch 10.",
            ),
            "patches" => of(
                &PATCHES,
                "Isola et al. 2017, Table 3: receptive fields of the discriminator, on Cityscapes labels to \
                 photographs.",
            ),
            "segmentation" => Table {
                rows: SEGMENTATION
                    .iter()
                    .map(|(name, text, paper)| Row {
                        name: name.to_string(),
                        flags: flags(text),
                        paper: *paper,
                    })
                    .collect(),
                about: "Isola et al. 2017, Table 6: photographs to labels, on Cityscapes. Cross entropy is not in it."
                    .to_string(),
                of_labels: true,
            },
            file => Table::read(Path::new(file))?,
        })
    }

    /// The table of a file: a line a row, `NAME: FLAGS`. Empty lines and those that begin with # are passed over.
    fn read(path: &Path) -> Result<Table> {
        const MOST: u64 = 1 << 20;
        let length = fs::metadata(path).map(|about| about.len()).map_err(|e| {
            Error::input(format!(
                "{} is no table ({}) and no file that can be read: {e}",
                path.display(),
                NAMES.join(", ")
            ))
        })?;
        if length > MOST {
            return Err(Error::input(format!("{} is larger than a table can be", path.display())));
        }
        let text = fs::read_to_string(path).map_err(|e| Error::file("read", path, e))?;
        let mut rows = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, rest)) =
                line.split_once(':').filter(|(name, _)| !name.trim().is_empty())
            else {
                return Err(Error::input(format!(
                    "{}, line {}: a row is NAME: FLAGS, such as wide: --base-channels 128",
                    path.display(),
                    number + 1
                )));
            };
            rows.push(Row { name: name.trim().to_string(), flags: flags(rest), paper: None });
        }
        let table =
            Table { rows, about: format!("The rows of {}.", path.display()), of_labels: false };
        let folders: BTreeSet<String> = table.rows.iter().map(|row| row.folder(0)).collect();
        if table.rows.is_empty() || folders.len() < table.rows.len() {
            let why =
                if table.rows.is_empty() { "has no rows" } else { "has two rows of one name" };
            return Err(Error::input(format!("{} {why}", path.display())));
        }
        Ok(table)
    }
}

impl Row {
    /// The folder of its run with a seed: the letters and digits of its name.
    pub fn folder(&self, seed: u64) -> String {
        let mut name = String::new();
        for letter in self.name.chars().flat_map(char::to_lowercase) {
            if letter.is_alphanumeric() {
                name.push(letter);
            } else if !name.ends_with('-') {
                name.push('-');
            }
        }
        format!("{}-seed{seed}", name.trim_matches('-'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_files_are_read_and_faults_are_named_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.txt");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            Table::open(path.to_str().unwrap())
        };
        let table =
            read("# two rows\n\nplain:\nwide, deep: --base-channels 8 --depth 5\n").unwrap();
        assert_eq!(table.rows.len(), 2);
        assert_eq!(table.rows[1].flags, ["--base-channels", "8", "--depth", "5"]);
        assert_eq!(table.rows[1].folder(3), "wide-deep-seed3");
        assert!(read("plain\n").unwrap_err().to_string().contains("line 1"));
        assert!(read("a b:\na-b: --turn\n").unwrap_err().to_string().contains("two rows"));
        assert!(read("# nothing\n").unwrap_err().to_string().contains("no rows"));
        let none = Table::open("nowhere").unwrap_err().to_string();
        assert!(none.contains("losses, generators"), "{none}");
    }

    /// Each row of each table is one that `train` takes, in a folder of its own.
    #[test]
    fn the_papers_rows_are_command_lines() {
        use clap::Parser;
        for name in NAMES {
            let table = Table::open(name).unwrap();
            let mut folders = BTreeSet::new();
            for row in &table.rows {
                let words = ["pix2pix-engine", "train", "data"].map(String::from);
                let line = words.into_iter().chain(row.flags.clone());
                crate::cli::args::Cli::try_parse_from(line).unwrap();
                assert!(folders.insert(row.folder(0)), "{name}: {}", row.name);
            }
        }
    }
}
