//! Shared by the families' tests: precisions, shapes, and comparisons with named tolerances.

use pix2pix_engine::device::Precision;
use pix2pix_engine::tensor::Shape;

use crate::common::{POINTWISE, POINTWISE_FLOOR, nmse};
use crate::desk::{Desk, Place};

/// The precisions that store activations differently; tf32, which stores f32, differs only in
/// convolutions.
pub const STORED: [Precision; 2] = [Precision::F32, Precision::Bf16];

/// Relative error of one rounding to bf16: half a unit in the last of 7 bits of fraction.
pub const BF16: f64 = 1.0 / 256.0;

/// Shapes that vectors, warps and blocks divide or not; more than one picture.
pub const SHAPES: [Shape; 7] = [
    Shape::new(1, 1, 1, 512),
    Shape::new(1, 4, 4, 64),
    Shape::new(2, 17, 13, 5),
    Shape::new(3, 9, 7, 33),
    Shape::new(1, 40, 40, 3),
    Shape::new(2, 30, 30, 1),
    Shape::new(1, 16, 16, 264),
];

/// Asserts that each number is within `POINTWISE` of the CPU's, or within one rounding where bf16
/// is stored.
pub fn close(desk: &Desk, place: Place, what: &str) {
    let (got, expected) = desk.read(place);
    let relative = if place.gpu.elem.size() == 2 { BF16 } else { POINTWISE };
    for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
        let error = (f64::from(*got) - expected).abs();
        let bound = relative * expected.abs().max(POINTWISE_FLOOR);
        assert!(error <= bound, "{what} at {i}: {got}, not {expected}");
    }
}

/// Asserts a normalised mean square error of at most `bound`, or of one rounding to bf16.
pub fn near(desk: &Desk, place: Place, bound: f64, what: &str) {
    let (got, expected) = desk.read(place);
    let bound = if place.gpu.elem.size() == 2 { BF16 * BF16 } else { bound };
    let error = nmse(&got, &expected);
    assert!(error <= bound, "{what}: normalised error {error:.1e}");
}

/// Asserts that both devices have the same numbers, bit for bit.
pub fn same(desk: &Desk, place: Place, what: &str) {
    let (got, expected) = desk.read(place);
    for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert!(f64::from(*got) == *expected, "{what} at {i}: {got}, not {expected}");
    }
}

/// Bit for bit the same, where a NaN is a NaN whatever its bits.
pub fn same_or_nan(desk: &Desk, place: Place, what: &str) {
    let (got, expected) = desk.read(place);
    for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
        let alike = f64::from(*got) == *expected || got.is_nan() && expected.is_nan();
        assert!(alike, "{what} at {i}: {got}, not {expected}");
    }
}

/// A tensor of these numbers: dense, or a slice of a wider one at a place that vectors fit, or do not.
pub fn placed(desk: &mut Desk, shape: Shape, way: usize, values: &[f32]) -> Place {
    match way % 3 {
        0 => desk.tensor(shape, values),
        1 => desk.slice(shape, shape.c + 16, 8, values),
        _ => desk.slice(shape, shape.c + 3, 2, values),
    }
}
