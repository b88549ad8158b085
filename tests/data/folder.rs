//! Data sets: the layouts that are accepted, and what is said about the others.

use std::fs;
use std::path::Path;

use pix2pix_engine::data::{Direction, Folder, Layout, Pair, PairSource, ScanOptions};
use tempfile::TempDir;

use crate::{atlas, marked, save};

const STRICT: ScanOptions = ScanOptions { skip_bad: false };
const SKIP: ScanOptions = ScanOptions { skip_bad: true };

/// A folder with pictures of 16x8 (or 8x8 in folders A and B) at the given paths.
fn data(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (i, name) in files.iter().enumerate() {
        let two =
            name.split('/').any(|p| p.eq_ignore_ascii_case("a") || p.eq_ignore_ascii_case("b"));
        save(folder.path(), name, &marked(if two { 8 } else { 16 }, 8, i as u8));
    }
    folder
}

fn names(pairs: &[Pair]) -> Vec<&str> {
    pairs.iter().map(|p| p.name.as_str()).collect()
}

fn error(folder: &Path) -> String {
    Folder::scan(folder, STRICT).unwrap_err().to_string()
}

#[test]
fn every_layout_is_found() {
    type Names = &'static [&'static str];
    let cases: [(Names, Layout, [Names; 3]); 8] = [
        (&["2.png", "1.png", "10.png"], Layout::SideBySide, [&["1", "10", "2"], &[], &[]]),
        (
            &["train/10.png", "train/9.png", "train/B.png", "val/1.png"],
            Layout::SideBySide,
            [&["10", "9", "B"], &["1"], &[]],
        ),
        (&["train/1.png", "test/2.png"], Layout::SideBySide, [&["1"], &[], &["2"]]),
        (&["val/1.png"], Layout::SideBySide, [&[], &["1"], &[]]),
        (&["A/1.png", "B/1.PNG"], Layout::Folders, [&["1"], &[], &[]]),
        (&["a/x.y.png", "b/x.y.png"], Layout::Folders, [&["x.y"], &[], &[]]),
        (
            &["train/A/1.png", "train/B/1.png", "val/a/2.png", "val/b/2.png"],
            Layout::Folders,
            [&["1"], &["2"], &[]],
        ),
        (
            &["A/train/1.png", "B/train/1.png", "A/val/2.png", "B/val/2.png"],
            Layout::Folders,
            [&["1"], &["2"], &[]],
        ),
    ];
    for (files, layout, [train, val, test]) in cases {
        let folder = data(files);
        let found = Folder::scan(folder.path(), STRICT).unwrap();
        assert_eq!(found.layout, layout, "{files:?}");
        assert_eq!(names(&found.train), train, "{files:?}");
        assert_eq!(names(&found.val), val, "{files:?}");
        assert_eq!(names(&found.test), test, "{files:?}");
        assert!(found.pairs().all(|p| (p.width, p.height) == (8, 8)), "{files:?}");
        assert_eq!(found.training().is_ok(), !train.is_empty());
    }
}

#[test]
fn the_atlas_has_114_pairs_to_train_and_20_to_validate() {
    let folder = Folder::scan(&atlas(), STRICT).unwrap();
    assert_eq!((folder.train.len(), folder.val.len(), folder.test.len()), (114, 20, 0));
    assert!(folder.pairs().all(|p| (p.width, p.height) == (256, 256)));
    assert_eq!(names(&folder.train)[..2], ["001", "002"]);
    assert_eq!(folder.notes(), Vec::<String>::new());
}

#[test]
fn a_pair_is_read_from_one_file_or_two() {
    let folder = tempfile::tempdir().unwrap();
    let whole = marked(16, 8, 1);
    save(folder.path(), "side/1.png", &whole);
    let (a, b) =
        Folder::scan(&folder.path().join("side"), STRICT).unwrap().train[0].read().unwrap();
    assert_eq!((&a, &b), (&whole.crop(0, 0, 8, 8), &whole.crop(8, 0, 8, 8)));
    save(folder.path(), "two/A/1.png", &a);
    save(folder.path(), "two/B/1.png", &b);
    let found = Folder::scan(&folder.path().join("two"), STRICT).unwrap();
    assert_eq!(found.train[0].read().unwrap(), (a.clone(), b.clone()));
    assert_eq!(Direction::AToB.order(&a, &b), (&a, &b));
    assert_eq!(Direction::BToA.order(&a, &b), (&b, &a));
}

#[test]
fn what_is_no_picture_is_passed_over_and_counted() {
    let folder = data(&["1.png", ".hidden.png"]);
    for name in ["notes.txt", "Thumbs.db", "x.gif", ".DS_Store"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let found = Folder::scan(folder.path(), STRICT).unwrap();
    assert_eq!((names(&found.train), found.others), (vec!["1"], 3));
    assert_eq!(found.notes(), ["3 files are no pictures and are not used"]);

    let phases = data(&["train/1.png", "loose.png"]);
    let found = Folder::scan(phases.path(), STRICT).unwrap();
    assert_eq!((found.train.len(), found.unused), (1, 1));

    let square = tempfile::tempdir().unwrap();
    save(square.path(), "1.png", &marked(8, 8, 0));
    let notes = Folder::scan(square.path(), STRICT).unwrap().notes();
    assert!(notes.len() == 1 && notes[0].contains("folders A and B"), "{notes:?}");
}

#[test]
fn wrong_data_sets_are_named_with_the_cure() {
    let odd = tempfile::tempdir().unwrap();
    save(odd.path(), "odd.png", &marked(15, 8, 0));
    let sizes = data(&["A/1.png"]);
    save(sizes.path(), "B/1.png", &marked(9, 8, 0));
    let twice = data(&["A/1.png", "B/1.png"]);
    fs::copy(twice.path().join("A/1.png"), twice.path().join("A/1.jpg")).unwrap();
    let texts = tempfile::tempdir().unwrap();
    for i in 0..12 {
        fs::write(texts.path().join(format!("{i}.txt")), "x").unwrap();
    }
    let gifs = tempfile::tempdir().unwrap();
    fs::write(gifs.path().join("1.heic"), "x").unwrap();
    let empty_val = data(&["train/1.png"]);
    fs::create_dir(empty_val.path().join("val")).unwrap();
    let bad = data(&["1.png"]);
    fs::write(bad.path().join("2.png"), b"not a picture").unwrap();
    let none = tempfile::tempdir().unwrap();
    let no_b = data(&["A/1.png"]);
    let alone = data(&["A/1.png", "A/2.png", "B/2.png"]);
    let half_phase = data(&["A/train/1.png", "B/train/1.png", "A/val/1.png"]);
    let deeper = data(&["more/1.png"]);
    let file = bad.path().join("1.png");
    let cases: [(&Path, &[&str]); 14] = [
        (Path::new("/nonexistent/data"), &["/nonexistent/data does not exist", "check the path"]),
        (&file, &["1.png is a file", "give the folder"]),
        (none.path(), &["has no files", "put pictures there"]),
        (texts.path(), &["no picture among 12 files"]),
        (gifs.path(), &["1.heic", "convert them to PNG"]),
        (empty_val.path(), &["val has no files"]),
        (odd.path(), &["odd.png is 15 pixels wide", "equal widths"]),
        (sizes.path(), &["A/1.png is 8x8", "B/1.png is 9x8", "resize or remove"]),
        (twice.path(), &["1.jpg", "1.png", "have one name", "rename or remove"]),
        (no_b.path(), &["has a folder A but no folder B", "add it"]),
        (alone.path(), &["1.png has no partner", "named 1"]),
        (half_phase.path(), &["val", "both or"]),
        (deeper.path(), &["only folders such as more", "A and B"]),
        (bad.path(), &["2.png is no picture"]),
    ];
    for (path, says) in cases {
        let text = error(path);
        for say in says {
            assert!(text.contains(say), "{text:?} does not say {say:?}");
        }
        assert!(!text.contains('\n'), "{text:?}");
    }
    let only_val = data(&["val/1.png"]);
    let text = Folder::scan(only_val.path(), STRICT).unwrap().training().unwrap_err().to_string();
    assert!(text.contains("train"), "{text}");
}

#[test]
fn skip_bad_goes_on_and_lists_what_it_left_out() {
    let folder =
        data(&["A/1.png", "A/2.png", "A/3.png", "A/5.png", "B/1.png", "B/2.png", "B/4.png"]);
    save(folder.path(), "B/5.png", &marked(3, 3, 0));
    fs::write(folder.path().join("B/2.png"), b"\x89PNG\r\n\x1a\n cut").unwrap();
    let strict = error(folder.path());
    assert!(strict.contains("3 more like it; `skip_bad` goes on"), "{strict}");
    let found = Folder::scan(folder.path(), SKIP).unwrap();
    assert_eq!(names(&found.train), ["1"]);
    let mut skipped: Vec<_> = found
        .skipped
        .iter()
        .map(|s| s.path.strip_prefix(folder.path()).unwrap().to_str().unwrap())
        .collect();
    skipped.sort();
    assert_eq!(skipped, ["A/3.png", "A/5.png", "B/2.png", "B/4.png"]);
    assert!(found.skipped.iter().all(|s| !s.reason.is_empty()));
    assert!(found.notes()[0].starts_with("4 bad pictures"), "{:?}", found.notes());

    fs::remove_file(folder.path().join("A/1.png")).unwrap();
    let text = Folder::scan(folder.path(), SKIP).unwrap_err().to_string();
    assert!(text.contains("none of the"), "{text}");
}

#[test]
fn sources_are_what_was_found() {
    let folder = data(&["A/1.png", "B/1.png"]);
    let found = Folder::scan(folder.path(), STRICT).unwrap();
    let (a, b) = (folder.path().join("A/1.png"), folder.path().join("B/1.png"));
    assert_eq!(found.train[0].source, PairSource::Two { a, b });
}
