//! Model files, checkpoints and pictures that do not fit what is asked of them.

use std::fs;
use std::path::Path;

use pix2pix_engine::checkpoint::{load_weights, save_pth, save_weights};

use crate::program::{Refused, SMALL, bench, ok, picture, refuse_all, save, train, words};

/// A run `run` and files around it, good and bad.
fn fixture() -> tempfile::TempDir {
    let folder = bench();
    let at = |name: &str| folder.path().join(name);
    train(folder.path(), "run", "--steps 2");
    train(folder.path(), "inst", "--steps 1 --norm instance");
    train(folder.path(), "wide", "--steps 1 --discriminator-channels 8");
    ok(
        folder.path(),
        &words(&format!("train data --out flat --steps 1 --generator encoder-decoder {SMALL}")),
    );
    ok(folder.path(), &["convert", "run/model.safetensors", "g.pth"]);
    let mut weights = load_weights(&at("run/checkpoints/latest.safetensors")).unwrap();
    weights.generator = None;
    save_pth(&at("d.pth"), &weights).unwrap();
    save_weights(&at("d.safetensors"), &weights).unwrap();
    save(&at("p.png"), &picture(40, 32, 1));
    save(&at("q.png"), &picture(41, 32, 2));
    fs::write(at("text.png"), "this is text, whatever its name says").unwrap();
    fs::write(at("text.txt"), "this is text").unwrap();
    fs::create_dir(at("nothing")).unwrap();
    fs::create_dir(at("same")).unwrap();
    fs::copy(at("p.png"), at("same/p.png")).unwrap();
    part(&at("run/checkpoints/latest.safetensors"), &at("cut.safetensors"));
    part(&at("run/model.safetensors"), &at("cutmodel.safetensors"));
    part(&at("g.pth"), &at("cut.pth"));
    let mut bytes = fs::read(at("g.pth")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0x5a);
    bytes[100..160].fill(0x5a);
    fs::write(at("bad.pth"), bytes).unwrap();
    fs::copy(at("run/checkpoints/latest.safetensors"), at("loose.safetensors")).unwrap();
    folder
}

/// The first two thirds of a file, as another.
fn part(from: &Path, to: &Path) {
    let bytes = fs::read(from).unwrap();
    fs::write(to, &bytes[..bytes.len() * 2 / 3]).unwrap();
}

const fn row(line: &'static str, says: &'static [&'static str]) -> Refused {
    Refused { line, code: 1, says }
}

#[test]
fn files_that_do_not_fit_are_named_with_the_cure() {
    let folder = fixture();
    let rows = [RESUME.as_slice(), INIT.as_slice(), TRANSLATE.as_slice(), CONVERT.as_slice()];
    for rows in rows {
        refuse_all(folder.path(), rows);
    }
}

const RESUME: [Refused; 11] = [
    row("train data --resume gone", &["--resume gone", "give the folder of a run"]),
    row("train data --resume nothing", &["--resume nothing", "latest.safetensors"]),
    row("train data --resume run/model.safetensors", &["it is a model", "resume from RUN"]),
    row("train data --resume text.txt", &["text.txt", "resume from RUN/checkpoints"]),
    row("train data --resume p.png", &["p.png", "resume from RUN/checkpoints"]),
    row("train data --resume g.pth", &["g.pth", "resume from RUN/checkpoints"]),
    row("train data --resume cut.safetensors --out new", &["cut.safetensors", "truncated"]),
    row("train data --resume run --size 64", &["--resume run", "size is 32", "and 64 here"]),
    row("train data --resume run --seed 9 --steps 4", &["seed is 0", "and 9 here", "leave out"]),
    row("train data --resume run --steps 2", &["2 steps already", "--steps"]),
    row("train data --resume loose.safetensors --steps 4", &["loose.safetensors", "--out"]),
];

const INIT: [Refused; 9] = [
    row("train data --init-generator gone.pth", &["gone.pth does not exist", "check the path"]),
    row("train data --init-generator d.pth", &["d.pth holds no generator", "--init-discriminator"]),
    row(
        "train data --init-generator g.pth --base-channels 8",
        &["g.pth", "base_channels is 4", "8"],
    ),
    row("train data --init-generator bad.pth", &["bad.pth"]),
    row("train data --init-generator cut.pth", &["cut.pth"]),
    row("train data --init-generator text.txt", &["text.txt"]),
    row("train data --init-discriminator g.pth", &["g.pth holds no discriminator"]),
    row(
        "train data --init-discriminator wide/checkpoints/latest.safetensors",
        &["base_channels is 8"],
    ),
    row(
        "train data --init-discriminator d.pth --gan none",
        &["--init-discriminator", "--gan none"],
    ),
];

const TRANSLATE: [Refused; 15] = [
    row("translate gone p.png", &["gone does not exist", "give a model file or the folder"]),
    row("translate nothing p.png", &["nothing", "model.safetensors", "the folder of a run"]),
    row("translate p.png q.png", &["p.png"]),
    row("translate text.txt q.png", &["text.txt"]),
    row("translate d.pth p.png", &["d.pth holds a discriminator", "give the generator"]),
    row("translate d.safetensors p.png", &["d.safetensors holds a discriminator"]),
    row("translate cutmodel.safetensors p.png", &["cutmodel.safetensors", "truncated"]),
    row("translate run gone.png", &["gone.png does not exist", "check the path"]),
    row("translate run text.png", &["text.png is no picture", "copy it again"]),
    row("translate run nothing", &["nothing has no files", "put pictures there"]),
    row("translate run p.png --output o.heic", &["o.heic", "written as .jpg, .png"]),
    row("translate run p.png q.png --output o.png", &["o.png", "give a folder"]),
    row("translate run p.png --output p.png", &["p.png", "overwritten", "another --output"]),
    row("translate inst p.png --norm running", &["no running statistics", "--norm batch"]),
    row("translate run q.png --pairs", &["q.png is 41 pixels wide", "equal widths"]),
];

const CONVERT: [Refused; 8] = [
    row("convert run/model.safetensors m.onnx", &["m.onnx", ".safetensors or .pth"]),
    row("convert run/model.safetensors m", &["m", ".safetensors or .pth"]),
    row("convert gone.pth m.safetensors", &["gone.pth does not exist", "check the path"]),
    row("convert flat/model.safetensors m.pth", &["m.pth", "encoder-decoder", ".safetensors"]),
    row("convert bad.pth m.safetensors", &["bad.pth"]),
    row("convert text.txt m.safetensors", &["text.txt"]),
    row("describe gone.pth", &["gone.pth does not exist", "check the path"]),
    row("describe p.png", &["p.png"]),
];
