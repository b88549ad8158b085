//! `score`: the FCN-score of generated photographs.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use clap::Subcommand;

use super::args::{DATA, TrainArgs};
use super::device::DeviceArgs;
use super::evaluate::{self, ReportArgs};
use super::{say, train, words};
use crate::data::{Direction, DomainKind, Pages, ReadAs};
use crate::error::{Error, Result};
use crate::evaluate::{Case, Photographs, Scorer, System, Task, ThroughScorer};
use crate::kernel::Backend;
use crate::model::GeneratorKind;
use crate::train::{Checkpoint, Gan};
use crate::translate::{Scale, TranslateOptions, Translator};

/// Channels of a scorer's first layer by default, 64 in Long et al. 2015: fc6 alone has 103 million weights with 64, and
/// 6.4 million with 16.
const BASE_CHANNELS: usize = 16;

#[derive(Debug, Subcommand)]
pub enum ScoreCommand {
    /// Train an FCN-8s to find the classes in real photographs
    ///
    /// As `train --generator fcn8s --target labels --gan none --base-channels 16`, all of whose flags work here. The
    /// photographs are the inputs (--direction) and the labels the targets (--palette).
    Train(Box<TrainArgs>),
    /// Score generated photographs by the classes that a trained FCN-8s finds in them
    Apply(Box<ApplyArgs>),
}

/// `score apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = super::EXIT_CODES)]
pub struct ApplyArgs {
    /// The run of `score train`, or its model
    pub scorer: PathBuf,
    /// Runs or models that make photographs of labels, and folders of such photographs
    #[arg(required = true, value_name = "RUN|PHOTOGRAPHS")]
    pub what: Vec<PathBuf>,
    /// The data set of real photographs and labels
    pub data: PathBuf,
    /// Size at which models translate: trained, native or a factor such as 0.5
    #[arg(long, help_heading = DATA, default_value = "trained", allow_negative_numbers = true)]
    pub scale: Scale,
    #[command(flatten)]
    pub report: ReportArgs,
    #[command(flatten)]
    pub device: DeviceArgs,
}

pub fn run(score: ScoreCommand) -> Result<ExitCode> {
    match score {
        ScoreCommand::Train(args) => train(*args),
        ScoreCommand::Apply(args) => apply(&args),
    }
}

fn train(mut args: TrainArgs) -> Result<ExitCode> {
    if args.resume.is_none() {
        let network = &mut args.network;
        if network.generator.is_some_and(|kind| kind != GeneratorKind::Fcn8s) {
            return Err(Error::input(
                "--generator: `score train` trains an FCN-8s; leave it out, or use `train`",
            ));
        }
        if args.data.sides.target.is_some_and(|target| target != ReadAs::Labels) {
            return Err(Error::input(
                "--target: a scorer finds classes, so its targets are labels; leave it out",
            ));
        }
        network.generator = Some(GeneratorKind::Fcn8s);
        network.gan = network.gan.or(Some(Gan::None));
        network.base_channels = network.base_channels.or(Some(BASE_CHANNELS));
        args.data.sides.target = Some(ReadAs::Labels);
    }
    train::run(args)
}

fn apply(args: &ApplyArgs) -> Result<ExitCode> {
    evaluate::check_out(&args.report.out)?;
    let names = evaluate::names(&args.what)?;
    evaluate::refuse_targets(&args.what, &args.data)?;
    args.device.start_threads()?;
    let options = TranslateOptions { scale: args.scale, ..TranslateOptions::default() };
    let folder = evaluate::scan(&args.data, true, Pages::default(), None)?;
    let (cases, mut lines) = evaluate::cases(&args.data, &folder, args.report.phase, true)?;
    let (backend, device) = args.device.open()?;
    say(format!("device    {device}"));
    lines.iter().for_each(|line| say(format!("data      {line}")));
    let (scorer, task, line) = open(&args.scorer, options, backend, cases)?;
    words::translator(&scorer.borrow()).iter().for_each(say);
    lines.push(line);
    let (domains, direction) = (task.domains.clone(), task.direction);
    let mut systems: Vec<Box<dyn System>> = Vec::new();
    for (path, name) in args.what.iter().zip(names) {
        let photographs = match evaluate::model(path)? {
            None => {
                let domain = domains.input.clone();
                let folder = path.clone();
                let files = evaluate::predictions(folder, name.clone(), domain, &task.cases)?;
                Photographs::Folder(Box::new(files))
            }
            Some(file) => {
                let (backend, _) = args.device.open()?;
                let model = Translator::open(&file, options, backend)?;
                if model.direction().is_some_and(|of_model| of_model == direction) {
                    return Err(Error::input(format!(
                        "{} was trained in the direction of the scorer, from photographs to labels; score models \
                         that make photographs",
                        file.display()
                    )));
                }
                let (makes, sees) = (model.domains().target.format(), domains.input.format());
                if makes != sees {
                    return Err(Error::input(format!(
                        "{} makes pictures with {makes}, and the scorer was trained on {sees}",
                        file.display()
                    )));
                }
                say(format!("model     {}", file.display()));
                words::translator(&model).iter().for_each(say);
                Photographs::Model(Box::new(model))
            }
        };
        systems.push(Box::new(ThroughScorer { name, photographs, scorer: scorer.clone() }));
    }
    let name = "real photographs".to_string();
    systems.push(Box::new(ThroughScorer { name, photographs: Photographs::Real, scorer }));
    evaluate::report(&task, systems, lines, &args.report)
}

/// Opens a scorer: it, what is scored by it, and a sentence about it.
///
/// # Errors
/// A model that gives no classes.
pub fn open(
    path: &Path,
    options: TranslateOptions,
    backend: Box<dyn Backend>,
    cases: Vec<Case>,
) -> Result<(Scorer, Task, String)> {
    let Some(file) = evaluate::model(path)? else {
        return Err(Error::input(format!(
            "{} holds no model; give the run of `score train`",
            path.display()
        )));
    };
    let scorer = Translator::open(&file, options, backend)?;
    let domains = scorer.domains().clone();
    if !matches!(domains.target.kind, DomainKind::Labels { .. }) {
        return Err(Error::input(format!(
            "{} gives no classes, so it cannot score: train a scorer by `score train`",
            file.display()
        )));
    }
    say(format!("scorer    {}", file.display()));
    let best = Checkpoint::open(path).ok().and_then(|run| run.progress.best);
    let validation = match best {
        Some((epoch, scores)) => {
            format!("its best validation, after epoch {epoch}, gave {}", scores.line())
        }
        None => "no validation of it is known".to_string(),
    };
    let line = format!(
        "The scorer is {}: {validation}. The row \"real photographs\" is what it finds in the real ones: no generated \
         ones can be expected to be above it.",
        path.display()
    );
    let direction = scorer.direction().unwrap_or(Direction::AToB);
    let task = Task { cases, domains, direction, has_inputs: true };
    Ok((Rc::new(RefCell::new(scorer)), task, line))
}
