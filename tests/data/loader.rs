//! The loader: order, resume, threads, errors, and stopping.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pix2pix_engine::data::{
    Batch, Direction, Domain, DomainKind, Domains, FilePairs, Fit, Folder, Image, Loader,
    LoaderOptions, MemoryPairs, Order, Pair, PairPart, Pairs, ScanOptions, plain,
};
use pix2pix_engine::device::{Cpu, Device};
use pix2pix_engine::kernel::{ImageBatch, ImageKernels};
use pix2pix_engine::tensor::{SampleRange, SampleType, Samples, Shape, Size, View};
use pix2pix_engine::{Error, Result};
use tempfile::TempDir;

use crate::{bytes, marked, save};

/// Seven pairs of 40x36 whose pictures all differ.
fn pairs() -> (TempDir, Vec<Pair>) {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..7 {
        save(folder.path(), &format!("{i}.png"), &marked(80, 36, 30 * i));
    }
    let found = Folder::scan(folder.path(), ScanOptions::default()).unwrap();
    (folder, found.train)
}

fn shared(pairs: &[Pair]) -> Arc<dyn Pairs> {
    Arc::new(pairs.to_vec())
}

fn options() -> LoaderOptions {
    let fit = Fit::Stretch;
    LoaderOptions {
        batch: 3,
        size: 32.into(),
        fit,
        seed: 5,
        threads: 2,
        ahead: 3,
        ..Default::default()
    }
}

fn take(pairs: &[Pair], options: LoaderOptions, from: (usize, usize), count: usize) -> Vec<Batch> {
    let mut loader = Loader::start(shared(pairs), options, from.0, from.1).unwrap();
    (0..count).map(|_| loader.next_batch().unwrap()).collect()
}

#[test]
fn bytes_and_order_depend_on_neither_threads_nor_memory_nor_reach() {
    let (_folder, pairs) = pairs();
    let want = take(&pairs, LoaderOptions { threads: 1, ahead: 1, ..options() }, (0, 0), 10);
    let at: Vec<_> = want.iter().map(|b| (b.epoch, b.step_in_epoch)).collect();
    assert_eq!(at[..4], [(0, 0), (0, 1), (0, 2), (1, 0)]);
    let pair_bytes = 2 * 36 * 36 * 3;
    for (threads, ahead, cache_bytes) in [(4, 8, 1 << 30), (4, 2, 0), (2, 1, 3 * pair_bytes)] {
        let options = LoaderOptions { threads, ahead, cache_bytes, ..options() };
        assert_eq!(take(&pairs, options, (0, 0), 10), want, "{threads} {ahead} {cache_bytes}");
    }
    for other in [
        LoaderOptions { seed: 6, ..options() },
        LoaderOptions { jitter: false, ..options() },
        LoaderOptions { shuffle: false, ..options() },
    ] {
        assert_ne!(take(&pairs, other, (0, 0), 10), want);
    }
}

#[test]
fn beginning_at_a_step_is_skipping_to_it() {
    let (_folder, pairs) = pairs();
    let all = take(&pairs, options(), (0, 0), 9);
    for (i, begin) in [(1, (0, 1)), (3, (1, 0)), (5, (1, 2)), (5, (0, 5)), (7, (2, 1))] {
        assert_eq!(take(&pairs, options(), begin, 2), all[i..i + 2], "from {begin:?}");
    }
}

#[test]
fn an_epoch_holds_every_sample_and_fills_its_last_batch_from_its_start() {
    let (_folder, pairs) = pairs();
    let batches = take(&pairs, options(), (0, 0), 6);
    for epoch in batches.chunks(3) {
        let taken: Vec<usize> = epoch.iter().flat_map(|b| b.pairs.clone()).collect();
        assert_eq!(taken[..7].iter().collect::<BTreeSet<_>>().len(), 7, "{taken:?}");
        assert_eq!(taken[7..], taken[..2]);
    }
    assert_ne!(batches[0].pairs, batches[3].pairs, "epochs have orders of their own");
    let plain = take(&pairs, LoaderOptions { shuffle: false, ..options() }, (0, 0), 2);
    assert_eq!((&plain[0].pairs[..], &plain[1].pairs[..]), (&[0, 1, 2][..], &[3, 4, 5][..]));

    // A data set smaller than a batch: one sample, four crops.
    let one = take(&pairs[..1], LoaderOptions { batch: 4, ..options() }, (0, 0), 1);
    assert_eq!(one[0].pairs, [0; 4]);
    assert!(
        one[0].crops.iter().any(|crop| *crop != one[0].crops[0]),
        "repeats have crops of their own"
    );
}

/// All 24 orders of four samples have probability 1/24: 2,400 epochs give each 100 times, deviation
/// 10.
#[test]
fn permutations_are_even() {
    let order = Order { samples: 4, batch: 1, shuffle: true, seed: 8 };
    let mut counts = std::collections::BTreeMap::new();
    for epoch in 0..2_400 {
        *counts.entry(order.permutation(epoch)).or_insert(0i32) += 1;
    }
    assert_eq!(counts.len(), 24);
    assert!(counts.values().all(|n| (n - 100).abs() < 60), "{counts:?}");
}

#[test]
fn a_batch_holds_the_pictures_it_names_in_its_direction() {
    let (_folder, pairs) = pairs();
    let still = LoaderOptions { jitter: false, flip: false, ..options() };
    let size = 32 * 32 * 3;
    let forth = take(&pairs, still.clone(), (0, 0), 3);
    let wanted: Vec<_> = (0..pairs.len()).map(|i| plain(&pairs, i, &still).unwrap()).collect();
    let back = take(&pairs, LoaderOptions { direction: Direction::BToA, ..still }, (0, 0), 3);
    for (forth, back) in forth.iter().zip(&back) {
        assert_eq!((&forth.inputs, &forth.targets), (&back.targets, &back.inputs));
        for (i, &sample) in forth.pairs.iter().enumerate() {
            let part = |of: &Samples, whole: &Image| {
                assert_eq!(of.as_slice().part(i * size..(i + 1) * size), whole.samples.as_slice());
            };
            part(&forth.inputs, &wanted[sample].input);
            part(&forth.targets, &wanted[sample].target);
        }
    }
}

/// The pictures of a batch are the resized ones, with the crops of their pairs; a machine that cuts
/// and mirrors as they say has the numbers of the host's cut and mirrored bytes.
#[test]
fn a_batch_brings_resized_pictures_and_the_crops_of_its_pairs() {
    let (_folder, pairs) = pairs();
    let augment = options().augment();
    let picture = 3 * 36 * 36;
    let shape = Shape::new(3, 32, 32, 3);
    let mut machine = Cpu::new(1).unwrap();
    machine.reserve(shape.count()).unwrap();
    let (mut flips, mut passes) = (0, [0; 7]);
    for batch in take(&pairs, options(), (0, 0), 3) {
        assert_eq!(batch.load, 36.into());
        let mut expected = Vec::<u8>::new();
        for (i, &sample) in batch.pairs.iter().enumerate() {
            let crop = augment.draw(0, sample, passes[sample], [36, 36]);
            assert_eq!(batch.crops[i], crop);
            passes[sample] += 1;
            let whole = augment.resized(&pairs[sample].read().unwrap().0);
            let sent = batch.inputs.as_slice().part(i * picture..(i + 1) * picture);
            assert_eq!(sent, whole.samples.as_slice());
            let cut = whole.crop(crop.x, crop.y, 32, 32);
            expected.extend(bytes(&if crop.flip { cut.mirror() } else { cut }));
            flips += usize::from(crop.flip);
        }
        let sent = ImageBatch {
            samples: batch.inputs.as_slice(),
            range: SampleRange::BYTE,
            height: 36,
            width: 36,
            crops: &batch.crops,
        };
        machine.upload_crops(sent, View::dense(0, shape)).unwrap();
        let mut got = vec![0.0; shape.count()];
        machine.download(View::dense(0, shape), &mut got).unwrap();
        let want: Vec<f32> = expected.iter().map(|&x| f32::from(x) / 127.5 - 1.0).collect();
        assert_eq!(got, want);
    }
    assert!(0 < flips && flips < 9, "some are flipped, some not: {flips} of 9");
}

/// A and B get one crop and one flip, and what is sent is equal with B a copy of A.
#[test]
fn a_pair_is_cropped_and_flipped_alike() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..5 {
        save(folder.path(), &format!("A/{i}.png"), &marked(40, 40, 9 * i));
        save(folder.path(), &format!("B/{i}.png"), &marked(40, 40, 9 * i));
    }
    let pairs = Folder::scan(folder.path(), ScanOptions::default()).unwrap().train;
    for batch in take(&pairs, options(), (0, 0), 8) {
        assert_eq!(batch.inputs, batch.targets);
        assert_eq!(batch.crops.len(), batch.pairs.len());
    }
}

#[test]
fn an_error_arrives_in_the_place_of_its_batch() {
    let (folder, pairs) = pairs();
    let still = LoaderOptions { batch: 1, shuffle: false, threads: 4, ..options() };
    std::fs::write(folder.path().join("3.png"), b"gone").unwrap();
    let mut loader = Loader::start(shared(&pairs), still, 0, 0).unwrap();
    for sample in 0..12 {
        match (sample % 7, loader.next_batch()) {
            (3, Err(error)) => assert!(error.to_string().contains("3.png"), "{error}"),
            (s, Ok(batch)) => assert_eq!(batch.pairs, [s]),
            (s, other) => panic!("sample {s}: {other:?}"),
        }
    }
}

#[test]
fn recycled_buffers_change_nothing() {
    let (_folder, pairs) = pairs();
    let want = take(&pairs, options(), (0, 0), 12);
    let mut loader = Loader::start(shared(&pairs), options(), 0, 0).unwrap();
    for want in want {
        let batch = loader.next_batch().unwrap();
        assert_eq!(batch, want);
        loader.recycle(batch);
    }
}

#[test]
fn a_dropped_loader_ends_its_threads() {
    let (_folder, pairs) = pairs();
    let pairs = shared(&pairs);
    for taken in [0, 1, 5] {
        let mut loader = Loader::start(pairs.clone(), options(), 0, 0).unwrap();
        for _ in 0..taken {
            loader.next_batch().unwrap();
        }
        drop(loader);
        // Every thread holds a clone, and ends behind the pair that it is loading.
        let begun = Instant::now();
        while Arc::strong_count(&pairs) > 1 {
            assert!(begun.elapsed() < Duration::from_secs(60), "a thread goes on");
            std::thread::yield_now();
        }
    }
}

/// As a pipe does to which nobody writes.
#[test]
fn a_pair_that_is_never_read_does_not_hold_up_who_stops() {
    struct Stuck(Mutex<Receiver<()>>);
    impl Pairs for Stuck {
        fn len(&self) -> usize {
            3
        }
        fn load(&self, _: usize) -> Result<(Image, Image)> {
            let _ = self.0.lock().unwrap().recv();
            Err(Error::input("the test is over"))
        }
        fn name(&self, _: usize) -> String {
            "stuck".to_string()
        }
    }
    let (end, never) = channel();
    let mut loader = Loader::start(Arc::new(Stuck(Mutex::new(never))), options(), 0, 0).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| loader.next_batch_unless(&stop));
        stop.store(true, Ordering::Relaxed);
        assert!(waits.join().unwrap().unwrap().is_none());
    });
    drop(loader);
    drop(end);
}

#[test]
fn options_tell_steps_and_memory_and_zeros_are_refused() {
    let (_folder, pairs) = pairs();
    assert_eq!(options().order(pairs.len()).steps_per_epoch(), 3);
    let batch = 2 * 3 * 36 * 36 * 3;
    assert_eq!(options().memory_bytes(&pairs), 7 * 2 * 36 * 36 * 3 + 5 * batch);
    let small = LoaderOptions { cache_bytes: 1000, ..options() };
    assert_eq!(small.memory_bytes(&pairs), 1000 + 5 * batch);
    for wrong in [
        LoaderOptions { batch: 0, ..options() },
        LoaderOptions { size: 0.into(), ..options() },
        LoaderOptions { threads: 0, ..options() },
        LoaderOptions { ahead: 0, ..options() },
    ] {
        assert!(Loader::start(shared(&pairs), wrong, 0, 0).is_err());
    }
    assert!(Loader::start(shared(&[]), options(), 0, 0).is_err());
}

/// Pairs in memory: heights of 32 bits to four channels of 16, in either direction.
#[test]
fn pairs_in_memory_of_any_type_are_batched() {
    let pair = |tag: usize| {
        let heights: Vec<f32> = (0..40 * 36).map(|i| (i * (tag + 1)) as f32 / 7.0).collect();
        let bands: Vec<u16> = (0..40 * 36 * 4).map(|i| (i * 11 + tag * 999) as u16).collect();
        (Image::new(40, 36, 1, heights).unwrap(), Image::new(40, 36, 4, bands).unwrap())
    };
    let pairs = MemoryPairs::new((0..3).map(pair).collect()).unwrap();
    let domains = Domains {
        input: Domain { samples: SampleType::F32, ..Domain::of_channels(1) },
        target: Domain { samples: SampleType::U16, ..Domain::of_channels(4) },
    };
    let forth = LoaderOptions { batch: 2, domains: domains.clone(), ..options() };
    assert_eq!(forth.memory_bytes(&pairs), (3 + 5 * 2) * 36 * 36 * (4 + 8));
    let domains = Domains { input: domains.target, target: domains.input };
    let back = LoaderOptions { direction: Direction::BToA, domains, ..forth.clone() };
    let shared: Arc<dyn Pairs> = Arc::new(pairs);
    let first = |options| Loader::start(shared.clone(), options, 0, 0).unwrap().next_batch();
    let (there, again) = (first(forth.clone()).unwrap(), first(back).unwrap());
    assert_eq!((&there.inputs, &there.targets), (&again.targets, &again.inputs));
    let augment = forth.augment();
    for (i, &number) in there.pairs.iter().enumerate() {
        let (a, b) = shared.load(number).unwrap();
        let pixels = 36 * 36;
        let inputs = there.inputs.as_slice().part(i * pixels..(i + 1) * pixels);
        assert_eq!(inputs, augment.resized(&a).samples.as_slice());
        let targets = there.targets.as_slice().part(i * pixels * 4..(i + 1) * pixels * 4);
        assert_eq!(targets, augment.resized(&b).samples.as_slice());
    }
    let text = first(options()).unwrap_err().to_string();
    assert!(text.contains("A of pair") && text.contains("1 channel of f32"), "{text}");
}

#[test]
fn pairs_in_memory_that_differ_are_refused() {
    let image = |w, colour: &[u8]| Image::filled(w, 4, colour);
    let good = || (image(4, &[1; 3]), image(4, &[2]));
    let refused = |pair| MemoryPairs::new(vec![good(), pair]).unwrap_err().to_string();
    let sizes = refused((image(4, &[1; 3]), image(5, &[2])));
    assert!(sizes.contains("pair 1: A is 4x4 and B is 5x4"), "{sizes}");
    let formats = refused((image(4, &[1; 3]), image(4, &[2; 2])));
    assert!(
        formats.contains("B of pair 1 has 2 channels of u8") && formats.contains("1 channel"),
        "{formats}"
    );
    assert_eq!(MemoryPairs::new(vec![good(), good()]).unwrap().len(), 2);
}

/// Pairs of many shapes, A and B alike in content.
fn shapes() -> Vec<(Image, Image)> {
    [[40, 36], [36, 40], [90, 20], [20, 90], [33, 33], [300, 20], [10, 100]]
        .into_iter()
        .zip(0u8..)
        .map(|([w, h], i)| (marked(w, h, 30 * i), marked(w, h, 30 * i)))
        .collect()
}

/// Every picture of a batch is a part of the resized picture, the same of A and B, which the crop of
/// the batch and the square around it give; whatever threads, cache and first step.
#[test]
fn pictures_that_are_not_square_are_cropped_along_their_longer_side() {
    let images = shapes();
    let shared: Arc<dyn Pairs> = Arc::new(MemoryPairs::new(images.clone()).unwrap());
    let crop = LoaderOptions { fit: Fit::Crop, ..options() };
    let take = |options, from: (usize, usize), count| -> Vec<Batch> {
        let mut loader = Loader::start(shared.clone(), options, from.0, from.1).unwrap();
        (0..count).map(|_| loader.next_batch().unwrap()).collect()
    };
    let want = take(crop.clone(), (0, 0), 12);
    for options in [
        LoaderOptions { threads: 1, ahead: 1, ..crop.clone() },
        LoaderOptions { threads: 4, cache_bytes: 0, ..crop.clone() },
        LoaderOptions { threads: 3, cache_bytes: 30_000, ..crop.clone() },
    ] {
        let said = format!("{options:?}");
        assert_eq!(take(options, (0, 0), 12), want, "{said}");
    }
    assert_eq!(take(crop.clone(), (1, 2), 3), want[5..8]);

    let augment = crop.augment();
    let seen = |batch: &Batch, of: &Samples, i: usize| {
        let pixels = 3 * 36 * 36;
        let part = of.as_slice().part(i * pixels..(i + 1) * pixels).bytes().to_vec();
        let Batch { crops, .. } = batch;
        bytes(&Image::new(36, 36, 3, part).unwrap().crop(crops[i].x, crops[i].y, 32, 32)).to_vec()
    };
    for batch in &want {
        let mut passes = [0; 7];
        for (i, &sample) in batch.pairs.iter().enumerate() {
            let whole = augment.resized(&images[sample].0);
            let size = [whole.width, whole.height];
            assert_eq!(size.into_iter().min(), Some(36), "{size:?}");
            assert_eq!(
                size,
                augment.resized_size([images[sample].0.width, images[sample].0.height])
            );
            let first = batch.step_in_epoch == 0 || i + 3 * batch.step_in_epoch < 7;
            passes[sample] = usize::from(!first);
            let drawn = augment.draw(batch.epoch, sample, passes[sample], size);
            let want = bytes(&whole.crop(drawn.x, drawn.y, 32, 32)).to_vec();
            assert_eq!(seen(batch, &batch.inputs, i), want, "picture {sample}");
            assert_eq!(seen(batch, &batch.targets, i), want, "B of picture {sample}");
            assert_eq!(batch.crops[i].flip, drawn.flip);
        }
    }
}

/// 150 offsets of probability 1/150 along the longer side: of 15,000 draws 100 each, deviation 10.
#[test]
fn every_part_of_a_long_picture_is_shown_as_often() {
    let augment = LoaderOptions { fit: Fit::Crop, ..options() }.augment();
    let (mut along, mut across) = ([0i32; 150], [0i32; 5]);
    for sample in 0..15_000 {
        let crop = augment.draw(0, sample, 0, [181, 36]);
        along[crop.x] += 1;
        across[crop.y] += 1;
    }
    assert!(along.iter().all(|n| (n - 100).abs() < 60), "{along:?}");
    assert!(across.iter().all(|n| (n - 3000).abs() < 300), "{across:?}");
}

#[test]
fn each_fit_makes_pictures_square_in_its_way() {
    let still = LoaderOptions { batch: 7, jitter: false, flip: false, shuffle: false, ..options() };
    let images = shapes();
    let pairs: Arc<dyn Pairs> = Arc::new(MemoryPairs::new(images.clone()).unwrap());
    for fit in [Fit::Crop, Fit::Pad, Fit::Stretch] {
        let options = LoaderOptions { fit, ..still.clone() };
        let seen = options.clone();
        let batch = Loader::start(pairs.clone(), options, 0, 0).unwrap().next_batch().unwrap();
        for (i, (whole, _)) in images.iter().enumerate() {
            let picture = 3 * 32 * 32;
            let sent = batch.inputs.as_slice().part(i * picture..(i + 1) * picture);
            let sent = Image::new(32, 32, 3, sent.bytes().to_vec()).unwrap();
            let shown = plain(&*pairs, i, &seen).unwrap().input;
            assert_eq!(sent, shown, "validation shows what training does, {fit:?} {i}");
            let (w, h) = (whole.width, whole.height);
            let (short, long) = (w.min(h), w.max(h));
            let side =
                |side: usize, base: usize| ((side * 32) as f64 / base as f64).round() as usize;
            match fit {
                _ if w == h => assert_eq!(shown, whole.resize(32, 32)),
                Fit::Stretch => assert_eq!(shown, whole.resize(32, 32)),
                Fit::Crop => {
                    // Of a picture longer than 8 times its shorter side, the middle.
                    let used = long.min(8 * short);
                    let (x, y) = if w > h { ((w - used) / 2, 0) } else { (0, (h - used) / 2) };
                    let [uw, uh] = [w.min(used), h.min(used)];
                    let small = whole.crop(x, y, uw, uh).resize(side(uw, short), side(uh, short));
                    let [x, y] = [small.width, small.height].map(|n| (n - 32) / 2);
                    assert_eq!(shown, small.crop(x, y, 32, 32), "{w}x{h}");
                }
                Fit::Native => unreachable!("not asked for"),
                Fit::Pad => {
                    let small = whole.resize(side(w, long), side(h, long));
                    let [x, y] = [small.width, small.height].map(|n| (32 - n) / 2);
                    assert_eq!(shown.crop(x, y, small.width, small.height), small, "{w}x{h}");
                }
            }
        }
    }
    // What is kept in memory is counted as it is: of a strip of 300 x 20, the middle at 256 x 32.
    let strip: Vec<(Image, Image)> = vec![images[5].clone()];
    let strip = MemoryPairs::new(strip).unwrap();
    let bytes = |fit| LoaderOptions { fit, batch: 1, ..still.clone() }.memory_bytes(&strip);
    let square = 2 * 3 * 32 * 32;
    assert_eq!(bytes(Fit::Crop), 2 * 3 * 256 * 32 + 5 * square);
    assert_eq!(bytes(Fit::Pad), 6 * square);
}

/// Square pictures are the same bytes whatever the fit.
#[test]
fn square_pictures_do_not_depend_on_the_fit() {
    let pairs = |i| (marked(50, 50, i), marked(50, 50, i + 1));
    let pairs: Arc<dyn Pairs> = Arc::new(MemoryPairs::new((0..4).map(pairs).collect()).unwrap());
    let take = |fit| -> Vec<Batch> {
        let options = LoaderOptions { fit, ..options() };
        let mut loader = Loader::start(pairs.clone(), options, 0, 0).unwrap();
        (0..5).map(|_| loader.next_batch().unwrap()).collect()
    };
    assert_eq!(take(Fit::Crop), take(Fit::Stretch));
    assert_eq!(take(Fit::Pad), take(Fit::Stretch));
}

/// A crop would show different parts of images of different sizes.
#[test]
fn pairs_of_two_sizes_are_refused_except_where_both_are_stretched() {
    struct Uneven;
    impl Pairs for Uneven {
        fn len(&self) -> usize {
            1
        }
        fn load(&self, _: usize) -> pix2pix_engine::Result<(Image, Image)> {
            Ok((marked(40, 36, 1), marked(40, 40, 1)))
        }
        fn name(&self, _: usize) -> String {
            "uneven".into()
        }
    }
    for fit in [Fit::Crop, Fit::Pad, Fit::Stretch] {
        let options = LoaderOptions { fit, ..options() };
        let batch = Loader::start(Arc::new(Uneven), options, 0, 0).unwrap().next_batch();
        match fit {
            Fit::Stretch => assert!(batch.is_ok()),
            _ => {
                let text = batch.unwrap_err().to_string();
                assert!(text.contains("uneven: A is 40x36 and B is 40x40"), "{text}");
            }
        }
    }
}

/// Pairs in files that counts how often one is loaded whole.
struct Counted(FilePairs, AtomicUsize);

impl Pairs for Counted {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn load(&self, i: usize) -> Result<(Image, Image)> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.load(i)
    }
    fn part(&self, i: usize, at: [usize; 2], size: Size) -> Result<Option<PairPart>> {
        self.0.part(i, at, size)
    }
    fn name(&self, i: usize) -> String {
        self.0.name(i)
    }
    fn size(&self, i: usize) -> Option<[usize; 2]> {
        self.0.size(i)
    }
}

/// Of pictures that are not resized and not cached only the part that is shown is read, to the same bytes.
#[test]
fn parts_of_large_pictures_are_those_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = |i: u8, channels: usize| {
        let value = |k: usize| ((k * 31 + usize::from(i) * 7919) % 40_001) as f32 - 1000.0;
        Image::new(90, 70, channels, (0..90 * 70 * channels).map(value).collect::<Vec<_>>())
            .unwrap()
    };
    for side in ["A", "B"] {
        std::fs::create_dir_all(folder.path().join("values").join(side)).unwrap();
    }
    let write = |name: String, image: Image| image.write(&folder.path().join(name)).unwrap();
    for i in 0..3 {
        write(format!("{i}.tif"), marked(180, 70, 30 * i));
        write(format!("values/A/{i}.tif"), numbers(i, 2));
        write(format!("values/B/{i}.tif"), numbers(i + 9, 1));
    }
    let values = |channels: usize| Domain {
        channels: (0..channels).map(|c| c.to_string()).collect(),
        kind: DomainKind::values(-1000.0, 39_000.0, None),
        samples: SampleType::F32,
        ..Domain::default()
    };
    let side_by_side = Folder::scan(folder.path(), ScanOptions::default()).unwrap().train;
    let two = Folder::scan(&folder.path().join("values"), ScanOptions::default()).unwrap().train;
    for (pairs, domains) in
        [(side_by_side, [Domain::default(), Domain::default()]), (two, [values(2), values(1)])]
    {
        let [input, target] = domains.clone();
        let options = LoaderOptions {
            fit: Fit::Native,
            turn: true,
            flip_vertical: true,
            domains: Domains { input, target },
            ..options()
        };
        let pairs = Arc::new(Counted(FilePairs { pairs, domains }, AtomicUsize::new(0)));
        let batches = |cache_bytes| -> Vec<Batch> {
            let options = LoaderOptions { cache_bytes, ..options.clone() };
            let mut loader = Loader::start(pairs.clone(), options, 0, 0).unwrap();
            (0..6).map(|_| loader.next_batch().unwrap()).collect()
        };
        let whole = batches(1 << 30);
        let loads = pairs.1.swap(0, Ordering::Relaxed);
        assert!(loads >= 3, "{loads}");
        assert_eq!(batches(0), whole);
        assert_eq!(pairs.1.load(Ordering::Relaxed), 0, "none was loaded whole");
    }
}
