//! Metrics against numpy and scikit-image.

use pix2pix_engine::data::Image;
use pix2pix_engine::metric;
use pix2pix_engine::tensor::SampleRange;
use pix2pix_engine::train::Scores;

use crate::{Reader, bytes, golden, marked};

/// The brief of these numbers is six digits; the sums are f64 in another order than numpy's.
const TOLERANCE: f64 = 1e-6;

#[test]
fn metrics_are_those_of_scikit_image() {
    let mut file = Reader::open(&golden("metrics.bin"));
    let mut cases = 0;
    while !file.done() {
        let [w, h] = [(); 2].map(|()| file.number());
        let (a, b) = (file.picture(w, h), file.picture(w, h));
        let want = [(); 3].map(|()| file.real());
        let got = Scores::of(&a, &b, SampleRange::BYTE).unwrap();
        let got = [got.l1, got.psnr, got.ssim];
        for (name, (got, want)) in ["l1", "psnr", "ssim"].iter().zip(got.iter().zip(want)) {
            assert!((got - want).abs() < TOLERANCE, "{name} of {w}x{h}: {got}, not {want}");
        }
        cases += 1;
    }
    assert_eq!(cases, 3);
}

/// Scores do not depend on the unit: 8 bits and the same image in other samples and another range.
/// What is scaled is exact in f64 but for the constants of SSIM.
#[test]
fn scores_count_in_parts_of_the_range() {
    let (a, b) = (marked(20, 12, 9), marked(20, 12, 200).mirror());
    let want = Scores::of(&a, &b, SampleRange::BYTE).unwrap();
    let deep = |of: &Image| {
        let samples: Vec<u16> = bytes(of).iter().map(|&v| 1000 + 16 * u16::from(v)).collect();
        Image::new(20, 12, 3, samples).unwrap()
    };
    let wide = |of: &Image| {
        let samples: Vec<f32> = bytes(of).iter().map(|&v| f32::from(v) / 2.0).collect();
        Image::new(20, 12, 3, samples).unwrap()
    };
    let deep_range = SampleRange { low: 1000.0, high: 1000.0 + 16.0 * 255.0 };
    let in_u16 = Scores::of(&deep(&a), &deep(&b), deep_range).unwrap();
    assert!((in_u16.l1 - want.l1).abs() < 1e-12 && (in_u16.psnr - want.psnr).abs() < 1e-9);
    let in_f32 = Scores::of(&wide(&a), &wide(&b), SampleRange { low: 0.0, high: 127.5 }).unwrap();
    for (got, want) in [(in_f32.l1, want.l1), (in_f32.psnr, want.psnr), (in_f32.ssim, want.ssim)] {
        assert!((got - want).abs() < 1e-9, "{got}, not {want}");
    }
    // One channel of three equal ones has their SSIM.
    let grey = |of: &Image, channels: usize| {
        let samples: Vec<u8> =
            bytes(of).iter().step_by(3).flat_map(|&v| vec![v; channels]).collect();
        Image::new(20, 12, channels, samples).unwrap()
    };
    let of = |channels| Scores::of(&grey(&a, channels), &grey(&b, channels), SampleRange::BYTE);
    assert!((of(1).unwrap().ssim - of(5).unwrap().ssim).abs() < 1e-12);
    assert!(Scores::of(&a, &deep(&b), SampleRange::BYTE).is_err());
}

#[test]
fn equal_pictures_are_perfect_and_opposite_ones_2_apart() {
    let x = marked(20, 12, 9);
    let same = Scores::of(&x, &x, SampleRange::BYTE).unwrap();
    assert_eq!((same.l1, same.psnr), (0.0, f64::INFINITY));
    assert!((same.ssim - 1.0).abs() < 1e-12);
    let (black, white) = (Image::filled(2, 2, &[0; 3]), Image::filled(2, 2, &[255; 3]));
    let apart = Scores::of(&black, &white, SampleRange::BYTE).unwrap();
    assert_eq!((apart.l1, apart.psnr), (2.0, 0.0));
}

#[test]
fn unequal_sizes_and_small_pictures_are_refused() {
    let byte = SampleRange::BYTE;
    let zeros = |n: usize| vec![0u8; n];
    assert!(metric::l1(zeros(3)[..].into(), zeros(6)[..].into(), byte).is_err());
    assert!(metric::psnr(zeros(0)[..].into(), zeros(0)[..].into(), byte).is_err());
    let x = zeros(300);
    let ssim = |size| metric::ssim(x[..].into(), x[..].into(), size, byte);
    let small = ssim([10, 10]).unwrap_err().to_string();
    assert!(small.contains("10x10") && small.contains("11"), "{small}");
    assert!(ssim([10, 11]).is_err());
}
