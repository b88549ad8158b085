//! Data sets that cannot be trained on.

use std::fs;
use std::path::Path;

use crate::program::{Refused, lines, ok, pairs, picture, refuse_all, run, save, words};

/// The first part of a file in place of the file.
fn cut(path: &Path, keep: impl Fn(usize) -> usize) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..keep(bytes.len())]).unwrap();
}

fn fixture() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("empty")).unwrap();
    fs::create_dir_all(at("texts")).unwrap();
    fs::write(at("texts/notes.txt"), "hello").unwrap();
    save(&at("odd/1.png"), &picture(63, 32, 0));
    save(&at("file.png"), &picture(64, 32, 0));
    save(&at("alone/A/1.png"), &picture(32, 32, 0));
    save(&at("alone/A/2.png"), &picture(32, 32, 0));
    save(&at("alone/B/2.png"), &picture(32, 32, 0));
    save(&at("half/A/1.png"), &picture(32, 32, 0));
    save(&at("sizes/A/1.png"), &picture(32, 32, 0));
    save(&at("sizes/B/1.png"), &picture(32, 30, 0));
    save(&at("twice/A/1.png"), &picture(32, 32, 0));
    save(&at("twice/A/1.jpg"), &picture(32, 32, 0));
    save(&at("twice/B/1.png"), &picture(32, 32, 0));
    save(&at("jpeg/1.jpg"), &picture(64, 32, 0));
    cut(&at("jpeg/1.jpg"), |n| n - 200);
    save(&at("png/1.png"), &picture(64, 32, 0));
    cut(&at("png/1.png"), |n| n - 200);
    save(&at("headers/1.png"), &picture(64, 32, 0));
    cut(&at("headers/1.png"), |_| 20);
    save(&at("jpegheaders/1.jpg"), &picture(64, 32, 0));
    cut(&at("jpegheaders/1.jpg"), |_| 24);
    fs::create_dir_all(at("zero")).unwrap();
    fs::write(at("zero/1.png"), "").unwrap();
    fs::create_dir_all(at("renamed")).unwrap();
    fs::write(at("renamed/1.jpg"), "this is text, whatever its name says").unwrap();
    fs::create_dir_all(at("raws")).unwrap();
    fs::write(at("raws/1.psd"), "8BPS").unwrap();
    save(&at("pixel/1.png"), &picture(1, 1, 0));
    save(&at("val/val/1.png"), &picture(64, 32, 0));
    save(&at("deeper/more/1.png"), &picture(64, 32, 0));
    folder
}

#[test]
fn data_that_cannot_be_used_is_named_with_the_cure() {
    let folder = fixture();
    let row = |line, says| Refused { line, code: 1, says };
    refuse_all(
        folder.path(),
        &[
            row("train nowhere", &["nowhere does not exist", "check the path"]),
            row("train file.png", &["file.png is a file", "give the folder"]),
            row("train empty", &["empty has no files", "put pictures there"]),
            row("train texts", &["texts has no picture", "notes.txt", "put JPEG"]),
            row("train raws", &["1.psd", "convert it to PNG"]),
            row("train odd", &["odd/1.png is 63 pixels wide", "folders A and B"]),
            row("train alone", &["alone/A/1.png has no partner", "add a picture named 1"]),
            row("train half", &["half has a folder A but no folder B", "add it"]),
            row("train sizes", &["A/1.png is 32x32", "B/1.png is 32x30", "resize or remove"]),
            row("train twice", &["1.jpg", "1.png", "rename or remove"]),
            row("train jpeg", &["jpeg/1.jpg is damaged or cut short", "copy it again"]),
            row("train png", &["png/1.png is damaged or cut short", "copy it again"]),
            row("train headers", &["headers/1.png is damaged", "copy it again"]),
            row("train jpegheaders", &["jpegheaders/1.jpg is damaged", "copy it again"]),
            row("train zero", &["zero/1.png is empty", "copy it again or remove it"]),
            row("train renamed", &["renamed/1.jpg is no picture", "copy it again or remove it"]),
            row("train pixel", &["pixel/1.png is 1 pixels wide", "folders A and B"]),
            row("train val", &["val has no pictures to train on", "folder train"]),
            row("train deeper", &["only folders such as more", "A and B"]),
            row("train headers --skip-bad", &["none of the 1 pictures", "headers/1.png"]),
            row("train png --skip-bad", &["png/1.png", "copy it again"]),
        ],
    );
}

#[test]
fn a_picture_that_is_found_broken_on_the_way_costs_no_step() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    pairs(&data, 4, 32);
    cut(&data.join("2.png"), |n| n - 200);
    let line = "train data --out new --size 32 --base-channels 4 --patch 16 --no-shuffle --steps 4";
    let ended = run(folder.path(), &words(line));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
    assert!(ended.err.contains("2.png is damaged"), "{ended:?}");
    assert!(ended.err.contains("--resume new"), "{ended:?}");
    // What was learnt stands, and the run goes on once the picture is gone.
    fs::remove_file(data.join("2.png")).unwrap();
    ok(folder.path(), &words("train data --resume new --steps 4"));
    let steps: Vec<u64> =
        lines(&folder.path().join("new")).iter().map(|l| l["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [1, 2, 3, 4]);
}

#[test]
fn skip_bad_goes_on_without_them_and_lists_them() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    pairs(&data, 4, 32);
    cut(&data.join("0.png"), |n| n - 200);
    fs::write(data.join("1.png"), "").unwrap();
    let line = "train data --out new --size 32 --base-channels 4 --patch 16 --skip-bad --epochs 1";
    let ended = ok(folder.path(), &words(line));
    assert!(ended.out.contains("2 pairs to train on"), "{}", ended.out);
    assert!(ended.out.contains("left out: data/0.png"), "{}", ended.out);
    assert!(ended.out.contains("left out: data/1.png"), "{}", ended.out);
    assert_eq!(lines(&folder.path().join("new")).len(), 2);
}

#[test]
fn everything_that_is_wrong_is_named_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    pairs(&data.join("train"), 24, 32);
    pairs(&data.join("valid"), 2, 32);
    // Behind the pictures that are decoded for the notes.
    cut(&data.join("train/9.png"), |n| n - 200);
    cut(&data.join("train/8.png"), |_| 30);
    fs::write(data.join("valid/1.png"), "").unwrap();
    let line = "train data --out new --size 32 --base-channels 4 --patch 16 --steps 1";
    let ended = run(folder.path(), &words(line));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("2 pictures cannot be used; --skip-bad goes on"), "{ended:?}");
    assert!(ended.err.contains("\n    data/train/8.png is damaged"), "{ended:?}");
    assert!(ended.err.contains("\n    data/valid/1.png is empty"), "{ended:?}");
    fs::remove_file(data.join("train/8.png")).unwrap();
    fs::remove_file(data.join("valid/1.png")).unwrap();
    let ended = run(folder.path(), &words(&format!("{line} --check full")));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.starts_with("error: data/train/9.png is damaged"), "{ended:?}");
    assert!(!folder.path().join("new").exists());
    let ended = ok(folder.path(), &words(&format!("{line} --check full --skip-bad")));
    assert!(ended.out.contains("22 pairs to train on, 1 to validate on"), "{ended:?}");
}

#[test]
fn two_folders_train_and_the_line_to_go_on_names_them() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..2 {
        save(&folder.path().join(format!("my photos/{i}.png")), &picture(32, 32, i));
        save(&folder.path().join(format!("drawn/{i}.jpg")), &picture(32, 32, i + 3));
    }
    let args = ["train", "--a", "my photos", "--b", "drawn", "--out", "new"];
    let small = "--size 32 --base-channels 4 --patch 16 --steps 1";
    let all: Vec<&str> = args.into_iter().chain(words(small)).collect();
    let ended = ok(folder.path(), &all);
    assert!(ended.out.contains("my photos and drawn: 2 pairs to train on"), "{ended:?}");
    let resumed = ["train", "--a", "my photos", "--b", "drawn", "--resume", "new", "--steps", "2"];
    ok(folder.path(), &resumed);
    for line in ["train --a drawn --out x", "train --b drawn --out x", "train --out x"] {
        assert_eq!(run(folder.path(), &words(line)).code, Some(1), "{line}");
    }
}
