//! `translate`: translates pictures by a model.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::args::{Switch, TranslateArgs};
use super::forecast::{self, Bar};
use super::{say, words};
use crate::checkpoint;
use crate::data::{Direction, Image, ImageHeader, is_writable, list, writable_extensions};
use crate::error::{Error, Result};
use crate::train::Scores;
use crate::translate::{TranslateOptions, Translator};

/// A picture to read and the file to write.
struct Job {
    from: PathBuf,
    to: PathBuf,
}

/// The files to translate: those given, and the pictures of the folders given.
fn pictures(inputs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for input in inputs {
        if input.is_dir() {
            let listing = list(input)?;
            if listing.pictures.is_empty() {
                return Err(listing.nothing(input));
            }
            all.extend(listing.pictures);
        } else if input.exists() {
            all.push(input.clone());
        } else {
            return Err(Error::input(format!(
                "{} does not exist: check the path",
                input.display()
            )));
        }
    }
    Ok(all)
}

/// The file that each picture is written to.
///
/// # Errors
/// An output of another kind than needed; two pictures with the same output; an output that is also
/// an input.
fn plan(args: &TranslateArgs) -> Result<Vec<Job>> {
    let from = pictures(&args.input)?;
    let single = matches!(args.input.as_slice(), [one] if !one.is_dir());
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_os_string();
    if single {
        let path = &from[0];
        let to = match &args.output {
            None => {
                let mut name = stem(path);
                name.push("-translated.png");
                PathBuf::from(name)
            }
            Some(to) if is_writable(to) && !to.is_dir() => to.clone(),
            Some(to) if to.is_dir() || to.extension().is_none() => {
                let mut name = stem(path);
                name.push(".png");
                to.join(name)
            }
            Some(to) => {
                return Err(Error::input(format!(
                    "--output {}: pictures are written as {}",
                    to.display(),
                    writable_extensions()
                )));
            }
        };
        return check(vec![Job { from: path.clone(), to }]);
    }
    let folder = args.output.clone().unwrap_or_else(|| PathBuf::from("translated"));
    if folder.exists() && !folder.is_dir() || is_writable(&folder) {
        return Err(Error::input(format!(
            "--output {}: several pictures are translated, so give a folder",
            folder.display()
        )));
    }
    let to = |path: &PathBuf| {
        let mut name = stem(path);
        name.push(".png");
        Job { from: path.clone(), to: folder.join(name) }
    };
    check(from.iter().map(to).collect())
}

fn check(jobs: Vec<Job>) -> Result<Vec<Job>> {
    let mut seen: BTreeMap<&Path, &Path> = BTreeMap::new();
    let read: HashSet<PathBuf> = jobs.iter().filter_map(|j| j.from.canonicalize().ok()).collect();
    for job in &jobs {
        if let Some(other) = seen.insert(&job.to, &job.from) {
            return Err(Error::input(format!(
                "{} and {} would both be written to {}; translate them one at a time",
                other.display(),
                job.from.display(),
                job.to.display()
            )));
        }
        if job.to.canonicalize().is_ok_and(|to| read.contains(&to)) {
            return Err(Error::input(format!(
                "{} is one of the pictures to translate and would be overwritten; give another \
                 --output",
                job.to.display()
            )));
        }
    }
    Ok(jobs)
}

/// The input and the target of a side-by-side pair.
fn halves(picture: &Image, path: &Path, direction: Direction) -> Result<(Image, Image)> {
    if picture.width < 2 || !picture.width.is_multiple_of(2) {
        return Err(Error::input(format!(
            "{} is {} pixels wide and cannot be halved; leave out --pairs",
            path.display(),
            picture.width
        )));
    }
    let w = picture.width / 2;
    let (a, b) = (picture.crop(0, 0, w, picture.height), picture.crop(w, 0, w, picture.height));
    Ok(direction.order(a, b))
}

/// A picture's path, and the width and height of what is translated of it; `None` if its header cannot
/// be read, which is reported when it is its turn.
fn size(job: &Job, pairs: bool) -> Option<(&Path, [usize; 2])> {
    let ImageHeader { width, height, .. } = ImageHeader::read(&job.from).ok()?;
    let width = if pairs { width / 2 } else { width };
    (width > 0).then_some((job.from.as_path(), [width, height]))
}

pub fn run(args: TranslateArgs) -> Result<ExitCode> {
    let model = checkpoint::model_file(&args.model);
    if !model.exists() {
        return Err(Error::input(format!(
            "{} does not exist; give a model file or the folder of a run",
            model.display()
        )));
    }
    let jobs = plan(&args)?;
    let (backend, header) = args.device.open()?;
    say(format!("device    {header}"));
    let options = TranslateOptions {
        scale: args.scale,
        statistics: args.norm,
        dropout: args.dropout == Switch::On,
        seed: args.seed,
    };
    let mut translator = Translator::open(&model, options, backend)?;
    words::translator(&translator).iter().for_each(say);
    let sizes: Vec<_> = jobs.iter().filter_map(|job| size(job, args.pairs)).collect();
    forecast::announce(&mut translator, &sizes)?;
    let bar = Bar::new(jobs.len());
    let direction = translator.direction().unwrap_or(Direction::AToB);
    let range = translator.domains().target.range();
    let mut scores = Vec::new();
    for job in &jobs {
        let picture = Image::read(&job.from)?;
        let (input, target) = if args.pairs {
            let (input, target) = halves(&picture, &job.from, direction)?;
            (input, Some(target))
        } else {
            (picture, None)
        };
        let output = translator.translate(&input)?;
        if let Some(folder) = job.to.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|e| Error::file("create", folder, e))?;
        }
        output.write(&job.to)?;
        bar.done(format!(
            "{} -> {} ({} x {}{})",
            job.from.display(),
            job.to.display(),
            output.width,
            output.height,
            words::computed(&translator, [output.width, output.height])
        ));
        if let Some(target) = target {
            scores.push(Scores::of(&output, &target, range)?);
        }
    }
    bar.end();
    if !scores.is_empty() {
        say(format!("mean of {}: {}", scores.len(), Scores::mean(&scores).line()));
    }
    Ok(ExitCode::SUCCESS)
}
