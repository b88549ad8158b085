//! `prepare`: makes a data set of pictures.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::forecast::Bar;
use super::resume::same;
use super::translate::SOME_FAILED;
use super::{complain, program, quoted, say, values, with_flags};
use crate::atomic;
use crate::data::{Fit, Folder, LeftOut, ScanOptions, palette};
use crate::error::{Error, Result};
use crate::prepare::{
    Combine, Crop, CropAt, Edges, Grayscale, Holes, Labels, Part, Phases, Prepared, Resize, Split,
    Tool, Work, pairs_of, phases, prepare, works,
};
use crate::tensor::Size;

/// Files that failed that are listed.
const LISTED: usize = 100;

/// What is made.
#[derive(Debug, clap::Subcommand)]
pub enum Prepare {
    /// Put the pictures of two folders side by side, those of one name in one picture.
    ///
    /// Folders below, such as train and val, are kept; grey beside colours becomes colours. Training takes two folders
    /// as they are as well.
    #[command(after_help = super::EXIT_CODES)]
    Combine {
        /// The folder of the pictures that come left
        a: PathBuf,
        /// The folder of the pictures that come right
        b: PathBuf,
        #[command(flatten)]
        to: Output,
    },
    /// Take pictures of two apart: the left halves into OUTPUT/A, the right ones into OUTPUT/B.
    #[command(after_help = super::EXIT_CODES)]
    Split {
        /// The folder of the pictures, or one picture
        data: PathBuf,
        #[command(flatten)]
        to: Output,
    },
    /// Divide pairs into those to train, to validate and to test on: copies into OUTPUT/train, val and test.
    #[command(after_help = super::EXIT_CODES)]
    Phases {
        /// The data: a folder of pairs side by side, or of two folders A and B
        data: PathBuf,
        #[command(flatten)]
        to: Output,
        /// Pairs to validate on: so many, or a part of all
        #[arg(long, default_value = "10%", value_name = "N|N%")]
        val: Part,
        /// Pairs to test on
        #[arg(long, default_value = "0", value_name = "N|N%")]
        test: Part,
        /// Keep the pairs of a folder together, so that no film or patient is in two phases
        #[arg(long)]
        by_folder: bool,
        /// Leave out pictures that cannot be used, and list them
        #[arg(long)]
        skip_bad: bool,
        /// Seed of the drawing
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Give pictures one size.
    ///
    /// Training and translation resize pictures by themselves; this saves the time where they are large.
    #[command(after_help = super::EXIT_CODES)]
    Resize {
        /// The folder of the pictures, or one picture
        data: PathBuf,
        #[command(flatten)]
        to: Output,
        /// Height and width of the pictures, N or HxW; of each half with --pairs
        #[arg(long, value_name = "N")]
        size: Size,
        /// How pictures of other proportions get it
        #[arg(long, default_value = "crop", value_parser = ["crop", "pad", "stretch"])]
        fit: String,
        /// Each picture is a pair side by side: its halves are resized by themselves
        #[arg(long)]
        pairs: bool,
        /// Samples are classes, which have no means: take the nearest pixel. Palettes always do
        #[arg(long)]
        labels: bool,
    },
    /// Cut pieces of one size out of pictures.
    ///
    /// A TIFF is read in parts, and may be larger than the memory. A place on the map (GeoTIFF) is that of the piece.
    #[command(after_help = super::EXIT_CODES)]
    Crop {
        /// The folder of the pictures, or one picture
        data: PathBuf,
        #[command(flatten)]
        to: Output,
        /// Height and width of a piece, N or HxW
        #[arg(long, value_name = "N")]
        size: Size,
        /// Which pieces
        #[arg(long, default_value = "middle", value_parser = values::one_of::<CropAt>())]
        at: CropAt,
        /// Pixels that neighbours of a grid share at least
        #[arg(long, default_value_t = 0, value_name = "PIXELS")]
        overlap: usize,
        /// Each picture is a pair side by side: the same pieces of its halves are put side by side
        #[arg(long)]
        pairs: bool,
    },
    /// Draw the edges of pictures, black on white: inputs for a model that fills drawings in.
    ///
    /// Canny's detector: Gaussian of deviation 1.4, Sobel's gradient, thinned, followed from --high down to --low. The
    /// paper's edges2photos used HED, a trained network with thicker and fewer lines: a model trained on those sees
    /// other lines than these.
    #[command(after_help = super::EXIT_CODES)]
    Edges {
        /// The folder of the pictures, or one picture
        data: PathBuf,
        #[command(flatten)]
        to: Output,
        /// Length of the gradient, 0 to 1140, at which a line ends
        #[arg(long, default_value_t = 40.0, allow_negative_numbers = true)]
        low: f32,
        /// Length of the gradient from which a line begins; more draws fewer lines
        #[arg(long, default_value_t = 100.0, allow_negative_numbers = true)]
        high: f32,
    },
    /// Make pictures grey: inputs for a model that colours them.
    ///
    /// The luma of Rec. 601 with the depth of the picture; alpha is kept.
    #[command(after_help = super::EXIT_CODES)]
    Grayscale {
        /// The folder of the pictures, or one picture
        data: PathBuf,
        #[command(flatten)]
        to: Output,
    },
    /// Make label maps of pictures whose colours stand for classes, such as maps.
    ///
    /// Every pixel gets the class with the nearest colour. Written are indexed PNGs.
    #[command(after_help = super::EXIT_CODES)]
    Labels {
        /// The folder of the pictures, or one picture
        data: PathBuf,
        #[command(flatten)]
        to: Output,
        /// The classes: cityscapes, cityscapes-train-ids, cmp-facades, or a file with a line RED GREEN BLUE NAME for
        /// each
        #[arg(long, value_name = "FILE")]
        palette: String,
    },
    /// Cut holes into pictures: inputs for a model that fills them.
    #[command(after_help = super::EXIT_CODES)]
    Holes {
        /// The folder of the pictures, or one picture
        data: PathBuf,
        #[command(flatten)]
        to: Output,
        /// Rectangles in a picture
        #[arg(long, default_value_t = 1, value_name = "N")]
        #[arg(value_parser = clap::value_parser!(u16).range(1..))]
        count: u16,
        /// Part of the picture that they cover, 0 to 1
        #[arg(long, default_value_t = 0.25, allow_negative_numbers = true)]
        share: f64,
        /// One hole in the middle, instead of a place drawn for each picture
        #[arg(long, conflicts_with = "count")]
        middle: bool,
        /// What holes are filled with [default: the largest integer, which is white]
        #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
        fill: Option<f64>,
        /// Write pictures into OUTPUT/pictures, and where their holes are into OUTPUT/masks, 255 in them
        #[arg(long)]
        masks: bool,
        /// Seed of the places
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
}

/// Where it goes.
#[derive(Debug, clap::Args)]
pub struct Output {
    /// The folder to write to, which keeps the names and the folders of the input
    ///
    /// Files have the format of the input where that is lossless and holds them, else PNG, else TIFF.
    #[arg(long, short, value_name = "FOLDER")]
    pub output: PathBuf,
    /// Write into a folder that holds files, and replace those of the same names
    #[arg(long)]
    pub force: bool,
}

pub fn run(what: &Prepare) -> Result<ExitCode> {
    match what {
        Prepare::Combine { a, b, to } => {
            to.check([a, b])?;
            let (works, bad, left_out) = pairs_of(a, b)?;
            let done = made(works, bad, &left_out, &Combine, to)?;
            train(&quoted(&to.output));
            Ok(done.into())
        }
        Prepare::Split { data, to } => {
            let done = made_of(data, &Split, to)?;
            let [a, b] = ["A", "B"].map(|side| quoted(&to.output.join(side)));
            train(&format!("--a {a} --b {b}"));
            Ok(done.into())
        }
        Prepare::Phases { data, to, val, test, by_folder, skip_bad, seed } => {
            let divide = Phases { val: *val, test: *test, by_folder: *by_folder, seed: *seed };
            divided(data, divide, *skip_bad, to)
        }
        Prepare::Resize { data, to, size, fit, pairs, labels } => {
            check_size(*size)?;
            let fit = match fit.as_str() {
                "pad" => Fit::Pad,
                "stretch" => Fit::Stretch,
                _ => Fit::Crop,
            };
            let tool = Resize { size: *size, fit, pairs: *pairs, labels: *labels };
            Ok(made_of(data, &tool, to)?.into())
        }
        Prepare::Crop { data, to, size, at, overlap, pairs } => {
            check_size(*size)?;
            if *overlap >= size.least() {
                return Err(Error::input(format!(
                    "--overlap {overlap} leaves nothing of pieces of {size} pixels: share fewer"
                )));
            }
            let tool = Crop { size: *size, at: *at, overlap: *overlap, pairs: *pairs };
            Ok(made_of(data, &tool, to)?.into())
        }
        Prepare::Edges { data, to, low, high } => {
            if !(0.0 <= *low && low <= high && high.is_finite()) {
                return Err(Error::input(format!(
                    "--low {low} --high {high}: lines begin at --high and end at --low, so 0 <= low <= high"
                )));
            }
            let done = made_of(data, &Edges { low: *low, high: *high }, to)?;
            pair_with(data, &to.output, done);
            Ok(done.into())
        }
        Prepare::Grayscale { data, to } => {
            let done = made_of(data, &Grayscale, to)?;
            pair_with(data, &to.output, done);
            Ok(done.into())
        }
        Prepare::Labels { data, to, palette: name } => {
            Ok(made_of(data, &Labels::new(palette(name)?)?, to)?.into())
        }
        Prepare::Holes { data, to, count, share, middle, fill, masks, seed } => {
            if !(0.0 < *share && *share < 1.0) {
                return Err(Error::input(format!(
                    "--share {share}: holes cover a part of the picture, above 0 and below 1"
                )));
            }
            let tool = Holes {
                count: usize::from(*count),
                share: *share,
                middle: *middle,
                fill: *fill,
                masks: *masks,
                seed: *seed,
            };
            let done = made_of(data, &tool, to)?;
            let pictures = if *masks { to.output.join("pictures") } else { to.output.clone() };
            pair_with(data, &pictures, done);
            Ok(done.into())
        }
    }
}

/// The most pixels of a side, as of pictures that are read whole.
const LONGEST: usize = 65_535;

fn check_size(size: Size) -> Result<()> {
    match size.least() > 0 && size.most() <= LONGEST {
        true => Ok(()),
        false => Err(Error::input(format!(
            "--size {}x{}: a picture has 1 to {LONGEST} pixels a side",
            size.height, size.width
        ))),
    }
}

impl Output {
    /// Refuses an output that is a file, holds files or is the input.
    fn check<'a>(&self, inputs: impl IntoIterator<Item = &'a PathBuf>) -> Result<()> {
        let name = self.output.display();
        if self.output.exists() && !self.output.is_dir() {
            return Err(Error::input(format!("--output {name} is a file: name a folder")));
        }
        let shown =
            |entry: std::fs::DirEntry| !entry.file_name().as_encoded_bytes().starts_with(b".");
        let filled = || std::fs::read_dir(&self.output).ok()?.flatten().any(shown).then_some(());
        if !self.force && filled().is_some() {
            return Err(Error::input(format!(
                "--output {name} holds files: name another folder, or replace those of the same names by --force"
            )));
        }
        for input in inputs {
            if !input.exists() {
                return Err(Error::input(format!(
                    "{} does not exist: check the path",
                    input.display()
                )));
            }
            if same(&self.output, input) {
                return Err(Error::input(format!(
                    "--output {name} is where the pictures are: name another folder"
                )));
            }
        }
        Ok(())
    }
}

/// Runs a tool over the pictures of a path.
fn made_of(data: &PathBuf, tool: &dyn Tool, to: &Output) -> Result<u8> {
    to.check([data])?;
    let (works, left_out) = works(data, &to.output)?;
    made(works, Vec::new(), &left_out, tool, to)
}

/// Runs a tool, and says what came of it.
fn made(
    works: Vec<Work>,
    bad: Vec<(PathBuf, Error)>,
    left_out: &LeftOut,
    tool: &dyn Tool,
    to: &Output,
) -> Result<u8> {
    let all = works.len() + bad.len();
    say(format!("pictures  {} of them", works.len()));
    left_out.lines().iter().for_each(|line| say(format!("          not used: {line}")));
    let bar = Bar::new(works.len());
    let done = || bar.advance();
    let prepared = prepare(works, tool, &to.output, &done);
    bar.end();
    let Prepared { written, mut failed, notes, lost, converted } = prepared?;
    notes.lines().iter().for_each(|note| say(format!("          {note}")));
    for (what, files) in &lost {
        let outputs = if *files == 1 { "1 output".to_string() } else { format!("{files} outputs") };
        say(format!("          {outputs} cannot hold {what}"));
    }
    for (extension, (files, first)) in &converted {
        say(format!(
            "          {files} written as .{}, which loses nothing, such as that of {}",
            extension.display(),
            first.display()
        ));
    }
    say(format!("written   {} in {}", pictures(written), to.output.display()));
    failed.extend(bad);
    ended(failed, all, left_out)
}

fn pictures(count: usize) -> String {
    if count == 1 { "1 picture".to_string() } else { format!("{count} pictures") }
}

/// Lists what failed, and chooses the exit code.
fn ended(mut failed: Vec<(PathBuf, Error)>, all: usize, left_out: &LeftOut) -> Result<u8> {
    if failed.is_empty() {
        return Ok(if left_out.locked() == 0 { 0 } else { SOME_FAILED });
    }
    if failed.len() == 1 && all == 1 {
        return Err(failed.remove(0).1);
    }
    complain(format!("{} of {} failed:", failed.len(), pictures(all)));
    failed.iter().take(LISTED).for_each(|(_, error)| complain(with_flags(error)));
    if failed.len() > LISTED {
        complain(format!("and {} more", failed.len() - LISTED));
    }
    if failed.len() == all {
        return Err(Error::input("nothing could be made of any of them"));
    }
    Ok(SOME_FAILED)
}

/// Copies pairs into their phases.
fn divided(data: &PathBuf, divide: Phases, skip_bad: bool, to: &Output) -> Result<ExitCode> {
    to.check([data])?;
    let folder = Folder::scan(data, ScanOptions { skip_bad, ..ScanOptions::default() })?;
    let copies = phases(&folder, divide)?;
    folder.left_out.lines().iter().for_each(|line| say(format!("          not used: {line}")));
    let bar = Bar::new(copies.files.len());
    for (from, path) in &copies.files {
        let path = to.output.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| Error::file("create", parent, e))?;
        }
        atomic::copy(from, &path)?;
        bar.advance();
    }
    bar.end();
    let [train_on, val, test] = copies.counts;
    say(format!(
        "written   {train_on} pairs to train on, {val} to validate on, {test} to test on, in {}",
        to.output.display()
    ));
    train(&quoted(&to.output));
    if folder.skipped.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    complain(format!("{} not used:", pictures(folder.skipped.len())));
    folder.skipped.iter().take(LISTED).for_each(|skipped| complain(&skipped.reason));
    Ok(ExitCode::from(SOME_FAILED))
}

/// The next command.
fn train(data: &str) {
    say(format!("train     {} train {data}", program()));
}

/// The next command, for inputs made of targets; those of which none could be made have no partner.
fn pair_with(targets: &Path, inputs: &Path, code: u8) {
    if targets.is_dir() {
        let skip = if code == SOME_FAILED { " --skip-bad" } else { "" };
        train(&format!("--a {} --b {}{skip}", quoted(inputs), quoted(targets)));
    }
}
