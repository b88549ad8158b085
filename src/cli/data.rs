//! The flags of `train` that say where the data lie.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::args::DATA;
use super::quoted;
use super::resume::same;
use super::sides::SideArgs;
use crate::data::{Check, Folder, ScanOptions};
use crate::error::{Error, Result};

#[derive(Debug, clap::Args)]
pub struct DataArgs {
    /// The data: a folder of pictures with A left and B right, or of two folders A and B
    ///
    /// Its subfolders `train` and `val`, if it has them, are what is trained and validated on.
    #[arg(required_unless_present = "a", conflicts_with = "a")]
    pub data: Option<PathBuf>,
    /// The folder of the A pictures, with --b in place of DATA; pictures of equal names are pairs
    #[arg(long, hide_short_help = true, help_heading = DATA, value_name = "DIR", requires = "b")]
    pub a: Option<PathBuf>,
    /// The folder of the B pictures
    #[arg(long, hide_short_help = true, help_heading = DATA, value_name = "DIR", requires = "a")]
    pub b: Option<PathBuf>,
    /// The folder of the A pictures to validate on, where --a has no `val`
    #[arg(long, hide_short_help = true, help_heading = DATA, value_name = "DIR", requires_all = ["a", "val_b"])]
    pub val_a: Option<PathBuf>,
    /// The folder of the B pictures to validate on
    #[arg(long, hide_short_help = true, help_heading = DATA, value_name = "DIR", requires_all = ["a", "val_a"])]
    pub val_b: Option<PathBuf>,
    /// What is read of the pictures before the first step, beside all pixels of `val`
    #[arg(long, hide_short_help = true, help_heading = DATA, default_value = "headers")]
    pub check: CheckArg,
    /// Leave out pictures that cannot be used, and list them
    #[arg(long, hide_short_help = true, help_heading = DATA)]
    pub skip_bad: bool,
    #[command(flatten)]
    pub sides: SideArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckArg {
    /// The headers: sizes and kinds
    Headers,
    /// All pixels: takes as long as one pass over the files
    Full,
}

impl DataArgs {
    /// Lists the pairs; those that cannot be used are left out if the options say so.
    ///
    /// # Errors
    /// As [`Folder::scan`].
    pub fn scan(&self, options: ScanOptions) -> Result<Folder> {
        let two = |a: &Option<PathBuf>, b: &Option<PathBuf>| a.clone().zip(b.clone());
        let folder = match two(&self.a, &self.b) {
            Some((a, b)) if same(&a, &b) => {
                return Err(Error::input(format!(
                    "--a and --b are one folder, {}: give that of the B pictures by --b",
                    a.display()
                )));
            }
            Some((a, b)) => {
                let val = two(&self.val_a, &self.val_b);
                let val = val.as_ref().map(|(a, b)| [a.as_path(), b.as_path()]);
                Folder::scan_two([&a, &b], val, options)?
            }
            None => Folder::scan(self.first(), options)?,
        };
        Ok(folder)
    }

    /// What is read of the pixels before the first step.
    pub fn check(&self) -> Check {
        match self.check {
            CheckArg::Headers => Check::Headers,
            CheckArg::Full => Check::Full,
        }
    }

    /// The data folder, or that of A.
    pub fn first(&self) -> &Path {
        let data = self.data.as_deref().or(self.a.as_deref());
        data.expect("clap asks for one of them")
    }

    /// What is shown of it: the data folder, or those of A and B.
    pub fn shown(&self) -> String {
        match &self.b {
            Some(b) => format!("{} and {}", self.first().display(), b.display()),
            None => self.first().display().to_string(),
        }
    }

    /// The arguments as they can be typed again.
    pub fn typed(&self) -> String {
        let flags = [
            ("--a", &self.a),
            ("--b", &self.b),
            ("--val-a", &self.val_a),
            ("--val-b", &self.val_b),
        ];
        let data = self.data.iter().map(|data| quoted(data));
        let flags = flags.iter().filter_map(|(flag, path)| {
            path.as_ref().map(|path| format!("{flag} {}", quoted(path)))
        });
        data.chain(flags).collect::<Vec<_>>().join(" ")
    }
}
