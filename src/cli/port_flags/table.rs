//! The flags of the port, a row each.

/// A flag of the port.
#[derive(Debug)]
pub struct PortFlag {
    /// Its name without dashes, as the port writes it now.
    pub name: &'static str,
    /// Its names in older versions of the port.
    pub older: &'static [&'static str],
    /// Whether a value follows it.
    pub takes_value: bool,
    /// What becomes of it.
    pub becomes: Becomes,
}

/// What becomes of a flag of the port.
#[derive(Debug)]
pub enum Becomes {
    /// The same flag under our name; its value, if it has one, stays.
    Ours(&'static str),
    /// What each of its values becomes, and what is said of any other value.
    OneOf(&'static [(&'static str, Becomes)], &'static str),
    /// Several flags of ours, as typed.
    Words(&'static str),
    /// Nothing: it is what happens anyway.
    Already,
    /// Nothing, for this reason: it changes no result.
    Nothing(&'static str),
    /// It cannot be had; what to do instead.
    Refused(&'static str),
    /// What [`super::settled`] makes of it together with others.
    Together,
}

use Becomes::{Already, Nothing, OneOf, Ours, Refused, Together, Words};

const fn value(name: &'static str, becomes: Becomes) -> PortFlag {
    PortFlag { name, older: &[], takes_value: true, becomes }
}

const fn switch(name: &'static str, becomes: Becomes) -> PortFlag {
    PortFlag { takes_value: false, ..value(name, becomes) }
}

const fn renamed(older: &'static [&'static str], flag: PortFlag) -> PortFlag {
    PortFlag { older, ..flag }
}

const PAIRS_ALONE: &str = "this program learns from pairs of pictures (the port's pix2pix and \
                           aligned) alone";
const CHANNELS: &str = "pictures are read as RGB, grey ones too; leave it out";
const NO_RESNET: &str = "there is no ResNet generator here; leave it out for the U-Net of the \
                         paper, or give --generator encoder-decoder";
const TERMINAL: Becomes =
    Nothing("progress is shown in the terminal, sheets of pictures are in the run's samples/");
const METRICS: Becomes = Nothing("the run's metrics.jsonl has every step");
const OF_TEST: Becomes =
    Refused("it belongs to test.py, which is `translate RUN PICTURES` here: see translate --help");

/// Every flag of the port that is known here.
pub const FLAGS: &[PortFlag] = &[
    // Data.
    value("dataroot", Together),
    renamed(
        &["which_direction"],
        value(
            "direction",
            OneOf(
                &[("AtoB", Words("--direction a2b")), ("BtoA", Words("--direction b2a"))],
                "give AtoB or BtoA, here a2b or b2a",
            ),
        ),
    ),
    value("dataset_mode", OneOf(&[("aligned", Already)], PAIRS_ALONE)),
    renamed(&["loadSize"], value("load_size", Together)),
    renamed(&["fineSize"], value("crop_size", Together)),
    renamed(&["resize_or_crop"], value("preprocess", Together)),
    switch("no_flip", Ours("--no-flip")),
    switch("serial_batches", Ours("--no-shuffle")),
    value(
        "max_dataset_size",
        OneOf(&[("inf", Already)], "give a folder that holds only the pictures to train on"),
    ),
    renamed(
        &["nThreads"],
        value(
            "num_threads",
            Nothing("pictures are loaded beside the steps as fast as they use them"),
        ),
    ),
    value(
        "phase",
        OneOf(
            &[("train", Already)],
            "the folder `train` of the data is used; give another as DATA",
        ),
    ),
    // Networks.
    value("model", OneOf(&[("pix2pix", Already)], PAIRS_ALONE)),
    value("input_nc", OneOf(&[("3", Already)], CHANNELS)),
    value("output_nc", OneOf(&[("3", Already)], CHANNELS)),
    value("ngf", Together),
    value("ndf", Together),
    renamed(
        &["which_model_netG"],
        value(
            "netG",
            OneOf(
                &[
                    ("unet_256", Words("--depth 8")),
                    ("unet_128", Words("--depth 7")),
                    ("resnet_9blocks", Refused(NO_RESNET)),
                    ("resnet_6blocks", Refused(NO_RESNET)),
                ],
                "the port's unet_256 is --depth 8 here, its unet_128 --depth 7",
            ),
        ),
    ),
    renamed(&["which_model_netD"], value("netD", Together)),
    value("n_layers_D", Together),
    value(
        "norm",
        OneOf(
            &[
                ("batch", Words("--norm batch")),
                ("instance", Words("--norm instance")),
                ("none", Words("--norm none")),
                ("syncbatch", Words("--norm batch")),
                ("sync_batch", Words("--norm batch")),
            ],
            "give --norm batch, instance or none",
        ),
    ),
    switch("no_dropout", Ours("--no-dropout")),
    value(
        "init_type",
        OneOf(&[("normal", Already)], "weights begin as in the paper, normal with deviation 0.02"),
    ),
    value(
        "init_gain",
        OneOf(&[("0.02", Already)], "weights begin as in the paper, normal with deviation 0.02"),
    ),
    // Losses.
    value(
        "gan_mode",
        OneOf(
            &[
                ("vanilla", Words("--gan vanilla")),
                ("lsgan", Words("--gan lsgan")),
                (
                    "wgangp",
                    Refused(
                        "there is no WGAN-GP here, and the port's pix2pix never adds its gradient \
                         penalty; give --gan vanilla or lsgan",
                    ),
                ),
            ],
            "give --gan vanilla, lsgan or none",
        ),
    ),
    switch("no_lsgan", Words("--gan vanilla")),
    value("lambda_L1", Ours("--lambda-l1")),
    value("lambda_A", Refused(PAIRS_ALONE)),
    value("lambda_B", Refused(PAIRS_ALONE)),
    value("lambda_identity", Refused(PAIRS_ALONE)),
    value(
        "pool_size",
        OneOf(&[("0", Already)], "the discriminator sees the newest pictures, the port's 0"),
    ),
    // Optimiser.
    renamed(&["batchSize"], value("batch_size", Ours("--batch-size"))),
    renamed(&["niter"], value("n_epochs", Together)),
    renamed(&["niter_decay"], value("n_epochs_decay", Together)),
    value("lr_policy", Together),
    value("lr_decay_iters", Together),
    // Run.
    value("name", Together),
    value("checkpoints_dir", Together),
    switch("continue_train", Together),
    value(
        "suffix",
        OneOf(&[("", Already)], "give the whole name of the run's folder as --out FOLDER"),
    ),
    value("epoch_count", Together),
    renamed(
        &["which_epoch"],
        value(
            "epoch",
            OneOf(
                &[("latest", Already)],
                "to go on from an older checkpoint give it as --resume FILE; how many epochs to \
                 train is --epochs",
            ),
        ),
    ),
    value(
        "load_iter",
        OneOf(&[("0", Already)], "to go on from an older checkpoint give it as --resume FILE"),
    ),
    value("save_epoch_freq", Ours("--keep-every")),
    value(
        "save_latest_freq",
        Nothing("the latest checkpoint is written after every epoch; --save-every N for more"),
    ),
    switch("save_by_iter", Nothing("kept checkpoints are numbered by epoch")),
    value("print_freq", METRICS),
    value("display_freq", TERMINAL),
    value("display_winsize", TERMINAL),
    value("display_ncols", TERMINAL),
    value("display_id", TERMINAL),
    value("display_server", TERMINAL),
    value("display_env", TERMINAL),
    value("display_port", TERMINAL),
    value("update_html_freq", TERMINAL),
    switch("no_html", TERMINAL),
    switch("use_wandb", METRICS),
    value("wandb_project_name", METRICS),
    switch("verbose", Nothing("`describe` prints every layer")),
    // Machine.
    value("gpu_ids", Together),
    // test.py.
    value("results_dir", OF_TEST),
    value("aspect_ratio", OF_TEST),
    renamed(&["ntest"], value("num_test", OF_TEST)),
    switch("eval", OF_TEST),
];

/// The flag of the port with this name, with underscores or dashes, whatever the case of its
/// letters.
pub fn find(name: &str) -> Option<&'static PortFlag> {
    let same = |known: &str| known.replace('_', "-").eq_ignore_ascii_case(&name.replace('_', "-"));
    FLAGS.iter().find(|flag| same(flag.name) || flag.older.iter().any(|older| same(older)))
}
