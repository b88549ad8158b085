//! Writes `metrics.jsonl`: one JSON object per step, and one per validation.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Losses, Validation};
use crate::atomic;
use crate::error::{Error, Result};

/// The open file.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Metrics {
    /// Opens the file for a run that has done `step` steps: lines of later steps, written after the
    /// last checkpoint of a run that was killed, are removed, since they will be written again.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(path: &Path, step: u64) -> Result<Self> {
        let io = |e| Error::file("write", path, e);
        if path.exists() {
            let file = File::open(path).map_err(|e| Error::file("read", path, e))?;
            let lines: Vec<String> = BufReader::new(file)
                .lines()
                .map_while(|line| line.ok())
                .filter(|line| {
                    let value: Option<Value> = serde_json::from_str(line).ok();
                    value.and_then(|v| v["step"].as_u64()).is_some_and(|s| s <= step && step > 0)
                })
                .collect();
            atomic::replace(path, |sink| {
                lines.iter().try_for_each(|line| writeln!(sink, "{line}").map_err(io))
            })?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(io)?;
        Ok(Metrics { path: path.to_path_buf(), file: BufWriter::new(file) })
    }

    /// Writes the line of a step, with its learning rate and duration.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn step(
        &mut self,
        step: u64,
        epoch: u64,
        losses: &Losses,
        lr: f32,
        seconds: f64,
    ) -> Result<()> {
        let mut line = json!({ "step": step, "epoch": epoch });
        for (name, value) in losses.iter() {
            line[name] = json!(value);
        }
        line["lr"] = json!(lr);
        line["seconds"] = json!((seconds * 1e4).round() / 1e4);
        self.write(&line)
    }

    /// Writes the line of a validation: the scores that count, and where two statistics of batch norm
    /// were compared, which they are with and the scores of the others.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn validation(&mut self, step: u64, epoch: u64, of: &Validation) -> Result<()> {
        let mut line = json!({ "step": step, "epoch": epoch, "validation": of.scores });
        if let Some(other) = &of.other {
            line["statistics"] = json!(of.statistics);
            line["other_statistics"] = json!(other);
        }
        self.write(&line)
    }

    fn write(&mut self, line: &Value) -> Result<()> {
        let io = |e| Error::file("write", &self.path, e);
        writeln!(self.file, "{line}").map_err(io)?;
        self.file.flush().map_err(io)
    }
}
