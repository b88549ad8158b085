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
    let ssim = |size| metric::ssim(x[..].into(), x[..].into(), size, byte, None);
    let small = ssim([10, 10]).unwrap_err().to_string();
    assert!(small.contains("10x10") && small.contains("11"), "{small}");
    assert!(ssim([10, 11]).is_err());
}

/// Counts, accuracies and IoU of label maps are scikit-learn's; what has no class does not count.
#[test]
fn label_scores_are_those_of_scikit_learn() {
    let text = std::fs::read_to_string(golden("labels.json")).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(rows.len(), 5);
    for row in rows {
        let list = |key: &str| -> Vec<usize> { serde_json::from_value(row[key].clone()).unwrap() };
        let classes = row["classes"].as_u64().unwrap() as usize;
        let mut table = metric::Confusion::new(classes);
        list("target").into_iter().zip(list("output")).for_each(|(t, g)| table.add(t, g));
        let counts: Vec<Vec<u64>> = serde_json::from_value(row["confusion"].clone()).unwrap();
        for (class, counts) in counts.iter().enumerate() {
            for (given, count) in counts.iter().enumerate() {
                assert_eq!(table.count(class, given), *count);
            }
        }
        let got = table.scores();
        for (name, got) in [
            ("pixel_accuracy", got.pixel_accuracy),
            ("class_accuracy", got.class_accuracy),
            ("mean_iou", got.mean_iou),
        ] {
            let want = row[name].as_f64().unwrap();
            assert!((got - want).abs() < 1e-12, "{name} of {classes} classes: {got}, not {want}");
        }
    }
}

/// Pixels that do not count are in no score, whatever they are: L1 and PSNR of the others alone, SSIM over the
/// windows without any of them.
#[test]
fn scores_leave_out_what_does_not_count() {
    let (w, h) = (29, 23);
    let picture = |key: usize| -> Vec<u8> {
        (0..w * h * 3).map(|i| ((i * i + 1) * key / 7 % 251) as u8).collect()
    };
    let mut mask = vec![1u8; w * h];
    (0..4).for_each(|i| mask[(19 + i % 2) * w + 24 + i] = 0);
    let scores = |fill: u8, mask: Option<&[u8]>| {
        let [a, b] = [3, 5].map(|key| {
            let mut samples = picture(key);
            if let Some(mask) = mask {
                let pixels = samples.chunks_mut(3).zip(mask).filter(|(_, counts)| **counts == 0);
                pixels.for_each(|(pixel, _)| pixel.fill(fill.wrapping_mul(key as u8)));
            }
            Image::new(w, h, 3, samples).unwrap()
        });
        (Scores::counting(&a, &b, SampleRange::BYTE, mask).unwrap(), a, b)
    };
    let (with, a, b) = scores(0, Some(&mask));
    assert_eq!(with, scores(77, Some(&mask)).0);
    let all = vec![1u8; w * h];
    assert_eq!(scores(0, Some(&all)).0, scores(0, None).0);
    // The windows without such pixels begin left of column 14 or above row 9: two parts, one by one.
    let bytes = |image: &Image, x: usize, y: usize| image.crop(x, y, 11, 11);
    let (mut sum, mut count) = (0.0, 0);
    for y in 0..=h - 11 {
        for x in 0..=w - 11 {
            let inside =
                |i: usize| (x..x + 11).contains(&(i % w)) && (y..y + 11).contains(&(i / w));
            if (0..w * h).any(|i| mask[i] == 0 && inside(i)) {
                continue;
            }
            let (a, b) = (bytes(&a, x, y), bytes(&b, x, y));
            sum += Scores::of(&a, &b, SampleRange::BYTE).unwrap().ssim;
            count += 1;
        }
    }
    assert!(count > 50 && count < (w - 10) * (h - 10), "{count}");
    assert!((with.ssim - sum / count as f64).abs() < 1e-9, "{} {}", with.ssim, sum / count as f64);
    let none = vec![0u8; w * h];
    assert!(Scores::counting(&a, &b, SampleRange::BYTE, Some(&none)).is_err());
}

/// Two pictures of integers below 256; tests/golden/metrics.py has the same formula.
fn formula([width, height, channels]: [usize; 3]) -> [Vec<u8>; 2] {
    let mut both = [Vec::new(), Vec::new()];
    for y in 0..height {
        for x in 0..width {
            for c in 0..channels {
                let a = (x * 3 + y * (5 + c) + x * y / 17) % 256;
                both[0].push(a as u8);
                both[1].push(((a + (x * x + y * 11 + c * 29) % 61) * 4 / 5) as u8);
            }
        }
    }
    both
}

/// NRMSE is scikit-image's, correlation scipy's, MAE numpy's, MS-SSIM that of pytorch-msssim, whose window has
/// weights of single precision.
#[test]
fn figures_of_evaluations_are_those_of_other_programs() {
    let text = std::fs::read_to_string(golden("metrics.json")).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mut with_scales = 0;
    for row in &rows {
        let size: [usize; 3] = serde_json::from_value(row["size"].clone()).unwrap();
        let [a, b] = formula(size);
        let (a, b) = (a[..].into(), b[..].into());
        let close = |name: &str, got: f64| {
            let want = row[name].as_f64().unwrap();
            assert!((got - want).abs() < TOLERANCE, "{name} of {size:?}: {got}, not {want}");
        };
        close("nrmse", metric::nrmse(a, b).unwrap());
        close("pearson", metric::pearson(a, b).unwrap());
        close("mae", metric::mae(a, b).unwrap());
        let scales = metric::ms_ssim(a, b, [size[1], size[0]], SampleRange::BYTE, None);
        if row.get("ms_ssim").is_some() {
            close("ms_ssim", scales.unwrap());
            with_scales += 1;
        } else {
            assert!(scales.unwrap_err().to_string().contains("161"));
        }
    }
    assert_eq!((rows.len(), with_scales), (4, 3));
}

/// By hand: what has no figure is NaN, and the target alone decides what an error is compared with.
#[test]
fn figures_of_flat_pictures() {
    let (zeros, sevens, steps) = ([0u8; 4], [7u8; 4], [1u8, 2, 3, 4]);
    let nrmse = |a: &[u8], b: &[u8]| metric::nrmse(a.into(), b.into()).unwrap();
    let pearson = |a: &[u8], b: &[u8]| metric::pearson(a.into(), b.into()).unwrap();
    assert_eq!(nrmse(&zeros, &sevens), 1.0);
    assert_eq!(nrmse(&sevens, &zeros), f64::INFINITY);
    assert!(nrmse(&zeros, &zeros).is_nan());
    assert!(pearson(&sevens, &steps).is_nan());
    assert!((pearson(&steps, &[8, 6, 4, 2]) + 1.0).abs() < 1e-15);
}

/// A mask reaches every scale: what does not count changes nothing, and where no window is left there is no figure.
#[test]
fn ms_ssim_leaves_out_what_does_not_count() {
    let size = [360, 376];
    let [a, mut b] = formula([size[1], size[0], 1]);
    // The last column of windows of the coarsest scale ends at 376.
    let mut mask = vec![1u8; size[0] * size[1]];
    let hole = [359 * size[1] + 370, 358 * size[1] + 375];
    hole.iter().for_each(|&i| mask[i] = 0);
    let of = |b: &[u8], mask: Option<&[u8]>| {
        metric::ms_ssim(a[..].into(), b.into(), size, SampleRange::BYTE, mask).unwrap()
    };
    let (whole, with) = (of(&b, None), of(&b, Some(&mask)));
    assert!(whole != with && (whole - with).abs() < 0.05, "{whole} {with}");
    hole.iter().for_each(|&i| b[i] = b[i].wrapping_add(128));
    assert_eq!(of(&b, Some(&mask)), with);
    assert_ne!(of(&b, None), whole);
    mask.iter_mut().step_by(16).for_each(|counts| *counts = 0);
    assert!(of(&b, Some(&mask)).is_nan());
}

/// L, a and b are scikit-image's, whose constants they have; both sum three products in f64.
#[test]
fn lab_is_that_of_scikit_image() {
    let text = std::fs::read_to_string(golden("lab.json")).unwrap();
    let rows: Vec<Vec<f64>> = serde_json::from_str(&text).unwrap();
    assert_eq!(rows.len(), 216);
    for row in rows {
        let got = metric::lab([0, 1, 2].map(|i| row[i] as u8));
        for (got, want) in got.iter().zip(&row[3..]) {
            assert!((got - want).abs() < 1e-10, "{row:?}: {got}");
        }
    }
}
