//! Data sets: the layouts that are accepted, and what is said about the others.

use std::fs;
use std::path::Path;

use pix2pix_engine::data::{
    Check, Direction, Domain, Folder, Layout, Pages, Pair, PairSource, ScanOptions,
};
use tempfile::TempDir;

use crate::{atlas, marked, save};

const STRICT: ScanOptions = ScanOptions { skip_bad: false, pages: Pages::Auto };
const SKIP: ScanOptions = ScanOptions { skip_bad: true, pages: Pages::Auto };

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
    for name in ["notes.txt", "Thumbs.db", "x.psd", ".DS_Store"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let found = Folder::scan(folder.path(), STRICT).unwrap();
    assert_eq!(names(&found.train), ["1"]);
    let root = folder.path().display();
    assert_eq!(
        found.notes(),
        [
            format!("not used: 1 Photoshop picture, {root}/x.psd (convert it to PNG or JPEG)"),
            format!("not used: 2 files that are no pictures, such as {root}/Thumbs.db"),
        ]
    );

    let phases = data(&["train/1.png", "loose.png"]);
    let found = Folder::scan(phases.path(), STRICT).unwrap();
    assert_eq!(found.train.len(), 1);
    assert!(found.notes()[0].contains("1 picture beside the folders"), "{:?}", found.notes());

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
    let photos = tempfile::tempdir().unwrap();
    fs::write(photos.path().join("1.heic"), "x").unwrap();
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
        (texts.path(), &["no picture that can be read among 12 files"]),
        (photos.path(), &["1.heic", "convert it to PNG"]),
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
    assert!(strict.starts_with("4 pictures cannot be used; `skip_bad` goes on"), "{strict}");
    assert_eq!(strict.lines().count(), 5, "{strict}");
    for name in ["A/3.png", "A/5.png", "B/2.png", "B/4.png"] {
        assert!(strict.contains(name), "{strict}");
    }
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

/// What a scan says, without the folder's own path.
fn notes(folder: &TempDir) -> Vec<String> {
    let root = format!("{}/", folder.path().display());
    let found = Folder::scan(folder.path(), STRICT).unwrap();
    found.notes().iter().map(|note| note.replace(&root, "")).collect()
}

#[test]
fn phases_have_other_names_and_sides_may_stand_in_theirs() {
    type Names = &'static [&'static str];
    let cases: [(Names, [Names; 3]); 7] = [
        (&["train/1.png", "valid/2.png"], [&["1"], &["2"], &[]]),
        (&["training/1.png", "Validation/2.png", "TESTING/3.png"], [&["1"], &["2"], &["3"]]),
        (&["Train/1.png", "valid/2.png", "validation/3.png"], [&["1"], &["2", "3"], &[]]),
        (&["trainA/1.png", "trainB/1.png", "testA/2.png", "testB/2.png"], [&["1"], &[], &["2"]]),
        (&["train_A/1.png", "train_B/1.png", "val-a/2.png", "val-b/2.png"], [&["1"], &["2"], &[]]),
        (
            &["A/train/1.png", "B/Train/1.png", "A/valid/2.png", "B/val/2.png"],
            [&["1"], &["2"], &[]],
        ),
        (&["validA/1.png", "validB/1.png"], [&[], &["1"], &[]]),
    ];
    for (files, [train, val, test]) in cases {
        let folder = tempfile::tempdir().unwrap();
        for (i, name) in files.iter().enumerate() {
            // A and B of a pair have one size, and side by side twice the width does no harm.
            save(folder.path(), name, &marked(16, 8, i as u8));
        }
        let found = Folder::scan(folder.path(), STRICT).unwrap();
        assert_eq!(names(&found.train), train, "{files:?}");
        assert_eq!(names(&found.val), val, "{files:?}");
        assert_eq!(names(&found.test), test, "{files:?}");
    }
    let half = data(&["train/1.png"]);
    save(half.path(), "valA/1.png", &marked(8, 8, 0));
    assert!(
        error(half.path()).contains("a folder valA but no folder valB"),
        "{}",
        error(half.path())
    );
}

#[test]
fn folders_below_those_of_a_data_set_count_and_pair_by_their_path() {
    let folder =
        data(&["A/1.png", "A/x/1.png", "A/x/y/2.png", "B/1.png", "B/x/1.png", "B/x/y/2.png"]);
    let found = Folder::scan(folder.path(), STRICT).unwrap();
    assert_eq!(names(&found.train), ["1", "x/1", "x/y/2"]);
    let side = data(&["train/d.png", "train/c/z.png", "train/c.png", "val/deep/er/1.png"]);
    let found = Folder::scan(side.path(), STRICT).unwrap();
    assert_eq!(names(&found.train), ["c", "c/z", "d"]);
    assert_eq!(names(&found.val), ["deep/er/1"]);
    // A partner in another folder is none.
    let apart = data(&["A/x/1.png", "B/y/1.png"]);
    let text = error(apart.path());
    assert!(text.contains("A/x/1.png has no partner") && text.contains("B/y/1.png"), "{text}");
    // Beside pairs that lie in the data folder itself, folders may hold anything.
    let loose = data(&["1.png", "out/2.png", "out/3.png"]);
    assert_eq!(names(&Folder::scan(loose.path(), STRICT).unwrap().train), ["1"]);
    assert!(notes(&loose)[0].starts_with("not used: 2 pictures beside the folders"), "{loose:?}");
}

#[test]
fn any_two_folders_are_a_data_set_with_phases_or_without() {
    let folder = data(&["photos/1.png", "drawings/1.png", "more/x.png", "other/x.png"]);
    for name in ["photos/1.png", "drawings/1.png", "more/x.png", "other/x.png"] {
        save(folder.path(), name, &marked(8, 8, name.len() as u8));
    }
    let at = |name: &str| folder.path().join(name);
    let [photos, drawings, more, other] = ["photos", "drawings", "more", "other"].map(at);
    let found = Folder::scan_two([&photos, &drawings], None, STRICT).unwrap();
    assert_eq!((names(&found.train), found.val.len()), (vec!["1"], 0));
    let val = Some([more.as_path(), other.as_path()]);
    let found = Folder::scan_two([&photos, &drawings], val, STRICT).unwrap();
    assert_eq!((names(&found.train), names(&found.val)), (vec!["1"], vec!["x"]));
    for (name, phase) in
        [("photos", "train"), ("drawings", "train"), ("photos", "val"), ("drawings", "val")]
    {
        save(folder.path(), &format!("{name}/{phase}/{phase}.png"), &marked(8, 8, 1));
    }
    let found = Folder::scan_two([&photos, &drawings], None, STRICT).unwrap();
    assert_eq!((names(&found.train), names(&found.val)), (vec!["train"], vec!["val"]));
    let missing = Folder::scan_two([&photos, &at("no")], None, STRICT).unwrap_err().to_string();
    assert!(missing.contains("no does not exist"), "{missing}");
}

#[test]
fn names_that_are_equal_as_text_are_pairs() {
    // Composed and decomposed: one letter or two.
    let (one, two) = ("\u{e9}", "e\u{301}");
    let folder = data(&["A/plain.png", "B/plain.png"]);
    save(folder.path(), &format!("A/caf{one}.png"), &marked(8, 8, 1));
    save(folder.path(), &format!("B/caf{two}.png"), &marked(8, 8, 2));
    save(folder.path(), &format!("A/dir{two}/\u{1112}\u{1161}.png"), &marked(8, 8, 1));
    save(folder.path(), &format!("B/dir{one}/\u{d558}.png"), &marked(8, 8, 2));
    let found = Folder::scan(folder.path(), STRICT).unwrap();
    assert_eq!((found.train.len(), found.by_text), (3, 2));
    assert_eq!(
        notes(&folder),
        ["2 pairs have names that differ in their bytes and are equal as text (Unicode NFC)"]
    );
    // Bytes come first, and two of one text are no pair.
    save(folder.path(), &format!("A/caf{two}.png"), &marked(8, 8, 1));
    let text = error(folder.path());
    assert!(text.contains("no partner"), "{text}");
}

#[test]
fn a_partner_in_a_format_that_is_not_read_is_named() {
    for (name, says) in
        [("1.psd", "Photoshop"), ("1.HEIC", "HEIC"), ("1.jxl", "JPEG XL"), ("1.mp4", "film")]
    {
        let folder = data(&["A/1.png", "A/2.png", "B/2.png"]);
        fs::write(folder.path().join("B").join(name), "x").unwrap();
        let text = error(folder.path());
        assert!(text.contains("has its partner") && text.contains(says), "{text}");
        assert!(text.contains(name) && text.contains("convert"), "{text}");
    }
}

#[test]
fn formats_are_known_by_extension_or_content() {
    let folder = data(&["1.png"]);
    let contents: [(&str, &[u8], &str); 12] = [
        ("a", b"gimp xcf v011", "1 GIMP picture"),
        ("b.dat", b"PF\n2 2\n-1\n", "1 PFM picture"),
        ("c", b"\0\0\0\x18ftypheic\0\0", "1 HEIC picture"),
        ("d.bin", b"\0\0\0\x18ftypavif\0\0", "1 AVIF picture"),
        ("e", b"%PDF-1.4", "1 PDF document"),
        ("f.xml", b"<?xml version='1.0'?><svg/>", "1 SVG drawing"),
        ("g", b"8BPS\0\x01", "1 Photoshop picture"),
        ("h.x", b"\x76\x2f\x31\x01", "1 OpenEXR picture"),
        ("i", b"\0\0\0\x0cJXL \r\n", "1 JPEG XL picture"),
        ("j", b"\0\0\0\x0cjP  \r\n", "1 JPEG 2000 picture"),
        ("k.NEF", b"MM\0*", "1 camera raw picture"),
        ("photo", b"\xff\xd8\xff\xe0", "1 picture without the extension of one"),
    ];
    for (name, content, _) in contents {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let said = notes(&folder);
    for (name, _, says) in contents {
        let of = |line: &&String| line.starts_with(&format!("not used: {says}"));
        let line = said.iter().find(of).unwrap_or_else(|| panic!("{says} in {said:?}"));
        assert!(line.contains(name), "{line}");
    }
    assert_eq!(said.len(), contents.len());
}

#[cfg(unix)]
#[test]
fn links_in_circles_and_what_systems_add_are_passed_over() {
    use std::os::unix::fs::symlink;
    let folder = data(&["train/1.png", "train/sub/2.png", "train/@eaDir/1.png", "elsewhere/3.png"]);
    let at = |name: &str| folder.path().join(name);
    symlink(at("train"), at("train/sub/up")).unwrap();
    symlink(at("train/sub"), at("train/again")).unwrap();
    symlink(at("elsewhere"), at("train/linked")).unwrap();
    fs::create_dir(at("train/run")).unwrap();
    fs::write(at("train/run/metrics.jsonl"), "").unwrap();
    save(folder.path(), "train/run/samples/1.png", &marked(16, 8, 0));
    let found = Folder::scan(folder.path(), STRICT).unwrap();
    let mut have = names(&found.train);
    have.sort_unstable();
    // The folder that two names lead to is used once, under the first of them.
    assert_eq!(have, ["1", "again/2", "linked/3"]);
    let said = notes(&folder).join("; ");
    assert!(said.contains("2 links to a folder that is used already"), "{said}");
    assert!(said.contains("1 folder of a run, train/run"), "{said}");
}

#[test]
fn pairs_in_two_phases_are_said() {
    let files = ["train/1.png", "train/2.png", "val/1.png", "val/other.png", "test/x.png"];
    let folder = data(&files);
    assert_eq!(notes(&folder), Vec::<String>::new());
    for to in ["val/other.png", "test/x.png"] {
        fs::copy(folder.path().join("train/2.png"), folder.path().join(to)).unwrap();
    }
    let said = notes(&folder);
    assert!(
        said[0].starts_with(
            "1 of the 2 val pair is in train too, such as val/other.png (train/2.png)"
        )
    );
    assert!(said[1].starts_with("1 of the 1 test pair is in train too"), "{said:?}");
    // In two folders both pictures must be the same: masks may be equal.
    let two = data(&["train/A/1.png", "train/B/1.png", "val/A/9.png", "val/B/9.png"]);
    fs::copy(two.path().join("train/B/1.png"), two.path().join("val/B/9.png")).unwrap();
    assert_eq!(notes(&two), Vec::<String>::new());
    fs::copy(two.path().join("train/A/1.png"), two.path().join("val/A/9.png")).unwrap();
    assert!(notes(&two)[0].contains("val/A/9.png (train/A/1.png)"), "{:?}", notes(&two));
}

#[test]
fn pairs_of_odd_proportions_are_said() {
    let with = |sizes: &[(usize, usize)]| {
        let folder = tempfile::tempdir().unwrap();
        for (i, &(w, h)) in sizes.iter().enumerate() {
            save(folder.path(), &format!("{i}.png"), &marked(2 * w, h, i as u8));
        }
        notes(&folder)
    };
    assert_eq!(with(&[(8, 8), (16, 16), (9, 8), (8, 10)]), Vec::<String>::new());
    let said = with(&[(8, 8), (8, 8), (24, 8), (8, 8)]);
    assert!(
        said[0].contains("1 of 4 pair has other proportions")
            && said[0].contains("2.png is 24 x 8")
    );
    assert!(
        with(&[(8, 20), (20, 8), (8, 20), (8, 20)])[0]
            .contains("1.png is 20 x 8, most are like 8 x 20")
    );
    // Half of each is a mixed set.
    assert_eq!(with(&[(8, 20), (20, 8)]), Vec::<String>::new());
    assert_eq!(with(&[(8, 20), (20, 8), (8, 20), (20, 8)]), Vec::<String>::new());
}

#[test]
fn all_that_is_wrong_is_listed_at_once_and_counted_beyond_twenty() {
    let folder = data(&["train/good.png", "val/good.png"]);
    for i in 0..30 {
        fs::write(folder.path().join(format!("train/{i:02}.png")), "").unwrap();
    }
    fs::write(folder.path().join("val/bad.jpg"), "text").unwrap();
    let text = error(folder.path());
    assert!(text.starts_with("31 pictures cannot be used"), "{text}");
    assert_eq!(text.lines().count(), 22, "{text}");
    assert!(text.ends_with("and 11 more"), "{text}");
    let mut found = Folder::scan(folder.path(), SKIP).unwrap();
    assert_eq!((found.train.len(), found.val.len(), found.skipped.len()), (1, 1, 31));
    // Pixels that are broken behind a good header.
    let whole = fs::read(folder.path().join("train/good.png")).unwrap();
    for name in ["train/cut.png", "val/cut.png", "test/cut.png"] {
        fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        fs::write(folder.path().join(name), &whole[..whole.len() - 20]).unwrap();
    }
    found = Folder::scan(folder.path(), SKIP).unwrap();
    let text =
        found.check_pixels(Check::Full, STRICT, [&Domain::default(); 2]).unwrap_err().to_string();
    for name in ["train/cut.png", "val/cut.png", "test/cut.png"] {
        assert!(text.contains(name), "{text}");
    }
    found = Folder::scan(folder.path(), SKIP).unwrap();
    let text = found
        .check_pixels(Check::Headers, STRICT, [&Domain::default(); 2])
        .unwrap_err()
        .to_string();
    assert!(text.contains("val/cut.png is damaged") && !text.contains("train/cut.png"), "{text}");
    found = Folder::scan(folder.path(), SKIP).unwrap();
    found.check_pixels(Check::Headers, SKIP, [&Domain::default(); 2]).unwrap();
    assert_eq!((found.train.len(), found.val.len(), found.skipped.len()), (1, 1, 33));
}
