//! Writes `metrics.jsonl`: one JSON object per step, and one per validation.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Losses, Progress, Validation};
use crate::atomic;
use crate::disk::Output;
use crate::error::{Error, Result};

/// The open file.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    file: BufWriter<Output>,
}

impl Metrics {
    /// Opens the file for a run that has made this progress: lines of later steps and validations,
    /// written after the last checkpoint of a run that was killed, are removed, since they will be
    /// written again. So is a last line that was only begun.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::Input`] for something else than a file.
    pub fn open(path: &Path, progress: &Progress) -> Result<Self> {
        let io = |e| Error::file("write", path, e);
        if path.exists() {
            if !path.is_file() {
                let path = path.display();
                return Err(Error::input(format!("{path} is no file: move it away")));
            }
            let text = fs::read(path).map_err(|e| Error::file("read", path, e))?;
            let whole = text.split_inclusive(|byte| *byte == b'\n').filter(|l| l.ends_with(b"\n"));
            let kept: Vec<&[u8]> = whole.filter(|line| belongs(line, progress)).collect();
            if kept.iter().map(|line| line.len()).sum::<usize>() < text.len() {
                atomic::replace(path, |sink| {
                    kept.iter().try_for_each(|line| sink.write_all(line).map_err(io))
                })?;
            }
        }
        let file = Output::append(path).map_err(io)?;
        Ok(Metrics { path: path.to_path_buf(), file: BufWriter::new(file) })
    }

    /// Writes the line of a step in `epoch`, from 1, with its learning rate and duration.
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

    /// Writes the line of the validation of `epoch`, from 1: the scores that count, and where two
    /// statistics of batch norm were compared, which they are with and the scores of the others.
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

    /// Waits until every line is on the disk: a checkpoint that counts their steps comes behind them.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn sync(&mut self) -> Result<()> {
        let io = |e| Error::file("write", &self.path, e);
        self.file.flush().and_then(|()| self.file.get_ref().sync()).map_err(io)
    }

    fn write(&mut self, line: &Value) -> Result<()> {
        let io = |e| Error::file("write", &self.path, e);
        writeln!(self.file, "{line}").map_err(io)?;
        self.file.flush().map_err(io)
    }
}

/// Whether a line is of what `progress` has done. Only a line that is certainly later is not: what
/// is not understood stays.
fn belongs(line: &[u8], progress: &Progress) -> bool {
    let Ok(line) = serde_json::from_slice::<Value>(line) else { return true };
    let number = |key: &str| line[key].as_u64();
    let validated = line.get("validation").is_none()
        || progress.validated.is_none_or(|last| number("epoch").is_none_or(|epoch| epoch <= last));
    number("step").is_none_or(|step| step <= progress.step) && validated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_lines_and_half_lines_go_and_all_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let kept = "{\"step\":1,\"epoch\":1}\n{\"step\":2,\"epoch\":1}\n\
                    {\"step\":2,\"epoch\":1,\"validation\":{}}\n{\"note\":\"mine\"}\nand mine\n\
                    {\"step\":4,\"epoch\":2}\n";
        let progress = Progress { step: 4, epoch: 2, validated: Some(1), ..Progress::default() };
        for later in [
            "",
            "{\"step\":4,\"epoch\":2,\"validation\":{}}\n",
            "{\"step\":5,\"epoch\":3}\n{\"step\":6,\"epoch\":3}\n",
            "{\"step\":5,\"epo",
            "{\"step\":4,\"epoch\":2,\"validation\":{}}\n{\"step\":5,\"epoch\":3}\n{",
            "\u{fffd}",
        ] {
            fs::write(&path, format!("{kept}{later}")).unwrap();
            Metrics::open(&path, &progress).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), kept, "{later}");
        }
        Metrics::open(&path, &Progress { validated: Some(0), ..Progress::default() }).unwrap();
        let left = fs::read_to_string(&path).unwrap();
        assert_eq!(left, "{\"note\":\"mine\"}\nand mine\n");
    }
}
