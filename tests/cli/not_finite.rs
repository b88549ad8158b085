//! Files with NaN, infinity or a variance below 0; runs that diverge, which stop before anything good is
//! replaced; runs that are finite and learn nothing, which say so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pix2pix_engine::checkpoint::safetensors::{Reader, write};

use crate::program::{
    Refused, SMALL, bench, ok, picture, refuse_all, run, save, train, tree, words,
};

/// The file `from` as `to`, with some numbers of `tensor` changed.
fn spoil(from: &Path, to: &Path, tensor: &str, change: impl FnOnce(&mut [f32])) {
    let mut reader = Reader::open(from).unwrap();
    let names = reader.names().to_vec();
    let mut all: BTreeMap<_, _> =
        names.iter().map(|name| (name.clone(), reader.read(name).unwrap())).collect();
    change(all.get_mut(tensor).unwrap_or_else(|| panic!("no {tensor} in {names:?}")));
    let layout: Vec<_> =
        names.iter().map(|name| (name.as_str(), reader.shape(name).unwrap())).collect();
    let fetch = |i: usize, out: &mut Vec<f32>| {
        out.extend_from_slice(&all[&names[i]]);
        Ok(())
    };
    write(to, &layout, reader.metadata(), fetch).unwrap();
}

/// Asserts that every number of every model and checkpoint below a folder is finite; returns how many
/// files there are.
fn all_finite(folder: &Path) -> usize {
    let files: Vec<PathBuf> = tree(folder).into_keys().collect();
    let models = files.iter().filter(|f| f.extension().is_some_and(|e| e == "safetensors"));
    let check = |path: &PathBuf| {
        let mut reader = Reader::open(path).unwrap();
        for name in reader.names().to_vec() {
            let finite = reader.read(&name).unwrap().iter().all(|v| v.is_finite());
            assert!(finite, "{} in {}", name, path.display());
        }
    };
    models.map(check).count()
}

const fn row(line: &'static str, says: &'static [&'static str]) -> Refused {
    Refused { line, code: 1, says }
}

const DAMAGED: [Refused; 19] = [
    row("train data --resume nan.safetensors --steps 4 --out new", &["down1.conv.weight is NaN"]),
    row("train data --init-generator nan.safetensors", &["down1.conv.weight is NaN", "--lr"]),
    row("translate nan.safetensors p.png", &["1 of the 192 numbers", "down1.conv.weight is NaN"]),
    row("convert nan.safetensors m.safetensors", &["generator.down1.conv.weight is NaN"]),
    row("convert nan.safetensors m.pth", &["generator.down1.conv.weight is NaN"]),
    row("describe nan.safetensors", &["generator.down1.conv.weight is NaN", "earlier file"]),
    row("train data --resume infinite.safetensors --steps 4 --out new", &["2 of the", "infinite"]),
    row("train data --init-discriminator infinite.safetensors", &["discriminator.layer1.conv"]),
    row("describe infinite.safetensors", &["2 of the", "discriminator.layer1.conv.weight are NaN"]),
    row("convert infinite.safetensors m.safetensors", &["discriminator.layer1.conv.weight are"]),
    row("train data --resume moment.safetensors --steps 4 --out new", &["adam.m.generator.down2"]),
    row("train data --resume squares.safetensors --steps 4 --out new", &["adam.v.", "below 0"]),
    row(
        "train data --resume variance.safetensors --steps 4 --out new",
        &["running_var", "below 0"],
    ),
    row("translate variance.safetensors p.png", &["down2.norm.running_var is below 0", "variance"]),
    row("translate mean.safetensors p.png", &["down2.norm.running_mean", "infinite"]),
    row("translate legacy.pth p.png", &["legacy.pth: 1 of the", "is NaN or infinite"]),
    row("convert legacy.pth m.safetensors", &["legacy.pth: 1 of the", "is NaN or infinite"]),
    row("describe legacy.pth", &["legacy.pth: 1 of the", "model."]),
    row("translate spoilt p.png", &["spoilt/model.safetensors: 1 of the", "is NaN or infinite"]),
];

/// Whoever reads a file looks at its numbers, and names the tensor; a moment is no business of a
/// translation.
#[test]
fn files_with_numbers_that_no_training_leaves_are_refused() {
    let folder = bench();
    let at = |name: &str| folder.path().join(name);
    train(folder.path(), "run", "--steps 2");
    train(folder.path(), "spoilt", "--steps 2");
    save(&at("p.png"), &picture(32, 32, 1));
    let latest = at("run/checkpoints/latest.safetensors");
    let weight = "generator.down1.conv.weight";
    spoil(&latest, &at("nan.safetensors"), weight, |v| v[7] = f32::NAN);
    spoil(&latest, &at("infinite.safetensors"), "discriminator.layer1.conv.weight", |v| {
        (v[0], v[9]) = (f32::INFINITY, f32::NEG_INFINITY);
    });
    let (m, v) = ("adam.m.generator.down2.conv.weight", "adam.v.generator.down2.conv.weight");
    spoil(&latest, &at("moment.safetensors"), m, |v| v[3] = -f32::NAN);
    spoil(&latest, &at("squares.safetensors"), v, |v| v[3] = -1e-20);
    let [mean, var] = ["mean", "var"].map(|of| format!("generator.down2.norm.running_{of}"));
    spoil(&latest, &at("variance.safetensors"), &var, |v| v[1] = -1e-6);
    spoil(&latest, &at("mean.safetensors"), &mean, |v| v[0] = f32::INFINITY);
    let model = at("spoilt/model.safetensors");
    spoil(&model, &model, weight, |v| v[0] = f32::NAN);
    // PyTorch's older format ends in the numbers of its last tensor, which no checksum covers.
    let legacy =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pth/unet5_batch_legacy.pth");
    let mut bytes = std::fs::read(legacy).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(at("legacy.pth"), bytes).unwrap();
    refuse_all(folder.path(), &DAMAGED);
    for line in
        ["translate moment.safetensors p.png --output o.png", "describe squares.safetensors"]
    {
        ok(folder.path(), &words(line));
    }
}

/// Every way out of the finite numbers ends with exit 1 and a sentence; whatever was saved is finite, and
/// a run that was good goes on from where it was.
#[test]
fn a_run_that_diverges_stops_and_leaves_what_was_good() {
    let folder = bench();
    for (i, flags) in [
        "--lr 1e12",
        "--lambda-l1 1e37",
        "--norm none --lr 1e3 --save-every 1",
        "--lr 1e20 --gan lsgan",
        "--lr 1e30 --gan none --norm instance",
        "--lr 1e8 --norm none --distance l2 --save-every 2",
        // The weights stay finite for a while when what they compute no longer is.
        "--norm none --lr 1e3",
    ]
    .into_iter()
    .enumerate()
    {
        let out = format!("run{i}");
        let line = format!("train data --out {out} {SMALL} --steps 40 {flags}");
        let ended = run(folder.path(), &words(&line));
        let at = format!("{flags}: {ended:?}");
        assert_eq!(ended.code, Some(1), "{at}");
        assert_eq!(ended.err.lines().count(), 1, "{at}");
        for say in ["error: the run has diverged after step ", " NaN", "smaller --lr"] {
            assert!(ended.err.contains(say), "no {say:?} in {at}");
        }
        let saved = all_finite(&folder.path().join(&out));
        let says = if saved > 0 { format!("--resume {out}") } else { "start again".to_string() };
        assert!(ended.err.contains(&says), "no {says:?} in {at}");
        if saved > 0 {
            let line = format!("translate {out} data/0.png --output {out}.png");
            ok(folder.path(), &words(&line));
        }
    }
    train(folder.path(), "good", "--steps 3");
    let line = "train data --resume good --lr 1e25 --steps 40 --save-every 1";
    let ended = run(folder.path(), &words(line));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("--resume good and a smaller --lr"), "{ended:?}");
    assert!(all_finite(&folder.path().join("good")) >= 2);
    ok(folder.path(), &words("train data --resume good --lr 1e-4 --steps 9"));
    all_finite(&folder.path().join("good"));
}

/// The lines of warnings that a command printed, but for those on how often a run with epochs of
/// milliseconds saves: they depend on the machine.
fn warnings(out: &str) -> Vec<&str> {
    let of_time = |line: &&str| line.ends_with("some epochs get none");
    out.lines().filter(|line| line.starts_with("warning") && !of_time(line)).collect()
}

#[test]
fn a_run_that_learns_nothing_says_so_and_a_run_that_learns_does_not() {
    let folder = bench();
    let one = folder.path().join("one");
    save(&one.join("0.png"), &picture(64, 32, 0));
    let still = "--no-jitter --no-flip --no-dropout --lr 1e-38 --steps 130 --val-every 0";
    let ended = ok(folder.path(), &words(&format!("train one --out still {SMALL} {still}")));
    let [warning] = &warnings(&ended.out)[..] else { panic!("{ended:?}") };
    for say in ["g_l1", "same to the last digit for 100 steps", "--lr"] {
        assert!(warning.contains(say), "no {say:?} in {warning}");
    }
    // A last layer of zeros and a large bias: tanh is 1 everywhere, and lets no gradient through.
    train(folder.path(), "run", "--steps 2");
    let at = |name: &str| folder.path().join(name);
    let model = at("run/model.safetensors");
    spoil(&model, &at("weight.safetensors"), "generator.up5.conv.weight", |v| v.fill(0.0));
    let weight = at("weight.safetensors");
    spoil(&weight, &at("dead.safetensors"), "generator.up5.conv.bias", |v| v.fill(20.0));
    let ended = train(
        folder.path(),
        "dead",
        "--init-generator dead.safetensors --steps 210 --val-every 0 --gan none --no-jitter",
    );
    let said = warnings(&ended.out);
    assert!(said.iter().any(|line| line.contains("one colour")), "{ended:?}");
    let learning = ["", "--gan lsgan", "--gan none", "--norm instance --batch-size 2"];
    for (i, flags) in learning.into_iter().enumerate() {
        let ended = train(folder.path(), &format!("good{i}"), &format!("--steps 250 {flags}"));
        assert_eq!(warnings(&ended.out), [] as [&str; 0], "{flags}");
    }
}
