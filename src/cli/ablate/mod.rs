//! `ablate`: the paper's tables on one's own data. Every row is an ordinary run.

mod tables;

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

use self::tables::{Row, Table};
use super::args::{Cli, Command, RUN};
use super::device::DeviceArgs;
use super::evaluate::ScoredPhase;
use super::{evaluate as scoring, say, score, settings, stop, train, values};
use crate::atomic;
use crate::checkpoint;
use crate::data::{Direction, Domain, Half, Image, Pages, sheet};
use crate::error::{Error, Result};
use crate::evaluate::{
    Case, Measure, Measured, Model, OF_PAPER, Photographs, Results, Scorer, Summary, System, Task,
    ThroughScorer, evaluate, summary,
};
use crate::train::{Checkpoint, RunConfig, checkpoint_of};
use crate::translate::{TranslateOptions, Translator};

/// `ablate`.
#[derive(Debug, clap::Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct AblateArgs {
    /// losses, generators, patches or segmentation as in the paper, or a file with a row NAME: FLAGS a line
    pub table: String,
    /// The data set
    pub data: PathBuf,
    /// The run of `score train` that scores the pictures; without it they are only compared with their targets
    #[arg(long, help_heading = RUN, value_name = "RUN")]
    pub scorer: Option<PathBuf>,
    /// Runs of each row, with the seeds 0, 1, ...
    #[arg(long, help_heading = RUN, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100))]
    pub seeds: u64,
    /// The folder of the runs and of the result [default: ablations/TABLE]
    #[arg(long, help_heading = RUN, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Which pairs are scored by [default: test, else val, else all]
    #[arg(long, help_heading = RUN, value_parser = values::one_of::<ScoredPhase>())]
    pub phase: Option<ScoredPhase>,
    /// Rows of the sheet of pictures
    #[arg(long, help_heading = RUN, value_name = "N", default_value_t = 4)]
    pub pictures: usize,
    /// Flags of `train` for all rows, behind --
    #[arg(last = true, value_name = "FLAGS")]
    pub flags: Vec<OsString>,
}

/// What a run was scored by.
struct Scoring<'a> {
    table: &'a Table,
    cases: &'a [Case],
    scorer: Option<(Scorer, Task)>,
    columns: Vec<Measure>,
}

pub fn run(args: &AblateArgs) -> Result<ExitCode> {
    let table = Table::open(&args.table)?;
    let name = Path::new(&args.table).file_stem().unwrap_or_default();
    let out = args.out.clone().unwrap_or_else(|| Path::new("ablations").join(name));
    let mut runs = Vec::new();
    for seed in 0..args.seeds {
        for (i, row) in table.rows.iter().enumerate() {
            let folder = out.join(row.folder(seed));
            runs.push(typed(args, (i, row), seed, folder)?);
        }
    }
    if table.of_labels && args.scorer.is_some() {
        return Err(Error::input(
            "--scorer: the targets of this table are classes, which are scored as they are; leave it out",
        ));
    }
    // What cannot be scored at the end is not trained for hours.
    let device = &runs[0].device;
    device.start_threads()?;
    let folder = scoring::scan(&args.data, true, Pages::default(), None)?;
    let (cases, notes) = scoring::cases(&args.data, &folder, args.phase, true)?;
    let mut before = vec![table.about.clone()];
    before.extend(notes);
    let scorer = match &args.scorer {
        Some(path) => {
            let (backend, _) = device.open()?;
            let (scorer, task, line) =
                score::open(path, TranslateOptions::default(), backend, cases.clone())?;
            before.push(line);
            Some((scorer, task))
        }
        None => None,
    };
    begin(&out, args, &table)?;

    if let Some(code) = train_all(args, &table, &runs)? {
        return Ok(code);
    }
    let open = |folder: &Path| {
        let (backend, _) = device.open()?;
        Translator::open(folder, TranslateOptions::default(), backend)
    };
    let target = open(&runs[0].folder)?.domains().target.clone();
    let columns = match (&scorer, target.class_names()) {
        (None, Some(_)) => OF_PAPER.to_vec(),
        (Some(_), _) => OF_PAPER.into_iter().chain([Measure::L1, Measure::Ssim]).collect(),
        (None, None) => vec![Measure::L1, Measure::Psnr, Measure::Ssim],
    };
    let scorings = Scoring { table: &table, cases: &cases, scorer, columns };
    // A picture that cannot be read is in no row of the sheet, as in no figure.
    let whole =
        |case: &Case| [Half::A, Half::B].iter().all(|half| case.pair.picture(*half).is_ok());
    let readable: Vec<usize> = (0..cases.len()).filter(|&i| whole(&cases[i])).collect();
    let shown: Vec<usize> =
        spread(readable.len(), args.pictures).into_iter().map(|i| readable[i]).collect();
    let mut measured: Vec<Measured> = table
        .rows
        .iter()
        .map(|row| Measured { name: row.name.clone(), seeds: Vec::new(), paper: row.paper })
        .collect();
    let mut after = about_figures(args, &table);
    let mut pictures: Vec<Vec<Image>> = vec![Vec::new(); shown.len()];
    for Run { row, seed, folder, .. } in &runs {
        say(format!("score     {}, seed {seed}", table.rows[*row].name));
        let show = if *seed == 0 { &shown[..] } else { &[] };
        let figures = scorings.run(&|| open(folder), show, *row, &mut pictures, &mut after)?;
        measured[*row].seeds.push(figures);
    }
    if let Some(real) = scorings.real(&mut after) {
        measured.push(real);
    }
    let results = Results {
        title: format!("Ablation: {}", name.to_string_lossy()),
        before,
        columns: scorings.columns,
        rows: measured,
        after,
        captions: iter::once("input".to_string())
            .chain(table.rows.iter().map(|row| row.name.clone()))
            .chain(iter::once("target".to_string()))
            .collect(),
        sheet: pictures,
    };
    write(&out, &results)?;
    say(format!("table     {}", out.join("table.md").display()));
    say(format!("page      {}", out.join("index.html").display()));
    Ok(ExitCode::SUCCESS)
}

/// A row with a seed.
struct Run {
    /// The index of its row.
    row: usize,
    seed: u64,
    folder: PathBuf,
    /// The command line that begins it.
    line: Vec<OsString>,
    /// The device that this names.
    device: DeviceArgs,
}

/// The run of a row, its settings checked as far as they do not depend on the data.
fn typed(args: &AblateArgs, (i, row): (usize, &Row), seed: u64, folder: PathBuf) -> Result<Run> {
    let mut line: Vec<OsString> = vec!["train".into(), args.data.clone().into()];
    line.extend(args.flags.iter().cloned());
    line.extend(row.flags.iter().map(OsString::from));
    line.extend(["--seed".into(), seed.to_string().into(), "--out".into(), folder.clone().into()]);
    let checked = || -> Result<DeviceArgs> {
        let Command::Train(train) = parsed(&line)? else { unreachable!("it is `train`") };
        let mut config = RunConfig::default();
        settings::apply(&train, &mut config)?;
        config.check()?;
        Ok(train.device)
    };
    let device = checked().map_err(|e| Error::input(format!("the row {}: {e}", row.name)))?;
    Ok(Run { row: i, seed, folder, line, device })
}

/// Trains what is left of all runs; an exit code where one of them was stopped.
fn train_all(args: &AblateArgs, table: &Table, runs: &[Run]) -> Result<Option<ExitCode>> {
    for (i, Run { row, seed, folder, line, device }) in runs.iter().enumerate() {
        let about = format!("{} of {}: {}, seed {seed}", i + 1, runs.len(), table.rows[*row].name);
        let line = match left(folder)? {
            Left::All => line.clone(),
            Left::Some => {
                vec!["train".into(), args.data.clone().into(), "--resume".into(), folder.into()]
            }
            Left::Nothing => {
                say(format!("row       {about}: is there, {}", folder.display()));
                continue;
            }
        };
        say(format!("row       {about}"));
        let Command::Train(mut train) = parsed(&line)? else { unreachable!("it is `train`") };
        train.device = device.clone();
        let code = train::run(*train)?;
        if code != ExitCode::SUCCESS {
            say("ablate    goes on from here with the same command");
            return Ok(Some(code));
        }
        // From here on a signal ends the program: what is there is kept.
        stop::whole(|| ());
    }
    Ok(None)
}

fn parsed(line: &[OsString]) -> Result<Command> {
    let words = iter::once(OsString::from("pix2pix-engine")).chain(line.iter().cloned());
    Cli::try_parse_from(words).map(|cli| cli.command).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        Error::input(first.trim_start_matches("error: ").to_string())
    })
}

/// What is left of a run.
enum Left {
    All,
    Some,
    Nothing,
}

fn left(folder: &Path) -> Result<Left> {
    if !checkpoint_of(folder).exists() {
        return Ok(Left::All);
    }
    let Checkpoint { progress, length, config, .. } = Checkpoint::open(folder)?;
    let total = length.map(|length| {
        let epoch = length.pairs.div_ceil(config.batch_size) as u64;
        length.steps.unwrap_or(length.epochs * epoch)
    });
    let whole = total.is_some_and(|total| progress.step >= total);
    Ok(if whole && checkpoint::model_file(folder).exists() { Left::Nothing } else { Left::Some })
}

/// Writes what the table is made of, or refuses a folder of another one.
fn begin(out: &Path, args: &AblateArgs, table: &Table) -> Result<()> {
    let path = out.join("ablation.json");
    let rows: Vec<_> = table.rows.iter().map(|row| json!([row.name, row.flags])).collect();
    let flags: Vec<_> = args.flags.iter().map(|flag| flag.to_string_lossy()).collect();
    let whole = json!({ "data": args.data.display().to_string(), "flags": flags, "rows": rows });
    let text = format!("{whole:#}\n");
    if let Ok(old) = fs::read_to_string(&path) {
        return match old == text {
            true => Ok(()),
            false => Err(Error::input(format!(
                "{} was begun with other rows, flags or data, see {}; give another --out",
                out.display(),
                path.display()
            ))),
        };
    }
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::input(format!(
            "--out {} holds other files; give a new folder",
            out.display()
        )));
    }
    fs::create_dir_all(out).map_err(|e| Error::file("create", out, e))?;
    let io = |e| Error::file("write", &path, e);
    atomic::replace(&path, |sink| sink.write_all(text.as_bytes()).map_err(io))
}

impl Scoring<'_> {
    /// The figures of a run, one for each column; its pictures are added to the sheet.
    fn run(
        &self,
        open: &dyn Fn() -> Result<Translator>,
        shown: &[usize],
        row: usize,
        sheet: &mut [Vec<Image>],
        notes: &mut Vec<String>,
    ) -> Result<Vec<Summary>> {
        let translator = open()?;
        let direction = translator.direction().unwrap_or(Direction::AToB);
        let domains = translator.domains().clone();
        let task = Task { cases: self.cases.to_vec(), domains, direction, has_inputs: true };
        let mut model = Model { name: self.table.rows[row].name.clone(), translator };
        let last = row + 1 == self.table.rows.len();
        for (pictures, &case) in sheet.iter_mut().zip(shown) {
            let truth = task.read(case)?;
            let pair = &task.cases[shown[0]].pair;
            let longest = pair.width.max(pair.height).max(SHEET);
            let side = [pair.width, pair.height].map(|side| (side * SHEET / longest).max(1));
            let shown = |domain: &Domain, image: &Image| -> Image {
                let shown = domain.shown(&domain.prepared(image.clone()).0);
                // A sheet has pictures of one size, and a data set may have many.
                shown.resize(side[0], side[1])
            };
            if row == 0 {
                pictures.push(shown(&task.domains.input, &truth.input));
            }
            let output = model.output(&task.cases[case], &truth.input)?;
            pictures.push(shown(&task.domains.target, &output));
            if last {
                pictures.push(shown(&task.domains.target, &truth.target));
            }
        }
        let mut systems: Vec<Box<dyn System>> = vec![Box::new(model)];
        let mut found = figures(&task, &mut systems, &self.columns, notes);
        if let Some((scorer, task)) = &self.scorer {
            let photographs = Photographs::Model(Box::new(open()?));
            let name = self.table.rows[row].name.clone();
            let scorer = scorer.clone();
            let mut systems: Vec<Box<dyn System>> =
                vec![Box::new(ThroughScorer { name, photographs, scorer })];
            found.extend(figures(task, &mut systems, &self.columns, notes));
        }
        Ok(self.in_columns(&found))
    }

    /// The row of the real photographs, where there is a scorer: they have no figures of their own.
    fn real(&self, notes: &mut Vec<String>) -> Option<Measured> {
        let (scorer, task) = self.scorer.as_ref()?;
        let name = "real photographs".to_string();
        let (photographs, scorer) = (Photographs::Real, scorer.clone());
        let mut systems: Vec<Box<dyn System>> =
            vec![Box::new(ThroughScorer { name: name.clone(), photographs, scorer })];
        let found = figures(task, &mut systems, &self.columns, notes);
        Some(Measured { name, seeds: vec![self.in_columns(&found)], paper: None })
    }

    /// Of these figures one for each column, which is none where it is not among them.
    fn in_columns(&self, found: &[Summary]) -> Vec<Summary> {
        let of = |&measure: &Measure| {
            let known = found.iter().find(|summary| summary.measure == measure);
            known.copied().unwrap_or(Summary {
                measure,
                value: f64::NAN,
                interval: None,
                pictures: 0,
                left_out: 0,
            })
        };
        self.columns.iter().map(of).collect()
    }
}

/// The figures of one system; of pictures that could not be scored a sentence is kept.
fn figures(
    task: &Task,
    systems: &mut [Box<dyn System>],
    columns: &[Measure],
    notes: &mut Vec<String>,
) -> Vec<Summary> {
    let evaluation = evaluate(task, systems, 0, &mut || ());
    if let Some([system, case, why]) = evaluation.missing.first() {
        notes.push(format!(
            "{} of {} pictures of {system} could not be scored, such as {case}: {why}.",
            evaluation.missing.len(),
            task.cases.len()
        ));
    }
    let measured = columns.iter().filter(|column| evaluation.measures.contains(column));
    measured.map(|&column| summary(column, &evaluation.systems[0].scores, 0)).collect()
}

/// `count` of `all` numbers at even distances.
fn spread(all: usize, count: usize) -> Vec<usize> {
    let count = count.min(all);
    (0..count).map(|i| i * all / count).collect()
}

/// The longest side of a picture on a sheet, in pixels.
const SHEET: usize = 256;

/// Sentences behind the table.
fn about_figures(args: &AblateArgs, table: &Table) -> Vec<String> {
    let flags: Vec<_> = args.flags.iter().map(|flag| flag.to_string_lossy()).collect();
    let mut lines = vec![match args.seeds {
        1 => "One run a row, seed 0; in brackets the 95 % interval over the pictures, which says nothing of how runs \
              differ (--seeds)."
            .to_string(),
        n => format!("Means of {n} runs a row; in brackets the smallest and the largest."),
    }];
    lines.push(match flags.is_empty() {
        true => "All else is the default of `train`.".to_string(),
        false => format!("All rows were trained with {}.", flags.join(" ")),
    });
    for row in &table.rows {
        let flags = row.flags.join(" ");
        let flags = if flags.is_empty() { "no more flags" } else { &flags };
        lines.push(format!("{}: {flags}.", row.name));
    }
    lines
}

fn write(out: &Path, results: &Results) -> Result<()> {
    let mut files = vec![
        ("table.md", results.markdown().into_bytes()),
        ("index.html", results.page()?.into_bytes()),
    ];
    if !results.sheet.is_empty() {
        files.push(("sheet.png", sheet(&results.sheet)?.png_bytes()?));
    }
    for (name, bytes) in files {
        let path = out.join(name);
        let io = |e| Error::file("write", &path, e);
        atomic::replace(&path, |sink| sink.write_all(&bytes).map_err(io))?;
    }
    Ok(())
}
