//! The flags of the PyTorch port, typed by habit.

use std::fs;

use crate::program::{Refused, bench, ok, refuse_all, run, words};

const PORT: &str = "--model pix2pix --dataset_mode aligned --load_size 32 --crop_size 32 --ngf 4 \
                    --ndf 4 --netD n_layers --n_layers_D 1 --no_flip --serial_batches --gpu_ids -1 \
                    --display_freq 400";
const OURS: &str = "--size 32 --no-jitter --base-channels 4 --patch 16 --no-flip --no-shuffle \
                    --device cpu";

#[test]
fn a_run_by_the_ports_flags_is_the_run_by_ours() {
    let folder = bench();
    let line = format!(
        "train --dataroot data --name a --direction BtoA --lambda_L1 10 --n_epochs 1 {PORT}"
    );
    let ended = ok(folder.path(), &words(&format!("{line} --n_epochs_decay 1")));
    for says in [
        "flags     --name a is --out runs/a",
        "flags     --direction BtoA is --direction b2a",
        "flags     --n_epochs 1 --n_epochs_decay 1 is --epochs 2 --full-epochs 1 --decay-epochs 1",
        "flags     --display_freq 400 has no effect",
        "flags     --model pix2pix, --dataset_mode aligned: so it is here",
    ] {
        assert!(ended.out.contains(says), "{says:?} in {}", ended.out);
    }
    let line = format!("train data --out runs/b --direction b2a --lambda-l1 10 --epochs 2 {OURS}");
    let ended = ok(folder.path(), &words(&format!("{line} --full-epochs 1 --decay-epochs 1")));
    assert!(!ended.out.contains("flags "), "{}", ended.out);
    let model = |run: &str| fs::read(folder.path().join(run).join("model.safetensors")).unwrap();
    assert!(model("runs/a") == model("runs/b"));
    // To go on, as people do there: the same line again, with --continue_train and more epochs.
    let line = format!("train --dataroot data --name a --direction BtoA --lambda_L1 10 {PORT}");
    let more = "--continue_train --epoch_count 3 --n_epochs 1 --n_epochs_decay 2";
    let ended = ok(folder.path(), &words(&format!("{line} {more}")));
    assert!(ended.out.contains("--continue_train --name a is --resume runs/a"), "{}", ended.out);
    assert!(ended.out.contains("step 9/9"), "{}", ended.out);
}

#[test]
fn what_the_port_has_alone_is_refused_before_anything_is_written() {
    let folder = bench();
    let row = |line, says| Refused { line, code: 1, says };
    refuse_all(
        folder.path(),
        &[
            row("train --dataroot data --netG resnet_9blocks", &["--netG resnet_9blocks", "U-Net"]),
            row("train --dataroot data --gan_mode wgangp", &["--gan_mode wgangp", "--gan"]),
            row("train --dataroot data --preprocess none", &["--preprocess none", "--no-jitter"]),
            row("train data --gpu_ids 0,1", &["--gpu_ids 0,1", "--device cuda:N"]),
            row("train --dataroot gone", &["gone"]),
            row("--dataroot data", &["--dataroot", "`train` or `translate`"]),
            row("test --dataroot data --name a", &["translate runs/a data/test --pairs"]),
            row("translate --dataroot data --name a", &["translate runs/a data/test --pairs"]),
        ],
    );
}

#[test]
fn what_clap_says_of_flags_that_nobody_has_stays() {
    let folder = bench();
    for (line, says) in [
        ("train data --epoks 3", ["unexpected argument '--epoks'", "'--epochs'"]),
        ("train data --base_chanels 3", ["'--base_chanels'", "'--base-channels'"]),
        ("train --name a", ["<DATA>", "note: --name a is --out runs/a"]),
        // The data twice: what the port's flag became explains the message.
        ("train data --dataroot data", ["unexpected argument", "note: --dataroot data is data"]),
    ] {
        let ended = run(folder.path(), &words(line));
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{line}: {ended:?}");
        assert!(says.iter().all(|says| ended.err.contains(says)), "{line}: {}", ended.err);
    }
}
