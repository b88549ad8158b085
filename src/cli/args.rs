//! The arguments of the program.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use super::data::DataArgs;
use super::device::DeviceArgs;
use super::jobs::Shard;
use super::values;
use crate::data::{Direction, Fit};
use crate::kernel::Statistics;
use crate::model::{GeneratorKind, NormKind};
use crate::tensor::Size;
use crate::train::{Distance, Gan};
use crate::translate::Scale;

// The groups of flags in the help texts, in the order in which they are printed.
pub const DATA: &str = "Data";
pub const NETWORKS: &str = "Networks";
pub const LOSSES: &str = "Losses";
pub const OPTIMISER: &str = "Optimiser";
pub const RUN: &str = "Run";
pub const MACHINE: &str = "Machine";

/// The last line of a short help.
const ALL_FLAGS: &str = "These are the flags that most runs need; --help shows all of them.";

/// pix2pix from scratch: trains and runs image-to-image translation.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_help = super::EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train on a folder of picture pairs.
    Train(Box<TrainArgs>),
    /// Look for faults in a data set, and plan a training on it.
    Check(Box<super::check::CheckArgs>),
    /// Translate pictures with a trained model.
    Translate(TranslateArgs),
    /// Score models, or pictures from elsewhere, against their targets.
    Evaluate(Box<super::evaluate::EvaluateArgs>),
    /// Score generated photographs by the classes that a network finds in them: the FCN-score.
    Score {
        #[command(subcommand)]
        what: super::score::ScoreCommand,
    },
    /// Train and score the rows of a table: the paper's on your data, or one of your own.
    Ablate(Box<super::ablate::AblateArgs>),
    /// Make a data set of pictures: pairs, pieces, sizes, phases, or inputs such as edges.
    Prepare {
        #[command(subcommand)]
        what: super::prepare::Prepare,
    },
    /// Convert a model between .safetensors and PyTorch's .pth, either way.
    Convert {
        /// The file to read.
        from: PathBuf,
        /// The file to write; its extension names the format.
        to: PathBuf,
    },
    /// Print the layers of the networks, with shapes and parameter counts.
    Describe(DescribeArgs),
    /// Compare a GPU with the CPU, kernel by kernel: run it once on a new machine.
    Verify(VerifyArgs),
    /// List the devices of this machine, or say why one cannot be used.
    Devices,
}

/// The networks; the defaults are those of the PyTorch port.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = NETWORKS)]
pub struct NetworkArgs {
    /// Height and width of training pictures, N or HxW, multiples of 16 [default: planned, at most 256]
    #[arg(long, value_name = "N")]
    pub size: Option<Size>,
    /// Generator [default: unet]
    #[arg(long, value_name = "KIND", value_parser = values::one_of::<GeneratorKind>())]
    pub generator: Option<GeneratorKind>,
    /// Channels after the first layer [default: 64]
    ///
    /// It counts for the generator, and for the discriminator unless --discriminator-channels is
    /// given.
    #[arg(long, value_name = "N")]
    pub base_channels: Option<usize>,
    /// Channels after the first layer of the discriminator [default: as --base-channels]
    #[arg(long, hide_short_help = true, value_name = "N")]
    pub discriminator_channels: Option<usize>,
    /// How often the generator halves a picture [default: to 1 x 1, at most 8 times]
    #[arg(long, hide_short_help = true, value_name = "N")]
    pub depth: Option<usize>,
    /// Normalisation [default: batch]
    #[arg(long, hide_short_help = true, value_parser = values::one_of::<NormKind>())]
    pub norm: Option<NormKind>,
    /// Height and width of the patches that the discriminator judges: 1, 16, 34, 70, 142 or 286
    /// pixels [default: 70]
    #[arg(long, hide_short_help = true, value_name = "N")]
    pub patch: Option<usize>,
    /// No dropout in the generator
    #[arg(long, hide_short_help = true)]
    pub no_dropout: bool,
    /// Adversarial loss [default: vanilla]
    #[arg(long, hide_short_help = true, help_heading = LOSSES)]
    #[arg(value_parser = values::one_of::<Gan>())]
    pub gan: Option<Gan>,
    /// The discriminator sees the output alone, not the input beside it
    #[arg(long, hide_short_help = true, help_heading = LOSSES)]
    pub unconditional: bool,
}

/// `train`: -h shows the flags that most runs need, --help all of them.
#[derive(Debug, clap::Args)]
#[command(after_help = ALL_FLAGS, after_long_help = super::EXIT_CODES)]
pub struct TrainArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// Follow the plan of `check`: its settings count where no flag says otherwise
    #[arg(long, help_heading = DATA, value_name = "FILE", conflicts_with = "resume")]
    pub plan: Option<PathBuf>,
    /// Which picture is the input [default: a2b]
    #[arg(long, help_heading = DATA)]
    #[arg(value_name = "WAY", value_parser = values::one_of::<Direction>())]
    pub direction: Option<Direction>,
    /// How pictures get the size of the training [default: crop]
    #[arg(long, help_heading = DATA, value_parser = values::one_of::<Fit>())]
    pub fit: Option<Fit>,
    /// Use pictures as they are, or resized to --size, instead of random crops of larger ones
    #[arg(long, hide_short_help = true, help_heading = DATA)]
    pub no_jitter: bool,
    /// Never mirror pictures
    #[arg(long, hide_short_help = true, help_heading = DATA)]
    pub no_flip: bool,
    /// Mirror pictures top to bottom too, half of them
    #[arg(long, hide_short_help = true, help_heading = DATA)]
    pub flip_vertical: bool,
    /// Turn pictures by quarters, each of the four alike: for pictures without an up
    #[arg(long, hide_short_help = true, help_heading = DATA)]
    pub turn: bool,
    /// Add noise to inputs: its standard deviation as a share of the range of samples, such as 0.02
    #[arg(long, hide_short_help = true, help_heading = DATA, value_name = "SHARE")]
    pub noise: Option<f32>,
    /// Make inputs brighter or darker at random, by at most this share of the range of samples
    #[arg(long, hide_short_help = true, help_heading = DATA, value_name = "SHARE")]
    pub brightness: Option<f32>,
    /// Take pictures in the order of their names
    #[arg(long, hide_short_help = true, help_heading = DATA)]
    pub no_shuffle: bool,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Initial weights of the generator: a model file or PyTorch's latest_net_G.pth
    #[arg(long, hide_short_help = true, help_heading = NETWORKS)]
    #[arg(value_name = "FILE", conflicts_with = "resume")]
    pub init_generator: Option<PathBuf>,
    /// Initial weights of the discriminator: a checkpoint or PyTorch's latest_net_D.pth
    #[arg(long, hide_short_help = true, help_heading = NETWORKS)]
    #[arg(value_name = "FILE", conflicts_with = "resume")]
    pub init_discriminator: Option<PathBuf>,
    /// Distance between output and target [default: l1]
    #[arg(long, hide_short_help = true, help_heading = LOSSES)]
    #[arg(value_parser = values::one_of::<Distance>())]
    pub distance: Option<Distance>,
    /// Weight of the distance to the target [default: 100]
    ///
    /// The adversarial loss has weight 1.
    #[arg(long, help_heading = LOSSES, allow_negative_numbers = true, value_name = "WEIGHT")]
    pub lambda_l1: Option<f32>,
    /// Learning rate [default: 2e-4]
    #[arg(long, help_heading = OPTIMISER, allow_negative_numbers = true, value_name = "RATE")]
    pub lr: Option<f32>,
    /// Adam's first decay [default: 0.5]
    #[arg(long, hide_short_help = true, help_heading = OPTIMISER, allow_negative_numbers = true)]
    pub beta1: Option<f32>,
    /// Pictures per step [default: 1]
    #[arg(long, help_heading = OPTIMISER, value_name = "N")]
    pub batch_size: Option<usize>,
    /// How the learning rate changes [default: linear]
    #[arg(long, hide_short_help = true, help_heading = OPTIMISER)]
    pub schedule: Option<ScheduleKind>,
    /// Epochs at the full rate before --schedule linear lowers it, and between two drops of
    /// --schedule step [default: half of all, or all but --decay-epochs; for step 50]
    #[arg(long, hide_short_help = true, help_heading = OPTIMISER, value_name = "N")]
    pub full_epochs: Option<u64>,
    /// Epochs over which --schedule linear lowers the rate [default: all behind --full-epochs]
    #[arg(long, hide_short_help = true, help_heading = OPTIMISER, value_name = "N")]
    pub decay_epochs: Option<u64>,
    /// The folder of the run [default: runs/NAME of the data]
    #[arg(long, help_heading = RUN, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Go on with this run exactly as if it had not stopped
    ///
    /// RUN is its folder, or one of its checkpoints.
    #[arg(long, help_heading = RUN, value_name = "RUN")]
    pub resume: Option<PathBuf>,
    /// Epochs, counted from the start of the run [default: planned, at most 200, or as it was begun]
    #[arg(long, help_heading = RUN, conflicts_with = "steps", value_name = "N")]
    pub epochs: Option<u64>,
    /// Steps instead of epochs, counted from the start of the run
    #[arg(long, hide_short_help = true, help_heading = RUN, value_name = "N")]
    pub steps: Option<u64>,
    /// Seed of all random numbers [default: 0]
    #[arg(long, hide_short_help = true, help_heading = RUN)]
    pub seed: Option<u64>,
    /// Validate on the pictures of `val` every N epochs, 0 never [default: 1]
    #[arg(long, hide_short_help = true, help_heading = RUN, value_name = "N")]
    pub val_every: Option<u64>,
    /// Write a checkpoint every N steps, beside those at the ends of epochs and of the run
    #[arg(long, hide_short_help = true, help_heading = RUN, value_name = "N")]
    pub save_every: Option<u64>,
    /// Write a checkpoint inside an epoch if the last is older than this, 0 never [default: 5]
    #[arg(long, hide_short_help = true, help_heading = RUN, value_name = "MINUTES")]
    #[arg(allow_negative_numbers = true)]
    pub save_minutes: Option<f64>,
    /// Keep the networks of every Nth epoch as checkpoints/epoch-NNNN.safetensors
    #[arg(long, hide_short_help = true, help_heading = RUN, value_name = "N")]
    pub keep_every: Option<u64>,
    /// Print each operation of a training step with its memory, and exit
    #[arg(long, hide_short_help = true, help_heading = RUN)]
    pub print_program: bool,
    #[command(flatten)]
    pub device: DeviceArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScheduleKind {
    /// The same rate throughout
    Constant,
    /// The full rate, then down in even steps
    Linear,
    /// A tenth every --full-epochs epochs
    Step,
    /// Half a cosine over all epochs
    Cosine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Dropout as in training: outputs vary with --seed
    On,
    /// No dropout: the output depends on the picture alone
    Off,
}

#[derive(Debug, clap::Args)]
#[command(after_help = ALL_FLAGS, after_long_help = super::EXIT_CODES)]
pub struct TranslateArgs {
    /// A model.safetensors, a run's folder, a checkpoint, or PyTorch's latest_net_G.pth
    pub model: PathBuf,
    /// Pictures, or folders of pictures, with the folders below them
    #[arg(required = true)]
    pub input: Vec<PathBuf>,
    /// Where to write: a picture's name for one picture, else a folder
    ///
    /// The name ends in .png, .jpg, .bmp, .gif, .tiff, .webp, .ppm, .npy, .npz, .nii, .nii.gz or .mha. Without it light is
    /// written as PNG, anything else as the input is, or as TIFF. Without a path one picture becomes
    /// NAME-translated.png beside you, several are written to the folder translated.
    #[arg(long, short, help_heading = DATA, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Inputs are pairs: translate the input of each, and compare with its target
    ///
    /// They lie side by side, or in folders as for training.
    #[arg(long, help_heading = DATA)]
    pub pairs: bool,
    /// Quality of .jpg outputs, 1 to 100 [default: 95]
    #[arg(long, hide_short_help = true, help_heading = DATA, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=100))]
    pub quality: Option<u8>,
    /// Size at which pictures are translated: trained, native or a factor such as 0.5
    ///
    /// trained resizes a picture as those of the model's training were, native leaves it as it is.
    /// Translations are resized back. Models that do not tell what was done leave it as it is.
    #[arg(long, help_heading = DATA, default_value = "trained", allow_negative_numbers = true)]
    pub scale: Scale,
    /// Height and width of tiles, in pixels; larger pictures are cut into such
    ///
    /// By default a picture is cut into tiles only where it does not fit into memory. Tiles overlap, and one passes
    /// into the next; a TIFF is then read and written in parts, so that it may be larger than the memory.
    #[arg(long, help_heading = DATA, value_name = "PIXELS")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub tile: Option<u32>,
    /// Pixels that neighbouring tiles share [default: exact if that is half a tile at most, else a quarter]
    #[arg(long, hide_short_help = true, help_heading = DATA, value_name = "PIXELS")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub overlap: Option<u32>,
    /// Translate only part I of N of the pictures, such as 2/8: for a job array
    ///
    /// Every Nth picture, from the Ith, in the order of their names: N runs translate each once.
    #[arg(long, help_heading = DATA, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Translate only pictures whose output does not exist
    #[arg(long, help_heading = DATA)]
    pub missing: bool,
    /// Statistics of batch norm [default: what validation found better, else batch]
    #[arg(long, help_heading = NETWORKS, value_name = "KIND")]
    #[arg(value_parser = values::one_of::<Statistics>())]
    pub norm: Option<Statistics>,
    /// Whether dropout drops
    #[arg(long, hide_short_help = true, help_heading = NETWORKS, default_value = "off")]
    pub dropout: Switch,
    /// Seed of the dropout
    #[arg(long, hide_short_help = true, help_heading = NETWORKS, default_value_t = 0)]
    pub seed: u64,
    #[command(flatten)]
    pub device: DeviceArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = ALL_FLAGS, after_long_help = "")]
pub struct VerifyArgs {
    /// The file for the whole table, to attach to a bug report
    #[arg(long, default_value = "verify.txt")]
    pub report: PathBuf,
    /// Write a line for every comparison, not only for each kind
    #[arg(long)]
    pub verbose: bool,
    /// Also measure: time, bytes and operations of every kernel of a step, and images per second
    #[arg(long)]
    pub bench: bool,
    #[command(flatten)]
    pub device: DeviceArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = ALL_FLAGS, after_long_help = "")]
pub struct DescribeArgs {
    /// A model file, a checkpoint or a .pth; without it, the networks that the flags describe
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub network: NetworkArgs,
}
