//! `score`: an FCN-8s is trained on real photographs, and tells good generated ones from bad ones.

use std::path::Path;

use pix2pix_engine::data::Image;
use serde_json::Value;

use crate::program::{Refused, SMALL, ok, refuse_all, save, words};

const SIDE: usize = 64;
/// The colours of the classes in labels, and in photographs.
const COLOURS: [[[u8; 3]; 2]; 3] =
    [[[0, 0, 0], [40, 60, 160]], [[255, 0, 0], [90, 150, 60]], [[0, 255, 0], [210, 190, 150]]];

/// The class of a pixel: a disc and a stripe on a ground.
fn class(i: usize, x: usize, y: usize) -> usize {
    let far = |a: usize, b: usize| a.abs_diff(b).pow(2);
    if far(x, 20 + 5 * i) + far(y, 30) < 250 {
        1
    } else if (y + i * 7) % SIDE > 50 {
        2
    } else {
        0
    }
}

/// Labels, or a photograph of them with some grain.
fn picture(i: usize, photograph: bool) -> Image {
    let pixel = |p: usize| {
        let (x, y) = (p % SIDE, p / SIDE);
        let colour = COLOURS[class(i, x, y)][usize::from(photograph)];
        let grain = if photograph { (x * 31 + y * 17 + x * y) % 13 } else { 0 };
        colour.map(|v| v.saturating_add(grain as u8))
    };
    Image::new(SIDE, SIDE, 3, (0..SIDE * SIDE).flat_map(pixel).collect::<Vec<u8>>()).unwrap()
}

fn data(at: &Path) {
    for i in 0..6 {
        let phase = if i < 4 { "train" } else { "val" };
        save(&at.join(format!("data/{phase}/A/{i}.png")), &picture(i, false));
        save(&at.join(format!("data/{phase}/B/{i}.png")), &picture(i, true));
    }
}

fn figure(all: &Value, name: &str, measure: &str) -> f64 {
    let systems = all["systems"].as_array().unwrap();
    let system = systems.iter().find(|system| system["system"] == name).unwrap();
    system["figures"][measure]["value"].as_f64().unwrap()
}

#[test]
fn a_scorer_tells_photographs_of_the_labels_from_others() {
    let at = tempfile::tempdir().unwrap();
    data(at.path());
    let line = "score train data --direction b2a --size 64 --base-channels 4 --epochs 40 --out scorer \
                --no-jitter --lr 2e-3";
    let said = ok(at.path(), &words(line)).out;
    assert!(said.contains("generator Fcn8s"), "{said}");
    // The real ones again, and those of other labels.
    for i in 4..6 {
        save(&at.path().join(format!("same/{i}.png")), &picture(i, true));
        save(&at.path().join(format!("others/{i}.png")), &picture(i + 3, true));
    }
    let line = format!("train data --out run {SMALL} --epochs 1");
    ok(at.path(), &words(&line));
    let said = ok(at.path(), &words("score apply scorer same others run data")).out;
    let all: Value =
        serde_json::from_slice(&std::fs::read(at.path().join("evaluation/scores.json")).unwrap())
            .unwrap();
    let [same, others, real, run] = ["same", "others", "real photographs", "run"]
        .map(|name| figure(&all, name, "pixel_accuracy"));
    assert_eq!(same, real, "{said}");
    assert!(real > 0.9, "{said}");
    assert!(others < real && run < real, "{said}");
    let page = std::fs::read_to_string(at.path().join("evaluation/index.html")).unwrap();
    assert!(page.contains("its best validation, after epoch"), "{said}");

    let row = |line, says| Refused { line, code: 1, says };
    refuse_all(
        at.path(),
        &[
            row("score apply run same data --out new", &["gives no classes", "score train"]),
            row("score apply same others data --out new", &["holds no model"]),
            row("score apply scorer scorer data --out new", &["direction of the scorer"]),
            row("score apply scorer same same --out new", &["both scored and the targets"]),
            row(
                "score train data --generator unet --out new --size 64",
                &["--generator", "use `train`"],
            ),
            row("score train data --target rgb --out new", &["--target"]),
            row("score train data --depth 6 --size 64 --out new", &["halves pictures 5 times"]),
            row("score train data --size 48 --out new", &["multiples of 32"]),
        ],
    );
}
