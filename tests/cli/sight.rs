//! Translation sees what training saw: sizes, fits and statistics, and what is said about them.

use std::path::Path;

use pix2pix_engine::checkpoint::load_weights;
use pix2pix_engine::data::Image;
use pix2pix_engine::train::{Checkpoint, RunConfig};
use serde_json::Value;

use crate::program::{bench, lines, ok, pairs, picture, results, run, save, train, words};

/// The line of an output that begins with `word`.
fn line<'a>(out: &'a str, word: &str) -> &'a str {
    out.lines().find(|line| line.starts_with(word)).unwrap_or_else(|| panic!("no {word}: {out}"))
}

fn translated(cwd: &Path, flags: &str) -> (Image, String) {
    let ended = ok(cwd, &words(&format!("translate run in.png --output out.png {flags}")));
    (Image::read(&cwd.join("out.png")).unwrap(), ended.out)
}

#[test]
fn a_picture_is_translated_at_the_scale_of_training() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    pairs(&at("data"), 3, 128);
    train(folder.path(), "run", "--steps 2 --gan none");
    let image = picture(256, 192, 1);
    save(&at("in.png"), &image);
    let (out, said) = translated(folder.path(), "");
    let scale = line(&said, "scale");
    assert!(scale.contains("by 0.25") && scale.contains("128 x 128 for 32 x 32"), "{scale}");
    assert!(said.contains("(256 x 192, computed at 64 x 48)"), "{said}");
    let (asked, said) = translated(folder.path(), "--scale 0.25");
    assert!(asked == out);
    assert!(line(&said, "scale").contains("--scale says"), "{said}");
    let (native, said) = translated(folder.path(), "--scale native");
    assert!(native != out && (native.width, native.height) == (256, 192));
    assert!(
        line(&said, "scale").contains("--scale native") && !said.contains("computed"),
        "{said}"
    );
    save(&at("in.png"), &image.resize(64, 48));
    let (small, _) = translated(folder.path(), "--scale native");
    assert!(small.resize(256, 192) == out);
    for wrong in ["0", "-1", "nan", "half", "1000"] {
        let ended = run(folder.path(), &["translate", "run", "in.png", "--scale", wrong]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("--scale") && ended.err.contains("factor"), "{ended:?}");
    }
    // Converted to a .pth the sizes are lost, which is said; by way of a .pth they do not come back.
    ok(folder.path(), &["convert", "run/model.safetensors", "port.pth"]);
    let ended = ok(folder.path(), &words("translate port.pth in.png --output o.png"));
    assert!(line(&ended.out, "scale").contains("does not say"), "{}", ended.out);
    assert!(Image::read(&at("o.png")).unwrap() == small);
}

#[test]
fn pictures_of_many_sizes_are_each_resized_as_in_training() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (i, (w, h)) in [(64, 64), (100, 60), (50, 200)].into_iter().enumerate() {
        save(&at(&format!("data/{i}.png")), &picture(2 * w, h, i));
    }
    let said = train(folder.path(), "run", "--steps 2 --gan none").out;
    let fit = line(&said, "fit");
    assert!(fit.contains("2 of 3") && fit.contains("--fit crop"), "{fit}");
    for (name, (w, h)) in [("in/a.png", (90, 60)), ("in/b.png", (30, 60)), ("in/c.png", (32, 32))] {
        save(&at(name), &picture(w, h, 1));
    }
    let said = ok(folder.path(), &words("translate run in --output out")).out;
    assert!(line(&said, "scale").contains("to 32 pixels on the shorter side"), "{said}");
    for says in ["(90 x 60, computed at 48 x 32)", "(30 x 60, computed at 32 x 64)", "(32 x 32)"] {
        assert!(said.contains(says), "no {says}: {said}");
    }
    let whole = Image::read(&at("out/a.png")).unwrap();
    assert_eq!((whole.width, whole.height), (90, 60));
}

/// Each fit is said, is resumed as it was begun, and computes something else.
#[test]
fn each_fit_is_said_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for i in 0..3 {
        save(&at(&format!("data/{i}.png")), &picture(120, 32, i));
    }
    let mut all = Vec::new();
    for (fit, says) in [("crop", "cut out"), ("pad", "reflection"), ("stretch", "squeezed")] {
        let flags = format!("--steps 4 --gan none --fit {fit}");
        let said = train(folder.path(), fit, &flags).out;
        assert!(line(&said, "fit").contains(says) && said.contains("3 of 3"), "{said}");
        let half = format!("{fit}-half");
        train(folder.path(), &half, &flags.replace("4", "2"));
        ok(folder.path(), &words(&format!("train data --resume {half} --steps 4")));
        assert!(results(&at(fit)) == results(&at(&half)), "{fit}");
        all.push(results(&at(fit)));
    }
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
    let ended = run(folder.path(), &words("train data --resume pad --fit crop --steps 5"));
    assert!(ended.code == Some(1) && ended.err.contains("fit is \"pad\" there"), "{ended:?}");
    // The default, in the middle of pictures without jitter.
    let said = train(folder.path(), "still", "--steps 1 --gan none --no-jitter").out;
    assert!(line(&said, "fit").contains("in their middle"), "{said}");
    // Square pictures: nothing is said, and nothing depends on it.
    pairs(&at("square/data"), 3, 40);
    let square = |out, fit| {
        let said = train(&at("square"), out, &format!("--steps 2 --fit {fit}")).out;
        assert!(!said.contains("not square"), "{said}");
        load_weights(&at("square").join(out)).unwrap().generator
    };
    assert!(square("a", "crop") == square("b", "stretch"));
    assert!(square("c", "pad") == square("d", "stretch"));
}

/// What is done is said of validation pictures too, and of pictures that are used in part.
#[test]
fn every_picture_that_is_not_used_whole_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    pairs(&at("data/train"), 2, 32);
    save(&at("data/val/a.png"), &picture(90, 32, 0));
    save(&at("data/val/b.png"), &picture(64, 32, 0));
    save(&at("data/val/c.png"), &picture(2 * 400, 32, 0));
    let said = train(folder.path(), "run", "--steps 2 --gan none").out;
    let fit = line(&said, "fit");
    assert!(
        fit.contains("2 of 3 validation pictures") && fit.contains("in their middle"),
        "{said}"
    );
    assert!(said.contains("1 are longer than 8 times"), "{said}");
    let said = train(folder.path(), "pad", "--steps 2 --gan none --fit pad").out;
    assert!(!said.contains("longer than"), "{said}");
}

/// A checkpoint that states no fit is of a run that stretched its pictures.
#[test]
fn settings_without_a_fit_are_of_a_run_that_stretched() {
    let mut config = serde_json::to_value(RunConfig::default()).unwrap();
    assert_eq!(config["fit"], "crop");
    config.as_object_mut().unwrap().remove("fit");
    let config: RunConfig = serde_json::from_value(config).unwrap();
    assert_eq!(serde_json::to_value(config.fit).unwrap(), "stretch");
}

/// With batches of several, validation measures both statistics; the better ones are in the model,
/// are used by translations, and are the same after a resume.
#[test]
fn the_better_statistics_are_found_kept_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // Pictures of one grey to learn as they are: a picture's own statistics take its grey away, the
    // running ones keep it once they have moved to those of the pictures.
    for i in 0..5 {
        save(&at(&format!("data/train/{i}.png")), &Image::filled(64, 32, &[40 * i + 30; 3]));
    }
    for i in 0..2 {
        save(&at(&format!("data/val/{i}.png")), &Image::filled(64, 32, &[90 * i + 60; 3]));
    }
    let flags = "--gan none --batch-size 3 --lr 0.002";
    let said = train(folder.path(), "run", &format!("{flags} --epochs 30")).out;
    assert!(said.contains("with each picture's own statistics (L1 "), "{said}");
    assert!(line(&said, "norm").contains("uses the running statistics"), "{said}");
    let validations: Vec<Value> =
        lines(&at("run")).into_iter().filter(|line| line.get("validation").is_some()).collect();
    assert_eq!(validations.len(), 30);
    for line in &validations {
        let [used, other] = ["validation", "other_statistics"].map(|of| line[of]["l1"].as_f64());
        assert!(used <= other && used.is_some(), "{line}");
    }
    let used = |line: &Value| line["statistics"].as_str().unwrap().to_string();
    let last = used(validations.last().unwrap());
    let found: Vec<String> = validations.iter().map(used).collect();
    assert_eq!((found[0].as_str(), last.as_str()), ("batch", "running"), "{found:?}");
    // The model that is translated with says it, and so does the best of its epoch.
    save(&at("in.png"), &picture(32, 32, 9));
    let (default, said) = translated(folder.path(), "");
    assert!(line(&said, "norm").contains("validation L1"), "{said}");
    assert!(translated(folder.path(), "--norm running").0 == default);
    let (different, said) = translated(folder.path(), "--norm batch");
    assert!(default != different && said.contains("as --norm says"), "{said}");
    let described = ok(folder.path(), &["describe", "run"]).out;
    assert!(described.contains("batch norm uses "), "{described}");
    // Scored with the statistics of the model, the best model has the best validation's L1.
    let best = Checkpoint::open(&at("run")).unwrap().progress.best.unwrap();
    let ended = ok(
        folder.path(),
        &words("translate run/best.safetensors data/val --pairs --output scored"),
    );
    let want = format!("L1 {:.4}", best.1.l1);
    assert!(ended.out.contains(&want), "no {want}: {}", ended.out);
    // Begun, stopped and resumed it is the same run.
    train(folder.path(), "half", &format!("{flags} --steps 13 --schedule constant"));
    ok(folder.path(), &words("train data --resume half --steps 60"));
    train(folder.path(), "whole", &format!("{flags} --steps 60 --schedule constant"));
    assert!(results(&at("half")) == results(&at("whole")));
}

#[test]
fn without_validation_each_pictures_own_statistics_are_used_and_it_is_said() {
    let folder = bench();
    let said = train(folder.path(), "run", "--steps 1 --batch-size 2").out;
    assert!(line(&said, "norm").contains("each picture's own"), "{said}");
    save(&folder.path().join("in.png"), &picture(32, 32, 9));
    let (default, _) = translated(folder.path(), "");
    assert!(translated(folder.path(), "--norm batch").0 == default);
    for flags in ["--steps 1", "--steps 1 --batch-size 2 --norm instance"] {
        let said = train(folder.path(), &format!("of{}", flags.len()), flags).out;
        assert!(!said.contains("\nnorm"), "{said}");
    }
}

/// What `describe` says of a model's training, and of a file that does not tell.
#[test]
fn describe_tells_what_a_model_remembers() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..2 {
        save(&folder.path().join(format!("data/{i}.png")), &picture(160, 60, i));
    }
    train(folder.path(), "run", "--steps 1 --gan none --direction b2a");
    let out = ok(folder.path(), &["describe", "run"]).out;
    for says in [
        "B to A",
        "8-bit colour (red, green, blue)",
        "32 x 32 pixels from 2 pairs of 80 x 60",
        "2 of them not square (cropped)",
    ] {
        assert!(out.contains(says), "no {says}: {out}");
    }
    ok(folder.path(), &["convert", "run/model.safetensors", "port.pth"]);
    let out = ok(folder.path(), &["describe", "port.pth"]).out;
    assert!(out.starts_with("generator"), "{out}");
}

/// Before a long translation its size, memory and time are said; a short one has no need.
#[test]
fn a_long_translation_says_what_it_takes() {
    let folder = bench();
    train(folder.path(), "run", "--steps 1 --gan none");
    save(&folder.path().join("in.png"), &picture(1400, 1000, 0));
    let (_, said) = translated(folder.path(), "");
    let work = line(&said, "work");
    assert!(work.contains("MB of memory, about ") && work.contains("to compute"), "{work}");
    save(&folder.path().join("in.png"), &picture(30, 30, 0));
    assert!(!translated(folder.path(), "").1.contains("work"));
    for i in 0..4 {
        save(&folder.path().join(format!("many/{i}.png")), &picture(800, 500 + i, i));
    }
    let said = ok(folder.path(), &words("translate run many --output out")).out;
    assert!(line(&said, "work").contains("for the largest picture"), "{said}");
}

/// A picture that no machine has the memory for is named before any is translated, with a scale that
/// fits, and that scale does fit.
#[test]
fn a_picture_too_large_for_the_memory_is_named_beforehand() {
    let folder = bench();
    train(folder.path(), "run", "--steps 1 --gan none");
    save(&folder.path().join("many/large.png"), &picture(4000, 3000, 0));
    save(&folder.path().join("many/small.png"), &picture(20, 10, 0));
    let ended = run(folder.path(), &words("translate run many --output out --scale 64"));
    assert!(ended.code != Some(0), "{ended:?}");
    let said = line(&ended.out, "too large");
    assert!(
        said.contains("many/large.png") && said.contains("computed at 256000 x 192000"),
        "{said}"
    );
    let (_, factor) = said.split_once("use --scale ").unwrap();
    let factor: f64 = factor.trim().parse().unwrap();
    assert!(factor > 0.0 && factor < 64.0, "{said}");
    assert!(ended.err.contains("--scale"), "{ended:?}");
}
