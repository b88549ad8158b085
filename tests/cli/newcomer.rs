//! What people do on their first day: odd names, odd pictures, output into a pipe.

use std::fs;
use std::process::Command;

use image::{DynamicImage, ImageBuffer, Luma, Rgba};
use pix2pix_engine::data::Image;

use crate::program::{SMALL, bench, ok, pairs, picture, save, steps, train, words};

#[test]
fn names_with_spaces_and_any_script_and_a_trailing_slash_work() {
    let folder = tempfile::tempdir().unwrap();
    pairs(&folder.path().join("mein Fotoálbum 写真"), 2, 32);
    let mut args = vec!["train", "mein Fotoálbum 写真/", "--out", "läufe/erster lauf/"];
    args.extend(words(SMALL));
    args.extend(["--steps", "1"]);
    ok(folder.path(), &args);
    let run = folder.path().join("läufe/erster lauf");
    assert!(run.join("model.safetensors").is_file());
    assert!(run.join("samples/step-0000001.png").is_file());
    save(&folder.path().join("ein Bild.PNG"), &picture(50, 40, 3));
    ok(folder.path(), &["translate", "läufe/erster lauf/", "./ein Bild.PNG", "-o", "fertig/"]);
    assert!(folder.path().join("fertig/ein Bild.png").is_file());
}

#[test]
fn without_out_a_run_is_named_after_its_data_and_says_what_to_do_next() {
    let folder = bench();
    let ended = ok(&folder.path().join("data"), &words(&format!("train . {SMALL} --steps 1")));
    let run = folder.path().join("data/runs/data");
    assert!(run.join("model.safetensors").is_file());
    for says in ["runs/data/samples/step-0000001.png", "memory", "CPU", "step 1/1"] {
        assert!(ended.out.contains(says), "no {says:?} in {}", ended.out);
    }
    assert!(ended.out.lines().all(|l| !l.contains('\r') && !l.contains('\u{1b}')), "{ended:?}");
}

#[test]
fn the_last_line_of_a_run_translates_as_it_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    pairs(&at("no val"), 2, 32);
    pairs(&at("halves/train"), 2, 32);
    pairs(&at("halves/val"), 1, 32);
    for name in ["A/it's 1.png", "B/it's 1.jpg", "A/2.png", "B/2.png"] {
        save(&at("two/train").join(name), &picture(32, 32, 1));
        save(&at("two/val").join(name), &picture(32, 32, 2));
    }
    save(&at("two/val/B/!.png"), &picture(32, 32, 3));
    save(&at("two/val/A/!.png"), &picture(32, 32, 4));
    let rows = [
        ("no val", "", "model.safetensors", "no val/0.png", "0-translated.png"),
        ("halves", "", "best.safetensors", "halves/val/0.png", "0-translated.png"),
        ("two", "--direction b2a", "best.safetensors", "two/val/B/!.png", "!-translated.png"),
    ];
    for (data, flags, model, picture, writes) in rows {
        let line = format!("--out a/{} {SMALL} --epochs 1 {flags}", data.replace(' ', "-"));
        let args: Vec<&str> = ["train", data].into_iter().chain(words(&line)).collect();
        let ended = ok(folder.path(), &args);
        let line = ended.out.lines().last().and_then(|line| line.strip_prefix("translate "));
        let line = line.unwrap_or_else(|| panic!("no hint in {}", ended.out));
        assert!(line.contains(model) && line.contains(picture), "{line}");
        let _ = fs::remove_file(at(writes));
        let done = Command::new("sh").args(["-c", line]).current_dir(folder.path()).output();
        let done = done.unwrap();
        assert!(done.status.success() && at(writes).is_file(), "{line}: {done:?}");
    }
}

#[test]
fn what_lies_about_in_a_data_folder_does_no_harm() {
    let folder = bench();
    let data = folder.path().join("data");
    for name in [".DS_Store", "Thumbs.db", "._0.png", "notes.txt", ".hidden.png"] {
        fs::write(data.join(name), "x").unwrap();
    }
    fs::create_dir(data.join(".git")).unwrap();
    let ended = train(folder.path(), "run", "--epochs 1");
    assert!(ended.out.contains("3 pairs to train on"), "{}", ended.out);
    assert!(ended.out.contains("not used: 2 files that are no pictures"), "{}", ended.out);
}

#[test]
fn grey_transparent_deep_and_mixed_pictures_train() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| {
        let path = folder.path().join("data").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    let grey = ImageBuffer::from_fn(40, 30, |x, y| Luma([(x * 5 + y) as u8]));
    DynamicImage::ImageLuma8(grey.clone()).save(at("A/grey.PNG")).unwrap();
    DynamicImage::ImageLuma8(grey).save(at("B/grey.JPG")).unwrap();
    let clear = ImageBuffer::from_fn(33, 47, |x, y| Rgba([x as u8, y as u8, 9, (x * 7) as u8]));
    DynamicImage::ImageRgba8(clear).save(at("A/clear.png")).unwrap();
    save(&at("B/clear.webp"), &picture(33, 47, 1));
    let deep = ImageBuffer::from_fn(64, 64, |x, y| Luma([(x * 900 + y) as u16]));
    DynamicImage::ImageLuma16(deep.clone()).save(at("A/deep.tiff")).unwrap();
    DynamicImage::ImageLuma16(deep).save(at("B/deep.png")).unwrap();
    // Much smaller than the size, and longer than any size.
    save(&at("A/tiny.bmp"), &picture(1, 1, 1));
    save(&at("B/tiny.bmp"), &picture(1, 1, 2));
    save(&at("A/long.png"), &picture(300, 2, 1));
    save(&at("B/long.jpeg"), &picture(300, 2, 2));
    let ended = train(folder.path(), "run", "--epochs 1");
    assert!(ended.out.contains("5 pairs to train on"), "{}", ended.out);
    for says in [
        "1 picture (data/A/clear.png) with an alpha channel",
        "2 pictures (first data/A/deep.tiff) with 16 bits a channel: they are rounded to 8",
    ] {
        assert!(ended.out.contains(says), "no {says:?} in {}", ended.out);
    }
    assert_eq!(steps(&folder.path().join("run")).len(), 5);
}

#[test]
fn a_data_set_smaller_than_the_batch_trains() {
    let folder = bench();
    train(folder.path(), "run", "--batch-size 4 --epochs 2");
    assert_eq!(steps(&folder.path().join("run")).len(), 2);
}

#[test]
fn data_that_may_not_be_written_trains() {
    let folder = bench();
    let data = folder.path().join("data");
    let writable = fs::metadata(&data).unwrap().permissions();
    let mut fixed = writable.clone();
    fixed.set_readonly(true);
    fs::set_permissions(&data, fixed).unwrap();
    train(folder.path(), "run", "--steps 1");
    fs::set_permissions(&data, writable).unwrap();
}

#[test]
fn a_run_validates_keeps_the_best_and_shows_pictures_of_val() {
    let folder = tempfile::tempdir().unwrap();
    pairs(&folder.path().join("data/train"), 2, 32);
    pairs(&folder.path().join("data/val"), 5, 32);
    let ended = train(folder.path(), "run", "--epochs 2");
    let run = folder.path().join("run");
    let all = crate::program::lines(&run);
    let scores: Vec<_> = all.iter().filter_map(|l| l.get("validation")).collect();
    assert_eq!(scores.len(), 2);
    assert!(scores.iter().all(|s| s["l1"].as_f64() > Some(0.0) && s["ssim"].is_f64()));
    assert!(ended.out.contains("epoch 2 val: L1"), "{}", ended.out);
    ok(folder.path(), &["translate", "run/best.safetensors", "data/val", "--pairs"]);
    let sheet = Image::read(&run.join("samples/step-0000004.png")).unwrap();
    // Four rows of three, four pixels apart.
    assert_eq!((sheet.width, sheet.height), (3 * 32 + 2 * 4, 4 * 32 + 3 * 4));
}

#[test]
fn a_target_that_is_met_exactly_can_be_resumed() {
    // White everywhere: the distance to val reaches 0, and its PSNR is infinite.
    let folder = tempfile::tempdir().unwrap();
    for name in ["data/train/1.png", "data/val/1.png"] {
        save(&folder.path().join(name), &Image::filled(64, 32, &[255; 3]));
    }
    let flags = "--gan none --lr 0.05 --no-dropout --norm none --schedule constant";
    train(folder.path(), "run", &format!("{flags} --epochs 40"));
    let all = crate::program::lines(&folder.path().join("run"));
    let best = all.iter().filter_map(|l| l["validation"]["l1"].as_f64()).fold(9.0, f64::min);
    assert_eq!(best, 0.0, "the network is to learn white");
    ok(folder.path(), &words("train data --resume run --epochs 41"));
}

#[test]
fn helps_fit_a_terminal_of_80_columns_and_name_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let commands = ["train", "translate", "convert", "describe"];
    for command in commands {
        for flag in ["--help", "-h"] {
            let mut narrow = crate::program::command(folder.path(), &[command, flag]);
            let help = narrow.env("COLUMNS", "80").output().unwrap();
            let help = String::from_utf8(help.stdout).unwrap();
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{command} {flag}: {line}");
            }
        }
    }
    let help = ok(folder.path(), &["--help"]).out;
    assert!(commands.iter().all(|c| help.contains(c)), "{help}");
    assert!(ok(folder.path(), &["--version"]).out.starts_with("pix2pix-engine "));
}

#[test]
fn the_short_help_of_train_has_what_most_runs_need_and_the_long_one_all_in_groups() {
    let folder = tempfile::tempdir().unwrap();
    let [short, long] = ["-h", "--help"].map(|flag| ok(folder.path(), &["train", flag]).out);
    // The flags of a help text: the first word of a line that starts with two dashes.
    let flags = |help: &str| -> Vec<String> {
        let words = help.lines().map(|line| line.trim().trim_start_matches("-h, "));
        let flags = words.filter(|word| word.starts_with("--"));
        flags.map(|flag| flag.split_whitespace().next().unwrap().to_string()).collect()
    };
    let (few, all) = (flags(&short), flags(&long));
    assert!(few.iter().all(|flag| all.contains(flag)), "{few:?} {all:?}");
    assert!((10..=16).contains(&few.len()) && all.len() > 2 * few.len(), "{few:?} {all:?}");
    for flag in ["--out", "--resume", "--epochs", "--size", "--direction", "--device", "--help"] {
        assert!(few.iter().any(|f| f == flag), "{flag} in {short}");
    }
    assert!(short.trim_end().ends_with("--help shows all of them."), "{short}");
    assert!(!long.contains("shows all of them"), "{long}");
    // Each group once, in this order, and no flag but --help outside of them.
    let groups = ["Options:", "Data:", "Networks:", "Losses:", "Optimiser:", "Run:", "Machine:"];
    for help in [&short, &long] {
        let found: Vec<&str> = help.lines().filter(|line| groups.contains(line)).collect();
        assert_eq!(found, groups, "{help}");
    }
    let options = long.split("Options:").nth(1).unwrap().split("Data:").next().unwrap();
    assert_eq!(flags(options), ["--help"], "{options}");
}
