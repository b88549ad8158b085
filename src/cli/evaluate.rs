//! `evaluate`: scores models, or pictures from elsewhere, against their targets.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::args::{DATA, NETWORKS, RUN};
use super::device::DeviceArgs;
use super::forecast::Bar;
use super::resume::same;
use super::sides::{SideArgs, domains};
use super::translate::SOME_FAILED;
use super::{complain, quoted, say, values, words};
use crate::atomic;
use crate::checkpoint;
use crate::data::{
    Direction, Domain, Folder, Pages, Pair, ScanOptions, WalkOptions, is_writable, walk,
};
use crate::error::{Error, Result};
use crate::evaluate::{
    Case, Evaluation, InputAsItIs, MeanTarget, Model, Predictions, System, Task, csv, evaluate,
    json, page,
};
use crate::kernel::Statistics;
use crate::one_of::one_of;
use crate::translate::{Scale, TranslateOptions, Translator};

one_of! {
    /// Which pairs of a data set are scored by.
    pub enum ScoredPhase {
        /// Those to train on.
        Train = "train",
        /// Those to validate on.
        Val = "val",
        /// Those to test on.
        Test = "test",
        /// All.
        All = "all",
    }
}

/// `evaluate`.
#[derive(Debug, clap::Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct EvaluateArgs {
    /// Runs or models, and folders of predictions; the first is what others are compared with
    #[arg(required = true, value_name = "RUN|PREDICTIONS")]
    pub what: Vec<PathBuf>,
    /// The targets: a folder of pictures named as the predictions, or a data set of pairs
    ///
    /// Models translate the inputs of pairs, so with one of them it is a data set.
    pub targets: PathBuf,
    /// The targets are those of a data set of pairs, also where no model is among what is scored
    #[arg(long, help_heading = DATA)]
    pub pairs: bool,
    /// Which picture of a pair is the input [default: as the model was trained, else a2b]
    #[arg(long, help_heading = DATA, value_name = "WAY")]
    #[arg(value_parser = values::one_of::<Direction>())]
    pub direction: Option<Direction>,
    #[command(flatten)]
    pub sides: SideArgs,
    /// Size at which models translate: trained, native or a factor such as 0.5
    #[arg(long, help_heading = DATA, default_value = "trained", allow_negative_numbers = true)]
    pub scale: Scale,
    /// Statistics of batch norm [default: what validation found better, else batch]
    #[arg(long, help_heading = NETWORKS, value_name = "KIND")]
    #[arg(value_parser = values::one_of::<Statistics>())]
    pub norm: Option<Statistics>,
    #[command(flatten)]
    pub report: ReportArgs,
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// What is scored by, and what is written of it.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Which pairs of a data set are scored by [default: test, else val, else all]
    #[arg(long, help_heading = DATA, value_parser = values::one_of::<ScoredPhase>())]
    pub phase: Option<ScoredPhase>,
    /// The folder for scores.csv, scores.json and the page index.html
    #[arg(long, help_heading = RUN, value_name = "FOLDER", default_value = "evaluation")]
    pub out: PathBuf,
    /// Worst and best cases that the page shows, each
    #[arg(long, help_heading = RUN, value_name = "N", default_value_t = 4)]
    pub cases: usize,
    /// Seed of the resampling behind intervals
    #[arg(long, help_heading = RUN, default_value_t = 0)]
    pub seed: u64,
}

/// The files that an evaluation writes.
const FILES: [&str; 3] = ["scores.csv", "scores.json", "index.html"];

pub fn run(args: &EvaluateArgs) -> Result<ExitCode> {
    check_out(&args.report.out)?;
    let names = names(&args.what)?;
    refuse_targets(&args.what, &args.targets)?;
    args.device.start_threads()?;
    let (mut models, mut folders) = (Vec::new(), Vec::new());
    for (path, name) in args.what.iter().zip(names) {
        match model(path)? {
            Some(file) => models.push((file, name)),
            None => folders.push((path.clone(), name)),
        }
    }
    let options = TranslateOptions {
        scale: args.scale,
        statistics: args.norm,
        ..TranslateOptions::default()
    };
    let mut device = None;
    let (mut opened, mut files) = (Vec::new(), Vec::new());
    for (file, name) in models {
        let (backend, header) = args.device.open()?;
        let translator = Translator::open(&file, options, backend)?;
        opened.push(Model { name, translator });
        files.push(file);
        device = Some(header);
    }
    let has_inputs = !opened.is_empty() || args.pairs;
    let pages = args.sides.pages.unwrap_or_default();
    let folder = scan(&args.targets, has_inputs, pages, args.sides.mask.as_deref())?;
    let (cases, notes) = cases(&args.targets, &folder, args.report.phase, has_inputs)?;
    let task = task(args, &opened, &folder, cases)?;
    if let Some(device) = device {
        say(format!("device    {device}"));
    }
    notes.iter().for_each(|line| say(format!("data      {line}")));
    for (model, file) in opened.iter().zip(&files) {
        say(format!("model     {}", file.display()));
        words::translator(&model.translator).iter().for_each(say);
    }
    let mut lines = notes;
    let mut systems = in_order(&args.what, opened, folders, &task)?;
    match InputAsItIs::fits(&task) {
        Ok(()) => systems.push(Box::new(InputAsItIs)),
        Err(why) => lines.push(format!("There is no row for the input as it is: {why}.")),
    }
    report(&task, systems, lines, &args.report)
}

/// Scores, and writes what was found. A mean of the targets is added as the last system.
pub fn report(
    task: &Task,
    mut systems: Vec<Box<dyn System>>,
    mut lines: Vec<String>,
    args: &ReportArgs,
) -> Result<ExitCode> {
    let mean = MeanTarget::of(task);
    lines.push(format!(
        "The row \"{}\" is of these very targets, which it therefore knows.",
        mean.name()
    ));
    systems.push(Box::new(mean));
    let bar = Bar::new(task.cases.len());
    let evaluation = evaluate(task, &mut systems, args.seed, &mut || bar.advance());
    bar.end();
    table(&evaluation);
    let mut scored = evaluation.systems.iter().filter(|system| !system.baseline);
    if scored.all(|system| system.scores.iter().all(Option::is_none)) {
        list(&evaluation);
        return Err(Error::input("no output could be scored, so nothing was written"));
    }
    let html = page(task, &evaluation, &mut systems, args.cases, &lines)?;
    fs::create_dir_all(&args.out).map_err(|e| Error::file("create", &args.out, e))?;
    for (name, text) in FILES.into_iter().zip([csv(&evaluation), json(&evaluation), html]) {
        let path = args.out.join(name);
        let io = |e| Error::file("write", &path, e);
        atomic::replace(&path, |sink| sink.write_all(text.as_bytes()).map_err(io))?;
    }
    say(format!("page      {}", args.out.join("index.html").display()));
    if evaluation.missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    list(&evaluation);
    Ok(ExitCode::from(SOME_FAILED))
}

/// Refuses a folder that holds something else than an evaluation.
pub fn check_out(out: &Path) -> Result<()> {
    if out.exists() && !out.is_dir() {
        return Err(Error::input(format!("--out {} is a file; give a folder", out.display())));
    }
    let Ok(entries) = fs::read_dir(out) else { return Ok(()) };
    let mut names = entries.flatten().map(|entry| entry.file_name());
    match names.find(|name| !FILES.iter().any(|file| name == file)) {
        Some(other) => Err(Error::input(format!(
            "--out {} holds other files, such as {}; give a new folder",
            out.display(),
            other.display()
        ))),
        None => Ok(()),
    }
}

/// The model file of a run or a model; `None` for a folder of pictures.
pub fn model(path: &Path) -> Result<Option<PathBuf>> {
    let file = checkpoint::model_file(path);
    if !path.exists() {
        return Err(Error::input(format!(
            "{} does not exist; give runs, models or folders of pictures, and the targets last",
            path.display()
        )));
    }
    if path.is_dir() && !file.is_file() {
        return Ok(None);
    }
    if is_writable(path) && path.is_file() {
        return Err(Error::input(format!(
            "{} is a picture; give the folder of all predictions",
            path.display()
        )));
    }
    Ok(Some(file))
}

/// What is scored is called by the last part of its path, where that tells it from the others, else by all of it.
pub fn names(what: &[PathBuf]) -> Result<Vec<String>> {
    let whole: BTreeSet<PathBuf> =
        what.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())).collect();
    if whole.len() < what.len() {
        return Err(Error::input("one of what is scored is given twice; leave it out once"));
    }
    let short = |path: &PathBuf| {
        let full = path.canonicalize().unwrap_or_else(|_| path.clone());
        full.file_name().unwrap_or_default().to_string_lossy().into_owned()
    };
    let all: Vec<String> = what.iter().map(short).collect();
    let distinct = all.iter().collect::<BTreeSet<_>>().len() == all.len();
    Ok(if distinct { all } else { what.iter().map(|p| p.display().to_string()).collect() })
}

/// Refuses targets among what is scored by them.
pub fn refuse_targets(what: &[PathBuf], targets: &Path) -> Result<()> {
    match what.iter().any(|what| same(what, targets)) {
        true => Err(Error::input(format!(
            "{} is both scored and the targets; give the targets last",
            targets.display()
        ))),
        false => Ok(()),
    }
}

/// The data set, or the targets as pairs of each with itself.
pub fn scan(targets: &Path, as_pairs: bool, pages: Pages, masks: Option<&Path>) -> Result<Folder> {
    let options = ScanOptions { skip_bad: true, pages };
    let mut folder = match as_pairs {
        true => Folder::scan(targets, options)?,
        false => Folder::scan_two([targets, targets], None, options)?,
    };
    if let Some(masks) = masks {
        folder.add_masks(masks)?;
    }
    Ok(folder)
}

/// The pictures of a phase, and sentences about them.
///
/// # Errors
/// A phase without pictures.
pub fn cases(
    targets: &Path,
    folder: &Folder,
    phase: Option<ScoredPhase>,
    has_inputs: bool,
) -> Result<(Vec<Case>, Vec<String>)> {
    let phases = [
        (ScoredPhase::Test, folder.test.clone()),
        (ScoredPhase::Val, folder.val.clone()),
        (ScoredPhase::Train, folder.train.clone()),
    ];
    let there: Vec<_> = phases.into_iter().filter(|(_, pairs)| !pairs.is_empty()).collect();
    let chosen = match phase {
        Some(ScoredPhase::All) => there.clone(),
        Some(phase) => there.iter().filter(|(p, _)| *p == phase).cloned().collect(),
        // What was not trained on; targets alone are all wanted.
        None if has_inputs => there.iter().take(1).cloned().collect(),
        None => there.clone(),
    };
    if chosen.is_empty() {
        return Err(Error::input(match phase {
            Some(phase) => format!(
                "{} has no pairs of the phase {}",
                targets.display(),
                values::name_of(phase)
            ),
            None => format!("{} has no pictures to score by", targets.display()),
        }));
    }
    let several = there.len() > 1;
    let mut cases = Vec::new();
    for (phase, pairs) in &chosen {
        for pair in pairs {
            let name = pair.name.to_string();
            let with_phase = format!("{}/{name}", values::name_of(*phase));
            let (name, other_name) = match several {
                true => (with_phase, Some(name)),
                false => (name, None),
            };
            cases.push(Case { name, other_name, pair: pair.clone() });
        }
    }
    // A name without its phase serves where it is that of one case.
    let mut known = BTreeMap::<String, usize>::new();
    cases.iter().flat_map(|c| c.other_name.clone()).for_each(|n| *known.entry(n).or_default() += 1);
    for case in &mut cases {
        case.other_name = case.other_name.take().filter(|name| known[name] == 1);
    }
    let phases: Vec<String> = chosen.iter().map(|(phase, _)| values::name_of(*phase)).collect();
    let mut notes = vec![format!(
        "{}: {} {}{}",
        targets.display(),
        cases.len(),
        if has_inputs { "pairs" } else { "targets" },
        if several { format!(" of {}", phases.join(", ")) } else { String::new() }
    )];
    if has_inputs && phases == ["train"] {
        notes.push(
            "these may be pairs that a model was trained on: its scores on them say little of new pictures"
                .to_string(),
        );
    }
    for skipped in &folder.skipped {
        notes.push(format!("left out: {}", skipped.reason));
    }
    notes.extend(folder.left_out.lines().into_iter().map(|line| format!("not used: {line}")));
    Ok((cases, notes))
}

/// What is scored by what.
fn task(args: &EvaluateArgs, models: &[Model], folder: &Folder, cases: Vec<Case>) -> Result<Task> {
    let has_inputs = !models.is_empty() || args.pairs;
    let directions: Vec<Option<Direction>> =
        models.iter().map(|model| model.translator.direction()).collect();
    let direction = args.direction.or(directions.iter().flatten().next().copied());
    let direction = direction.unwrap_or(Direction::AToB);
    if let Some(model) = models
        .iter()
        .find(|m| m.translator.direction().is_some_and(|of_model| of_model != direction))
    {
        return Err(Error::input(format!(
            "{} was trained in the other direction than --direction {}; evaluate it alone",
            model.name,
            values::name_of(direction)
        )));
    }
    let of: Vec<Pair> = cases.iter().map(|case| case.pair.clone()).collect();
    let found = match models.first() {
        Some(model) => {
            let given = args.sides.typed();
            if let Some((flag, _)) =
                given.iter().find(|(flag, _)| !["mask", "pages"].contains(flag))
            {
                return Err(Error::input(format!(
                    "--{flag}: a model knows what its pictures are; leave it out"
                )));
            }
            model.translator.domains().clone()
        }
        None => {
            let sides = args.sides.find_on(&of, folder, direction)?;
            domains(&sides, direction)
        }
    };
    for other in models.iter().skip(1) {
        if other.translator.domains() != &found {
            return Err(Error::input(format!(
                "{} was trained on other kinds of pictures than {}; evaluate them apart",
                other.name, models[0].name
            )));
        }
    }
    Ok(Task { cases, domains: found, direction, has_inputs })
}

/// The systems in the order in which they were given.
fn in_order(
    what: &[PathBuf],
    models: Vec<Model>,
    folders: Vec<(PathBuf, String)>,
    task: &Task,
) -> Result<Vec<Box<dyn System>>> {
    let (mut models, mut folders) = (models.into_iter(), folders.into_iter().peekable());
    let mut systems: Vec<Box<dyn System>> = Vec::new();
    for path in what {
        if folders.peek().is_some_and(|(folder, _)| folder == path) {
            let (folder, name) = folders.next().expect("peeked at");
            let domain = task.domains.target.clone();
            systems.push(Box::new(predictions(folder, name, domain, &task.cases)?));
        } else {
            systems.push(Box::new(models.next().expect("each is a model or a folder")));
        }
    }
    Ok(systems)
}

/// The pictures of a folder; those that are for no case are told.
pub fn predictions(
    folder: PathBuf,
    name: String,
    domain: Domain,
    cases: &[Case],
) -> Result<Predictions> {
    let found = walk(&folder, WalkOptions { deep: true, ..WalkOptions::default() })?;
    if found.pictures.is_empty() {
        return Err(found.nothing(&folder));
    }
    let mut files = BTreeMap::new();
    for picture in &found.pictures {
        let key = picture.key().to_string_lossy().into_owned();
        if let Some(first) = files.insert(key, picture.path.clone()) {
            return Err(Error::input(format!(
                "{} and {} have one name: remove one of them",
                first.display(),
                picture.path.display()
            )));
        }
    }
    let system = Predictions { name, folder, files, domain };
    let used: BTreeSet<&PathBuf> = cases.iter().filter_map(|case| system.file(case)).collect();
    let unused = system.files.len() - used.len();
    if unused > 0 {
        say(format!(
            "data      {unused} of the {} pictures of {} are not used: no target has their name",
            system.files.len(),
            system.folder.display()
        ));
    }
    Ok(system)
}

/// The figures of all, a line for each system.
fn table(evaluation: &Evaluation) {
    let width = evaluation.systems.iter().map(|system| system.name.chars().count()).max();
    let width = width.unwrap_or(0);
    for (i, system) in evaluation.systems.iter().enumerate() {
        let figures: Vec<String> = evaluation
            .summaries(i)
            .iter()
            .filter(|summary| summary.pictures > 0)
            .map(|summary| format!("{} {:.4}", summary.measure.name(), summary.value))
            .collect();
        let figures =
            if figures.is_empty() { "nothing scored".to_string() } else { figures.join(", ") };
        say(format!("{:10}{:width$}  {figures}", if i == 0 { "scores" } else { "" }, system.name));
    }
}

fn list(evaluation: &Evaluation) {
    let missing = &evaluation.missing;
    complain(format!("{} outputs were not scored:", missing.len()));
    for [system, case, why] in missing.iter().take(100) {
        complain(format!("{case} of {}: {why}", quoted(Path::new(system))));
    }
    if missing.len() > 100 {
        complain(format!("and {} more are in scores.json", missing.len() - 100));
    }
}
