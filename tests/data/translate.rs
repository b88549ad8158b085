//! Images of any channels and samples through a model: a translator of a file and of values in
//! memory, and what a training shows of it.

use std::collections::BTreeMap;
use std::path::Path;

use pix2pix_engine::checkpoint::{FORMAT, Tensors, load_weights, save_weights};
use pix2pix_engine::data::{Direction, Domain, DomainKind, Domains, Image, MemoryPairs};
use pix2pix_engine::device::{Cpu, Device};
use pix2pix_engine::kernel::Backend;
use pix2pix_engine::model::GeneratorConfig;
use pix2pix_engine::tensor::{SampleType, Samples};
use pix2pix_engine::train::{Networks, RunConfig, Viewer};
use pix2pix_engine::translate::{TranslateOptions, Translator};

fn cpu() -> Box<dyn Backend> {
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
            kind: DomainKind::Values { low: -10.0, high: 90.0, unit: Some("m".into()) },
            samples: SampleType::F32,
            nodata: None,
        },
    }
}

fn config(input: usize, output: usize) -> RunConfig {
    let mut config = RunConfig { size: 32, discriminators: Vec::new(), ..RunConfig::default() };
    let generator = &mut config.generator;
    (generator.in_channels, generator.out_channels) = (input, output);
    (generator.base_channels, generator.depth) = (4, 4);
    config
}

/// A generator's first values as a file of a run, with or without what it says of its images.
fn save(path: &Path, config: &RunConfig, domains: Option<&Domains>) -> (GeneratorConfig, Tensors) {
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
    let direction = Direction::BToA;
    let viewer = Viewer::record(&*recipe, &networks, 32, direction, heights(), &cpu).unwrap();
    cpu.reserve(viewer.end()).unwrap();
    networks.init(&mut cpu, 3).unwrap();
    let metres: Vec<f32> = (0..32 * 32).map(|i| i as f32 / 20.0).collect();
    let pair = (Image::new(32, 32, 1, metres).unwrap(), bands(32, 32));
    let pairs = MemoryPairs::new(vec![pair.clone(); 2]).unwrap();
    let [input, output, target] = viewer.view(&mut cpu, &pairs, 1).unwrap();
    assert_eq!((&target, &input), (&pair.0, &pair.1));
    assert_eq!(output, translator.translate(&input).unwrap());
    let scores = viewer.score(&*recipe, &mut cpu, &pairs).unwrap();
    let by_hand = match (&output.samples, &target.samples) {
        (Samples::F32(a), Samples::F32(b)) => {
            a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>() / 1024.0 / 50.0
        }
        _ => panic!("targets are floats"),
    };
    // The differences are taken in f32 here, of values up to 90: each is off by 2^-18 at most.
    assert!((scores.l1 - by_hand).abs() < 1e-6, "{} and {by_hand}", scores.l1);
    let sheet = folder.path().join("sheet.png");
    viewer.sheet(&mut cpu, &pairs, 5, &sheet).unwrap();
    let sheet = Image::read(&sheet).unwrap();
    assert_eq!((sheet.width, sheet.height), (3 * 32 + 2 * 4, 2 * 32 + 4));
    let range = heights().target.range();
    assert_eq!(sheet.crop(72, 0, 32, 32), target.preview(range));
}
