//! The flags of `train` that say what the pictures of each side are.

use std::path::PathBuf;

use super::args::DATA;
use super::values;
use crate::data::{
    Direction, Domains, Folder, FoundSide, Half, Pages, Pair, ReadAs, SideOptions, find, palette,
};
use crate::error::{Error, Result};

#[derive(Debug, Default, clap::Args)]
pub struct SideArgs {
    /// What inputs are read as [default: auto]
    #[arg(long, hide_short_help = true, help_heading = DATA, value_name = "KIND")]
    #[arg(value_parser = values::one_of::<ReadAs>())]
    pub input: Option<ReadAs>,
    /// What targets are read as [default: auto]
    #[arg(long, help_heading = DATA, value_name = "KIND", value_parser = values::one_of::<ReadAs>())]
    pub target: Option<ReadAs>,
    /// The classes of labels: cityscapes, cityscapes-train-ids, cmp-facades, or a file with a line
    /// RED GREEN BLUE NAME for each [default: those that are found]
    #[arg(long, hide_short_help = true, help_heading = DATA, value_name = "FILE")]
    pub palette: Option<String>,
    /// Samples of A that are seen as -1 and 1 [default: found on all pictures to train on]
    ///
    /// Pictures of 8 bits have 0..255 unless it is given.
    #[arg(long, hide_short_help = true, help_heading = DATA, value_name = "LOW..HIGH")]
    #[arg(value_parser = range, allow_hyphen_values = true)]
    pub range_a: Option<[f64; 2]>,
    /// Samples of B that are seen as -1 and 1
    #[arg(long, hide_short_help = true, help_heading = DATA, value_name = "LOW..HIGH")]
    #[arg(value_parser = range, allow_hyphen_values = true)]
    pub range_b: Option<[f64; 2]>,
    /// Percentiles of all samples between which the ranges lie, such as 0.1..99.9; what is outside
    /// moves to the ends
    #[arg(long, hide_short_help = true, help_heading = DATA, value_name = "LOW..HIGH")]
    #[arg(value_parser = percent)]
    pub clip: Option<[f64; 2]>,
    /// The sample that marks pixels without a measurement, which do not count, besides NaN [default: as
    /// files state it]
    #[arg(long, hide_short_help = true, help_heading = DATA, value_name = "VALUE")]
    #[arg(allow_hyphen_values = true)]
    pub nodata: Option<f64>,
    /// A folder with a mask for each pair, of its name: pixels that are 0 there do not count
    #[arg(long, hide_short_help = true, help_heading = DATA, value_name = "DIR")]
    pub mask: Option<PathBuf>,
    /// What the pages of a file are [default: auto]
    #[arg(long, hide_short_help = true, help_heading = DATA, value_name = "KIND")]
    #[arg(value_parser = values::one_of::<Pages>())]
    pub pages: Option<Pages>,
    /// Learn opacity as a channel, instead of pictures over white
    #[arg(long, hide_short_help = true, help_heading = DATA)]
    pub keep_alpha: bool,
}

impl SideArgs {
    /// Refuses flags that a run that goes on cannot take.
    pub fn refuse_on_resume(&self) -> Result<()> {
        let given = [
            ("--input", self.input.is_some()),
            ("--target", self.target.is_some()),
            ("--palette", self.palette.is_some()),
            ("--range-a", self.range_a.is_some()),
            ("--range-b", self.range_b.is_some()),
            ("--clip", self.clip.is_some()),
            ("--keep-alpha", self.keep_alpha),
            ("--nodata", self.nodata.is_some()),
            ("--mask", self.mask.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(Error::input(format!(
                "{flag} with --resume: a run goes on as it began; leave it out, or begin another run"
            ))),
            None => Ok(()),
        }
    }

    /// The flags that were given and decide what the data are, with their values, for a plan.
    pub fn typed(&self) -> Vec<(&'static str, String)> {
        let range = |range: [f64; 2]| format!("{}..{}", range[0], range[1]);
        let path = |path: &PathBuf| path.display().to_string();
        let all = [
            ("input", self.input.map(values::name_of)),
            ("target", self.target.map(values::name_of)),
            ("palette", self.palette.clone()),
            ("range-a", self.range_a.map(range)),
            ("range-b", self.range_b.map(range)),
            ("clip", self.clip.map(range)),
            ("nodata", self.nodata.map(|value| value.to_string())),
            ("mask", self.mask.as_ref().map(path)),
            ("pages", self.pages.map(values::name_of)),
            ("keep-alpha", self.keep_alpha.then(|| "true".to_string())),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }

    /// Finds what A and B are, on all pairs to train on.
    ///
    /// # Errors
    /// As [`find`]; flags that do not fit each other.
    pub fn find(&self, folder: &Folder, direction: Direction) -> Result<[FoundSide; 2]> {
        self.find_on(folder.training()?, folder, direction)
    }

    /// As [`SideArgs::find`], on these pairs of the folder.
    ///
    /// # Errors
    /// As [`SideArgs::find`].
    pub fn find_on(
        &self,
        pairs: &[Pair],
        folder: &Folder,
        direction: Direction,
    ) -> Result<[FoundSide; 2]> {
        let classes = self.palette.as_deref().map(palette).transpose()?;
        let (of_a, of_b) = direction.order(self.input, self.target);
        let labels = |read_as| matches!(read_as, Some(ReadAs::Labels | ReadAs::Palette));
        if classes.is_some() && !labels(of_a) && !labels(of_b) {
            return Err(Error::input(
                "--palette names classes and no side is read as labels; add --input labels or --target labels",
            ));
        }
        if matches!(self.input, Some(ReadAs::Palette)) {
            return Err(Error::input(
                "--input palette: only outputs get the nearest class; read inputs as rgb, or as labels",
            ));
        }
        let side = |half: Half, read_as: Option<ReadAs>, range| {
            let is_labels = labels(read_as);
            let options = SideOptions {
                read_as,
                range: if is_labels { None } else { range },
                clip: if is_labels { None } else { self.clip },
                nodata: if is_labels { None } else { self.nodata },
                palette: if is_labels { classes.clone() } else { None },
                keep_alpha: self.keep_alpha,
            };
            let kinds = &folder.kinds[usize::from(half == Half::B)];
            find(pairs, half, kinds, &options)
        };
        Ok([side(Half::A, of_a, self.range_a)?, side(Half::B, of_b, self.range_b)?])
    }
}

/// The domains of input and target from those of A and B.
pub fn domains([a, b]: &[FoundSide; 2], direction: Direction) -> Domains {
    let (input, target) = direction.order(a, b);
    Domains { input: input.domain.clone(), target: target.domain.clone() }
}

fn range(text: &str) -> Result<[f64; 2], String> {
    let wrong = || "it is LOW..HIGH, two numbers such as 0..4095 or -1000..3000".to_string();
    let (low, high) = text.split_once("..").ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<f64>().map_err(|_| wrong());
    let range = [number(low)?, number(high)?];
    match range {
        [low, high] if low < high && low.is_finite() && high.is_finite() => Ok(range),
        _ => Err("the first number is below the second".to_string()),
    }
}

fn percent(text: &str) -> Result<[f64; 2], String> {
    match range(text)? {
        [low, high] if low >= 0.0 && high <= 100.0 => Ok([low, high]),
        _ => Err("percentiles are 0 to 100, such as 0.1..99.9".to_string()),
    }
}
