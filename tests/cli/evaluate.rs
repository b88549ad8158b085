//! `evaluate`: figures against targets, of folders and of models, and that no picture is left out in silence.

use std::path::Path;

use pix2pix_engine::data::{Attributes, Image, StoredType};
use serde_json::Value;

use crate::program::{
    Refused, SMALL, bench, ok, pairs, picture, refuse_all, run, save, tree, words,
};

fn json(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("scores.json")).unwrap()).unwrap()
}

/// The figures of a system by its name.
fn system<'a>(all: &'a Value, name: &str) -> &'a Value {
    let systems = all["systems"].as_array().unwrap();
    systems.iter().find(|system| system["system"] == name).unwrap()
}

fn figure(all: &Value, name: &str, measure: &str) -> f64 {
    system(all, name)["figures"][measure]["value"].as_f64().unwrap()
}

/// The picture with every sample further from the middle of the range by `by`.
fn moved(image: &Image, by: u8) -> Image {
    let samples: Vec<u8> =
        bytes(image).iter().map(|&v| if v < 128 { v + by } else { v - by }).collect();
    Image::new(image.width, image.height, image.channels, samples).unwrap()
}

fn bytes(image: &Image) -> &[u8] {
    image.samples.as_slice().bytes()
}

#[test]
fn predictions_are_scored_by_hand_made_figures_and_none_is_left_out_in_silence() {
    let at = tempfile::tempdir().unwrap();
    let put = |name: &str, image: &Image| save(&at.path().join(name), image);
    for i in 0..4 {
        put(&format!("targets/{i}.png"), &picture(20, 16, i));
    }
    put("ours/0.png", &moved(&picture(20, 16, 0), 3));
    put("ours/1.png", &moved(&picture(20, 16, 1), 5));
    put("ours/2.png", &picture(20, 16, 2).resize(10, 8));
    put("ours/unknown.png", &picture(20, 16, 2));
    put("theirs/0.png", &moved(&picture(20, 16, 0), 4));
    put("theirs/1.png", &moved(&picture(20, 16, 1), 4));
    put("theirs/2.png", &picture(20, 16, 2));
    put("theirs/3.png", &picture(20, 16, 3));
    let ended = run(at.path(), &words("evaluate ours theirs targets"));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    for says in ["2 outputs were not scored", "nothing is resized", "no picture named 3 in ours"] {
        assert!(ended.err.contains(says), "{says}: {ended:?}");
    }
    assert!(ended.out.contains("1 of the 4 pictures of ours are not used"), "{ended:?}");

    let out = at.path().join("evaluation");
    let all = json(&out);
    assert_eq!(figure(&all, "ours", "mae"), 4.0);
    assert_eq!(figure(&all, "theirs", "mae"), 2.0);
    // Two of theirs are equal to their targets, and have no PSNR: 4 levels of 255 are 36.09 dB.
    let psnr = &system(&all, "theirs")["figures"]["psnr"];
    assert_eq!((&psnr["pictures"], &psnr["left_out"]), (&2.into(), &2.into()));
    assert!((psnr["value"].as_f64().unwrap() - 20.0 * (255.0f64 / 4.0).log10()).abs() < 1e-9);
    let ms_ssim = &system(&all, "ours")["figures"]["ms_ssim"];
    assert_eq!((&ms_ssim["value"], &ms_ssim["left_out"]), (&Value::Null, &2.into()));
    // The difference is of the two pictures that both have: (4 + 4) / 2 - (3 + 5) / 2.
    let between = &system(&all, "theirs")["difference_from_first"]["mae"];
    assert_eq!((&between["value"], &between["pictures"]), (&0.0.into(), &2.into()));
    assert_eq!(all["not_scored"].as_array().unwrap().len(), 2);
    let names: Vec<&Value> =
        all["systems"].as_array().unwrap().iter().map(|s| &s["system"]).collect();
    assert_eq!(names, ["ours", "theirs", "the mean target"]);

    let text = std::fs::read_to_string(out.join("scores.csv")).unwrap();
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows[0], "picture,system,mae,l1,psnr,ssim,ms_ssim,pearson,nrmse,lab_l,lab_a,lab_b");
    assert_eq!(rows.len(), 1 + 3 * 4);
    assert!(rows.iter().any(|row| row.starts_with("0,ours,3,0.0235294")), "{text}");
    assert!(rows.contains(&"3,ours,,,,,,,,,,"), "{text}");

    let page = std::fs::read_to_string(out.join("index.html")).unwrap();
    for says in ["There is no row for the input as it is", "ours", "Not scored", "data:image/png"] {
        assert!(page.contains(says), "{says}");
    }
    // Nothing is asked of anybody else.
    for asks in ["http:", "https:", "<script", "<link", "url("] {
        assert!(!page.contains(asks), "{asks}");
    }
    let sources = page.matches("src=").count();
    assert_eq!(sources, page.matches("src=\"data:image/png;base64,").count());
    assert!(sources > 0);

    // Of theirs half of the pixels are the targets' own.
    let shared = figure(&all, "theirs", "lab_a");
    assert!((0.5..1.0).contains(&shared), "{shared}");
    assert!(
        page.contains("<polyline") && all["lab_of_targets"]["a"].as_array().unwrap().len() == 221
    );

    // The same again gives the same bytes.
    let bytes = |name: &str| std::fs::read(out.join(name)).unwrap();
    let before = ["scores.csv", "scores.json", "index.html"].map(bytes);
    assert_eq!(run(at.path(), &words("evaluate ours theirs targets")).code, Some(3));
    assert_eq!(before, ["scores.csv", "scores.json", "index.html"].map(bytes));
}

/// A model scores as the pictures that it writes do, and both see the held-out pairs.
#[test]
fn a_model_scores_as_its_translations() {
    let at = tempfile::tempdir().unwrap();
    pairs(&at.path().join("data/train"), 3, 32);
    for i in 0..3 {
        save(&at.path().join(format!("data/val/{i}.png")), &picture(64, 32, 40 + i));
    }
    let line = format!("train data --out run {SMALL} --epochs 2");
    ok(at.path(), &words(&line));
    ok(at.path(), &words("translate run data/val --pairs -o written"));
    let said = ok(at.path(), &words("evaluate run written data")).out;
    assert!(said.contains("3 pairs of val"), "{said}");
    let all = json(&at.path().join("evaluation"));
    let figures = |name: &str| &system(&all, name)["figures"];
    assert_eq!(figures("run"), figures("written"));
    let between = &system(&all, "written")["difference_from_first"]["ssim"];
    assert_eq!(between["value"], 0.0);
    assert!(figure(&all, "the input as it is", "l1") > 0.0);

    // A pair that is cut short keeps nobody from scoring the others, and is listed for each row.
    let bytes = std::fs::read(at.path().join("data/val/0.png")).unwrap();
    let cut = at.path().join("data/val/cut.png");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let ended = run(at.path(), &words("evaluate run data"));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("cut of run: ") && ended.err.contains("cut short"), "{ended:?}");
    assert_eq!(*figures("run"), json(&at.path().join("evaluation"))["systems"][0]["figures"]);
    std::fs::remove_file(cut).unwrap();

    // Alone the folder needs --pairs, and the phase can be another.
    ok(at.path(), &words("evaluate run data --phase train --out other"));
    let text = std::fs::read_to_string(at.path().join("other/index.html")).unwrap();
    assert!(text.contains("may be pairs that a model was trained on"));
    ok(at.path(), &words("evaluate written data --pairs --out third"));
    let third = json(&at.path().join("third"));
    assert_eq!(system(&third, "written")["figures"], *figures("written"));
}

/// By hand: classes in a palette, of which a quarter of the pixels is given another.
#[test]
fn labels_are_scored_by_classes() {
    let at = tempfile::tempdir().unwrap();
    let palette = vec![[0, 0, 0], [255, 0, 0], [0, 255, 0]];
    let put = |name: &str, class: &dyn Fn(usize, usize) -> u8| {
        let samples: Vec<u8> = (0..64).map(|i| class(i % 8, i / 8)).collect();
        let image = Image::new(8, 8, 1, samples).unwrap();
        let mut attributes = Attributes::new(StoredType::U8);
        attributes.palette = Some(palette.clone());
        let path = at.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        Image::write_pages(&[image], &attributes, &path, 95).unwrap();
    };
    let halves = |x: usize, _: usize| u8::from(x >= 4);
    put("targets/a.png", &halves);
    put("targets/b.png", &|_, _| 2);
    put("ours/a.png", &|x, y| if y < 4 { 1 } else { halves(x, y) });
    put("ours/b.png", &|_, _| 2);
    ok(at.path(), &words("evaluate ours targets --target labels"));
    let all = json(&at.path().join("evaluation"));
    assert_eq!(figure(&all, "ours", "pixel_accuracy"), 112.0 / 128.0);
    assert_eq!(figure(&all, "ours", "class_accuracy"), (0.5 + 1.0 + 1.0) / 3.0);
    assert_eq!(figure(&all, "ours", "mean_iou"), (16.0 / 32.0 + 32.0 / 48.0 + 1.0) / 3.0);
    assert!(system(&all, "ours")["figures"].get("mae").is_none());
    assert!(figure(&all, "the most frequent class", "pixel_accuracy") > 0.4);
}

/// Floats keep their unit, and pixels without a value do not count.
#[test]
fn values_are_scored_in_their_unit_without_holes() {
    let at = tempfile::tempdir().unwrap();
    let put = |name: &str, value: &dyn Fn(usize) -> f32| {
        let image = Image::new(16, 12, 1, (0..192).map(value).collect::<Vec<f32>>()).unwrap();
        let path = at.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        Image::write_pages(&[image], &Attributes::new(StoredType::F32), &path, 95).unwrap();
    };
    let height = |i: usize| if i == 0 { f32::NAN } else { 100.0 * i as f32 };
    put("targets/a.tiff", &height);
    put("ours/a.tiff", &|i| if i == 0 { f32::NAN } else { 100.0 * i as f32 + 250.0 });
    put("theirs/a.tiff", &|i| if i == 9 { f32::NAN } else { 0.0 });
    let ended = run(at.path(), &words("evaluate ours theirs targets"));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("not finite where its target has a value"), "{ended:?}");
    let all = json(&at.path().join("evaluation"));
    assert_eq!(figure(&all, "ours", "mae"), 250.0);
    assert_eq!(figure(&all, "ours", "pearson"), 1.0);
    // One picture says nothing of a spread.
    assert_eq!(system(&all, "ours")["figures"]["mae"]["interval"], Value::Null);
}

#[test]
fn what_cannot_be_evaluated_is_refused_and_nothing_is_written() {
    let at = bench();
    let put = |name: &str, image: &Image| save(&at.path().join(name), image);
    put("targets/a.png", &picture(20, 16, 0));
    put("ours/b.png", &picture(20, 16, 0));
    std::fs::create_dir(at.path().join("empty")).unwrap();
    put("full/other.png", &picture(20, 16, 0));
    let row = |line, says| Refused { line, code: 1, says };
    refuse_all(
        at.path(),
        &[
            row("evaluate nowhere targets", &["nowhere does not exist", "targets last"]),
            row("evaluate targets targets", &["both scored and the targets"]),
            row("evaluate ours ours targets", &["given twice"]),
            row("evaluate empty targets", &["empty"]),
            row("evaluate ours empty", &["empty"]),
            row("evaluate ours/b.png targets", &["is a picture", "folder of all predictions"]),
            row("evaluate ours targets --out full", &["other files", "other.png"]),
            row("evaluate ours data --pairs --phase val", &["no pairs of the phase val"]),
        ],
    );
    // Nothing fits: what is missing is listed before the end, and nothing is written.
    let before = tree(at.path());
    let ended = run(at.path(), &words("evaluate ours targets"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("no output could be scored"), "{ended:?}");
    assert_eq!(before, tree(at.path()));
}
