//! Images of any channels and samples through a model: a translator of a file and of values in
//! memory, and what a training shows of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pix2pix_engine::checkpoint::{FORMAT, Tensors, load_weights, save_weights};
use pix2pix_engine::data::{
    Direction, Domain, DomainKind, Domains, Fit, Image, LoaderOptions, MemoryPairs,
};
use pix2pix_engine::device::{Cpu, Device};
use pix2pix_engine::kernel::{Backend, Statistics};
use pix2pix_engine::model::{GeneratorConfig, NormKind};
use pix2pix_engine::tensor::{SampleType, Samples};
use pix2pix_engine::train::{
    Gan, Networks, Objective, RunConfig, RunOptions, RunPlan, Scores, Silent, Trained, Trainer,
    Viewer,
};
use pix2pix_engine::translate::{Scale, TranslateOptions, Translator};

pub fn cpu() -> Box<dyn Backend> {
    Box::new(Cpu::new(1).unwrap())
}

/// Four bands of 16 bits to heights in metres.
fn heights() -> Domains {
    let channels = |names: &[&str]| names.iter().map(|n| n.to_string()).collect();
    Domains {
        input: Domain {
            channels: channels(&["red", "green", "blue", "infrared"]),
            samples: SampleType::U16,
            ..Domain::default()
        },
        target: Domain {
            channels: channels(&["height"]),
            kind: DomainKind::values(-10.0, 90.0, Some("m")),
            samples: SampleType::F32,
            ..Domain::default()
        },
    }
}

pub fn config(input: usize, output: usize) -> RunConfig {
    let mut config =
        RunConfig { size: 32.into(), discriminators: Vec::new(), ..RunConfig::default() };
    let generator = &mut config.generator;
    (generator.in_channels, generator.out_channels) = (input, output);
    (generator.base_channels, generator.depth) = (4, 4);
    config
}

/// A generator's first values as a file of a run, with or without what it says of its images.
pub fn save(
    path: &Path,
    config: &RunConfig,
    domains: Option<&Domains>,
) -> (GeneratorConfig, Tensors) {
    let networks = Networks::new(&*config.recipe()).unwrap();
    let mut cpu = Cpu::new(1).unwrap();
    cpu.reserve(networks.end()).unwrap();
    networks.init(&mut cpu, 3).unwrap();
    let mut run = serde_json::to_value(config).unwrap();
    run["discriminator"] = serde_json::Value::Null;
    match domains {
        Some(domains) => run["domains"] = serde_json::to_value(domains).unwrap(),
        None => drop(run.as_object_mut().unwrap().remove("domains")),
    }
    let metadata = BTreeMap::from(
        [("format", FORMAT), ("version", "1"), ("config", &run.to_string())]
            .map(|(key, text)| (key.to_string(), text.to_string())),
    );
    networks.save_first(&cpu, path, &metadata).unwrap();
    load_weights(path).unwrap().generator.unwrap()
}

fn bands(width: usize, height: usize) -> Image {
    let samples: Vec<u16> = (0..width * height * 4).map(|i| (i * 7919 % 65_521) as u16).collect();
    Image::new(width, height, 4, samples).unwrap()
}

#[test]
fn a_translator_takes_and_gives_what_its_model_was_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (config, values) = save(&path, &config(4, 1), Some(&heights()));
    let options = TranslateOptions::default();
    // The file, and the folder of a run that it lies in.
    let mut of_file = Translator::open(&path, options, cpu()).unwrap();
    let mut of_run = Translator::open(folder.path(), options, cpu()).unwrap();
    let mut of_memory =
        Translator::from_network(&config, &values, heights(), options, cpu()).unwrap();
    assert_eq!(of_file.domains(), &heights());
    assert_eq!(of_file.direction(), Some(Direction::AToB));
    assert_eq!(of_memory.direction(), None);
    for (width, height) in [(37, 21), (32, 32)] {
        let image = bands(width, height);
        let out = of_file.translate(&image).unwrap();
        assert_eq!((out.width, out.height, out.channels), (width, height, 1));
        let Samples::F32(metres) = &out.samples else { panic!("{}", out.format()) };
        assert!(metres.iter().all(|m| (-10.0..=90.0).contains(m)));
        assert!(metres.iter().any(|m| (m - metres[0]).abs() > 1e-3), "it is flat: {metres:?}");
        assert_eq!(of_run.translate(&image).unwrap(), out);
        assert_eq!(of_memory.translate(&image).unwrap(), out);
    }
    let text = of_file.translate(&Image::filled(8, 8, &[1; 3])).unwrap_err().to_string();
    assert!(text.contains("4 channels of u16") && text.contains("3 channels of u8"), "{text}");
}

#[test]
fn a_model_that_says_nothing_of_its_images_has_8_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.safetensors");
    save(&path, &config(3, 3), None);
    let translator = Translator::open(&path, TranslateOptions::default(), cpu()).unwrap();
    assert_eq!(translator.domains(), &Domains::default());
    save(&path, &config(2, 1), None);
    let mut translator = Translator::open(&path, TranslateOptions::default(), cpu()).unwrap();
    let out = translator.translate(&Image::filled(20, 10, &[7, 200])).unwrap();
    assert_eq!((out.channels, out.samples.sample_type()), (1, SampleType::U8));
}

#[test]
fn domains_of_other_channels_than_the_network_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (config, values) = save(&path, &config(3, 3), None);
    let of = |domains| {
        Translator::from_network(&config, &values, domains, TranslateOptions::default(), cpu())
    };
    let text = of(heights()).err().unwrap().to_string();
    assert!(text.contains("input has 3 channels, and its domain names 4"), "{text}");
    let mut missing = values.clone();
    missing.pop_first();
    let domains = Domains::default();
    let options = TranslateOptions::default();
    let text = Translator::from_network(&config, &missing, domains, options, cpu()).err().unwrap();
    assert!(text.to_string().contains("there is no"), "{text}");
}

/// A file whose domains cannot be read is refused, not taken for 8-bit RGB.
#[test]
fn a_model_with_damaged_domains_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    save(&path, &config(3, 3), Some(&Domains::default()));
    let mut weights = load_weights(&path).unwrap();
    let mut run: serde_json::Value = serde_json::from_str(&weights.metadata["config"]).unwrap();
    run["domains"]["input"]["samples"] = "u12".into();
    weights.metadata.insert("config".into(), run.to_string());
    save_weights(&path, &weights).unwrap();
    let text = Translator::open(&path, TranslateOptions::default(), cpu()).err().unwrap();
    assert!(text.to_string().contains("unknown variant `u12`"), "{text}");
}

/// What a training shows and scores is what the translator gives, for pairs of any type.
#[test]
fn a_viewer_shows_what_a_translator_gives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let config = config(4, 1);
    save(&path, &config, Some(&heights()));
    let mut translator = Translator::open(&path, TranslateOptions::default(), cpu()).unwrap();
    let recipe = config.recipe();
    let networks = Networks::new(&*recipe).unwrap();
    let mut cpu = Cpu::new(1).unwrap();
    let seen = RunConfig { direction: Direction::BToA, domains: heights(), ..config.clone() };
    let viewer = Viewer::record(&*recipe, &networks, &seen, &cpu).unwrap();
    cpu.reserve(viewer.end()).unwrap();
    networks.init(&mut cpu, 3).unwrap();
    let metres: Vec<f32> = (0..32 * 32).map(|i| i as f32 / 20.0).collect();
    let pair = (Image::new(32, 32, 1, metres).unwrap(), bands(32, 32));
    let pairs = MemoryPairs::new(vec![pair.clone(); 2]).unwrap();
    let [input, output, target] = viewer.view(&mut cpu, &pairs, 1, Statistics::Batch).unwrap();
    assert_eq!((&target, &input), (&pair.0, &pair.1));
    assert_eq!(output, translator.translate(&input).unwrap());
    let go = AtomicBool::new(false);
    let validation = viewer.score(&mut cpu, &pairs, &go).unwrap().unwrap();
    assert_eq!(validation.compared(), None, "with batches of one there is nothing to compare");
    let scores = validation.scores;
    let by_hand = match (&output.samples, &target.samples) {
        (Samples::F32(a), Samples::F32(b)) => {
            a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>() / 1024.0 / 50.0
        }
        _ => panic!("targets are floats"),
    };
    // The differences are taken in f32 here, of values up to 90: each is off by 2^-18 at most.
    assert!((scores.l1 - by_hand).abs() < 1e-6, "{} and {by_hand}", scores.l1);
    let sheet = folder.path().join("sheet.png");
    viewer.sheet(&mut cpu, &pairs, 5, Statistics::Batch, &sheet).unwrap();
    let sheet = Image::read(&sheet).unwrap();
    assert_eq!((sheet.width, sheet.height), (3 * 32 + 2 * 4, 2 * 32 + 4));
    let range = heights().target.range();
    assert_eq!(sheet.crop(72, 0, 32, 32), target.preview(range));
}

/// Trains one step on pairs of these sizes at 32 pixels, and gives the folder of the run.
fn run_on(fit: Fit, sizes: &[[usize; 2]]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let pair = |&[w, h]: &[usize; 2]| (photo(w, h, 1), photo(w, h, 7));
    let pairs = Arc::new(MemoryPairs::new(sizes.iter().map(pair).collect()).unwrap());
    let config = RunConfig { fit, objective: no_gan(), ..config(3, 3) };
    let options = RunOptions { steps: Some(1), ..RunOptions::new(folder.path(), 1) };
    let none = Arc::new(MemoryPairs::default());
    let plan = RunPlan::new(config, options, pairs, none, cpu()).unwrap();
    let mut run = Trainer::start(plan, &[]).unwrap();
    run.run(&AtomicBool::new(false), &mut Silent).unwrap();
    folder
}

fn no_gan() -> Objective {
    Objective { gan: Gan::None, ..RunConfig::default().objective }
}

/// 8-bit RGB without two equal parts.
fn photo(width: usize, height: usize, tag: usize) -> Image {
    let byte = |i: usize| ((i * i / 7 + i * tag) % 256) as u8;
    Image::new(width, height, 3, (0..width * height * 3).map(byte).collect::<Vec<_>>()).unwrap()
}

fn translator(run: &Path, scale: Scale) -> Translator {
    let options = TranslateOptions { scale, ..TranslateOptions::default() };
    Translator::open(run, options, cpu()).unwrap()
}

/// A picture as large as those of the training is resized as they were, translated, and resized
/// back; so is any other, without a change of its proportions.
#[test]
fn a_translation_sees_what_training_saw() {
    /// A fit, sizes of training images, an image, and its size in translation.
    type Case = (Fit, &'static [[usize; 2]], [usize; 2], [usize; 2]);
    let cases: [Case; 9] = [
        (Fit::Crop, &[[128, 128]], [128, 128], [32, 32]),
        (Fit::Crop, &[[128, 128]], [256, 200], [64, 50]),
        (Fit::Crop, &[[16, 16]], [20, 9], [40, 18]),
        (Fit::Crop, &[[96, 64]], [96, 64], [48, 32]),
        (Fit::Crop, &[[64, 64], [150, 100]], [150, 100], [48, 32]),
        (Fit::Pad, &[[64, 64], [150, 100]], [150, 100], [32, 21]),
        (Fit::Stretch, &[[128, 128]], [256, 200], [64, 50]),
        (Fit::Stretch, &[[128, 64]], [128, 64], [32, 32]),
        (Fit::Crop, &[[32, 32]], [128, 40], [128, 40]),
    ];
    for (fit, sources, [w, h], [to_w, to_h]) in cases {
        let run = run_on(fit, sources);
        let image = photo(w, h, 3);
        let out = translator(run.path(), Scale::Trained).translate(&image).unwrap();
        let small = image.resize(to_w, to_h);
        let native = translator(run.path(), Scale::Native).translate(&small).unwrap();
        if fit != Fit::Pad {
            assert!(out == native.resize(w, h), "{fit:?} {sources:?}");
        }
        // A checkpoint remembers as much as the model.
        let latest = run.path().join("checkpoints/latest.safetensors");
        let late = translator(&latest, Scale::Trained).translate(&image).unwrap();
        assert!(late == out);
    }
}

/// What the network sees of a training image in validation is what it sees of the file.
#[test]
fn a_padded_image_is_seen_alike_in_validation_and_translation() {
    let run = run_on(Fit::Pad, &[[96, 40]]);
    let image = photo(96, 40, 1);
    let pairs = MemoryPairs::new(vec![(image.clone(), image.clone())]).unwrap();
    let padded = LoaderOptions { size: 32.into(), fit: Fit::Pad, ..LoaderOptions::default() };
    let seen = pix2pix_engine::data::plain(&pairs, 0, &padded).unwrap().input;
    let shown = translator(run.path(), Scale::Native).translate(&seen).unwrap();
    let shown = shown.crop(0, (32 - 13) / 2, 32, 13).resize(96, 40);
    assert!(translator(run.path(), Scale::Trained).translate(&image).unwrap() == shown);
}

#[test]
fn a_factor_is_used_as_given_and_refused_outside_its_range() {
    let run = run_on(Fit::Crop, &[[128, 128]]);
    let image = photo(50, 30, 3);
    let half = translator(run.path(), Scale::By(0.5)).translate(&image).unwrap();
    let mut native = translator(run.path(), Scale::Native);
    assert!(half == native.translate(&image.resize(25, 15)).unwrap().resize(50, 30));
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
        let options = TranslateOptions { scale: Scale::By(wrong), ..TranslateOptions::default() };
        let text = Translator::open(run.path(), options, cpu()).err().unwrap().to_string();
        assert!(text.contains("`scale`") && text.contains("at most 64"), "{text}");
    }
}

/// Resized back, values stay inside their range, which the cubic alone would leave.
#[test]
fn values_stay_in_their_range_at_any_scale() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    save(&path, &config(4, 1), Some(&heights()));
    for scale in [Scale::By(0.3), Scale::By(2.5), Scale::Native] {
        let out = translator(&path, scale).translate(&bands(41, 23)).unwrap();
        assert_eq!((out.width, out.height), (41, 23));
        let Samples::F32(metres) = &out.samples else { panic!("{}", out.format()) };
        assert!(metres.iter().all(|m| (-10.0..=90.0).contains(m)), "{metres:?}");
    }
}

/// Sizes that no picture has, in a file of unknown origin, are an error and no crash.
#[test]
fn a_model_with_damaged_sizes_is_refused() {
    let run = run_on(Fit::Crop, &[[64, 64]]);
    let path = run.path().join("model.safetensors");
    let weights = load_weights(&path).unwrap();
    let good = Trained::of(&weights.metadata, &path).unwrap();
    assert_eq!((good.size, good.fit), (Some(32.into()), Some(Fit::Crop)));
    let spread = good.sources.unwrap().short;
    assert_eq!((spread.min, spread.max), (64, 64));
    let hostile = [
        r#"{"sources":{"pairs":1}}"#.to_string(),
        "7".to_string(),
        weights.metadata["translation"].replace("64", "0"),
        weights.metadata["translation"].replace(r#""min":64"#, r#""min":65"#),
    ];
    for text in hostile {
        let mut metadata = weights.metadata.clone();
        metadata.insert("translation".into(), text.clone());
        let error = Trained::of(&metadata, &path).unwrap_err().to_string();
        assert!(error.contains("`translation` is damaged"), "{text}: {error}");
    }
    // Sizes that a picture could have, in a program that cannot.
    for (size, sources) in [(usize::MAX, "1"), (1 << 40, "1"), (1, "18446744073709551615")] {
        let mut metadata = weights.metadata.clone();
        let kept = weights.metadata["translation"].replace("64", sources);
        metadata.insert("translation".into(), kept);
        let mut config: serde_json::Value = serde_json::from_str(&metadata["config"]).unwrap();
        config["size"] = size.into();
        metadata.insert("config".into(), config.to_string());
        let to = run.path().join("hostile.safetensors");
        save_weights(&to, &pix2pix_engine::checkpoint::Weights { metadata, ..weights.clone() })
            .unwrap();
        let out = translator(&to, Scale::Trained).translate(&photo(20, 10, 1));
        match out {
            Ok(out) => assert_eq!((out.width, out.height), (20, 10)),
            Err(error) => assert!(error.to_string().contains("`scale`"), "{error}"),
        }
    }
}

/// In batches of several, both statistics are scored, the lower L1 counts, and a stop between two
/// pictures ends the validation without a result.
#[test]
fn a_validation_compares_both_statistics() {
    let base = config(3, 3);
    let seen = RunConfig { batch_size: 2, ..base.clone() };
    let recipe = seen.recipe();
    let networks = Networks::new(&*recipe).unwrap();
    let mut cpu = Cpu::new(1).unwrap();
    let viewer = Viewer::record(&*recipe, &networks, &seen, &cpu).unwrap();
    cpu.reserve(viewer.end()).unwrap();
    networks.init(&mut cpu, 3).unwrap();
    let target = photo(32, 32, 1);
    let pairs = MemoryPairs::new(vec![(target.clone(), target); 3]).unwrap();
    let go = AtomicBool::new(false);
    let found = viewer.score(&mut cpu, &pairs, &go).unwrap().unwrap();
    let compared = found.compared().unwrap();
    assert!(compared.l1 < compared.other_l1, "{compared:?}");
    let mut l1 = |statistics| {
        let [_, output, target] = viewer.view(&mut cpu, &pairs, 0, statistics).unwrap();
        Scores::of(&output, &target, seen.domains.target.range()).unwrap().l1
    };
    let [own, running] = [Statistics::Batch, Statistics::Running].map(&mut l1);
    let (used, want) = if running < own {
        (Statistics::Running, [running, own])
    } else {
        (Statistics::Batch, [own, running])
    };
    assert_eq!(compared.used, used);
    // The mean of three equal numbers is off by a rounding at most.
    for (got, want) in [compared.l1, compared.other_l1].into_iter().zip(want) {
        assert!((got - want).abs() < 1e-12, "{got} {want}");
    }
    go.store(true, Ordering::Relaxed);
    assert_eq!(viewer.score(&mut cpu, &pairs, &go).unwrap(), None);
    for other in [
        RunConfig { batch_size: 1, ..base.clone() },
        RunConfig {
            batch_size: 2,
            generator: GeneratorConfig { norm: NormKind::Instance, ..base.generator.clone() },
            ..base
        },
    ] {
        assert!(!other.compares_statistics());
    }
}
