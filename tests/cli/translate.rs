//! Translation by the program: sizes, folders, formats, switches, every kind of model file.

use std::fs;
use std::path::Path;

use pix2pix_engine::checkpoint::{load_weights, save_model, save_weights};
use pix2pix_engine::data::Image;
use pix2pix_engine::device::{Arena, Cpu, Device};
use pix2pix_engine::model::{GeneratorConfig, GeneratorKind, NormKind, Output};

use crate::program::{bench, ok, picture, save, train, words};

/// A run of a few steps, enough that dropout and statistics matter.
fn trained() -> tempfile::TempDir {
    let folder = bench();
    train(folder.path(), "run", "--steps 6");
    folder
}

fn translate(cwd: &Path, line: &str, to: &str) -> Image {
    ok(cwd, &words(&format!("translate {line} --output {to}")));
    Image::read(&cwd.join(to)).unwrap()
}

#[test]
fn any_size_comes_back_in_its_size() {
    let folder = trained();
    for (i, (w, h)) in [(1, 1), (5, 3), (2, 90), (32, 32), (100, 37), (256, 256), (300, 200)]
        .into_iter()
        .enumerate()
    {
        save(&folder.path().join("in.png"), &picture(w, h, i));
        let out = translate(folder.path(), "run in.png", "out.png");
        assert_eq!((out.width, out.height), (w, h));
    }
}

#[test]
fn folders_and_many_files_keep_their_names() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    for (i, name) in ["in/a.png", "in/b.c.JPG", "in/ü.webp", "x.bmp"].into_iter().enumerate() {
        save(&at(name), &picture(40 + i, 20, i));
    }
    fs::write(at("in/.DS_Store"), "x").unwrap();
    ok(folder.path(), &words("translate run in x.bmp --output all/inside"));
    let mut names: Vec<_> = fs::read_dir(at("all/inside"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["a.png", "b.c.png", "x.png", "ü.png"]);
    let one = translate(folder.path(), "run x.bmp", "x-out.png");
    assert_eq!(one, Image::read(&at("all/inside/x.png")).unwrap());
    // Without --output: beside where the user stands; into a folder: under its own name.
    ok(folder.path(), &words("translate run in/b.c.JPG"));
    assert!(at("b.c-translated.png").is_file());
    ok(folder.path(), &words("translate run in"));
    assert!(at("translated/b.c.png").is_file());
    ok(folder.path(), &words("translate run in/b.c.JPG --output one"));
    assert!(at("one/b.c.png").is_file());
}

#[test]
fn every_format_is_written_and_opens_again() {
    let folder = trained();
    save(&folder.path().join("in.png"), &picture(45, 33, 0));
    let exact = translate(folder.path(), "run in.png", "out.png");
    for name in ["out.bmp", "out.tif", "out.tiff", "out.webp", "OUT.PNG"] {
        assert_eq!(translate(folder.path(), "run in.png", name), exact, "{name}");
    }
    for name in ["out.jpg", "out.jpeg"] {
        let lossy = translate(folder.path(), "run in.png", name);
        assert_eq!((lossy.width, lossy.height), (45, 33), "{name}");
    }
}

#[test]
fn one_picture_and_one_seed_give_one_output() {
    let folder = bench();
    // Six levels: below that the network has no dropout.
    let line = "train data --out run --size 64 --base-channels 4 --patch 16 --steps 6";
    ok(folder.path(), &words(line));
    save(&folder.path().join("in.png"), &picture(64, 64, 5));
    let with = |flags: &str| translate(folder.path(), &format!("run in.png {flags}"), "out.png");
    let plain = with("");
    assert!(with("") == plain);
    assert!(with("--seed 7") == plain, "without dropout a seed has no say");
    assert!(with("--threads 1") == plain);
    assert!(with("--device cpu --norm batch --dropout off") == plain);
    let dropped = with("--dropout on --seed 1");
    assert!(with("--dropout on --seed 1") == dropped);
    assert!(with("--dropout on --seed 2") != dropped);
    assert!(dropped != plain);
    assert!(with("--norm running") != plain);
}

#[test]
fn every_kind_of_model_file_gives_the_same_picture() {
    let folder = trained();
    save(&folder.path().join("in.png"), &picture(70, 50, 5));
    ok(folder.path(), &["convert", "run/model.safetensors", "port.pth"]);
    ok(folder.path(), &["convert", "port.pth", "back.safetensors"]);
    ok(folder.path(), &["convert", "run/checkpoints/latest.safetensors", "late.pth"]);
    let whole = translate(folder.path(), "run/model.safetensors in.png", "out.png");
    let models = [
        "run",
        "run/",
        "run/checkpoints/latest.safetensors",
        "port.pth",
        "back.safetensors",
        "late.pth",
    ];
    for model in models {
        assert_eq!(translate(folder.path(), &format!("{model} in.png"), "o.png"), whole, "{model}");
    }
}

#[test]
fn pairs_are_halved_by_the_models_direction_and_scored() {
    let folder = bench();
    train(folder.path(), "run", "--steps 2 --direction b2a");
    let whole = Image::read(&folder.path().join("data/1.png")).unwrap();
    save(&folder.path().join("right.png"), &whole.crop(32, 0, 32, 32));
    let ended = ok(folder.path(), &words("translate run data/1.png --pairs --output out.png"));
    assert!(ended.out.contains("mean of 1: L1 0."), "{}", ended.out);
    let out = Image::read(&folder.path().join("out.png")).unwrap();
    assert_eq!(out, translate(folder.path(), "run right.png", "alone.png"));
    // A picture too small for SSIM's window has the other scores.
    save(&folder.path().join("small.png"), &picture(12, 6, 0));
    let ended = ok(folder.path(), &words("translate run small.png --pairs --output s.png"));
    assert!(ended.out.contains("PSNR") && !ended.out.contains("NaN"), "{}", ended.out);
}

#[test]
fn describe_prints_the_papers_networks_and_those_of_files() {
    let folder = trained();
    let out = ok(folder.path(), &["describe"]).out;
    for says in ["54413955 parameters", "2768705 parameters", "70 x 70", "1 x 1 x 512"] {
        assert!(out.contains(says), "no {says:?} in {out}");
    }
    let flags = ok(folder.path(), &words("describe --size 32 --base-channels 4 --patch 16")).out;
    let latest = ok(folder.path(), &words("describe run/checkpoints/latest.safetensors")).out;
    let (remembered, networks) = latest.split_at(latest.find("generator").unwrap());
    assert_eq!(networks, flags);
    assert!(remembered.contains("A to B"), "{remembered}");
    let model = ok(folder.path(), &["describe", "run"]).out;
    assert!(model.contains("generator") && !model.contains("discriminator"), "{model}");
    ok(folder.path(), &["convert", "run/model.safetensors", "port.pth"]);
    assert!(ok(folder.path(), &["describe", "port.pth"]).out.contains("generator"));
    // A converted file keeps the size that it was trained on.
    ok(folder.path(), &["convert", "run/model.safetensors", "copy.safetensors"]);
    assert_eq!(ok(folder.path(), &["describe", "copy.safetensors"]).out, model);
}

/// Every discriminator of a file is described and converted, and a .pth says that it holds one
/// network.
#[test]
fn all_discriminators_of_a_file_are_shown_and_converted() {
    let folder = trained();
    let mut weights =
        load_weights(&folder.path().join("run/checkpoints/latest.safetensors")).unwrap();
    let again = weights.discriminators[0].clone();
    weights.discriminators.push(again);
    save_weights(&folder.path().join("two.safetensors"), &weights).unwrap();
    let described = ok(folder.path(), &["describe", "two.safetensors"]).out;
    assert_eq!(described.matches("discriminator: patches of 16 x 16").count(), 2, "{described}");
    let converted = ok(folder.path(), &["convert", "two.safetensors", "copy.safetensors"]).out;
    assert_eq!(converted, "copy.safetensors: generator and 2 discriminators\n");
    let converted = ok(folder.path(), &["convert", "two.safetensors", "two.pth"]).out;
    assert!(converted.starts_with("two.pth: generator; a .pth holds one network\n"), "{converted}");
    assert!(converted.contains("the scale of the training"), "{converted}");
    save(&folder.path().join("in.png"), &picture(40, 30, 1));
    let out = translate(folder.path(), "two.safetensors in.png", "out.png");
    assert_eq!(out, translate(folder.path(), "run in.png", "run.png"));
}

/// The program opens what a user of the library saves.
#[test]
fn a_model_saved_by_the_library_translates() {
    let folder = tempfile::tempdir().unwrap();
    let config = GeneratorConfig {
        kind: GeneratorKind::Unet,
        in_channels: 3,
        out_channels: 3,
        base_channels: 2,
        depth: 4,
        norm: NormKind::Batch,
        dropout: true,
        output: Output::Tanh,
    };
    let mut network = config.build().unwrap();
    let mut arena = Arena::default();
    network.params_mut().place(&mut arena, pix2pix_engine::nn::Placement::Values);
    let mut cpu = Cpu::new(1).unwrap();
    cpu.reserve(arena.len()).unwrap();
    network.params().init(&mut cpu, 1, 0).unwrap();
    save_model(&folder.path().join("mine.safetensors"), &config, &*network, &cpu).unwrap();
    save(&folder.path().join("in.png"), &picture(20, 12, 0));
    let out = translate(folder.path(), "mine.safetensors in.png", "out.png");
    assert_eq!((out.width, out.height), (20, 12));
    let described = ok(folder.path(), &words("describe mine.safetensors")).out;
    assert!(described.contains("generator: Unet, norm Batch"), "{described}");
}
