//! Translation by tiles: that it is the one in one piece where it must be, and how near it is elsewhere.

use pix2pix_engine::checkpoint::Tensors;
use pix2pix_engine::data::{
    Attributes, Domain, DomainKind, Domains, Image, RowSink, StoredType, WindowSource,
};
use pix2pix_engine::kernel::Statistics;
use pix2pix_engine::model::{GeneratorConfig, GeneratorKind, NormKind};
use pix2pix_engine::tensor::{SampleType, Samples};
use pix2pix_engine::train::RunConfig;
use pix2pix_engine::translate::{Tiled, TranslateOptions, Translator};

use crate::translate::{config, cpu, save};

/// Values of one channel in, of another range out; floats, so that every bit shows.
fn values() -> Domains {
    let domain = |name: &str, low, high| Domain {
        channels: vec![name.to_string()],
        kind: DomainKind::values(low, high, None),
        samples: SampleType::F32,
        ..Domain::default()
    };
    Domains { input: domain("in", -1.0, 1.0), target: domain("out", -40.0, 40.0) }
}

/// A picture whose mean and contrast differ from place to place.
fn picture(width: usize, height: usize) -> Image {
    let value = |i: usize| {
        let (x, y) = ((i % width) as f32, (i / width) as f32);
        let slope = x / width as f32 - y / height as f32;
        0.5 * slope + (0.4 * slope.abs() + 0.1) * ((x * 0.31).sin() * (y * 0.17).cos())
    };
    let samples: Vec<f32> = (0..width * height).map(value).collect();
    Image::new(width, height, 1, samples).unwrap()
}

fn network(of: impl FnOnce(&mut RunConfig)) -> (GeneratorConfig, Tensors) {
    let folder = tempfile::tempdir().unwrap();
    let mut run = config(1, 1);
    of(&mut run);
    save(&folder.path().join("model.safetensors"), &run, Some(&values()))
}

fn translator(network: &(GeneratorConfig, Tensors), options: TranslateOptions) -> Translator {
    Translator::from_network(&network.0, &network.1, values(), options, cpu()).unwrap()
}

fn by_tiles(translator: &mut Translator, image: &Image) -> (Image, Tiled) {
    let (image, tiled) = translator.translate_with(image, &mut |_, _| {}).unwrap();
    (image, tiled.expect("it was cut into tiles"))
}

fn floats(image: &Image) -> &[f32] {
    let Samples::F32(all) = &image.samples else { panic!("{}", image.format()) };
    all
}

/// Collects rows.
struct Rows(Vec<f32>);

impl RowSink for Rows {
    fn rows(&mut self, rows: &Image) -> pix2pix_engine::Result<()> {
        self.0.extend(floats(rows));
        Ok(())
    }
}

/// Every kind of generator with fixed statistics, at sizes that are no multiples, with tiles that are moved
/// inwards: each number is that of the translation in one piece.
#[test]
fn tiles_are_the_whole_bit_for_bit_where_the_overlap_is_beyond_the_reach() {
    for kind in [GeneratorKind::Unet, GeneratorKind::EncoderDecoder] {
        for (norm, statistics) in
            [(NormKind::Batch, Some(Statistics::Running)), (NormKind::None, None)]
        {
            let network = network(|run| {
                (run.generator.kind, run.generator.norm) = (kind, norm);
                // Channels enough for minimal filtering, whose groups of pixels must begin alike.
                (run.generator.depth, run.generator.base_channels) = (3, 16);
            });
            let options = TranslateOptions { statistics, ..TranslateOptions::default() };
            let image = picture(437, 219);
            let (whole, tiled) =
                translator(&network, options).translate_with(&image, &mut |_, _| {}).unwrap();
            assert_eq!(tiled, None);
            let mut parts = translator(&network, TranslateOptions { tile: Some(192), ..options });
            let tiling = parts.tiling([437, 219]).unwrap().unwrap();
            assert!(tiling.exact, "{kind:?} {norm:?} {tiling:?}");
            let (output, tiled) = by_tiles(&mut parts, &image);
            assert_eq!(tiled.tiles, 4 * 2);
            assert_eq!(output, whole, "{kind:?} {norm:?}");
            // Out of windows and into rows, the same.
            let mut rows = Rows(Vec::new());
            let progress = &mut |_: usize, _: usize| {};
            parts.translate_stream(&mut image.clone(), tiling, &mut rows, progress).unwrap();
            assert_eq!(rows.0, floats(&whole));
        }
    }
}

/// The reach of a U-Net of depth d is 2^(d + 1) - 1 pixels: one pixel less of it is not exact.
#[test]
fn a_smaller_overlap_is_not_said_to_be_exact_and_is_not() {
    let network = network(|run| {
        (run.generator.norm, run.generator.depth) = (NormKind::None, 3);
    });
    let image = picture(420, 300);
    let whole = translator(&network, TranslateOptions::default()).translate(&image).unwrap();
    let of = |overlap, tile| TranslateOptions {
        overlap: Some(overlap),
        tile: Some(tile),
        ..TranslateOptions::default()
    };
    let mut parts = translator(&network, of(24, 160));
    assert!(!parts.tiling([420, 300]).unwrap().unwrap().exact);
    let (output, tiled) = by_tiles(&mut parts, &image);
    assert_ne!(output, whole);
    assert!(tiled.seam.is_some());
    assert!(translator(&network, of(32, 192)).tiling([420, 300]).unwrap().unwrap().exact);
}

/// Norms over the picture see the picture, not each tile: nearer to the whole than tiles on their own.
#[test]
fn statistics_of_the_picture_are_shared_by_its_tiles() {
    for norm in [NormKind::Batch, NormKind::Instance] {
        let network = network(|run| {
            (run.generator.norm, run.generator.depth) = (norm, 3);
        });
        let image = picture(384, 384);
        let whole = translator(&network, TranslateOptions::default()).translate(&image).unwrap();
        let options = TranslateOptions { tile: Some(192), ..TranslateOptions::default() };
        let mut parts = translator(&network, options);
        let tiling = parts.tiling([384, 384]).unwrap().unwrap();
        assert!(tiling.measured && !tiling.exact);
        let (output, tiled) = by_tiles(&mut parts, &image);
        assert_eq!((tiled.empty, tiled.repeated), (0, 0));
        let mut alone = translator(&network, TranslateOptions::default());
        let mut apart = 0.0;
        let distance = |a: &Image, b: &Image| -> f64 {
            floats(a).iter().zip(floats(b)).map(|(a, b)| f64::from((a - b).abs())).sum()
        };
        for (x, y) in [(0, 0), (192, 0), (0, 192), (192, 192)] {
            let tile = alone.translate(&image.crop(x, y, 192, 192)).unwrap();
            apart += distance(&tile, &whole.crop(x, y, 192, 192));
        }
        let shared = distance(&output, &whole);
        assert!(shared < apart, "{norm:?}: {shared} of {apart}");
    }
}

/// Of a picture of one colour one tile is computed, and the result is that of all.
#[test]
fn tiles_of_one_colour_are_computed_once() {
    let network = network(|run| {
        (run.generator.norm, run.generator.depth) = (NormKind::None, 3);
    });
    let options = TranslateOptions { tile: Some(64), ..TranslateOptions::default() };
    let image = Image::new(256, 128, 1, vec![0.25f32; 256 * 128]).unwrap();
    let (_, tiled) = by_tiles(&mut translator(&network, options), &image);
    assert_eq!(tiled.repeated, tiled.tiles - 1);
    let mut spotted = image.clone();
    let Samples::F32(all) = &mut spotted.samples else { panic!("floats") };
    all[100 * 256 + 200] = 0.75;
    let (output, tiled) = by_tiles(&mut translator(&network, options), &spotted);
    assert!(tiled.repeated > 0 && tiled.repeated < tiled.tiles - 1);
    let all = floats(&output);
    assert!(all.iter().any(|v| v != &all[0]), "the spot is not seen");
}

#[test]
fn a_picture_that_fits_a_tile_is_whole_and_sides_are_multiples() {
    let network = network(|run| run.generator.depth = 4);
    let options = TranslateOptions { tile: Some(100), ..TranslateOptions::default() };
    let mut parts = translator(&network, options);
    assert_eq!(parts.tiling([112, 90]).unwrap(), None);
    let tiling = parts.tiling([113, 90]).unwrap().unwrap();
    assert_eq!((tiling.side, tiling.computed), (112, [128, 96]));
    assert!(tiling.overlap.is_multiple_of(16) && tiling.work() > 2.0, "{tiling:?}");
}

/// What a part of a picture alone does not show is what the whole picture shows: opacity that is 0 in the part only
/// is composited, 0 everywhere it is ignored. And what reading changed is told of both.
#[test]
fn windows_of_a_picture_are_parts_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, channels: usize, stored: StoredType, sample: &dyn Fn(usize) -> f64| {
        let path = folder.path().join(name);
        let samples: Vec<f64> = (0..90 * 70 * channels).map(sample).collect();
        let samples = match stored {
            StoredType::U8 => Samples::U8(samples.iter().map(|&v| v as u8).collect()),
            _ => Samples::F32(samples.iter().map(|&v| v as f32).collect()),
        };
        let names = if channels == 4 { &["red", "green", "blue", "alpha"][..] } else { &[] };
        let channel_names = names.iter().map(|n| n.to_string()).collect();
        let attributes = Attributes { channels: channel_names, ..Attributes::new(stored) };
        let image = Image::new(90, 70, channels, samples).unwrap();
        Image::write_pages(&[image], &attributes, &path, 95).unwrap();
        path
    };
    let rgba = |alpha: fn(usize) -> f64| {
        move |i: usize| if i % 4 == 3 { alpha(i / 4 % 90) } else { (i * 31 % 256) as f64 }
    };
    let values = Domain { channels: vec!["v".into()], ..values().input };
    let cases = [
        (
            write("half.tif", 4, StoredType::U8, &rgba(|x| if x < 45 { 0.0 } else { 200.0 })),
            Domain::default(),
        ),
        (write("none.tif", 4, StoredType::U8, &rgba(|_| 0.0)), Domain::default()),
        (write("rgb.tif", 3, StoredType::U8, &|i| (i % 251) as f64), Domain::default()),
        (write("v.npy", 1, StoredType::F64, &|i| i as f64 * 1.5), values),
    ];
    for (path, domain) in cases {
        let (whole, notes) = domain.read(&path, 0).unwrap();
        let mut windows = domain.windows(&path).unwrap().expect("a format of windows");
        assert_eq!(windows.size(), [90, 70]);
        for [x, y, w, h] in [[0, 0, 40, 30], [50, 40, 40, 30], [0, 0, 90, 70], [44, 69, 2, 1]] {
            assert_eq!(windows.read(x, y, w, h).unwrap(), whole.crop(x, y, w, h), "{path:?}");
        }
        assert_eq!(windows.notes(), &notes, "{path:?}");
    }
}
