//! The files of a translation: what is read, and what is written under which name.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::args::TranslateArgs;
use crate::data::{
    Direction, Domains, Folder, Half, Image, ImageHeader, LeftOut, NoteCounts, Notes, Pair,
    ScanOptions, WalkOptions, is_lossy, is_writable, stem, walk, writable_extensions,
};
use crate::error::{Error, Result};

/// A part of the pictures: every [`Shard::of`]th from the [`Shard::part`]th, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which part, from 1.
    pub part: usize,
    /// How many parts there are.
    pub of: usize,
}

/// "2/8".
impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Shard> {
        let parts =
            text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match parts {
            Some((part, of)) if (1..=of).contains(&part) => Ok(Shard { part, of }),
            _ => Err(Error::input("it is a part of how many, such as 2/8, from 1/8 to 8/8")),
        }
    }
}

/// One picture to translate.
pub struct Job {
    /// What is read.
    pub source: Source,
    /// What is written.
    pub to: PathBuf,
    /// Width and height of the input.
    pub size: [usize; 2],
    /// Slices of a volume that are all translated, into one file; else 1.
    pub slices: usize,
}

/// What a translation reads.
#[derive(Clone, Debug)]
pub enum Source {
    /// One picture.
    Picture(PathBuf),
    /// A pair, whose one picture is the input.
    Pair(Pair),
}

/// The input, and the target if the source is a pair: (A, B), whatever the direction.
pub type Read = ((Image, Option<Image>), Vec<(PathBuf, Notes)>);

impl Source {
    /// The file to name in messages.
    pub fn path(&self) -> &Path {
        match self {
            Source::Picture(path) => path,
            Source::Pair(pair) => pair.path(),
        }
    }

    fn files(&self) -> Vec<&Path> {
        match self {
            Source::Picture(path) => vec![path],
            Source::Pair(pair) => pair.paths().collect(),
        }
    }

    /// Decodes page `page` of its files, as these domains say: a picture is the input, a pair has A and B.
    ///
    /// # Errors
    /// As [`Domain::read`](crate::data::Domain::read).
    pub fn read(&self, page: usize, domains: &Domains, direction: Direction) -> Result<Read> {
        let Domains { input, target } = domains;
        match self {
            Source::Picture(path) => {
                let (image, notes) = input.read(path, page)?;
                Ok(((image, None), vec![(path.clone(), notes)]))
            }
            Source::Pair(pair) => {
                // `order` is its own inverse: from (input, target) to (A, B).
                let (of_a, of_b) = direction.order(input, target);
                let ((a, b), notes) = pair.read_as([of_a, of_b])?;
                Ok(((a, Some(b)), notes.into_iter().flatten().collect()))
            }
        }
    }

    /// The file of the input.
    pub fn input(&self, direction: Direction) -> &Path {
        match self {
            Source::Picture(path) => path,
            Source::Pair(pair) => pair.half(direction.order(Half::A, Half::B).0),
        }
    }
}

/// All that a translation is to do.
#[derive(Default)]
pub struct Plan {
    /// The pictures, in the order in which they are translated.
    pub jobs: Vec<Job>,
    /// Pictures that cannot be read, and why.
    pub failed: Vec<(PathBuf, Error)>,
    /// Files that are not used.
    pub left_out: LeftOut,
    /// What reading the pictures changes or leaves out, from their headers.
    pub counts: NoteCounts,
    /// Whether the extensions of outputs were not asked for, so that they follow what is written.
    pub free: bool,
    /// Pictures that were found, in all shards.
    pub found: usize,
    /// Names that were changed so that no output replaces another: the first, and how many.
    pub renamed: Option<(PathBuf, usize)>,
}

/// A picture that was found, with what its output is named after.
struct Input {
    source: Source,
    /// Its path from the folder that was given, or its name.
    relative: PathBuf,
    /// The name of the folder that was given.
    root: OsString,
    size: Option<[usize; 2]>,
}

impl Input {
    /// Its path from the folder that was given, with that folder's name.
    fn below(&self) -> PathBuf {
        Path::new(&self.root).join(&self.relative)
    }
}

impl Plan {
    /// Finds the pictures of a command line, reads their headers and names their outputs. Nothing is
    /// written.
    ///
    /// # Errors
    /// A path that does not exist, a folder without pictures; an output of another kind than needed, or
    /// that is also an input.
    pub fn new(args: &TranslateArgs) -> Result<Plan> {
        let mut plan = Plan::default();
        let single = matches!(args.input.as_slice(), [one] if !one.is_dir());
        let folder = args.output.clone().unwrap_or_else(|| PathBuf::from("translated"));
        let mut inputs = Vec::new();
        for path in &args.input {
            if path.is_dir() && args.pairs {
                plan.pairs_of(path, &mut inputs)?;
            } else if path.is_dir() {
                plan.pictures_of(path, &folder, &mut inputs)?;
            } else if path.symlink_metadata().is_ok() {
                let name = path.file_name().unwrap_or_default();
                let source = Source::Picture(path.clone());
                let relative = PathBuf::from(name);
                let root = path.parent().map(root_name).unwrap_or_default();
                inputs.push(Input { source, relative, root, size: None });
            } else {
                return Err(Error::input(format!(
                    "{} does not exist: check the path",
                    path.display()
                )));
            }
        }
        // A quality asks for JPEG where the names are ours.
        let suffix = if args.quality.is_some() { ".jpg" } else { ".png" };
        let outputs = if single {
            vec![single_output(&args.input[0], args.output.as_deref(), suffix)?]
        } else {
            if folder.exists() && !folder.is_dir() || is_writable(&folder) {
                return Err(Error::input(format!(
                    "--output {}: the pictures of a folder, or several, are translated, so give a folder",
                    folder.display()
                )));
            }
            plan.outputs(&inputs, suffix).into_iter().map(|name| folder.join(name)).collect()
        };
        let quality = args.quality.is_some();
        if quality && !outputs.iter().any(|to| is_lossy(to)) {
            return Err(Error::input(
                "--quality is for .jpg files, and none is written: name one by --output, or leave out \
                 --quality",
            ));
        }
        refuse_inputs(&inputs, &outputs, &args.model)?;
        // A name that was given, or a quality, is a wish for its format.
        let named =
            single && args.output.as_deref().is_some_and(|to| is_writable(to) && !to.is_dir());
        plan.free = !named && !quality;
        plan.found = inputs.len();
        // Names are those of all pictures, so that shards do not get in each other's way.
        let part = |i: usize| args.shard.is_none_or(|Shard { part, of }| i % of == part - 1);
        let (inputs, outputs) = inputs
            .into_iter()
            .zip(outputs)
            .enumerate()
            .filter(|(i, _)| part(*i))
            .map(|(_, job)| job)
            .unzip();
        plan.headers(inputs, outputs, args.pairs);
        Ok(plan)
    }

    fn pictures_of(&mut self, path: &Path, output: &Path, to: &mut Vec<Input>) -> Result<()> {
        let found = walk(path, WalkOptions { deep: true, except: Some(output) })?;
        if found.pictures.is_empty() {
            return Err(found.nothing(path));
        }
        self.left_out.merge(found.left_out);
        let root = root_name(path);
        to.extend(found.pictures.into_iter().map(|f| Input {
            source: Source::Picture(f.path),
            relative: f.relative,
            root: root.clone(),
            size: None,
        }));
        Ok(())
    }

    /// All pairs of a data set, whatever their phase.
    fn pairs_of(&mut self, path: &Path, to: &mut Vec<Input>) -> Result<()> {
        let Folder { train, val, test, skipped, left_out, counts, .. } =
            Folder::scan(path, ScanOptions { skip_bad: true, ..ScanOptions::default() })?;
        let phases = [("train", train), ("val", val), ("test", test)];
        let several = phases.iter().filter(|(_, pairs)| !pairs.is_empty()).count() > 1;
        let root = root_name(path);
        for (phase, pairs) in phases {
            for pair in pairs {
                let extension = pair.path().extension().unwrap_or_default();
                let mut name = OsString::from(&pair.name);
                name.push(".");
                name.push(extension);
                let relative = if several { Path::new(phase).join(name) } else { name.into() };
                let size = Some([pair.width, pair.height]);
                to.push(Input { source: Source::Pair(pair), relative, root: root.clone(), size });
            }
        }
        self.failed.extend(skipped.into_iter().map(|s| (s.path, Error::input(s.reason))));
        self.left_out.merge(left_out);
        self.counts.merge(counts);
        Ok(())
    }

    /// The name of each output in the folder of outputs: that of the input with `suffix`, and where that is not
    /// unique, below its folder's name, with the input's extension, or with a number.
    fn outputs(&mut self, inputs: &[Input], suffix: &str) -> Vec<PathBuf> {
        type Way = fn(&Input) -> PathBuf;
        let several = inputs.iter().any(|input| input.root != inputs[0].root);
        let ways: &[Way] = if several {
            &[|i| stem(&i.relative), |i| stem(&i.below()), Input::below]
        } else {
            &[|i| stem(&i.relative), |i| i.relative.clone()]
        };
        let mut names: Vec<PathBuf> =
            inputs.iter().map(|i| with_suffix(&ways[0](i), suffix)).collect();
        let first = names.clone();
        for way in &ways[1..] {
            let mut counts = BTreeMap::<&Path, usize>::new();
            names.iter().for_each(|name| *counts.entry(name).or_default() += 1);
            let double: Vec<bool> = names.iter().map(|name| counts[name.as_path()] > 1).collect();
            for ((name, input), _) in names.iter_mut().zip(inputs).zip(double).filter(|(_, d)| *d) {
                *name = with_suffix(&way(input), suffix);
            }
        }
        let mut taken = BTreeSet::new();
        for name in &mut names {
            let plain = name.with_extension("");
            for number in 2.. {
                if taken.insert(name.clone()) {
                    break;
                }
                *name = with_suffix(&plain, &format!("-{number}{suffix}"));
            }
        }
        let changed: Vec<_> =
            names.iter().zip(&first).filter(|(name, first)| name != first).collect();
        self.renamed = changed.first().map(|(name, _)| ((*name).clone(), changed.len()));
        names
    }

    /// Reads the header of each picture; those that cannot be read are no jobs.
    fn headers(&mut self, inputs: Vec<Input>, outputs: Vec<PathBuf>, pairs: bool) {
        let paths: Vec<PathBuf> = inputs
            .iter()
            .filter(|input| input.size.is_none())
            .map(|input| input.source.path().to_path_buf())
            .collect();
        let mut headers = ImageHeader::read_all_large(&paths).into_iter();
        for (Input { source, size, .. }, to) in inputs.into_iter().zip(outputs) {
            if let Some(size) = size {
                self.jobs.push(Job { source, to, size, slices: 1 });
                continue;
            }
            let path = source.path().to_path_buf();
            match headers.next().expect("one each") {
                Err(error) => self.failed.push((path, error)),
                Ok(ImageHeader { width, height, notes, .. }) if pairs => {
                    match Pair::side_by_side(&path, width, height) {
                        Err(error) => self.failed.push((path, error)),
                        Ok(pair) => {
                            self.counts.add(&notes, &path);
                            let size = [pair.width, pair.height];
                            self.jobs.push(Job { source: Source::Pair(pair), to, size, slices: 1 });
                        }
                    }
                }
                Ok(ImageHeader { width, height, notes, pages, slices, .. }) => {
                    self.counts.add(&notes, &path);
                    let slices = if slices { pages } else { 1 };
                    self.jobs.push(Job { source, to, size: [width, height], slices });
                }
            }
        }
    }
}

/// The name of a folder that was given, whatever path leads to it.
fn root_name(path: &Path) -> OsString {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let full = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    full.file_name().unwrap_or_default().to_os_string()
}

/// The output of the only picture.
fn single_output(path: &Path, output: Option<&Path>, suffix: &str) -> Result<PathBuf> {
    let stem = stem(Path::new(path.file_name().unwrap_or_default()));
    match output {
        None => Ok(with_suffix(&stem, &format!("-translated{suffix}"))),
        Some(to) if is_writable(to) && !to.is_dir() => Ok(to.to_path_buf()),
        Some(to) if to.is_dir() || to.extension().is_none() => {
            Ok(to.join(with_suffix(&stem, suffix)))
        }
        Some(to) => Err(Error::input(format!(
            "--output {}: pictures are written as {}",
            to.display(),
            writable_extensions()
        ))),
    }
}

/// Most bytes of a file's name on the usual file systems.
const LONGEST: usize = 255;

/// A path with a suffix to its name, which is cut to what a file system takes.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default();
    let mut whole = cut(name, LONGEST - suffix.len());
    whole.push(suffix);
    path.with_file_name(whole)
}

/// The beginning of a name, whole characters of at most `bytes`.
fn cut(name: &OsStr, bytes: usize) -> OsString {
    let (true, Some(text)) = (name.len() > bytes, name.to_str()) else {
        return name.to_os_string();
    };
    let end = (0..=bytes).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text[..end].into()
}

/// Refuses outputs that are inputs, or the model.
fn refuse_inputs(inputs: &[Input], outputs: &[PathBuf], model: &Path) -> Result<()> {
    let files = inputs.iter().flat_map(|input| input.source.files()).chain([model]);
    let read: HashSet<PathBuf> = files.filter_map(|path| path.canonicalize().ok()).collect();
    for to in outputs {
        if to.canonicalize().is_ok_and(|to| read.contains(&to)) {
            return Err(Error::input(format!(
                "{} is one of the files that are read and would be overwritten; give another --output",
                to.display()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_to_what_a_file_system_takes_and_between_characters() {
        let cut_to = |name: String| with_suffix(Path::new(&name), "-translated.png");
        assert_eq!(cut_to("ab".into()), Path::new("ab-translated.png"));
        assert_eq!(
            cut_to("n".repeat(251)),
            Path::new(&format!("{}-translated.png", "n".repeat(240)))
        );
        // 240 bytes end within a character of two.
        let long = cut_to(format!("x{}", "\u{e9}".repeat(125)));
        assert_eq!(long, Path::new(&format!("x{}-translated.png", "\u{e9}".repeat(119))));
    }
}
