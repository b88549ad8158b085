//! Every row of the paper's tables by flags (Isola et al. 2017, Tables 1 to 3).

use serde_json::Value;

use crate::program::{bench, ok, steps, train, words};

const GAN: [&str; 3] = ["g_gan", "d_real", "d_fake"];

/// Runs two steps and checks that the losses are exactly `wanted`, all of them finite.
fn losses(flags: &str, wanted: &[&str]) -> Vec<Value> {
    let folder = bench();
    let flags = words(flags);
    let mut args = words("train data --out run --steps 2 --base-channels 4");
    for (flag, value) in [("--size", "32"), ("--patch", "16")] {
        if !flags.contains(&flag) {
            args.extend([flag, value]);
        }
    }
    args.extend(&flags);
    ok(folder.path(), &args);
    let steps = steps(&folder.path().join("run"));
    assert_eq!(steps.len(), 2, "{flags:?}");
    for line in &steps {
        let mut keys: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        let mut expected = [&["step", "epoch", "lr", "seconds"], wanted].concat();
        expected.sort_unstable();
        assert_eq!(keys, expected, "{flags:?}");
        assert!(wanted.iter().all(|k| line[k].as_f64().is_some_and(|v| v > 0.0)), "{line}");
    }
    steps
}

#[test]
fn table_1_losses() {
    let both = [&GAN[..], &["g_l1"]].concat();
    losses("--gan none", &["g_l1"]);
    losses("--distance none --unconditional", &GAN);
    losses("--distance none", &GAN);
    losses("--unconditional", &both);
    losses("", &both);
    losses("--distance l2", &both);
    losses("--gan none --distance l2", &["g_l1"]);
}

#[test]
fn table_2_generators() {
    let both = [&GAN[..], &["g_l1"]].concat();
    losses("--generator encoder-decoder", &both);
    losses("--generator encoder-decoder --gan none", &["g_l1"]);
}

#[test]
fn table_3_patches() {
    let both = [&GAN[..], &["g_l1"]].concat();
    losses("--patch 1", &both);
    losses("--patch 16", &both);
    losses("--patch 34 --size 64", &both);
    losses("--patch 70 --size 64", &both);
    losses("--patch 142 --size 64", &both);
    losses("--patch 286 --size 96", &both);
}

#[test]
fn what_the_paper_left_open() {
    let both = [&GAN[..], &["g_l1"]].concat();
    losses("--gan lsgan", &both);
    losses("--batch-size 2", &both);
    losses("--norm instance", &both);
    losses("--norm none", &both);
    losses("--size 80", &both);
    losses("--discriminator-channels 8", &both);
}

#[test]
fn the_distance_is_weighted_by_lambda() {
    // The step's first forward pass does not depend on the weight.
    let first = |flags: &str| losses(flags, &["g_l1"])[0]["g_l1"].as_f64().unwrap();
    let (one, hundred) = (first("--gan none --lambda-l1 1"), first("--gan none"));
    assert!((hundred / one / 100.0 - 1.0).abs() < 1e-5, "{hundred} is not 100 times {one}");
}

#[test]
fn the_direction_swaps_input_and_target() {
    // A and B exchanged in the files, and the direction turned round: nothing has changed.
    let folder = bench();
    for i in 0..3 {
        let whole = crate::program::picture(64, 32, i);
        let (a, b) = (whole.crop(0, 0, 32, 32), whole.crop(32, 0, 32, 32));
        crate::program::save(&folder.path().join(format!("turned/A/{i}.png")), &b);
        crate::program::save(&folder.path().join(format!("turned/B/{i}.png")), &a);
    }
    train(folder.path(), "a2b", "--steps 2");
    train(folder.path(), "b2a", "--steps 2 --direction b2a");
    let line = "train turned --out turn --size 32 --base-channels 4 --patch 16 --steps 2";
    ok(folder.path(), &words(&format!("{line} --direction b2a")));
    let weights = |run: &str| {
        let path = folder.path().join(run).join("model.safetensors");
        pix2pix_engine::checkpoint::load_weights(&path).unwrap().generator.unwrap()
    };
    assert_eq!(weights("a2b"), weights("turn"));
    assert_ne!(weights("a2b"), weights("b2a"));
}
