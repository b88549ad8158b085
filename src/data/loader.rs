//! Makes batches in threads, ahead of the trainer, in an order that does not depend on the threads.
//!
//! Batches are numbered from the step at which the loader starts. A thread takes the next number
//! and makes that batch; the consumer receives the batches by number. At most
//! [`LoaderOptions::ahead`] batches are finished or being made at a time. A batch is a pure
//! function of the options and of (epoch, step), so a resumed run continues with the same samples,
//! on any number of threads.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::augment::Turn;
use super::noise::Shading;
use super::{Augment, Direction, Domain, DomainKind, Domains, Fit, Image, Mask, Order, Pairs};
use crate::error::{Error, Result};
use crate::limits;
use crate::tensor::{Crop, SampleType, Samples, Size};

/// How long a consumer that waits for a batch does not look whether it is to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// The options of a [`Loader`].
#[derive(Clone, Debug, PartialEq)]
pub struct LoaderOptions {
    /// Samples in a batch, at least 1.
    pub batch: usize,
    /// See [`Augment::size`].
    pub size: Size,
    /// See [`Augment::fit`].
    pub fit: Fit,
    /// Which image of a pair is the input.
    pub direction: Direction,
    /// What the samples of inputs and targets mean.
    pub domains: Domains,
    /// Whether batches say which pixels count. Otherwise a pixel that does not is an error.
    pub masked: bool,
    /// Seed of order, crops, flips and noise.
    pub seed: u64,
    /// See [`Augment::jitter`].
    pub jitter: bool,
    /// See [`Augment::flip`].
    pub flip: bool,
    /// See [`Augment::flip_vertical`].
    pub flip_vertical: bool,
    /// See [`Augment::turn`].
    pub turn: bool,
    /// Noise and brightness of inputs.
    pub shading: Shading,
    /// See [`Order::shuffle`].
    pub shuffle: bool,
    /// Threads that load and resize, at least 1.
    pub threads: usize,
    /// Batches that may be finished or being made, at least 1.
    pub ahead: usize,
    /// Bytes of the cache of loaded and resized pairs; a cached pair is loaded once per run. 0 for
    /// no cache.
    pub cache_bytes: u64,
}

impl Default for LoaderOptions {
    /// The paper's training: batches of 1 at 256 x 256, 8-bit RGB, jittered, flipped, shuffled.
    fn default() -> Self {
        LoaderOptions {
            batch: 1,
            size: Size::from(256),
            fit: Fit::Crop,
            direction: Direction::AToB,
            domains: Domains::default(),
            masked: false,
            seed: 0,
            jitter: true,
            flip: true,
            flip_vertical: false,
            turn: false,
            shading: Shading::default(),
            shuffle: true,
            threads: 2,
            ahead: 4,
            cache_bytes: 1 << 30,
        }
    }
}

impl LoaderOptions {
    /// How images are brought to the size, and what is drawn for each.
    pub fn augment(&self) -> Augment {
        let LoaderOptions { size, fit, jitter, flip, flip_vertical, turn, seed, .. } = *self;
        Augment { size, fit, jitter, flip, flip_vertical, turn, seed }
    }

    /// How `samples` pairs are ordered and cut into batches.
    pub fn order(&self, samples: usize) -> Order {
        Order { samples, batch: self.batch, shuffle: self.shuffle, seed: self.seed }
    }

    /// The most bytes that a loader of these pairs holds: batches that are finished, being made,
    /// with the consumer or spare, and cached pairs. The images that a thread is just decoding come
    /// on top. Pairs that do not tell their size are taken for square.
    pub fn memory_bytes(&self, pairs: &dyn Pairs) -> u64 {
        let augment = self.augment();
        let square = augment.load().across();
        let sizes = (0..pairs.len()).map(|i| match pairs.size(i) {
            Some(size) => augment.resized_size(size),
            None => square,
        });
        let kept = sizes.map(|size| self.pair_bytes(size)).sum::<u64>().min(self.cache_bytes);
        kept + (self.ahead as u64 + 2) * self.batch as u64 * self.pair_bytes(square)
    }

    /// Bytes of a pair of images of this width and height.
    fn pair_bytes(&self, [width, height]: [usize; 2]) -> u64 {
        let Domains { input, target } = &self.domains;
        let of_images = input.prepared_format().size() + target.prepared_format().size();
        let pixel = of_images + usize::from(self.masked);
        (pixel as u64).saturating_mul(width as u64).saturating_mul(height as u64)
    }

    fn check(&self, samples: usize) -> Result<()> {
        let least = [
            ("samples", samples),
            ("batch", self.batch),
            ("size", self.size.least()),
            ("threads", self.threads),
            ("ahead", self.ahead),
        ];
        if let Some((what, _)) = least.iter().find(|(_, n)| *n == 0) {
            return Err(Error::input(format!("the loader needs {what} of at least 1")));
        }
        if self.turn && self.size.square().is_none() {
            return Err(Error::input(format!(
                "pictures of {} pixels cannot be turned by quarters: use a square size, or no turns",
                self.size
            )));
        }
        self.shading.check(&self.domains.input)
    }
}

/// A batch of pairs: resized images, and the crop of each. Of a resized image that is larger than
/// [`Augment::load`] it has a part of that size that contains the crop.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The epoch, from 0.
    pub epoch: usize,
    /// The step in that epoch, from 0.
    pub step_in_epoch: usize,
    /// The index of each pair in the list of pairs.
    pub pairs: Vec<usize>,
    /// The crop and the flip of each pair, for both its images.
    pub crops: Vec<Crop>,
    /// Height and width of the images in pixels, [`Augment::load`].
    pub load: Size,
    /// Inputs (n, height, width, channels), dense and [prepared](Domain::prepared): the A of the pairs, or
    /// their B if the direction is [`Direction::BToA`].
    pub inputs: Samples,
    /// Targets, in the same layout.
    pub targets: Samples,
    /// Which pixels count, 1 or 0 in u8 (n, height, width, 1); none unless the loader is
    /// [masked](LoaderOptions::masked). Where a pixel does not count, inputs and targets have the low end of
    /// their range, or no class, whatever the file has.
    pub mask: Option<Samples>,
}

/// A pair, resized and prepared: A, B, and which pixels count.
pub(super) struct Loaded {
    pub a: Image,
    pub b: Image,
    pub mask: Option<Mask>,
}

/// An endless source of batches from (epoch, step) on. Dropping it stops each thread after the pair
/// that it is loading.
pub struct Loader {
    shared: Arc<Shared>,
}

struct Shared {
    pairs: Arc<dyn Pairs>,
    options: LoaderOptions,
    /// Steps before the first batch: `epoch * steps_per_epoch + step_in_epoch`.
    begin: usize,
    kept: Vec<OnceLock<Loaded>>,
    kept_bytes: AtomicU64,
    state: Mutex<Queue>,
    /// A batch was made.
    made: Condvar,
    /// A batch was taken, or the loader stops.
    taken: Condvar,
}

#[derive(Default)]
struct Queue {
    next: usize,
    delivered: usize,
    ready: BTreeMap<usize, Result<Batch>>,
    spare: Vec<Batch>,
    stop: bool,
}

impl Loader {
    /// Starts the threads. The first batch is that of `step_in_epoch` in `epoch`, both from 0; a
    /// step past the end of the epoch counts into the next.
    ///
    /// # Errors
    /// [`Error::Input`] for no pairs or an option that is 0; [`Error::Machine`] if a thread cannot
    /// start.
    pub fn start(
        pairs: Arc<dyn Pairs>,
        options: LoaderOptions,
        epoch: usize,
        step_in_epoch: usize,
    ) -> Result<Loader> {
        options.check(pairs.len())?;
        let steps = options.order(pairs.len()).steps_per_epoch();
        let shared = Arc::new(Shared {
            begin: epoch * steps + step_in_epoch,
            kept: (0..pairs.len()).map(|_| OnceLock::new()).collect(),
            kept_bytes: AtomicU64::new(0),
            state: Mutex::default(),
            made: Condvar::new(),
            taken: Condvar::new(),
            pairs,
            options,
        });
        let loader = Loader { shared };
        let threads = loader.shared.options.threads;
        for i in 0..threads {
            let shared = loader.shared.clone();
            std::thread::Builder::new()
                .name(format!("loader-{i}"))
                .spawn(move || shared.work())
                .map_err(|e| limits::no_threads(threads, e))?;
        }
        Ok(loader)
    }

    /// Waits for the next batch.
    ///
    /// # Errors
    /// A pair that cannot be read, or whose pixel format differs from the options; the next call
    /// then gives the batch after it.
    pub fn next_batch(&mut self) -> Result<Batch> {
        let never = AtomicBool::new(false);
        self.next_batch_unless(&never).map(|batch| batch.expect("nothing stops it"))
    }

    /// As [`Loader::next_batch`], but `None` soon after `stop` was set: a file may take for ever to be
    /// read.
    ///
    /// # Errors
    /// As [`Loader::next_batch`].
    pub fn next_batch_unless(&mut self, stop: &AtomicBool) -> Result<Option<Batch>> {
        let mut state = self.shared.lock();
        while !stop.load(Ordering::Relaxed) {
            let number = state.delivered;
            if let Some(batch) = state.ready.remove(&number) {
                state.delivered += 1;
                self.shared.taken.notify_all();
                return batch.map(Some);
            }
            let woken = self.shared.made.wait_timeout(state, PATIENCE);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
        Ok(None)
    }

    /// Returns the buffers of a batch for reuse.
    pub fn recycle(&mut self, batch: Batch) {
        let mut state = self.shared.lock();
        // Each batch taken lets one be started, so more than one spare would not be used.
        if state.spare.is_empty() {
            state.spare.push(batch);
        }
    }
}

impl Drop for Loader {
    /// The threads are not waited for: one may be reading a file that never ends.
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.taken.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self) -> Order {
        self.options.order(self.pairs.len())
    }

    /// The loop of each thread.
    fn work(&self) {
        let mut permutation = (usize::MAX, Vec::new());
        loop {
            let (number, buffers) = {
                let mut state = self.lock();
                while !state.stop && state.next - state.delivered >= self.options.ahead {
                    state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                if state.stop {
                    return;
                }
                let number = state.next;
                state.next += 1;
                (number, state.spare.pop().unwrap_or_default())
            };
            let made = catch_unwind(AssertUnwindSafe(|| {
                self.make(self.begin + number, buffers, &mut permutation)
            }))
            .unwrap_or_else(|_| Err(Error::machine("a loader thread broke: this is a defect")));
            let mut state = self.lock();
            if let Some(made) = made.transpose() {
                state.ready.insert(number, made);
                self.made.notify_all();
            }
        }
    }

    /// The batch of a step, counted over all epochs; `None` if the loader stops meanwhile.
    fn make(
        &self,
        step: usize,
        mut batch: Batch,
        permutation: &mut (usize, Vec<usize>),
    ) -> Result<Option<Batch>> {
        let order = self.order();
        let augment = self.options.augment();
        batch.epoch = step / order.steps_per_epoch();
        batch.step_in_epoch = step % order.steps_per_epoch();
        if permutation.0 != batch.epoch {
            *permutation = (batch.epoch, order.permutation(batch.epoch));
        }
        batch.load = augment.load();
        let pixels = batch.load.pixels();
        let LoaderOptions { domains: Domains { input, target }, direction, .. } = &self.options;
        let (input, target) = (input.prepared_format(), target.prepared_format());
        batch.inputs.reset(input.samples, order.batch * pixels * input.channels);
        batch.targets.reset(target.samples, order.batch * pixels * target.channels);
        if self.options.masked {
            let mask = batch.mask.get_or_insert_default();
            mask.reset(SampleType::U8, order.batch * pixels);
        }
        batch.pairs.clear();
        batch.crops.clear();
        for (i, (pair, pass)) in
            order.batch_of(&permutation.1, batch.step_in_epoch).into_iter().enumerate()
        {
            if self.lock().stop {
                return Ok(None);
            }
            batch.pairs.push(pair);
            let (epoch, load) = (batch.epoch, batch.load);
            let turn = augment.draw_turn(epoch, pair, pass);
            let mut add = |Loaded { a, b, mask }: &Loaded, known: Option<Crop>| {
                let (from, to) = direction.order(a, b);
                let size = [from.width, from.height];
                let (crop, x, y) = match known {
                    Some(crop) => (crop, 0, 0),
                    None => begun(augment.draw(epoch, pair, pass, size), size, load),
                };
                batch.crops.push(crop);
                let part = |image: &Image, to: &mut Samples| {
                    let at = i * pixels * image.channels;
                    let whole = (image.width, image.height) == (load.width, load.height);
                    match (whole, turn == Turn::default()) {
                        (true, true) => to.copy_at(at, image.samples.as_slice()),
                        (true, false) => to.copy_at(at, image.turned(turn).samples.as_slice()),
                        (false, _) => {
                            let part = image.crop(x, y, load.width, load.height).turned(turn);
                            to.copy_at(at, part.samples.as_slice());
                        }
                    }
                };
                part(from, &mut batch.inputs);
                part(to, &mut batch.targets);
                let all = i * pixels..(i + 1) * pixels;
                match (mask, &mut batch.mask) {
                    (Some(mask), Some(to)) => part(mask, to),
                    (None, Some(Samples::U8(to))) => to[all.clone()].fill(1),
                    _ => {}
                }
                let c = input.channels;
                let key = [pair as u32, epoch as u32, pass as u32];
                self.options.shading.apply(
                    (self.options.seed, key),
                    &mut batch.inputs,
                    all.start * c..all.end * c,
                    self.options.domains.input.range(),
                );
            };
            match self.part(pair, &augment, [epoch, pass])? {
                Some((part, crop)) => add(&part, Some(crop)),
                None => self.with_pair(pair, &augment, |whole| add(whole, None))?,
            }
        }
        Ok(Some(batch))
    }

    /// The part of a pair that is drawn, and the rest of the draw, where nothing is resized, the whole pair would not
    /// be cached, and its files can be read in parts.
    fn part(
        &self,
        pair: usize,
        augment: &Augment,
        [epoch, pass]: [usize; 2],
    ) -> Result<Option<(Loaded, Crop)>> {
        let load = augment.load();
        let size = self.pairs.size(pair).filter(|[width, height]| {
            augment.fit == Fit::Native && *width >= load.width && *height >= load.height
        });
        let Some([width, height]) = size else { return Ok(None) };
        let bytes = self.options.pair_bytes([width, height]);
        let room = self.kept_bytes.load(Ordering::Relaxed) + bytes <= self.options.cache_bytes;
        if room || self.kept[pair].get().is_some() {
            return Ok(None);
        }
        let drawn = augment.draw(epoch, pair, pass, [width, height]);
        let (crop, x, y) = begun(drawn, [width, height], load);
        let Some(part) = self.pairs.part(pair, [x, y], load)? else { return Ok(None) };
        let loaded = prepared(&self.options, augment, part, &self.pairs.name(pair))?;
        Ok(Some((loaded, crop)))
    }

    /// Calls `f` with a pair, from the cache or loaded now and cached if there is room.
    fn with_pair(&self, pair: usize, augment: &Augment, f: impl FnOnce(&Loaded)) -> Result<()> {
        let slot = &self.kept[pair];
        if let Some(loaded) = slot.get() {
            f(loaded);
            return Ok(());
        }
        let (a, b) = self.pairs.load(pair)?;
        let mask = if self.options.masked { self.pairs.mask(pair)? } else { None };
        let name = self.pairs.name(pair);
        let loaded = prepared(&self.options, augment, (a, b, mask), &name)?;
        f(&loaded);
        let bytes = self.options.pair_bytes([loaded.a.width, loaded.a.height]);
        let room = |used: u64| Some(used + bytes).filter(|&n| n <= self.options.cache_bytes);
        let relaxed = Ordering::Relaxed;
        let keeps = self.kept_bytes.fetch_update(relaxed, relaxed, room).is_ok();
        if keeps && slot.set(loaded).is_err() {
            // Another thread cached the same pair meanwhile.
            self.kept_bytes.fetch_sub(bytes, relaxed);
        }
        Ok(())
    }
}

/// Where the part of an image begins that has a crop: at it if it can. Also the crop in that part.
fn begun(crop: Crop, [width, height]: [usize; 2], load: Size) -> (Crop, usize, usize) {
    let (x, y) = (crop.x.min(width - load.width), crop.y.min(height - load.height));
    (Crop { x: crop.x - x, y: crop.y - y, ..crop }, x, y)
}

/// Checks a pair that was read, (A, B, mask), prepares and resizes it.
///
/// # Errors
/// Another pixel format than the domains have; images of different sizes; pixels that do not count where that
/// is not expected.
pub(super) fn prepared(
    options: &LoaderOptions,
    augment: &Augment,
    (a, b, mask): (Image, Image, Option<Mask>),
    name: &str,
) -> Result<Loaded> {
    let Domains { input, target } = &options.domains;
    // `order` is its own inverse: from (input, target) to (A, B).
    let (of_a, of_b) = options.direction.order(input, target);
    augment.check_sizes(&a, &b, name)?;
    let (a, mask_a) = checked(of_a, a, &format!("A of {name}"), options.masked)?;
    let (b, mask_b) = checked(of_b, b, &format!("B of {name}"), options.masked)?;
    let resized = |domain: &Domain, image: &Image| match domain.kind {
        DomainKind::Labels { .. } => augment.resized_by(image, Image::resize_nearest),
        _ => augment.resized(image),
    };
    let (mut a, mut b) = (a, b);
    let whole = [mask, mask_a, mask_b].into_iter().flatten().reduce(Image::both);
    // Before, so that nothing of them reaches a neighbour, and again where resizing made a mean of it.
    if let Some(mask) = &whole {
        of_a.blank(&mut a, mask);
        of_b.blank(&mut b, mask);
    }
    let (mut a, mut b) = (resized(of_a, &a), resized(of_b, &b));
    let mask = whole.map(|mask| augment.resized_by(&mask, Image::resize_mask));
    if let Some(mask) = &mask {
        of_a.blank(&mut a, mask);
        of_b.blank(&mut b, mask);
    }
    Ok(Loaded { a, b, mask })
}

/// A checked and prepared image, and which of its pixels count.
fn checked(
    domain: &Domain,
    image: Image,
    name: &str,
    masked: bool,
) -> Result<(Image, Option<Mask>)> {
    if !masked {
        domain.format().check(&image, name)?;
    } else {
        domain.format().check_format(&image, name)?;
    }
    let (image, mask) = domain.prepared(image);
    match mask {
        Some(mask) if !masked => Err(not_expected(&mask, name)),
        mask => Ok((image, mask)),
    }
}

fn not_expected(mask: &Mask, name: &str) -> Error {
    let Samples::U8(counts) = &mask.samples else { panic!("masks are of u8") };
    let at = counts.iter().position(|&c| c == 0).unwrap_or(0);
    Error::input(format!(
        "{name} has no known value or class at column {}, row {}, and no picture of the training had such \
         pixels: mend the picture, or begin a run with all of them",
        at % mask.width,
        at / mask.width
    ))
}
