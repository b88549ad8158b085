//! Translation of pictures that do not fit into memory: by overlapping tiles, from windows into rows.
//!
//! The picture is padded by reflection as a whole one is, and cut into tiles that begin at multiples of the
//! network's step. Where neighbours overlap, one passes into the other smoothly ([`grid`](super::grid)). Norms
//! must not change from tile to tile: those with statistics of the picture's own get them from a pass over all
//! tiles before, each weighted by the pixels that it adds,
//!
//! ```text
//! mean = sum n_t mean_t / sum n_t,   var = sum n_t (var_t + mean_t^2) / sum n_t - mean^2
//! ```
//!
//! which are near those of the whole picture: a tile has zeros beyond its edges, and norms behind the first see what
//! was normalised tile by tile. With running statistics and an overlap of more than twice the network's reach
//! ([`Tape::margin`](crate::tape::Tape::margin)), every number is that of a translation in one piece.

use super::grid::{Axis, Cut, RAMP};
use super::strip::{Rows, Strip, Taken, Window};
use super::{LONGEST, Passage, Translator};
use crate::data::{Image, Mask, RowSink, WindowSource, is_large};
use crate::error::settings::{SCALE, TILE};
use crate::error::{Error, Result};
use crate::kernel::{Parts, Statistics, check_finite};
use crate::limits::bytes;
use crate::model::NormKind;
use crate::nn::shared_statistics;
use crate::tensor::{Samples, Shape, with_samples};

/// The largest side of a tile that is chosen, in pixels: larger ones save a few per cent of the work.
const LARGEST: usize = 2048;
/// Bytes that a translation by tiles takes where that is enough for tiles of a useful size.
const USUAL: u64 = 1_000_000_000;

/// How a picture is cut into tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Width and height of what is computed: the picture, padded.
    pub computed: [usize; 2],
    /// Height and width of a tile, in pixels, overlaps included.
    pub side: usize,
    /// Pixels that neighbours share, at least.
    pub overlap: usize,
    /// Whether statistics of the picture are measured by a pass before.
    pub measured: bool,
    /// Whether the result is that of a translation in one piece, bit for bit.
    pub exact: bool,
    /// Bytes of memory that it takes, beside the weights.
    pub bytes: u64,
    cut: Cut,
}

impl Tiling {
    /// Computed pixels over those of the picture: overlaps, and the pass that measures.
    pub fn work(&self) -> f64 {
        let tiles = |length: usize, cut| {
            let axis = Axis::new(length, cut);
            let all: usize = (0..axis.origins.len()).map(|i| axis.side(i)).sum();
            all as f64 / length as f64
        };
        let pass = |cut| self.computed.iter().map(|&l| tiles(l, cut)).product::<f64>();
        pass(self.cut) + if self.measured { pass(self.disjoint()) } else { 0.0 }
    }

    /// The tiles of the pass that measures, which share nothing but where the last is moved back.
    fn disjoint(&self) -> Cut {
        Cut { overlap: 0, ..self.cut }
    }
}

/// What came of a translation by tiles.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tiled {
    /// Tiles of the picture.
    pub tiles: usize,
    /// Tiles that were not computed since none of their pixels counts.
    pub empty: usize,
    /// Tiles of one colour that were not computed since the one before was the same.
    pub repeated: usize,
    /// The mean step between neighbouring pixels across borders of tiles, over that elsewhere: 1 where
    /// borders are not seen.
    pub seam: Option<f64>,
}

/// Takes finished rows of the prepared output, and which of their pixels count.
type Emit<'a> = dyn FnMut(Image, Option<Mask>) -> Result<()> + 'a;
/// Is told of tiles that are done, and of how many.
pub type Progress<'a> = dyn FnMut(usize, usize) + 'a;

/// Sums over tiles of a norm's mean, and of its variance and squared mean, by channel.
struct Sums {
    names: [String; 2],
    /// Pixels of a tile that the norm sees.
    pixels: f64,
    mean: Vec<f64>,
    square: Vec<f64>,
}

/// The mean and the variance of each norm, by the names of its inputs.
type Shared = Vec<(String, Vec<f32>)>;

impl Translator {
    /// How a picture of this width and height is cut into tiles; `None` if it is translated in one piece, which
    /// is so where it fits into memory and [`TranslateOptions::tile`](super::TranslateOptions) asks for no tiles.
    ///
    /// # Errors
    /// [`Error::Machine`] where not even the smallest tiles fit.
    pub fn tiling(&mut self, image: [usize; 2]) -> Result<Option<Tiling>> {
        let step = self.generator.multiple();
        let sizes = self.resizing.size(image);
        let computed = sizes.map(|side| side.checked_next_multiple_of(step).unwrap_or(side));
        let longest = computed[0].max(computed[1]);
        if longest > LONGEST {
            // No picture is computed as large, by tiles or not.
            return self.check_memory(image).map(|()| None);
        }
        let multiple = |pixels: usize| pixels.next_multiple_of(step);
        // What cannot be read whole is cut, if into one tile.
        let must = sizes == image && is_large(image[0], image[1]);
        let free = self.free_bytes();
        if let Some(side) = self.options.tile {
            let side = multiple(side).max(2 * step);
            if side >= longest && !must {
                return Ok(None);
            }
            let tiling = self.tiling_of(image, computed, side)?;
            return match free.filter(|free| tiling.bytes > *free) {
                Some(free) => Err(no_room(image, &tiling, free, &format!("use a smaller {TILE}"))),
                None => Ok(Some(tiling)),
            };
        }
        if !must {
            match self.memory(image) {
                Ok(needed) if free.is_none_or(|free| needed <= free) => return Ok(None),
                Ok(_) | Err(Error::Input(_) | Error::Machine(_)) => {}
                Err(other) => return Err(other),
            }
        }
        let sides = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32].map(|part| LARGEST / part);
        let mut sides: Vec<usize> = sides.map(|side| multiple(side).max(2 * step)).to_vec();
        sides.retain(|side| *side < longest || must);
        sides.dedup();
        // A fifth is left to what else the machine does.
        let most = free.map_or(u64::MAX, |free| free / 5 * 4);
        let mut last = None;
        for &side in &sides {
            let tiling = self.tiling_of(image, computed, side)?;
            // Small tiles cost time; they are chosen only where there is no more memory.
            let useful = side > 2 * step && side > 256;
            let limit = if useful { USUAL.min(most) } else { most };
            if tiling.bytes <= limit {
                return Ok(Some(tiling));
            }
            last = Some(tiling);
        }
        // Where it is scaled up, or no larger than the smallest tile, a smaller scale is the cure.
        self.check_memory(image)?;
        last.map_or(Ok(None), |tiling| Err(no_room(image, &tiling, most, "free some")))
    }

    /// Bytes that are free, with those that earlier pictures took, which are used again.
    fn free_bytes(&self) -> Option<u64> {
        self.backend.free_memory().map(|free| free.bytes.saturating_add(self.held))
    }

    fn tiling_of(
        &mut self,
        image: [usize; 2],
        computed: [usize; 2],
        side: usize,
    ) -> Result<Tiling> {
        let step = self.generator.multiple();
        let measured = self.measures();
        let tile = computed.map(|length| length.min(side));
        let passage = if measured { Passage::Shared } else { Passage::Whole };
        let recorded = self.record(tile, passage)?;
        let (program, reach) = (recorded.bytes, recorded.reach);
        let whole = (2 * reach + RAMP).next_multiple_of(step);
        let wanted = self.options.overlap.map(|pixels| pixels.next_multiple_of(step));
        // In pixels: the innermost level has one for a step.
        let parts = self
            .backend
            .conv_parts()
            .map(|p| Parts { align: p.align * step, least: p.least * step });
        let parts =
            parts.filter(|p| !measured && side.min(computed[0]).min(computed[1]) >= p.least);
        let exact = parts.and_then(|parts| {
            let stride = side.checked_sub(wanted.unwrap_or(whole))? / parts.align * parts.align;
            let overlap = side - stride;
            let fits = match wanted {
                Some(wanted) => wanted > 2 * reach,
                None => overlap <= side / 2,
            };
            (stride > 0 && fits).then_some((overlap, parts))
        });
        let usual = (side / 4).next_multiple_of(step);
        let (overlap, Parts { align, least }) = exact.unwrap_or_else(|| {
            let overlap = wanted.unwrap_or(usual).clamp(step, side - step);
            (overlap, Parts { align: step, least: side })
        });
        let cut = Cut { side, overlap, align, least, reach };
        let exact = exact.is_some() && computed.iter().all(|&l| Axis::new(l, cut).is_exact(reach));
        let mut bytes = program;
        if self.backend.is_host() {
            // Two strips across the picture, one of them as high as the overlap, and the rows of the input
            // below a tile, as read and prepared.
            let (input, target) = (self.domains.input.format().size(), self.config.out_channels);
            let strips = (tile[1] + overlap) * computed[0] * (4 * target + 1);
            bytes += (strips + 2 * tile[1] * image[0] * input) as u64;
            // A picture that is resized, or of a format that is read whole, is in memory as read and resized, and
            // its output likewise.
            let sizes = self.resizing.size(image);
            if sizes != image || !is_large(image[0], image[1]) {
                let pixels = |[width, height]: [usize; 2]| width as u64 * height as u64;
                let pixel = input + self.domains.target.format().size();
                bytes += (pixels(image) + pixels(sizes)) * pixel as u64;
            }
        }
        Ok(Tiling { computed, side, overlap, measured, exact, bytes, cut })
    }

    /// Whether norms take statistics from the picture.
    fn measures(&self) -> bool {
        self.statistics == Statistics::Batch && self.config.norm != NormKind::None
    }

    /// Translates a picture that is read by windows into rows, in bounded memory, by tiles as
    /// [`Translator::tiling`] says. Its pixels are those of the input domain.
    ///
    /// # Errors
    /// A picture that would be resized, or of another format than the input domain's; what the source, the sink
    /// and the device report.
    pub fn translate_stream(
        &mut self,
        source: &mut dyn WindowSource,
        tiling: Tiling,
        sink: &mut dyn RowSink,
        progress: &mut Progress,
    ) -> Result<Tiled> {
        let size = source.size();
        if self.resizing.size(size) != size {
            return Err(Error::input(format!(
                "a picture of {} x {} pixels would be resized, for which it does not fit into memory; use \
                 {SCALE} native",
                size[0], size[1]
            )));
        }
        let (domains, masked) = (self.domains.clone(), self.trained.masked);
        let window = &mut |[x, y, width, height]: [usize; 4]| {
            let image = source.read(x, y, width, height)?;
            domains.input.format().check_format(&image, "the picture")?;
            let (image, mask) = domains.input.prepared(image);
            if mask.is_some() && !masked {
                return Err(super::not_masked());
            }
            Ok((image, mask))
        };
        let target = &domains.target;
        let emit = &mut |rows: Image, mask: Option<Mask>| {
            let rows = target.restored(rows);
            sink.rows(&match mask {
                Some(mask) => target.without(rows, &mask),
                None => rows,
            })
        };
        self.tiles(size, tiling, window, emit, progress)
    }

    /// Translates a prepared image in memory, of the size that is computed but for its padding.
    pub(super) fn translate_tiles(
        &mut self,
        image: &Image,
        mask: Option<&Mask>,
        tiling: Tiling,
        progress: &mut Progress,
    ) -> Result<(Image, Tiled)> {
        let size = [image.width, image.height];
        let mask = mask.filter(|mask| [mask.width, mask.height] == size);
        let window = &mut |[x, y, width, height]: [usize; 4]| {
            Ok((image.crop(x, y, width, height), mask.map(|mask| mask.crop(x, y, width, height))))
        };
        let mut whole: Option<Image> = None;
        let mut done = 0;
        let emit = &mut |rows: Image, _: Option<Mask>| {
            let count = rows.width * rows.channels;
            let whole = whole.get_or_insert_with(|| Image {
                height: size[1],
                width: rows.width,
                channels: rows.channels,
                samples: Samples::zeros(rows.samples.sample_type(), size[1] * count),
            });
            whole.samples.copy_at(done * count, rows.samples.as_slice());
            done += rows.height;
            Ok(())
        };
        let tiled = self.tiles(size, tiling, window, emit, progress)?;
        Ok((whole.ok_or_else(|| Error::input("the picture has no rows"))?, tiled))
    }

    fn tiles(
        &mut self,
        size: [usize; 2],
        tiling: Tiling,
        window: &mut Window,
        emit: &mut Emit,
        progress: &mut Progress,
    ) -> Result<Tiled> {
        let [width, height] = tiling.computed;
        let passage = if tiling.measured { Passage::Shared } else { Passage::Whole };
        let [across, down] = tiling.computed.map(|length| Axis::new(length, tiling.cut));
        let mut taken = Taken { size, computed: tiling.computed, window };
        let disjoint = tiling.computed.map(|length| Axis::new(length, tiling.disjoint()));
        let before =
            if tiling.measured { disjoint[0].origins.len() * disjoint[1].origins.len() } else { 0 };
        let all = before + across.origins.len() * down.origins.len();
        let shared = match tiling.measured {
            true => self.measure(&mut taken, &disjoint, &mut |done| progress(done, all))?,
            false => Shared::new(),
        };
        let channels = self.config.out_channels;
        let mut rows =
            Rows::new(size, tiling.computed, channels, [across.borders(), down.borders()]);
        let mut found = Tiled { tiles: all - before, ..Tiled::default() };
        // The tile of one colour that was computed last.
        let mut plain: Option<(Samples, Vec<f32>)> = None;
        let shares: Vec<Vec<f32>> = (0..across.origins.len())
            .map(|i| (0..across.side(i)).map(|x| across.share(i, x)).collect())
            .collect();
        let mut done = before;
        for (row, &top) in down.origins.iter().enumerate() {
            let mut strip = Strip::new(width, down.side(row), channels);
            for (column, &left) in across.origins.iter().enumerate() {
                let tile = [across.side(column), down.side(row)];
                let (image, mask) = taken.tile([left, top], tile)?;
                let colour = one_colour(&image);
                let count = tile[0] * tile[1] * channels;
                let known = plain
                    .as_ref()
                    .filter(|(of, values)| Some(of) == colour.as_ref() && values.len() == count);
                if mask.as_ref().is_some_and(|mask| mask.samples.is_all_zero()) {
                    found.empty += 1;
                    strip.add(left, &vec![-1.0; count], &shares[column]);
                } else if let Some((_, values)) = known {
                    found.repeated += 1;
                    strip.add(left, values, &shares[column]);
                } else {
                    let values = self.run_tile(&image, tile, passage, &shared)?;
                    strip.add(left, &values, &shares[column]);
                    if let Some(colour) = colour.filter(|_| !self.options.dropout) {
                        plain = Some((colour, values));
                    }
                }
                if let Some(mask) = &mask {
                    strip.count(left, mask);
                }
                done += 1;
                progress(done, all);
            }
            let next = down.origins.get(row + 1).copied().unwrap_or(height);
            rows.take(strip, top, next, |y| down.share(row, y));
            rows.emit(top, next, &mut |values, counts, lines| {
                emit(self.prepared_rows(values, size[0], lines), counts)
            })?;
        }
        found.seam = rows.steps.seam();
        Ok(found)
    }

    /// A prepared image of numbers that the network gave, (lines, width, channels).
    fn prepared_rows(&self, values: &[f32], width: usize, lines: usize) -> Image {
        let (range, of) = self.domains.target.network_output();
        let mut samples = Samples::zeros(of, values.len());
        with_samples!(Samples, &mut samples, all => {
            all.iter_mut().zip(values).for_each(|(to, &value)| *to = range.sample(value));
        });
        self.domains.target.from_network(width, lines, samples)
    }

    /// What the network gives for a tile.
    fn run_tile(
        &mut self,
        image: &Image,
        tile: [usize; 2],
        passage: Passage,
        shared: &Shared,
    ) -> Result<Vec<f32>> {
        self.run(image, tile, passage, shared)?;
        let y = self.recorded.as_ref().expect("it has just run").program.view("y")?;
        let mut values = vec![0.0; y.shape.count()];
        self.backend.download(y, &mut values)?;
        check_finite(values.iter().filter(|v| !v.is_finite()).count(), values.len())?;
        Ok(values)
    }

    /// The statistics of all norms over the whole picture.
    fn measure(
        &mut self,
        taken: &mut Taken,
        [across, down]: &[Axis; 2],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Shared> {
        let [w, h] = [across.side(0), down.side(0)];
        self.record([w, h], Passage::Measured)?;
        let layers = self.generator.layers(Shape::new(1, h, w, self.config.in_channels))?;
        let program = &self.recorded.as_ref().expect("recorded just above").program;
        let mut norms: Vec<Sums> = layers
            .iter()
            .map(|layer| (shared_statistics(&layer.name), layer.output))
            .filter(|(names, _)| program.view(&names[0]).is_ok())
            .map(|(names, shape)| Sums {
                names,
                pixels: shape.pixels() as f64,
                mean: vec![0.0; shape.c],
                square: vec![0.0; shape.c],
            })
            .collect();
        // The kernel multiplies what was there by 0, and memory that was never written may hold NaN.
        let nothing: Shared = norms
            .iter()
            .flat_map(|sums| {
                sums.names.each_ref().map(|name| (name.clone(), vec![0.0; sums.mean.len()]))
            })
            .collect();
        let (mut total, mut done) = (0.0, 0);
        for (row, &top) in down.origins.iter().enumerate() {
            for (column, &left) in across.origins.iter().enumerate() {
                done += 1;
                progress(done);
                let tile = [across.side(column), down.side(row)];
                let (image, mask) = taken.tile([left, top], tile)?;
                if mask.as_ref().is_some_and(|mask| mask.samples.is_all_zero()) {
                    continue;
                }
                let weight = (across.new_pixels(column) * down.new_pixels(row)) as f64;
                total += weight;
                self.run(&image, tile, Passage::Measured, &nothing)?;
                let program = &self.recorded.as_ref().expect("it has just run").program;
                for Sums { names, pixels, mean, square } in &mut norms {
                    let mut of = [vec![0.0; mean.len()], vec![0.0; mean.len()]];
                    for (name, values) in names.iter().zip(&mut of) {
                        self.backend.download(program.view(name)?, values)?;
                    }
                    let [means, vars] = of;
                    for ((m, v), (mean, square)) in
                        means.iter().zip(&vars).zip(mean.iter_mut().zip(square.iter_mut()))
                    {
                        let (m, biased) =
                            (f64::from(*m), f64::from(*v) * (*pixels - 1.0) / *pixels);
                        *mean += weight * m;
                        *square += weight * (biased + m * m);
                    }
                }
            }
        }
        // Of a picture without any pixel that counts nothing is computed.
        let total = f64::max(total, 1.0);
        let of = |Sums { names: [mean_name, var_name], mean, square, .. }: Sums| {
            let means: Vec<f64> = mean.iter().map(|sum| sum / total).collect();
            let var = |(square, mean): (&f64, &f64)| (square / total - mean * mean).max(0.0) as f32;
            let vars = square.iter().zip(&means).map(var).collect();
            [(mean_name, means.iter().map(|&mean| mean as f32).collect()), (var_name, vars)]
        };
        Ok(norms.into_iter().flat_map(of).collect())
    }
}

fn no_room(image: [usize; 2], tiling: &Tiling, free: u64, cure: &str) -> Error {
    Error::machine(format!(
        "a picture of {} x {} pixels in tiles of {} pixels needs {} of memory, and there are {} for it: {cure}",
        image[0],
        image[1],
        tiling.side,
        bytes(tiling.bytes),
        bytes(free)
    ))
}

/// The only pixel of an image of one colour.
fn one_colour(image: &Image) -> Option<Samples> {
    with_samples!(Samples, &image.samples, all => {
        let (first, rest) = all.split_at(image.channels);
        rest.chunks_exact(image.channels).all(|pixel| pixel == first).then(|| Samples::from(first.to_vec()))
    })
}
