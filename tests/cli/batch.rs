//! Translations of many pictures: what is left out, bad, named alike or not a picture at all.

use std::fs;
use std::path::Path;

use pix2pix_engine::data::Image;

use crate::program::{bench, ok, picture, run, save, train, words};

/// A folder with a trained `run`.
fn trained() -> tempfile::TempDir {
    let folder = bench();
    train(folder.path(), "run", "--steps 1");
    folder
}

/// The files below a folder, by their paths from it.
fn files(root: &Path) -> Vec<String> {
    let (mut all, mut open) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                all.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_string());
            }
        }
    }
    all.sort();
    all
}

#[test]
fn bad_pictures_are_listed_at_the_end_and_the_others_translated() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    for (i, name) in ["in/a.png", "in/m/b.jpg", "in/z.png"].into_iter().enumerate() {
        save(&at(name), &picture(20 + i, 16, i));
    }
    fs::write(at("in/empty.png"), "").unwrap();
    fs::write(at("in/text.jpg"), "text").unwrap();
    let whole = fs::read(at("in/z.png")).unwrap();
    fs::write(at("in/m/cut.png"), &whole[..whole.len() - 30]).unwrap();
    fs::write(at("in/b.psd"), "8BPS").unwrap();
    fs::write(at("in/notes.txt"), "x").unwrap();
    let ended = run(folder.path(), &words("translate run in --output out"));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(files(&at("out")), ["a.png", "m/b.png", "z.png"]);
    for says in [
        "4 to translate, 0.00 megapixels, the largest 22 x 16",
        "not used: 1 Photoshop picture, in/b.psd (convert it",
        "not used: 1 file that is no picture, in/notes.txt",
    ] {
        assert!(ended.out.contains(says), "no {says:?} in {}", ended.out);
    }
    let lines: Vec<_> = ended.err.lines().collect();
    assert_eq!(lines[0], "error: 3 of 6 pictures were not translated:");
    for name in ["in/empty.png", "in/text.jpg", "in/m/cut.png"] {
        assert!(lines[1..].iter().any(|line| line.contains(name)), "{lines:?}");
    }
    // Nothing that can be translated is wrong input, with the list all the same.
    fs::create_dir(at("none")).unwrap();
    fs::write(at("none/1.png"), "").unwrap();
    fs::write(at("none/2.png"), "text").unwrap();
    let ended = run(folder.path(), &words("translate run none --output nothing"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("none/2.png") && ended.err.contains("none of the 2"), "{ended:?}");
    assert!(!at("nothing").exists());
}

#[test]
fn equal_names_get_distinct_outputs() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    let names = ["a.png", "a.jpg", "a.bmp", "b.png", "sub/a.png", "a.jpg.webp"];
    for (i, name) in names.into_iter().enumerate() {
        save(&at("in").join(name), &picture(20 + i, 16, i));
    }
    let ended = ok(folder.path(), &words("translate run in --output out"));
    let expected = ["a.bmp.png", "a.jpg-2.png", "a.jpg.png", "a.png.png", "b.png", "sub/a.png"];
    let mut written = files(&at("out"));
    written.sort();
    assert_eq!(written, expected);
    assert!(ended.out.contains("outputs get a longer or another name"), "{}", ended.out);
    let widths: Vec<_> =
        written.iter().map(|n| Image::read(&at("out").join(n)).unwrap().width).collect();
    let mut sorted = widths.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), names.len(), "each output is of its own picture: {widths:?}");
    // The same names in two folders.
    save(&at("more/b.png"), &picture(40, 16, 0));
    ok(folder.path(), &words("translate run in more --output both"));
    assert!(
        at("both/in/b.png").is_file() && at("both/more/b.png").is_file(),
        "{:?}",
        files(&at("both"))
    );
}

#[test]
fn outputs_inside_the_input_are_no_inputs_and_inputs_are_never_overwritten() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    save(&at("in/a.png"), &picture(20, 16, 0));
    save(&at("in/b.png"), &picture(20, 16, 1));
    for _ in 0..2 {
        let ended = ok(folder.path(), &words("translate run in --output in/out"));
        assert!(ended.out.contains("2 to translate"), "{}", ended.out);
    }
    assert_eq!(files(&at("in")), ["a.png", "b.png", "out/a.png", "out/b.png"]);
    let before = fs::read(at("in/a.png")).unwrap();
    for line in [
        "translate run in --output in",
        "translate run in/a.png --output in/a.png",
        "translate run in/a.png --output in/../in/a.png",
        "translate run in/a.png in/b.png --output in",
    ] {
        let ended = run(folder.path(), &words(line));
        assert_eq!(ended.code, Some(1), "{line}: {ended:?}");
        assert!(ended.err.contains("would be overwritten"), "{line}: {ended:?}");
    }
    assert_eq!(fs::read(at("in/a.png")).unwrap(), before);
}

#[test]
fn pairs_are_translated_out_of_every_layout() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    for i in 0..2 {
        save(&at(&format!("two/A/x/{i}.png")), &picture(32, 32, i));
        save(&at(&format!("two/B/x/{i}.jpg")), &picture(32, 32, i + 5));
        save(&at(&format!("phases/train/{i}.png")), &picture(64, 32, i));
        save(&at(&format!("phases/valid/{i}.png")), &picture(64, 32, i));
        save(&at(&format!("named/testA/{i}.png")), &picture(32, 32, i));
        save(&at(&format!("named/testB/{i}.png")), &picture(32, 32, i));
    }
    for (line, count, written) in [
        ("two", 2, vec!["x/0.png", "x/1.png"]),
        ("phases", 4, vec!["train/0.png", "train/1.png", "val/0.png", "val/1.png"]),
        ("named", 2, vec!["0.png", "1.png"]),
        ("data", 3, vec!["0.png", "1.png", "2.png"]),
    ] {
        let out = format!("out-{line}");
        let ended = ok(folder.path(), &words(&format!("translate run {line} --pairs -o {out}")));
        assert!(ended.out.contains(&format!("mean of {count}: L1")), "{}", ended.out);
        assert_eq!(files(&at(&out)), written, "{line}");
    }
    // The input half alone gives the same picture.
    ok(folder.path(), &words("translate run two/A/x/0.png -o alone.png"));
    assert_eq!(
        Image::read(&at("alone.png")).unwrap(),
        Image::read(&at("out-two/x/0.png")).unwrap()
    );
    // A pair without its partner, and one that cannot be halved.
    fs::remove_file(at("two/B/x/0.jpg")).unwrap();
    let ended = run(folder.path(), &words("translate run two --pairs -o rest"));
    assert_eq!((ended.code, files(&at("rest"))), (Some(3), vec!["x/1.png".to_string()]));
    assert!(ended.err.contains("two/A/x/0.png has no partner"), "{ended:?}");
    save(&at("odd.png"), &picture(31, 16, 0));
    let ended = run(folder.path(), &words("translate run odd.png --pairs -o odd-out.png"));
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("odd.png is 31 pixels wide"), "{ended:?}");
}

#[test]
fn a_jpeg_is_written_with_quality_95_or_as_asked_for() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    save(&at("in.png"), &picture(90, 70, 0));
    let size = |flags: &str, to: &str| {
        ok(folder.path(), &words(&format!("translate run in.png -o {to} {flags}")));
        fs::metadata(at(to)).unwrap().len()
    };
    let (plain, same) = (size("", "plain.jpg"), size("--quality 95", "same.jpg"));
    assert_eq!(plain, same);
    assert!(size("--quality 30", "low.jpg") < plain && plain < size("--quality 100", "high.jpeg"));
    for (line, says) in [
        ("translate run in.png -o x.png --quality 90", "--quality is for .jpg files"),
        ("translate run in.png -o x.jpg --quality 0", "1..=100"),
        ("translate run in.png -o x.jpg --quality 101", "1..=100"),
    ] {
        let ended = run(folder.path(), &words(line));
        assert_eq!(ended.code, Some(1), "{line}: {ended:?}");
        assert!(ended.err.contains(says), "{line}: {ended:?}");
    }
}

#[test]
fn notes_are_printed_and_strange_names_are_escaped() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    let deep = image::ImageBuffer::from_fn(24, 16, |x, y| image::Luma([(x * 40 + y) as u16]));
    fs::create_dir(at("in")).unwrap();
    image::DynamicImage::ImageLuma16(deep).save(at("in/deep.png")).unwrap();
    save(&at("in/evil\u{1b}[31m\nname.png"), &picture(20, 16, 0));
    let ended = ok(folder.path(), &words("translate run in -o out"));
    assert!(
        ended.out.contains("(in/deep.png) with 16 bits a channel: they are rounded"),
        "{ended:?}"
    );
    assert!(ended.out.contains("samples reach 935 of 65535"), "{ended:?}");
    assert!(ended.out.contains("in/evil\\u{1b}[31m\\nname.png -> "), "{ended:?}");
    assert!(!ended.out.contains('\u{1b}'), "{ended:?}");
}

/// A pipe, a device and a bomb in a folder cost nobody the other pictures, nor memory.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_listed_and_not_waited_for() {
    use rustix::fs::{CWD, Mode, mkfifoat};
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    save(&at("in/a.png"), &picture(20, 16, 0));
    mkfifoat(CWD, at("in/pipe.png"), Mode::RUSR | Mode::WUSR).unwrap();
    mkfifoat(CWD, at("model.safetensors"), Mode::RUSR | Mode::WUSR).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at("in/zero.jpg")).unwrap();
    std::os::unix::fs::symlink(at("in"), at("in/self")).unwrap();
    fs::copy(at("in/a.png"), at("in/long.png")).unwrap();
    fs::File::options().write(true).open(at("in/long.png")).unwrap().set_len(1500 << 20).unwrap();
    let ended = run(folder.path(), &words("translate run in -o out"));
    assert_eq!((ended.code, files(&at("out"))), (Some(3), vec!["a.png".to_string()]));
    for says in
        ["in/pipe.png is a named pipe", "in/zero.jpg is a device", "in/long.png has 1572 MB"]
    {
        assert!(ended.err.contains(says), "no {says:?} in {}", ended.err);
    }
    for line in [
        "translate model.safetensors in/a.png -o o.png",
        "describe model.safetensors",
        "convert model.safetensors o.pth",
        "translate run in/pipe.png -o o.png",
        "translate run /dev/zero -o o.png",
        "train data --init-generator model.safetensors --out new",
    ] {
        let ended = run(folder.path(), &words(line));
        assert_eq!(ended.code, Some(1), "{line}: {ended:?}");
        assert!(ended.err.contains("no regular file"), "{line}: {ended:?}");
    }
}

/// A PNG of a megabyte whose profile inflates to a gigabyte is read within the memory of any other.
#[cfg(unix)]
#[test]
fn a_bomb_in_a_profile_costs_no_memory() {
    use flate2::{Compression, write::ZlibEncoder};
    use std::io::Read;
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    let mut packed = ZlibEncoder::new(b"iCCPa\0\0".to_vec(), Compression::default());
    std::io::copy(&mut std::io::repeat(0).take(1 << 30), &mut packed).unwrap();
    let chunk = packed.finish().unwrap();
    let png = fs::read(at("data/0.png")).unwrap();
    let length = (chunk.len() as u32 - 4).to_be_bytes();
    let sum = crc32fast::hash(&chunk).to_be_bytes();
    let bomb = [&png[..33], &length, &chunk, &sum, &png[33..]].concat();
    fs::create_dir(at("in")).unwrap();
    fs::write(at("in/bomb.png"), bomb).unwrap();
    let program = env!("CARGO_BIN_EXE_pix2pix-engine");
    for line in [
        "translate run in -o out --threads 2 --device cpu",
        "train in --out new --steps 1 --threads 2 --device cpu --size 32 --base-channels 4 --patch 16",
    ] {
        // 900 MB of addresses, of which threads on many cores would reserve the most.
        let limited = format!("ulimit -v 900000; exec '{program}' {line}");
        let ended = std::process::Command::new("sh")
            .args(["-c", &limited])
            .current_dir(folder.path())
            .env("RAYON_NUM_THREADS", "2")
            .env_remove("LD_LIBRARY_PATH")
            .output()
            .unwrap();
        assert!(ended.status.success(), "{line}: {ended:?}");
    }
}
