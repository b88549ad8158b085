//! Every flag of the port, a row each: what was typed, what it becomes.

use clap::Parser;

use super::super::args::{Cli, Command};
use super::table::FLAGS;
use super::*;
use crate::random::{below, philox};

fn of(line: &str) -> Result<Arguments> {
    let words = line.split(' ').filter(|word| !word.is_empty());
    // A word that is two single quotes is empty.
    let words = words.map(|word| OsString::from(word.replace("''", "")));
    ours([OsString::from("p")].into_iter().chain(words).collect())
}

fn joined(args: &[OsString]) -> String {
    let words = args[1..].iter().map(|word| word.to_str().unwrap());
    words.collect::<Vec<_>>().join(" ")
}

/// What is typed, what it becomes, and what is said.
type Row = (&'static str, &'static str, &'static [&'static str]);

const BECOMES: [Row; 74] = [
    // Data.
    ("--dataroot data", "data", &["--dataroot data is data"]),
    ("d --direction AtoB", "--direction a2b d", &["--direction AtoB is --direction a2b"]),
    ("d --direction BtoA", "--direction b2a d", &["--direction BtoA is --direction b2a"]),
    ("d --direction=BtoA", "--direction b2a d", &["--direction BtoA is --direction b2a"]),
    (
        "d --which_direction BtoA",
        "--direction b2a d",
        &["--which_direction BtoA is --direction b2a"],
    ),
    ("d --dataset_mode aligned", "d", &["--dataset_mode aligned: so it is here"]),
    ("d --load_size 286", "d", &["--load_size 286: so it is here"]),
    ("d --load_size 256", "--no-jitter d", &["--load_size 256 is --no-jitter"]),
    ("d --crop_size 256", "--size 256 d", &["--crop_size 256 is --size 256"]),
    (
        "d --crop_size 128",
        "--size 128 d",
        &["--crop_size 128 is --size 128", "resized to 143 before the crop, not to 286"],
    ),
    (
        "d --load_size 143 --crop_size 128",
        "--size 128 d",
        &["--load_size 143 --crop_size 128 is --size 128"],
    ),
    (
        "d --loadSize 512 --fineSize 512",
        "--size 512 --no-jitter d",
        &["--loadSize 512 --fineSize 512 is --size 512 --no-jitter"],
    ),
    ("d --preprocess resize_and_crop", "d", &["--preprocess resize_and_crop: so it is here"]),
    ("d --no_flip", "--no-flip d", &["--no_flip is --no-flip"]),
    ("d --serial_batches", "--no-shuffle d", &["--serial_batches is --no-shuffle"]),
    ("d --max_dataset_size inf", "d", &["--max_dataset_size inf: so it is here"]),
    ("d --num_threads 4", "d", &["--num_threads 4 has no effect: pictures are loaded"]),
    ("d --nThreads 4", "d", &["--nThreads 4 has no effect: pictures are loaded"]),
    ("d --phase train", "d", &["--phase train: so it is here"]),
    // Networks.
    ("d --model pix2pix", "d", &["--model pix2pix: so it is here"]),
    ("d --input_nc 3 --output_nc 3", "d", &["--input_nc 3, --output_nc 3: so it is here"]),
    (
        "d --ngf 32",
        "--base-channels 32 --discriminator-channels 64 d",
        &["--ngf 32 is --base-channels 32 --discriminator-channels 64"],
    ),
    ("d --ngf 32 --ndf 32", "--base-channels 32 d", &["--ngf 32 --ndf 32 is --base-channels 32"]),
    ("d --ngf 64", "--base-channels 64 d", &["--ngf 64 is --base-channels 64"]),
    ("d --ndf 16", "--discriminator-channels 16 d", &["--ndf 16 is --discriminator-channels 16"]),
    ("d --netG unet_256", "--depth 8 d", &["--netG unet_256 is --depth 8"]),
    ("d --netg unet_128", "--depth 7 d", &["--netg unet_128 is --depth 7"]),
    ("d --which_model_netG unet_256", "--depth 8 d", &["--which_model_netG unet_256 is --depth 8"]),
    ("d --netD basic", "--patch 70 d", &["--netD basic is --patch 70"]),
    ("d --netD pixel", "--patch 1 d", &["--netD pixel is --patch 1"]),
    ("d --netD n_layers", "--patch 70 d", &["--netD n_layers is --patch 70"]),
    (
        "d --n_layers_D 4 --netD n_layers",
        "--patch 142 d",
        &["--netD n_layers --n_layers_D 4 is --patch 142"],
    ),
    ("d --n_layers_D 4", "d", &["--n_layers_D 4 has no effect without --netD n_layers"]),
    ("d --norm syncbatch", "--norm batch d", &["--norm syncbatch is --norm batch"]),
    ("d --norm sync_batch", "--norm batch d", &["--norm sync_batch is --norm batch"]),
    ("d --no_dropout", "--no-dropout d", &["--no_dropout is --no-dropout"]),
    (
        "d --init_type normal --init_gain 0.02",
        "d",
        &["--init_type normal, --init_gain 0.02: so it is here"],
    ),
    // Losses.
    ("d --gan_mode vanilla", "--gan vanilla d", &["--gan_mode vanilla is --gan vanilla"]),
    ("d --gan_mode lsgan", "--gan lsgan d", &["--gan_mode lsgan is --gan lsgan"]),
    ("d --no_lsgan", "--gan vanilla d", &["--no_lsgan is --gan vanilla"]),
    ("d --lambda_L1 50", "--lambda-l1 50 d", &["--lambda_L1 50 is --lambda-l1 50"]),
    ("d --lambda_L1=0.5", "--lambda-l1 0.5 d", &["--lambda_L1 0.5 is --lambda-l1 0.5"]),
    ("d --pool_size 0", "d", &["--pool_size 0: so it is here"]),
    // Optimiser.
    ("d --batch_size 4", "--batch-size 4 d", &["--batch_size 4 is --batch-size 4"]),
    ("d --batchSize 4", "--batch-size 4 d", &["--batchSize 4 is --batch-size 4"]),
    ("d --batch_size 4 --batch_size 8", "--batch-size 8 d", &["--batch_size 8 is --batch-size 8"]),
    (
        "d --n_epochs 50 --n_epochs_decay 50",
        "--epochs 100 --full-epochs 50 --decay-epochs 50 d",
        &["--n_epochs 50 --n_epochs_decay 50 is --epochs 100 --full-epochs 50 --decay-epochs 50"],
    ),
    (
        "d --n-epochs 5",
        "--epochs 105 --full-epochs 5 --decay-epochs 100 d",
        &["--n-epochs 5 is --epochs 105 --full-epochs 5 --decay-epochs 100"],
    ),
    (
        "d --niter 15 --niter_decay 0",
        "--epochs 15 --full-epochs 15 --decay-epochs 0 d",
        &["--niter 15 --niter_decay 0 is --epochs 15 --full-epochs 15 --decay-epochs 0"],
    ),
    ("d --lr_policy linear", "d", &["--lr_policy linear: so it is here"]),
    (
        "d --lr_policy step --lr_decay_iters 30",
        "--schedule step --full-epochs 30 d",
        &["--lr_policy step --lr_decay_iters 30 is --schedule step --full-epochs 30"],
    ),
    (
        "d --lr_policy cosine --n_epochs 20 --n_epochs_decay 0",
        "--epochs 20 --schedule cosine d",
        &["is --epochs 20", "--lr_policy cosine is --schedule cosine", "over all epochs"],
    ),
    ("d --lr_decay_iters 30", "d", &["--lr_decay_iters 30 has no effect without"]),
    // Run.
    ("d --name x", "--out runs/x d", &["--name x is --out runs/x"]),
    (
        "d --name x --checkpoints_dir c",
        "--out c/x d",
        &["--checkpoints_dir c --name x is --out c/x"],
    ),
    (
        "d --checkpoints_dir c",
        "--out c/experiment_name d",
        &["--checkpoints_dir c is --out c/experiment_name"],
    ),
    (
        "d --continue_train --name x --epoch_count 21",
        "--resume runs/x d",
        &["--continue_train --name x is --resume runs/x", "a run knows its epoch"],
    ),
    ("d --epoch_count 1", "d", &["--epoch_count 1 has no effect"]),
    ("d --suffix ''", "d", &["--suffix '': so it is here"]),
    ("d --epoch latest", "d", &["--epoch latest: so it is here"]),
    ("d --load_iter 0", "d", &["--load_iter 0: so it is here"]),
    ("d --save_epoch_freq 5", "--keep-every 5 d", &["--save_epoch_freq 5 is --keep-every 5"]),
    ("d --save_latest_freq 5000", "d", &["--save_latest_freq 5000 has no effect: the latest"]),
    ("d --save_by_iter", "d", &["--save_by_iter has no effect"]),
    ("d --print_freq 100", "d", &["--print_freq 100 has no effect: the run's metrics.jsonl"]),
    ("d --display_freq 400", "d", &["--display_freq 400 has no effect: progress"]),
    ("d --display_winsize 256", "d", &["--display_winsize 256 has no effect"]),
    (
        "d --display_id -1 --display_server s --display_env e",
        "d",
        &["--display_id -1 has no", "--display_server s has no", "--display_env e has no"],
    ),
    (
        "d --display_port 8097 --display_ncols 4",
        "d",
        &["--display_port 8097 has no effect", "--display_ncols 4 has no effect"],
    ),
    (
        "d --update_html_freq 1000 --no_html",
        "d",
        &["--update_html_freq 1000 has no effect", "--no_html has no effect"],
    ),
    (
        "d --use_wandb --wandb_project_name w --verbose",
        "d",
        &["--use_wandb has no effect", "--wandb_project_name w has", "`describe` prints"],
    ),
    // Machine.
    ("d --gpu_ids 0", "--device cuda:0 d", &["--gpu_ids 0 is --device cuda:0"]),
    ("d --gpu_ids -1", "--device cpu d", &["--gpu_ids -1 is --device cpu"]),
    ("d --gpu-ids=1", "--device cuda:1 d", &["--gpu-ids 1 is --device cuda:1"]),
];

#[test]
fn flags_that_mean_the_same_become_ours_and_it_is_said() {
    for (typed, becomes, says) in BECOMES {
        let got = of(&format!("train {typed}")).unwrap_or_else(|e| panic!("{typed}: {e}"));
        assert_eq!(joined(&got.args), format!("train {becomes}"), "{typed}");
        assert_eq!(got.notes.len(), says.len(), "{typed}: {:?}", got.notes);
        for (note, says) in got.notes.iter().zip(says) {
            assert!(note.contains(says), "{typed}: {says:?} in {:?}", got.notes);
        }
    }
}

/// What is typed, and what the error says.
const REFUSED: [(&str, &[&str]); 43] = [
    ("d --model cycle_gan", &["--model cycle_gan is a flag of the PyTorch port", "pairs"]),
    ("d --dataset_mode unaligned", &["--dataset_mode unaligned", "pairs of pictures"]),
    ("d --netG resnet_9blocks", &["--netG resnet_9blocks", "no ResNet", "encoder-decoder"]),
    ("d --netG resnet_6blocks", &["--netG resnet_6blocks", "no ResNet"]),
    ("d --netG unet_512", &["--netG unet_512", "unet_256 is --depth 8"]),
    ("d --netD multi", &["--netD multi", "--patch 1, 16, 34"]),
    ("d --netD n_layers --n_layers_D 9", &["--n_layers_D 9", "1 to 6", "--patch PIXELS"]),
    ("d --input_nc 1", &["--input_nc 1", "read as RGB", "leave it out"]),
    ("d --output_nc 4", &["--output_nc 4", "read as RGB"]),
    ("d --ngf many", &["--ngf many", "a whole number"]),
    ("d --ndf -1", &["--ndf -1", "a whole number"]),
    ("d --init_type xavier", &["--init_type xavier", "as in the paper"]),
    ("d --init_gain 1", &["--init_gain 1", "0.02"]),
    ("d --load_size 512", &["--load_size 512", "resized to 286", "--load_size 256 for no crop"]),
    ("d --load_size 512 --crop_size 128", &["to 143 before 128 x 128", "--no-jitter"]),
    ("d --preprocess none", &["--preprocess none", "--no-jitter"]),
    ("d --preprocess scale_width", &["--preprocess scale_width", "--fit"]),
    ("d --preprocess crop", &["--preprocess crop", "286/256 of --size"]),
    ("d --max_dataset_size 100", &["--max_dataset_size 100", "only the pictures to train on"]),
    ("d --phase val", &["--phase val", "the folder `train`"]),
    ("d --gan_mode wgangp", &["--gan_mode wgangp", "no WGAN-GP", "--gan vanilla or lsgan"]),
    ("d --gan_mode hinge", &["--gan_mode hinge", "--gan vanilla, lsgan or none"]),
    ("d --pool_size 50", &["--pool_size 50", "the newest pictures"]),
    ("d --lr_policy plateau", &["--lr_policy plateau", "--schedule linear, step or cosine"]),
    ("d --lr_policy cyclic", &["--lr_policy cyclic", "--schedule constant"]),
    ("d --lambda_A 10 --lambda_B 10", &["--lambda_A 10", "pairs of pictures"]),
    ("d --lambda_identity 0.5", &["--lambda_identity 0.5", "pairs of pictures"]),
    ("d --n_epochs 1e3", &["--n_epochs 1e3", "a whole number"]),
    ("d --niter_decay", &["--niter_decay needs a value"]),
    ("d --n_epochs --n_epochs_decay 5", &["--n_epochs needs a value"]),
    ("d --continue_train", &["--continue_train", "--resume RUN"]),
    ("d --name ''", &["--name ''", "--out FOLDER"]),
    ("--dataroot ''", &["--dataroot ''", "the folder of the data"]),
    ("d --suffix {model}", &["--suffix", "--out FOLDER"]),
    ("d --epoch 50", &["--epoch 50", "--resume FILE", "how many epochs to train is --epochs"]),
    ("d --load_iter 9000", &["--load_iter 9000", "--resume FILE"]),
    ("d --epoch_count 21", &["--epoch_count 21", "--resume RUN"]),
    ("d --gpu_ids 0,1", &["--gpu_ids 0,1", "one GPU", "--device cuda:N"]),
    ("d --no_flip=1", &["--no_flip is a switch"]),
    ("d --results_dir r", &["--results_dir r", "test.py", "translate RUN PICTURES"]),
    ("d --num_test 5", &["--num_test 5", "test.py"]),
    ("d --eval", &["--eval", "test.py"]),
    ("d --aspect_ratio 1.0", &["--aspect_ratio 1.0", "test.py"]),
];

#[test]
fn flags_that_cannot_be_had_are_refused_with_ours() {
    for (typed, says) in REFUSED {
        let error = of(&format!("train {typed}")).expect_err(typed);
        assert_eq!(error.exit_code(), 1, "{typed}");
        let error = error.to_string();
        assert!(says.iter().all(|says| error.contains(says)), "{typed}: {error}");
    }
}

#[test]
fn every_row_of_the_table_is_tested() {
    let tested = |name: &str| {
        let flag = format!("--{name}");
        let lines = BECOMES.iter().map(|row| row.0).chain(REFUSED.iter().map(|row| row.0));
        lines.flat_map(str::split_whitespace).any(|word| word.split('=').next() == Some(&flag))
    };
    let missing: Vec<_> = FLAGS.iter().map(|flag| flag.name).filter(|n| !tested(n)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert!(FLAGS.len() >= 60, "{}", FLAGS.len());
}

#[test]
fn what_the_flags_become_is_taken_by_the_program() {
    for (typed, _, _) in BECOMES.iter().filter(|row| !row.0.contains("save_epoch_freq")) {
        let args = of(&format!("train {typed}")).unwrap().args;
        if let Err(error) = Cli::try_parse_from(&args) {
            panic!("{typed} became {args:?}: {error}");
        }
    }
    // A command of the port's README, whole.
    let line = "train --dataroot ./datasets/facades --name facades_pix2pix --model pix2pix \
                --direction BtoA --netG unet_256 --lambda_L1 100 --dataset_mode aligned --norm \
                batch --pool_size 0 --gpu_ids -1";
    let got = Cli::try_parse_from(of(line).unwrap().args).unwrap();
    let Command::Train(args) = got.command else { panic!("no training") };
    assert_eq!(args.data.first().to_str(), Some("./datasets/facades"));
    assert_eq!(args.out.as_ref().and_then(|p| p.to_str()), Some("runs/facades_pix2pix"));
    assert_eq!(args.direction, Some(crate::data::Direction::BToA));
    assert_eq!((args.network.depth, args.lambda_l1), (Some(8), Some(100.0)));
    assert_eq!(args.device.device, "cpu");
}

#[test]
fn flags_of_ours_and_everything_else_stay_as_typed() {
    for line in [
        "",
        "train",
        "train d --batch-size 4 --lr 1e-4 --beta1 0.9 --no-flip --no-dropout --lambda-l1 5",
        "train d --direction b2a --norm instance --gan lsgan --device cpu",
        "train d --norm batch",
        "train d --norm",
        "train d --direction sideways",
        "train d --unknown_flag 3",
        "train d --epochs 3 -- --n_epochs 4",
        "translate m p.png --norm running --pairs",
        "describe --norm none",
        "verify --verbose --size 64",
        "convert --name x",
        "--help",
        "--version",
        "help train",
        "nonsense --name x",
    ] {
        let got = of(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(joined(&got.args), line);
        assert_eq!(got.notes, Vec::<String>::new(), "{line}");
    }
}

#[test]
fn what_test_py_does_is_named_as_a_command() {
    let rows = [
        (
            "test --dataroot ./d --name x --model pix2pix --direction BtoA",
            "translate runs/x ./d/test --pairs",
        ),
        (
            "test --dataroot ./d --name x --model test --checkpoints_dir c --results_dir out",
            "translate c/x ./d --output out/x",
        ),
        (
            "translate --dataroot=d --name x --phase val --eval --num_test 50",
            "translate runs/x d/val --pairs --norm running",
        ),
        ("test", "translate RUN PICTURES"),
        ("translate m p.png --num_test 3", "translate RUN PICTURES"),
    ];
    for (typed, command) in rows {
        let error = of(typed).expect_err(typed).to_string();
        assert!(error.ends_with(command), "{typed}: {error}");
        assert!(error.contains("test.py"), "{typed}: {error}");
        let line = error.split("pictures: ").nth(1).unwrap();
        let (_, line) = line.split_once(" translate ").unwrap();
        let words = ["p", "translate"].into_iter().chain(line.split(' '));
        assert!(Cli::try_parse_from(words).is_ok(), "{line}");
    }
    let error = of("--dataroot d --name x").unwrap_err().to_string();
    assert!(error.contains("--dataroot") && error.contains("`train` or `translate`"), "{error}");
}

/// Seeded command lines of words that mean something somewhere: each is refused in one sentence, or
/// becomes one without a flag of the port.
#[test]
fn no_command_line_panics() {
    let values = [
        "",
        "-1",
        "0",
        "3",
        "256",
        "1e9",
        "99999999999999999999",
        "AtoB",
        "none",
        "batch",
        "step",
        "unet_256",
        "n_layers",
        "latest",
        "--",
        "d",
        "=",
        "--x",
    ];
    let mut taken = 0;
    for round in 0..4000 {
        let mut args: Vec<OsString> = vec!["p".into()];
        let [command, count, ..] = philox(1, [round, 0, 0, 0]);
        let command = below(command, 8) as usize;
        args.push(
            ["train", "train", "train", "train", "translate", "test", "describe", ""][command]
                .into(),
        );
        for i in 0..below(count, 5) {
            let [flag, value, form, _] = philox(1, [round, 1 + i, 0, 0]);
            let name = FLAGS[below(flag, FLAGS.len() as u32) as usize].name;
            let name = if form & 1 == 0 { name.to_string() } else { name.replace('_', "-") };
            let value = values[below(value, values.len() as u32) as usize];
            match form >> 30 {
                0 => args.push(format!("--{name}={value}").into()),
                1 => args.push(format!("--{name}").into()),
                _ => args.extend([format!("--{name}").into(), value.into()]),
            }
        }
        let line = format!("{args:?}");
        match ours(args) {
            Ok(becomes) => {
                taken += 1;
                let again = ours(becomes.args.clone());
                assert_eq!(again.unwrap().args, becomes.args, "{line}");
            }
            Err(Error::Input(what)) => assert!(!what.contains('\n'), "{line}: {what}"),
            Err(other) => panic!("{line}: {other:?}"),
        }
    }
    assert!((500..3500).contains(&taken), "{taken} of 4000");
}
