//! Metrics against numpy and scikit-image.

use pix2pix_engine::metric::{l1, psnr, ssim};

use crate::{Reader, golden, marked};

/// The brief of these numbers is six digits; the sums are f64 in another order than numpy's.
const TOLERANCE: f64 = 1e-6;

#[test]
fn metrics_are_those_of_scikit_image() {
    let mut file = Reader::open(&golden("metrics.bin"));
    let mut cases = 0;
    while !file.done() {
        let [w, h] = [(); 2].map(|()| file.number());
        let (a, b) = (file.picture(w, h).pixels, file.picture(w, h).pixels);
        let want = [(); 3].map(|()| file.real());
        let got = [l1(&a, &b).unwrap(), psnr(&a, &b).unwrap(), ssim(&a, &b, w, h).unwrap()];
        for (name, (got, want)) in ["l1", "psnr", "ssim"].iter().zip(got.iter().zip(want)) {
            assert!((got - want).abs() < TOLERANCE, "{name} of {w}x{h}: {got}, not {want}");
        }
        cases += 1;
    }
    assert_eq!(cases, 3);
}

#[test]
fn equal_pictures_are_perfect_and_opposite_ones_2_apart() {
    let x = marked(20, 12, 9).pixels;
    assert_eq!(l1(&x, &x).unwrap(), 0.0);
    assert_eq!(psnr(&x, &x).unwrap(), f64::INFINITY);
    assert!((ssim(&x, &x, 20, 12).unwrap() - 1.0).abs() < 1e-12);
    assert_eq!(l1(&[0; 12], &[255; 12]).unwrap(), 2.0);
    assert_eq!(psnr(&[0; 12], &[255; 12]).unwrap(), 0.0);
}

#[test]
fn unequal_sizes_and_small_pictures_are_refused() {
    assert!(l1(&[0; 3], &[0; 6]).is_err());
    assert!(psnr(&[], &[]).is_err());
    let small = ssim(&[0; 300], &[0; 300], 10, 10).unwrap_err().to_string();
    assert!(small.contains("10x10") && small.contains("11"), "{small}");
    assert!(ssim(&[0; 300], &[0; 300], 11, 10).is_err());
}
