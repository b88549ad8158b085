//! Resizing and augmentation give Pillow's bytes.

use pix2pix_engine::data::{Augment, Fit, Image, sheet};
use pix2pix_engine::tensor::{Crop, SampleRange, SampleSlice, Samples};

use crate::{Reader, bytes, golden, marked};

fn assert_equal(got: &Image, want: &Image, what: &str) {
    assert_eq!((got.width, got.height), (want.width, want.height), "{what}");
    let differ = bytes(got).iter().zip(bytes(want)).filter(|(a, b)| a != b).count();
    assert_eq!(differ, 0, "{what}: {differ} of {} bytes differ", bytes(want).len());
}

#[test]
fn bicubic_gives_the_bytes_of_pillow() {
    let mut file = Reader::open(&golden("resize.bin"));
    let mut cases = 0;
    while !file.done() {
        let [w, h, to_w, to_h] = [(); 4].map(|()| file.number());
        let x = file.picture(w, h);
        let want = file.picture(to_w, to_h);
        assert_equal(&x.resize(to_w, to_h), &want, &format!("{w}x{h} to {to_w}x{to_h}"));
        cases += 1;
    }
    assert_eq!(cases, 19);
}

/// What the network sees of a resized picture.
fn cut(image: &Image, crop: Crop, size: usize) -> Image {
    let cut = image.crop(crop.x, crop.y, size, size);
    if crop.flip { cut.mirror() } else { cut }
}

#[test]
fn jitter_and_flip_give_the_bytes_of_pillow() {
    let mut file = Reader::open(&golden("augment.bin"));
    let mut cases = 0;
    while !file.done() {
        let [seed, epoch, sample, size, w, h] = [(); 6].map(|()| file.number());
        let x = file.picture(w, h);
        let want = file.picture(size, size);
        let augment = Augment {
            jitter: true,
            flip: true,
            seed: seed as u64,
            ..Augment::plain(size, Fit::Stretch)
        };
        let crop = augment.draw(epoch, sample, 0, augment.load().across());
        let out = cut(&augment.resized(&x), crop, size);
        assert_equal(&out, &want, &format!("seed {seed} epoch {epoch} sample {sample}"));
        cases += 1;
    }
    assert_eq!(cases, 5);
}

/// Each of 31 offsets has probability 1/31, the flip 1/2: with 6,200 draws the counts lie within six
/// deviations (14 and 39) of 200 and 3,100.
#[test]
fn draws_cover_every_offset_and_both_flips_evenly() {
    let augment = Augment { jitter: true, flip: true, seed: 11, ..Augment::plain(256, Fit::Crop) };
    let (mut x, mut y, mut flips) = ([0i32; 31], [0i32; 31], 0i32);
    for sample in 0..6_200 {
        let crop = augment.draw(sample / 100, sample, 0, [286, 286]);
        x[crop.x] += 1;
        y[crop.y] += 1;
        flips += i32::from(crop.flip);
    }
    assert!(x.iter().chain(&y).all(|n| (n - 200).abs() < 84), "{x:?} {y:?}");
    assert!((flips - 3_100).abs() < 234, "{flips}");
}

#[test]
fn without_jitter_a_picture_of_the_size_stays_as_it_is() {
    let x = marked(32, 32, 5);
    let augment = Augment { seed: 3, ..Augment::plain(32, Fit::Stretch) };
    assert_eq!(augment.draw(4, 2, 0, [32, 32]), Crop::default());
    assert_eq!(augment.resized(&x), x);
    let other = marked(50, 20, 5);
    assert_eq!(augment.resized(&other), other.resize(32, 32));
    let flipping = Augment { flip: true, ..augment };
    let flipped = (0..64).map(|s| flipping.draw(0, s, 0, [32, 32])).find(|d| d.flip).unwrap();
    assert_eq!(cut(&flipping.resized(&x), flipped, 32), x.mirror());
    assert_ne!(x.mirror(), x);
}

#[test]
fn load_size_is_286_at_256() {
    let load = |size: usize| {
        Augment { jitter: true, ..Augment::plain(size, Fit::Crop) }.load().square().unwrap()
    };
    assert_eq!([256, 128, 64, 512, 1].map(load), [286, 143, 72, 572, 1]);
}

/// Keys' cubic as the paper has it, with a = -1/2.
fn keys(x: f64) -> f64 {
    let x = x.abs();
    match x {
        _ if x < 1.0 => 1.5 * x.powi(3) - 2.5 * x.powi(2) + 1.0,
        _ if x < 2.0 => -0.5 * x.powi(3) + 2.5 * x.powi(2) - 4.0 * x + 2.0,
        _ => 0.0,
    }
}

/// The sample at (x, y) of an image resized to `to`: the sum over the whole image, by the formula.
fn by_formula(
    at: impl Fn(usize, usize) -> f64,
    from: [usize; 2],
    to: [usize; 2],
    x: [usize; 2],
) -> f64 {
    let weights = |axis: usize| -> Vec<f64> {
        let scale = from[axis] as f64 / to[axis] as f64;
        let centre = (x[axis] as f64 + 0.5) * scale;
        let weight = |i| keys((i as f64 + 0.5 - centre) / scale.max(1.0));
        let all: Vec<f64> = (0..from[axis]).map(weight).collect();
        let sum: f64 = all.iter().sum();
        all.iter().map(|w| w / sum).collect()
    };
    let (across, down) = (weights(0), weights(1));
    let row = |y: usize| across.iter().enumerate().map(|(x, w)| w * at(x, y)).sum::<f64>();
    down.iter().enumerate().map(|(y, w)| w * row(y)).sum()
}

/// 16 bits and floats of several channels against the formula. The f32 between the passes and at the end
/// each round to 2^-24 of a value, and weights add up to below 2.
#[test]
fn deep_images_are_resized_by_the_formula() {
    for ([w, h], to, channels) in
        [([9, 7], [13, 5], 1), ([5, 20], [4, 9], 4), ([16, 3], [31, 8], 2), ([1, 1], [3, 2], 3)]
    {
        let number = |i: usize| (i * 7919 % 65_521) as u16;
        let deep: Vec<u16> = (0..w * h * channels).map(number).collect();
        let wide: Vec<f32> = deep.iter().map(|&v| f32::from(v) / 100.0 - 300.0).collect();
        let bound = 4.0 * 355.21 * f64::from(f32::EPSILON);
        let u16s = Image::new(w, h, channels, deep.clone()).unwrap().resize(to[0], to[1]);
        let f32s = Image::new(w, h, channels, wide.clone()).unwrap().resize(to[0], to[1]);
        let (Samples::U16(u16s), Samples::F32(f32s)) = (&u16s.samples, &f32s.samples) else {
            panic!("types stay")
        };
        assert_eq!(f32s.len(), to[0] * to[1] * channels);
        for i in 0..f32s.len() {
            let (pixel, c) = (i / channels, i % channels);
            let x = [pixel % to[0], pixel / to[0]];
            let at = |x, y| f64::from(wide[(y * w + x) * channels + c]);
            let want = by_formula(at, [w, h], to, x);
            assert!((f64::from(f32s[i]) - want).abs() <= bound, "{} at {i}, not {want}", f32s[i]);
            let at = |x, y| f64::from(deep[(y * w + x) * channels + c]);
            let want = by_formula(at, [w, h], to, x).clamp(0.0, 65_535.0);
            // Half a level by rounding, and what f32 loses of 16 bits.
            let off = (f64::from(u16s[i]) - want).abs();
            assert!(off <= 0.5 + 65_535.0 * 2e-7, "{} at {i}, not {want}", u16s[i]);
        }
    }
}

/// 8 bits in any number of channels are resized channel by channel as RGB is.
#[test]
fn channels_of_8_bits_are_resized_each_alone() {
    let rgb = marked(20, 30, 9);
    let wanted = rgb.resize(13, 37);
    for channels in [1, 2, 4, 5] {
        let pick = |image: &Image| -> Image {
            let pixel = |i: usize| (0..channels).map(move |c| bytes(image)[i * 3 + c % 3]);
            let samples: Vec<u8> = (0..image.width * image.height).flat_map(pixel).collect();
            Image::new(image.width, image.height, channels, samples).unwrap()
        };
        assert_equal(&pick(&rgb).resize(13, 37), &pick(&wanted), &format!("{channels} channels"));
    }
}

#[test]
fn images_of_any_type_are_cropped_mirrored_and_shown() {
    let deep: Vec<u16> = (0..24).map(|i| i * 1000).collect();
    let image = Image::new(3, 2, 4, deep).unwrap();
    let part = image.crop(1, 1, 2, 1);
    assert_eq!(part.samples, Samples::U16((16..24).map(|i| i * 1000).collect()));
    assert_eq!(part.mirror().at(0, 0), part.at(1, 0));
    assert_eq!(image.mirror().mirror(), image);
    assert_eq!(
        image.row(1),
        [
            12_000u16, 13_000, 14_000, 15_000, 16_000, 17_000, 18_000, 19_000, 20_000, 21_000,
            22_000, 23_000
        ][..]
            .into()
    );
    let range = SampleRange { low: 0.0, high: 25_500.0 };
    assert_eq!(bytes(&image.preview(range))[..6], [0, 10, 20, 40, 50, 60]);
    let heights = Image::new(2, 1, 1, vec![-5.0f32, 5.0]).unwrap();
    let shown = heights.preview(SampleRange { low: -5.0, high: 5.0 });
    assert_eq!(bytes(&shown), [0, 0, 0, 255, 255, 255]);
    let rgb = marked(4, 4, 1);
    assert_eq!(rgb.preview(SampleRange::BYTE), rgb);
}

#[test]
fn a_sheet_shows_rows_of_samples_with_gaps() {
    let row = |t| vec![marked(6, 4, t), marked(6, 4, t + 1), marked(6, 4, t + 2)];
    let rows = [row(10), row(20)];
    let all = sheet(&rows).unwrap();
    assert_eq!((all.width, all.height), (6 * 3 + 8, 4 * 2 + 4));
    for (r, row) in rows.iter().enumerate() {
        for (c, picture) in row.iter().enumerate() {
            assert_eq!(&all.crop(c * 10, r * 8, 6, 4), picture);
        }
    }
    assert_eq!(all.at(7, 0), SampleSlice::U8(&[255; 3]));
    assert!(sheet(&[]).is_err());
    let uneven = [row(1), vec![marked(6, 4, 0)]];
    assert!(sheet(&uneven).unwrap_err().to_string().contains("row 1 has 1 pictures"));
    let mixed = [vec![marked(6, 4, 0), marked(4, 6, 0)]];
    assert!(sheet(&mixed).unwrap_err().to_string().contains("4x6"));
}
