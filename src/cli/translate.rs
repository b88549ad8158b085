//! `translate`: translates pictures by a model.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use super::args::{Switch, TranslateArgs};
use super::forecast::{self, Bar};
use super::jobs::{Job, Plan, Shard, Source};
use super::{complain, say, stop, with_flags, words, written};
use crate::checkpoint;
use crate::data::{Direction, Image, NoteCounts, QUALITY, is_large, is_lossy, write_rows};
use crate::error::{Error, Result};
use crate::tensor::Samples;
use crate::train::Tally;
use crate::translate::{Tiled, TranslateOptions, Translator};

/// The exit code where some pictures could not be translated, and are listed.
pub(super) const SOME_FAILED: u8 = 3;
/// Pictures that failed that are listed.
const LISTED: usize = 100;

/// What came of one picture.
enum Done {
    /// Written, with the scores of a pair.
    Written,
    /// It cannot be read or translated; the others can.
    Failed(Error),
}

pub fn run(args: TranslateArgs) -> Result<ExitCode> {
    let model = checkpoint::model_file(&args.model);
    if !model.exists() {
        return Err(Error::input(format!(
            "{} does not exist; give a model file or the folder of a run",
            model.display()
        )));
    }
    args.device.start_threads()?;
    let Plan { mut jobs, mut failed, left_out, counts, renamed, free, found } = Plan::new(&args)?;
    if let Some(Shard { part, of }) = args.shard {
        say(format!("shard     {part} of {of}: {} of {found} pictures", jobs.len()));
        if jobs.is_empty() && failed.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let all = jobs.len() + failed.len();
    if jobs.is_empty() {
        return none_done(failed);
    }
    let (backend, header) = args.device.open()?;
    say(format!("device    {header}"));
    let options = TranslateOptions {
        scale: args.scale,
        statistics: args.norm,
        dropout: args.dropout == Switch::On,
        seed: args.seed,
        tile: args.tile.map(|side| side as usize),
        overlap: args.overlap.map(|pixels| pixels as usize),
    };
    let mut translator = Translator::open(&model, options, backend)?;
    words::translator(&translator).iter().for_each(say);
    let mut counts = counts;
    if translator.domains().input.stacked {
        // All pages of a file are one picture.
        counts = counts.with_all_pages();
        jobs.retain(|job| !matches!(&job.source, Source::Pair(pair) if pair.page > 0));
        jobs.iter_mut().for_each(|job| job.slices = 1);
    }
    say(format!("pictures  {}", amount(&jobs)));
    if let Some((first, count)) = renamed {
        say(format!(
            "          {count} outputs get a longer or another name so that none replaces another, such \
             as {}",
            first.display()
        ));
    }
    let skipped = left_out.lines().into_iter().map(|line| format!("not used: {line}"));
    counts.lines().into_iter().chain(skipped).for_each(|note| say(format!("          {note}")));
    if !failed.is_empty() {
        say(format!("          {} cannot be read, see the end", failed.len()));
    }

    if let Some(line) = small(&jobs, &translator) {
        say(format!("          {line}"));
    }
    let direction = translator.direction().unwrap_or(Direction::AToB);
    if free {
        let target = translator.domains().target.clone();
        for job in &mut jobs {
            job.to = written::path(job, job.source.input(direction), &target);
        }
    }
    if args.missing {
        let before = jobs.len();
        jobs.retain(|job| !job.to.exists());
        say(format!("missing   {} of {before} have no output yet", jobs.len()));
    }
    let sizes: Vec<_> = jobs.iter().map(|job| (job.source.path(), job.size)).collect();
    forecast::announce(&mut translator, &sizes)?;
    let labels = translator.domains().target.class_names().is_some();
    if let Some(job) = jobs.iter().find(|job| labels && is_lossy(&job.to)) {
        return Err(Error::input(format!(
            "{} would not keep classes: a format that loses detail changes them; use .png",
            job.to.display()
        )));
    }
    let bar = Bar::new(jobs.len());
    let mut tally = Tally::new(&translator.domains().target);
    let mut pixels = NoteCounts::default();
    let mut lost = BTreeMap::new();
    for job in &jobs {
        match translate(job, &mut translator, &args, (&mut pixels, &mut lost, &mut tally), &bar)? {
            Done::Written => {}
            Done::Failed(error) => failed.push((job.source.path().to_path_buf(), error)),
        }
    }
    bar.end();
    pixels.lines().iter().for_each(|note| say(format!("pictures  {note}")));
    for (what, files) in &lost {
        let outputs = if *files == 1 { "1 output".to_string() } else { format!("{files} outputs") };
        say(format!("pictures  {outputs} cannot hold {what}"));
    }
    if !tally.is_empty() {
        say(format!("mean of {}: {}", tally.len(), tally.scores().line()));
    }
    if failed.is_empty() {
        return Ok(if left_out.locked() == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(SOME_FAILED)
        });
    }
    if failed.len() == all {
        return none_done(failed);
    }
    list(&failed, all);
    Ok(ExitCode::from(SOME_FAILED))
}

/// Translates and writes one picture.
///
/// # Errors
/// A file that cannot be written: neither can the others.
fn translate(
    job: &Job,
    translator: &mut Translator,
    args: &TranslateArgs,
    (pixels, lost, tally): (&mut NoteCounts, &mut BTreeMap<&'static str, usize>, &mut Tally),
    bar: &Bar,
) -> Result<Done> {
    let direction = translator.direction().unwrap_or(Direction::AToB);
    let domains = translator.domains().clone();
    if let Some(done) = stream(job, translator, (pixels, lost), bar)? {
        return Ok(done);
    }
    let (mut outputs, mut of_pair) = (Vec::new(), None);
    let mut tiled = None;
    for page in 0..job.slices {
        let ((a, b), notes) = match job.source.read(page, &domains, direction) {
            Ok(read) => read,
            Err(error) => return Ok(Done::Failed(error)),
        };
        notes.iter().for_each(|(path, notes)| pixels.add_pixels(notes, path));
        let (input, target) = match b {
            None => (a, None),
            Some(b) => {
                let (input, target) = direction.order(a, b);
                (input, Some(target))
            }
        };
        let output = match translator.translate_with(&input, &mut bar.tiles(job.source.path())) {
            Ok((output, found)) => {
                tiled = found;
                output
            }
            Err(error) => return Ok(Done::Failed(error)),
        };
        of_pair = target.map(|target| (output.clone(), target));
        outputs.push(output);
    }
    let output = outputs[0].clone();
    let (pages, palettes): (Vec<_>, Vec<_>) =
        outputs.into_iter().map(|output| written::samples(output, &domains.target)).unzip();
    let palette = palettes.into_iter().next().flatten();
    let pages = match domains.target.stacked {
        true => pages.iter().flat_map(Image::by_channel).collect(),
        false => pages,
    };
    let attributes =
        match written::attributes(job.source.input(direction), &domains.target, palette) {
            Ok(attributes) => attributes,
            Err(error) => return Ok(Done::Failed(error)),
        };
    if let Some(folder) = job.to.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|e| Error::file("create", folder, e))?;
    }
    let quality = args.quality.unwrap_or(QUALITY);
    let unkept = stop::whole(|| Image::write_pages(&pages, &attributes, &job.to, quality))?;
    unkept.into_iter().for_each(|what| *lost.entry(what).or_insert(0) += 1);
    let computed = match tiled {
        Some(tiled) => words::tiled(&tiled),
        None => words::computed(translator, [output.width, output.height]),
    };
    bar.done(format!(
        "{} -> {} ({} x {}{computed})",
        job.source.path().display(),
        job.to.display(),
        output.width,
        output.height,
    ));
    // Of what the network sees, so that channels with ranges of their own count alike.
    let Some((output, truth)) = of_pair else { return Ok(Done::Written) };
    let (truth, mask) = domains.target.prepared(truth);
    match tally.add(&domains.target.prepared(output).0, &truth, mask.as_ref()) {
        Ok(()) => Ok(Done::Written),
        Err(error) => Ok(Done::Failed(error)),
    }
}

/// Translates a picture by tiles from file to file, if it is to be cut into tiles and both files can be read and
/// written in parts; `None` if not, and nothing is written.
///
/// # Errors
/// A file that cannot be written.
fn stream(
    job: &Job,
    translator: &mut Translator,
    (pixels, lost): (&mut NoteCounts, &mut BTreeMap<&'static str, usize>),
    bar: &Bar,
) -> Result<Option<Done>> {
    let Source::Picture(path) = &job.source else { return Ok(None) };
    let large = is_large(job.size[0], job.size[1]);
    // Pages come one behind the other, and tiles have all channels.
    if translator.domains().target.stacked {
        return Ok(None);
    }
    if job.slices > 1 || translator.resizing().size(job.size) != job.size {
        // A picture that is resized is read whole, and too large a one is refused there.
        return Ok(None);
    }
    let tiling = match translator.tiling(job.size) {
        Ok(Some(tiling)) => tiling,
        Ok(None) => return Ok(None),
        Err(error) => return Ok(Some(Done::Failed(error))),
    };
    let target = translator.domains().target.clone();
    let prepared = || {
        let windows = translator.domains().input.windows(path)?;
        // The palette does not depend on the pixels.
        let format = target.format();
        let pixel =
            Image::new(1, 1, format.channels, Samples::zeros(format.samples, format.channels))?;
        let (pixel, palette) = written::samples(pixel, &target);
        Ok((windows, pixel.channels, written::attributes(path, &target, palette)?))
    };
    let (windows, channels, attributes) = match prepared() {
        Ok(all) => all,
        Err(error) => return Ok(Some(Done::Failed(error))),
    };
    let Some(mut windows) = windows else { return Ok(None) };
    if let Some(folder) = job.to.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|e| Error::file("create", folder, e))?;
    }
    let mut found = Tiled::default();
    let written = write_rows(&job.to, job.size, channels, &attributes, |rows| {
        let mut rows = written::Rows { target: &target, rows };
        found =
            translator.translate_stream(&mut windows, tiling, &mut rows, &mut bar.tiles(path))?;
        Ok(())
    });
    // A file that cannot be written stops all, anything else this picture.
    let written = match written {
        Err(error @ Error::File { .. }) => return Err(error),
        Err(error) => return Ok(Some(Done::Failed(error))),
        Ok(written) => written,
    };
    let Some(unkept) = written else {
        if large {
            return Ok(Some(Done::Failed(Error::input(format!(
                "{} is too large to be held in memory, and only TIFF is written in parts: name an output that \
                 ends in .tiff",
                path.display()
            )))));
        }
        return Ok(None);
    };
    pixels.add_pixels(windows.notes(), path);
    unkept.into_iter().for_each(|what| *lost.entry(what).or_insert(0) += 1);
    bar.done(format!(
        "{} -> {} ({} x {}{})",
        path.display(),
        job.to.display(),
        job.size[0],
        job.size[1],
        words::tiled(&found)
    ));
    Ok(Some(Done::Written))
}

/// What is said of pictures that the model sees much smaller than those of its training.
fn small(jobs: &[Job], translator: &Translator) -> Option<String> {
    let size = translator.trained().size?;
    let computed = |job: &&Job| translator.resizing().size(job.size);
    let is_small = |job: &&Job| {
        computed(job) != job.size
            && 4 * computed(job).into_iter().min().unwrap_or(0) < 3 * size.least()
    };
    let first = jobs.iter().find(is_small)?;
    let [w, h] = computed(&first);
    Some(format!(
        "{} of them are computed smaller than the {size} pixels of the training, such as {} at {w} x \
         {h}: --scale native keeps their size",
        jobs.iter().filter(is_small).count(),
        first.source.path().display()
    ))
}

/// "12 to translate, 3.10 megapixels, the largest 1024 x 768".
fn amount(jobs: &[Job]) -> String {
    let pixels = |job: &Job| job.size[0] * job.size[1];
    let largest = jobs.iter().max_by_key(|job| pixels(job)).map_or([0; 2], |job| job.size);
    let total = jobs.iter().map(pixels).sum::<usize>() as f64 / 1e6;
    let count = jobs.len();
    let [w, h] = largest;
    let of = if count == 1 { "" } else { "the largest " };
    let digits = if total < 10.0 { 2 } else { 0 };
    format!("{count} to translate, {total:.digits$} megapixels, {of}{w} x {h}")
}

/// Nothing was translated: the error of the only picture, or a list.
fn none_done(mut failed: Vec<(PathBuf, Error)>) -> Result<ExitCode> {
    if failed.len() == 1 {
        return Err(failed.remove(0).1);
    }
    list(&failed, failed.len());
    Err(Error::input(format!("none of the {} pictures could be translated", failed.len())))
}

fn list(failed: &[(PathBuf, Error)], all: usize) {
    complain(format!("{} of {all} pictures were not translated:", failed.len()));
    for (path, error) in failed.iter().take(LISTED) {
        let text = with_flags(error);
        let name = path.display().to_string();
        // Most messages name the file.
        let shown = if text.contains(&name) { text } else { format!("{name}: {text}") };
        complain(shown);
    }
    if failed.len() > LISTED {
        complain(format!("and {} more", failed.len() - LISTED));
    }
}
