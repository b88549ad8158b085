//! The library without a terminal or a folder of pictures: pairs in memory, several discriminators,
//! losses by name, a run that goes on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pix2pix_engine::checkpoint::safetensors::Reader;
use pix2pix_engine::checkpoint::{convert, load_weights};
use pix2pix_engine::data::{Domain, DomainKind, Domains, Image, MemoryPairs, Pairs};
use pix2pix_engine::device::{Cpu, Device, StepState};
use pix2pix_engine::kernel::{Backend, Loss};
use pix2pix_engine::tensor::{SampleType, Samples};
use pix2pix_engine::train::{
    Checkpoint, Distance, Gan, LATEST, Losses, MODEL, Networks, Objective, Observer, Outcome,
    RunConfig, RunOptions, RunPlan, Silent, Step, Trainer,
};
use pix2pix_engine::translate::{TranslateOptions, Translator};

fn cpu() -> Box<dyn Backend> {
    Box::new(Cpu::new(1).unwrap())
}

/// Three pairs of 32 x 32 pixels, as a list in memory.
fn pairs() -> Arc<dyn Pairs> {
    let picture = |key: usize| {
        let bytes: Vec<u8> = (0..32 * 32 * 3).map(|i| ((i + 1) * key % 253) as u8).collect();
        Image::new(32, 32, 3, bytes).unwrap()
    };
    let list = [(3, 5), (7, 11), (13, 17)].map(|(a, b)| (picture(a), picture(b)));
    Arc::new(MemoryPairs::new(list.to_vec()).unwrap())
}

/// A small run with this many discriminators of different reach.
fn config(discriminators: usize) -> RunConfig {
    let mut config = RunConfig { size: 32.into(), ..RunConfig::default() };
    config.generator.depth = RunConfig::depth_for(32).unwrap();
    config.generator.base_channels = 4;
    let first = config.discriminators.remove(0);
    config.discriminators = (1..=discriminators)
        .map(|layers| {
            let mut d = first.clone();
            (d.base_channels, d.layers) = (4, layers);
            d
        })
        .collect();
    config
}

fn plan(out: &Path, config: RunConfig, steps: u64) -> RunPlan {
    let options = RunOptions { steps: Some(steps), ..RunOptions::new(out, 1) };
    RunPlan::new(config, options, pairs(), Arc::new(MemoryPairs::default()), cpu()).unwrap()
}

/// Remembers what it is told, and asks for a stop after a step.
struct Told<'a> {
    losses: Vec<Losses>,
    stop: Option<(u64, &'a AtomicBool)>,
}

impl Observer for Told<'_> {
    fn step(&mut self, done: u64, _: u64, _: u64, losses: &Losses, _: f64) {
        self.losses.push(losses.clone());
        if let Some((after, flag)) = self.stop
            && done == after
        {
            flag.store(true, Ordering::Relaxed);
        }
    }
}

/// Every tensor of a checkpoint, as bits.
fn tensors(path: &Path) -> BTreeMap<String, Vec<u32>> {
    let mut reader = Reader::open(path).unwrap();
    let names: Vec<String> = reader.names().to_vec();
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    names.into_iter().map(|name| (name.clone(), bits(reader.read(&name).unwrap()))).collect()
}

/// With two discriminators each has its losses, its optimiser's state and its part in the
/// generator's gradient; the run stops and goes on to the same bytes, and its model translates.
#[test]
fn two_discriminators_train_and_resume() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, parted] = ["whole", "parted"].map(|name| folder.path().join(name));

    let mut told = Told { losses: Vec::new(), stop: None };
    let go = AtomicBool::new(false);
    let mut run = Trainer::start(plan(&whole, config(2), 4), &[]).unwrap();
    assert_eq!(run.run(&go, &mut told).unwrap(), Outcome::Finished);
    let names: Vec<&str> = told.losses[0].iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        ["g_gan", "g_gan2", "g_l1", "d_real", "d_real2", "d_fake", "d_fake2"],
        "every loss is reported, in the order of the recipe"
    );
    assert!(told.losses.iter().all(Losses::finite));

    let stop = AtomicBool::new(false);
    let mut told = Told { losses: Vec::new(), stop: Some((2, &stop)) };
    let mut run = Trainer::start(plan(&parted, config(2), 4), &[]).unwrap();
    assert_eq!(run.run(&stop, &mut told).unwrap(), Outcome::Stopped);
    let checkpoint = Checkpoint::open(&parted).unwrap();
    assert_eq!(checkpoint.config, config(2));
    let mut run = Trainer::resume(plan(&parted, config(2), 4), checkpoint).unwrap();
    assert_eq!(run.run(&go, &mut Silent).unwrap(), Outcome::Finished);

    let [a, b] = [&whole, &parted].map(|out| tensors(&out.join(LATEST)));
    for name in ["discriminator.layer1.conv.weight", "adam.v.discriminator2.layer1.conv.weight"] {
        assert!(a.contains_key(name), "{name} is in the checkpoint");
    }
    assert!(a == b, "a run that stopped goes on to the same bytes");

    let mut model = Translator::open(&whole, TranslateOptions::default(), cpu()).unwrap();
    let checkpoint = Translator::open(&whole.join(LATEST), TranslateOptions::default(), cpu());
    let picture = pairs().load(0).unwrap().0;
    assert_eq!(
        model.translate(&picture).unwrap(),
        checkpoint.unwrap().translate(&picture).unwrap(),
        "the model and the checkpoint hold one generator"
    );
}

/// A second discriminator changes what the generator learns: its gradient is a part of the sum.
#[test]
fn each_discriminator_teaches_the_generator() {
    let folder = tempfile::tempdir().unwrap();
    let trained = |name: &str, config: RunConfig| {
        let out = folder.path().join(name);
        let mut run = Trainer::start(plan(&out, config, 2), &[]).unwrap();
        run.run(&AtomicBool::new(false), &mut Silent).unwrap();
        tensors(&out.join(MODEL))
    };
    let (one, two) = (trained("one", config(1)), trained("two", config(2)));
    let weight = "generator.up1.conv.weight";
    assert_eq!(one.len(), two.len());
    assert!(one[weight] != two[weight]);
}

/// Losses that do not fit the device's ring are refused when a run is planned, not dropped.
#[test]
fn a_loss_that_cannot_be_kept_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = RunOptions::new(folder.path().join("run"), 1);
    let none = Arc::new(MemoryPairs::default());
    let planned = RunPlan::new(config(3), options, pairs(), none, cpu());
    let error = planned.err().expect("ten losses are more than the ring holds").to_string();
    assert!(error.contains("10 losses are too many"), "{error}");
}

/// Converting a checkpoint keeps all of its discriminators, each with its own first values; a run
/// takes each from the discriminator of the same number.
#[test]
fn discriminators_are_converted_and_taken_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let (out, other) = (folder.path().join("run"), folder.path().join("other"));
    let mut run = Trainer::start(plan(&out, config(2), 1), &[]).unwrap();
    run.run(&AtomicBool::new(false), &mut Silent).unwrap();
    let latest = out.join(LATEST);
    let converted = folder.path().join("converted.safetensors");
    let weights = convert(&latest, &converted).unwrap();
    assert_eq!(weights.discriminators.len(), 2);
    assert_eq!(load_weights(&converted).unwrap().discriminators, weights.discriminators);

    let reseeded = || RunConfig { seed: 9, ..config(2) };
    let first_values = |name| vec![(name, converted.clone())];
    let start = |out: &Path, name| Trainer::start(plan(out, reseeded(), 0), &first_values(name));
    let mut run = start(&other, "discriminator2").unwrap();
    run.run(&AtomicBool::new(false), &mut Silent).unwrap();
    let (a, b) = (tensors(&latest), tensors(&other.join(LATEST)));
    let [first, second] = ["discriminator.layer1.conv.weight", "discriminator2.layer1.conv.weight"];
    assert!(a[first] != b[first] && a[second] == b[second]);
    let third = folder.path().join("third");
    let error = start(&third, "discriminator3").err().unwrap().to_string();
    assert!(error.contains("this run has no network discriminator3"), "{error}");
}

/// Four bands of 16 bits to heights in metres: a run learns, validates, resumes and translates by the
/// domains of its settings, which its files hold.
#[test]
fn a_run_keeps_to_its_domains() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let band: Vec<u16> = (0..32 * 32 * 4).map(|i| (i * 7919 % 65_521) as u16).collect();
    let metres: Vec<f32> = (0..32 * 32).map(|i| i as f32 / 20.0).collect();
    let bands = Image::new(32, 32, 4, band).unwrap();
    let pair = (bands.clone(), Image::new(32, 32, 1, metres).unwrap());
    let heights: Arc<dyn Pairs> = Arc::new(MemoryPairs::new(vec![pair; 2]).unwrap());
    let kind = DomainKind::values(-10.0, 90.0, Some("m"));
    let mut config = config(1);
    config.domains = Domains {
        input: Domain { samples: SampleType::U16, ..Domain::of_channels(4) },
        target: Domain { samples: SampleType::F32, kind, ..Domain::of_channels(1) },
    };
    (config.generator.in_channels, config.generator.out_channels) = (4, 1);
    config.fit_discriminators();
    let plan_into = |out: &Path, pairs: &Arc<dyn Pairs>, epochs| {
        let options = RunOptions::new(out, epochs);
        RunPlan::new(config.clone(), options, pairs.clone(), pairs.clone(), cpu()).unwrap()
    };
    let plan = |pairs, epochs| plan_into(&out, pairs, epochs);
    let go = AtomicBool::new(false);
    let run = |mut run: Trainer| {
        run.run(&go, &mut Silent).unwrap();
        run.progress()
    };
    let first = run(Trainer::start(plan(&heights, 1), &[]).unwrap());
    assert!(first.best.is_some_and(|(_, scores)| scores.l1 > 0.0 && scores.l1 < 2.0));
    let checkpoint = Checkpoint::open(&out).unwrap();
    assert_eq!(checkpoint.config, config);
    assert_eq!(run(Trainer::resume(plan(&heights, 2), checkpoint).unwrap()).step, 4);

    let mut model = Translator::open(&out, TranslateOptions::default(), cpu()).unwrap();
    assert_eq!(model.domains(), &config.domains);
    let Samples::F32(metres) = model.translate(&bands).unwrap().samples else {
        panic!("outputs are stored as targets are");
    };
    assert!(metres.len() == 32 * 32 && metres.iter().all(|m| (-10.0..=90.0).contains(m)));

    // Pairs that are not stored as the domains say are refused before a file is written.
    let other = folder.path().join("other");
    let mut run = Trainer::start(plan_into(&other, &pairs(), 1), &[]).unwrap();
    let error = run.run(&go, &mut Silent).unwrap_err().to_string();
    assert!(error.contains("3 channels of u8, and 4 channels of u16 are needed"), "{error}");
}

/// Settings that do not fit each other are refused when a run is planned.
#[test]
fn settings_that_contradict_each_other_are_refused() {
    let narrow = Domains { input: Domain::of_channels(1), ..Domains::default() };
    let empty = DomainKind::values(2.0, 2.0, None);
    let empty = Domain { kind: empty, ..Domain::default() };
    for (config, says) in [
        (
            RunConfig { domains: narrow, ..config(1) },
            "input has 3 channels, and its domain names 1",
        ),
        (
            RunConfig { domains: Domains { target: empty, ..Domains::default() }, ..config(1) },
            "values from 2 to 2 are no range",
        ),
        (config(0), "`gan` needs a discriminator"),
    ] {
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

/// The three functions of an adversarial loss, as the paper and the least-squares GAN have them.
#[test]
fn discriminator_and_generator_have_losses_of_their_own() {
    for (gan, loss) in [(Gan::Vanilla, Loss::Bce), (Gan::Lsgan, Loss::Mse)] {
        let all = [gan.d_real(), gan.d_fake(), gan.g_fake()].map(|judgement| judgement.unwrap());
        assert!(all.iter().all(|judgement| judgement.loss == loss));
        assert_eq!(all.map(|judgement| judgement.label), [1.0, 0.0, 1.0]);
    }
    assert_eq!([Gan::None.d_real(), Gan::None.d_fake(), Gan::None.g_fake()], [None; 3]);
}

/// A configuration with no, one or several discriminators is read as it was written; one is written
/// as it always was, an object.
#[test]
fn discriminators_in_files_are_none_one_or_a_list() {
    for count in 0..3 {
        let config = config(count);
        let text = serde_json::to_value(&config).unwrap();
        assert_eq!(text["discriminator"].is_null(), count == 0);
        assert_eq!(text["discriminator"].is_object(), count == 1);
        assert_eq!(text["discriminator"].as_array().map(Vec::len), (count == 2).then_some(2));
        assert_eq!(serde_json::from_value::<RunConfig>(text).unwrap(), config);
    }
    // A converted generator's file has no such key; a damaged one is named.
    let mut text = serde_json::to_value(config(2)).unwrap();
    text["discriminator"][1].as_object_mut().unwrap().remove("layers");
    let error = serde_json::from_value::<RunConfig>(text.clone()).unwrap_err().to_string();
    assert!(error.contains("missing field `layers`"), "{error}");
    text.as_object_mut().unwrap().remove("discriminator");
    assert_eq!(serde_json::from_value::<RunConfig>(text).unwrap(), config(0));
}

/// A run goes to another thread, and so does a translator.
#[test]
fn runs_and_translators_go_from_thread_to_thread() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let run = Trainer::start(plan(&out, config(1), 1), &[]).unwrap();
    let trained = std::thread::spawn(move || {
        let mut run = run;
        run.run(&AtomicBool::new(false), &mut Silent).unwrap()
    });
    assert_eq!(trained.join().unwrap(), Outcome::Finished);
    let mut model = Translator::open(&out, TranslateOptions::default(), cpu()).unwrap();
    let picture = pairs().load(0).unwrap().0;
    let here = model.translate(&picture).unwrap();
    let there = std::thread::spawn(move || model.translate(&picture).unwrap());
    assert_eq!(there.join().unwrap(), here);
}

/// A run that is there is not replaced, and discriminators that do not fit the images are named.
#[test]
fn a_run_is_not_replaced_and_settings_fit_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let start = || Trainer::start(plan(&out, config(1), 1), &[]);
    start().unwrap().run(&AtomicBool::new(false), &mut Silent).unwrap();
    let error = start().err().expect("the folder holds a run").to_string();
    assert!(error.contains("holds a run already"), "{error}");

    let mut config = config(1);
    config.objective.conditional = false;
    let error = config.check().unwrap_err().to_string();
    assert!(error.contains("takes 6 channels and would be given 3"), "{error}");
    config.fit_discriminators();
    config.check().unwrap();
}

/// Pairs of floats that nobody looked at before they are loaded.
struct Floats(Vec<(Image, Image)>);

impl Pairs for Floats {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn load(&self, i: usize) -> pix2pix_engine::Result<(Image, Image)> {
        Ok(self.0[i].clone())
    }

    fn name(&self, i: usize) -> String {
        format!("scan {i}")
    }
}

/// A sample that is NaN or infinite is the picture's fault and not the learning rate's: it is named with
/// its place, in training, in validation and in translation, and nothing is written.
#[test]
fn a_sample_that_is_not_finite_blames_its_picture() {
    let picture = |key: usize| -> Vec<f32> {
        (0..32 * 32 * 3).map(|i| ((i + 1) * key % 253) as f32 / 253.0).collect()
    };
    let image = |samples: Vec<f32>| Image::new(32, 32, 3, samples).unwrap();
    let with = |at: usize, value: f32| {
        let mut samples = picture(5);
        samples[at] = value;
        image(samples)
    };
    let good = || (image(picture(3)), image(picture(5)));
    let domain = Domain { samples: SampleType::F32, ..Domain::of_channels(3) };
    let mut config = config(1);
    config.domains = Domains { input: domain.clone(), target: domain };
    config.jitter = false;
    for (value, says) in [
        (f32::NAN, "sample NaN"),
        (f32::INFINITY, "sample inf"),
        (f32::NEG_INFINITY, "sample -inf"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let bad = || (image(picture(3)), with(3 * (32 * 2 + 7) + 1, value));
        let run = |train: Vec<_>, val: Vec<_>| {
            let options = RunOptions { steps: Some(4), ..RunOptions::new(&out, 1) };
            let [train, val] = [train, val].map(|pairs| Arc::new(Floats(pairs)) as Arc<dyn Pairs>);
            let plan = RunPlan::new(config.clone(), options, train, val, cpu()).unwrap();
            let done = Trainer::start(plan, &[]).unwrap().run(&AtomicBool::new(false), &mut Silent);
            done.unwrap_err().to_string()
        };
        let error = run(vec![bad()], Vec::new());
        for say in ["scan 0", says, "row 2, column 7, channel 1"] {
            assert!(error.contains(say), "no {say:?} in {error}");
        }
        assert!(!error.contains("lr") && !out.exists(), "{error}");
        let error = run(vec![good()], vec![good(), bad()]);
        assert!(error.contains("B of scan 1") && error.contains(says), "{error}");
        let error = MemoryPairs::new(vec![good(), bad()]).unwrap_err().to_string();
        assert!(error.contains("B of pair 1") && error.contains(says), "{error}");
    }
}

/// Losses and discriminators see nothing of pixels that do not count, whatever the step is given there; the
/// distance is the mean over the others.
#[test]
fn pixels_that_do_not_count_are_in_no_loss() {
    let base = config(1);
    for distance in [Distance::L1, Distance::L2] {
        let objective = Objective { distance, ..base.objective };
        let Recorded { losses, left } = masked_step(&RunConfig { objective, ..base.clone() }, 0.0);
        for other in [0.7, -1.0] {
            let again = masked_step(&RunConfig { objective, ..base.clone() }, other);
            assert!(again.left == left, "{distance:?}: the target had {other} in the hole");
            assert_eq!(again.losses, losses);
        }
        assert!(losses.iter().all(|loss| loss.is_finite()));
    }
}

/// What a step leaves.
struct Recorded {
    losses: Vec<f32>,
    left: Vec<u32>,
}

/// One step on a pair with a hole in which the target has `value`; checks the distance by hand.
fn masked_step(config: &RunConfig, value: f32) -> Recorded {
    let config = RunConfig { masked: true, ..config.clone() };
    let recipe = config.recipe();
    let networks = Networks::new(&*recipe).unwrap();
    let mut cpu = Cpu::new(1).unwrap();
    let step = Step::record(&*recipe, &networks, [1, 32, 32], &cpu).unwrap();
    cpu.reserve(step.program.end()).unwrap();
    networks.init(&mut cpu, 5).unwrap();
    let hole = |i: usize| (9..20).contains(&(i % 32)) && (4..30).contains(&(i / 32));
    let count = (0..1024).filter(|&i| !hole(i)).count();
    let number = |i: usize, key: usize| ((i * key) % 89) as f32 / 44.0 - 1.0;
    let a: Vec<f32> = (0..3072).map(|i| number(i, 7)).collect();
    let b: Vec<f32> = (0..3072).map(|i| if hole(i / 3) { value } else { number(i, 11) }).collect();
    let mask: Vec<f32> = (0..1024).map(|i| if hole(i) { 0.0 } else { 1.0 }).collect();
    let share = 1024.0 / count as f32;
    for (name, values) in
        [("a", &a[..]), ("b", &b[..]), ("mask", &mask[..]), ("share", &[share][..])]
    {
        cpu.upload(step.program.view(name).unwrap(), values).unwrap();
    }
    cpu.set_state(StepState { seed: 1, step: 1, lr: 2e-4, micro: 0 });
    step.program.run(&mut cpu).unwrap();
    let read = |name: &str, of: usize| {
        let mut values = vec![0.0; of];
        cpu.download(step.program.view(name).unwrap(), &mut values).unwrap();
        values
    };
    let fake = read("fake", 3072);
    let power = if config.objective.distance == Distance::L1 { 1 } else { 2 };
    let far =
        (0..3072).filter(|i| !hole(i / 3)).map(|i| f64::from((fake[i] - b[i]).abs()).powi(power));
    let mean = f64::from(config.objective.lambda) * far.sum::<f64>() / (3 * count) as f64;
    let got = f64::from(read("g_l1", 1)[0]);
    assert!((got - mean).abs() < 1e-5 * mean, "the distance is {got}, by hand {mean}");
    let mut left = Vec::new();
    for (_, network) in networks.iter() {
        for param in network.params().iter() {
            let mut values = vec![0.0; param.shape.count()];
            cpu.download(param.view(), &mut values).unwrap();
            left.extend(values.into_iter().map(f32::to_bits));
        }
    }
    Recorded { losses: step.losses.iter().map(|name| read(name, 1)[0]).collect(), left }
}
