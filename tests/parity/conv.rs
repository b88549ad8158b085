//! The passes of a convolution: at the layers of the networks, and at the edge cases of every
//! kernel.

use pix2pix_engine::device::Precision;
use pix2pix_engine::kernel::{Conv, ConvArgs, ConvKernels, Pass, Write};
use pix2pix_engine::tensor::{Shape, View};

use crate::common::{PRODUCT_NMSE, nmse, numbers};
use crate::desk::{Desk, ORDERS, Place, on_softgpu};

/// Normalised mean square error allowed for a pass in tf32: both operands are rounded to 10 bits of
/// fraction, which gave 9e-8 in simulation.
const TF32_NMSE: f64 = 1e-6;
/// The same in bf16: operands and result are rounded to 7 bits of fraction, 8e-6 in simulation.
const BF16_NMSE: f64 = 5e-5;

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Tf32, Precision::Bf16];

fn bound(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => PRODUCT_NMSE,
        Precision::Tf32 => TF32_NMSE,
        Precision::Bf16 => BF16_NMSE,
    }
}

/// Window, pictures, rows, columns, channels of x, channels of y.
type Case = (Conv, usize, usize, usize, usize, usize);

/// A tensor that is some channels of a wider one, with `margins` on both sides: the wider one, and
/// it.
fn run_of(desk: &mut Desk, shape: Shape, margins: [usize; 2], seed: u64) -> [Place; 2] {
    let whole = Shape { c: shape.c + margins[0] + margins[1], ..shape };
    let place = desk.tensor(whole, &numbers(whole.count(), seed));
    let range = margins[0]..margins[0] + shape.c;
    let run = Place {
        cpu: place.cpu.channels(range.clone()).unwrap(),
        gpu: place.gpu.channels(range).unwrap(),
    };
    [place, run]
}

/// Floats that begin `by` elements after a multiple of 16 bytes.
fn floats_behind(desk: &mut Desk, by: usize, shape: Shape, seed: u64) -> Place {
    let count = by + shape.count();
    let whole = desk.floats(Shape::vector(count), &numbers(count, seed));
    let behind = |view: View| View { at: view.at + by, shape, pitch: shape.c, ..view };
    Place { cpu: behind(whole.cpu), gpu: behind(whole.gpu) }
}

/// Runs a pass on both devices.
fn both(desk: &mut Desk, of: &(Pass, Conv, [Place; 3], Option<Place>, Write)) {
    let (pass, conv, [x, w, y], bias, mode) = *of;
    let on = |view: fn(Place) -> View| {
        let [x, w, y] = [x, w, y].map(view);
        ConvArgs { pass, conv, x, w, y, bias: bias.map(view), mode }
    };
    desk.cpu.conv(&on(|place| place.cpu)).unwrap();
    desk.cuda.conv(&on(|place| place.gpu)).unwrap();
}

const ALL: [Pass; 3] = [Pass::Fprop, Pass::Dgrad, Pass::Wgrad];

/// The passes of one case, set and added, with bias and without, on channels of wider tensors with
/// `margins` on both sides, which must not change. Filters and biases are misaligned where the
/// first margin is.
fn products(desk: &mut Desk, precision: Precision, of: &[Pass], case: Case, margins: [usize; 2]) {
    let (conv, n, h, w, c, k) = case;
    let x = Shape::new(n, h, w, c);
    let y = conv.shrink(x, k).unwrap();
    let f = Shape::new(k, conv.r, conv.s, c);
    // The margins of what is read would spoil every sum, those of what is written must not change.
    let [left, right] = margins;
    let mut input = |shape: Shape, seed| {
        desk.slice(shape, left + shape.c + right, left, &numbers(shape.count(), seed))
    };
    let (vx, vdy) = (input(x, 1), input(y, 2));
    let [whole_y, vy] = run_of(desk, y, margins, 3);
    let [whole_dx, vdx] = run_of(desk, x, margins, 4);
    let [vw, vdw, by, bx] = [(f, 5), (f, 6), (Shape::vector(k), 7), (Shape::vector(c), 8)]
        .map(|(shape, seed)| floats_behind(desk, left % 4, shape, seed));
    let check = |desk: &Desk, place: Place, name: &str| {
        let (got, expected) = desk.read(place);
        let error = nmse(&got, &expected);
        assert!(error < bound(precision), "{precision:?} {case:?} {margins:?} {name}: {error:e}");
    };
    for (mode, bias) in [(Write::Set, true), (Write::Add, false)] {
        for &pass in of {
            let (x, w, y, bias_of) = match pass {
                Pass::Fprop => (vx, vw, vy, by),
                Pass::Dgrad => (vdx, vw, vdy, bx),
                Pass::Wgrad => (vx, vdw, vdy, by),
            };
            let bias = (bias && pass != Pass::Wgrad).then_some(bias_of);
            both(desk, &(pass, conv, [x, w, y], bias, mode));
        }
        check(desk, whole_y, &format!("fprop {mode:?}"));
        check(desk, whole_dx, &format!("dgrad {mode:?}"));
        check(desk, vdw, &format!("wgrad {mode:?}"));
    }
}

fn all(test: &str, orders: &[&str], cases: &[Case], margins: &[[usize; 2]]) {
    for precision in PRECISIONS {
        on_softgpu(test, precision, orders, |desk| {
            for &case in cases {
                for &margins in margins {
                    products(desk, precision, &ALL, case, margins);
                }
            }
        });
    }
}

/// The smallest cases of each kernel, by pass and precision, so that mistakes are found quickly.
mod edges {
    use super::*;

    const EDGES: [Case; 7] = [
        // One element more than whole chunks; two and three channels after the last four.
        (Conv::PIXEL, 1, 5, 4, 33, 33),
        (Conv::PIXEL, 1, 5, 4, 10, 11),
        (Conv::HALVE, 1, 26, 16, 32, 64),
        (Conv::HALVE, 1, 2, 2, 64, 64),
        (Conv::PATCH, 1, 11, 9, 64, 9),
        (Conv::HALVE, 2, 9, 7, 5, 33),
        (Conv::HALVE, 1, 16, 16, 3, 16),
    ];

    /// One to six channels in the result.
    const NARROW: [Case; 5] = [
        (Conv::PATCH, 2, 6, 5, 8, 1),
        (Conv::HALVE, 1, 10, 12, 8, 2),
        (Conv::HALVE, 1, 9, 7, 4, 3),
        (Conv::square(3, 1, 1), 2, 5, 6, 4, 4),
        (Conv::square(3, 3, 1), 1, 9, 8, 12, 6),
    ];

    fn run(test: &str, precision: Precision, of: Pass, cases: &[Case]) {
        on_softgpu(test, precision, &ORDERS[2..], |desk| {
            for &case in cases {
                products(desk, precision, &[of], case, [0, 0]);
            }
        });
    }

    macro_rules! edges {
        ($($name:ident $precision:ident;)*) => {$(
            mod $name {
                use super::*;

                const PRECISION: Precision = Precision::$precision;

                #[test]
                fn fprop() {
                    run("edges of fprop", PRECISION, Pass::Fprop, &EDGES);
                }

                #[test]
                fn dgrad() {
                    run("edges of dgrad", PRECISION, Pass::Dgrad, &EDGES);
                }

                #[test]
                fn wgrad() {
                    run("edges of wgrad", PRECISION, Pass::Wgrad, &EDGES);
                }

                #[test]
                fn narrow() {
                    run("edges of narrow results", PRECISION, Pass::Fprop, &NARROW);
                    let turned = NARROW.map(|(conv, n, h, w, c, k)| (conv, n, h, w, k, c));
                    run("edges of narrow gradients", PRECISION, Pass::Dgrad, &turned);
                }
            }
        )*};
    }

    edges! {
        f32 F32;
        tf32 Tf32;
        bf16 Bf16;
    }
}

/// The layers of the U-Net and of the 70 x 70 discriminator for 256 x 256, reduced to enough pixels
/// for two tiles and more, or all where there are few, and to enough channels for whole chunks and
/// two tiles.
#[test]
fn conv_layers_of_the_networks() {
    let cases = [
        (Conv::HALVE, 1, 32, 32, 3, 64),
        (Conv::HALVE, 1, 32, 32, 6, 64),
        (Conv::HALVE, 1, 24, 24, 64, 128),
        (Conv::HALVE, 1, 32, 32, 32, 64),
        (Conv::HALVE, 1, 16, 16, 64, 128),
        (Conv::HALVE, 1, 8, 8, 128, 128),
        (Conv::HALVE, 1, 4, 4, 128, 256),
        (Conv::HALVE, 1, 2, 2, 128, 128),
        (Conv::HALVE, 1, 32, 32, 3, 128),
        (Conv::PATCH, 1, 14, 14, 64, 128),
        (Conv::PATCH, 1, 15, 15, 128, 1),
    ];
    all("conv_layers_of_the_networks", &["forward"], &cases, &[[0, 0]]);
}

/// Sizes and channels that no tile divides, all strides and windows, several pictures.
#[test]
fn conv_of_any_shape() {
    let cases = [
        (Conv::HALVE, 2, 17, 13, 5, 33),
        (Conv::HALVE, 1, 17, 13, 65, 8),
        (Conv::HALVE, 3, 8, 8, 32, 36),
        (Conv::PATCH, 2, 17, 13, 33, 5),
        (Conv::PATCH, 1, 9, 7, 64, 1),
        (Conv::HALVE, 2, 18, 14, 6, 32),
        (Conv::square(3, 3, 1), 1, 19, 8, 2, 20),
        (Conv::PIXEL, 2, 9, 7, 6, 64),
        (Conv::PIXEL, 1, 16, 16, 64, 72),
        (Conv::square(1, 2, 0), 1, 9, 7, 32, 32),
        (Conv::square(3, 1, 1), 3, 6, 5, 1, 6),
        (Conv::square(3, 1, 1), 1, 12, 11, 96, 64),
        (Conv::square(3, 2, 1), 2, 13, 12, 64, 32),
        (Conv::square(3, 3, 0), 1, 17, 13, 32, 24),
        (Conv::square(4, 3, 2), 1, 17, 13, 32, 68),
        (Conv::square(4, 2, 2), 1, 10, 12, 3, 3),
        (Conv { r: 2, s: 3, stride: 2, pad: 1 }, 1, 21, 23, 32, 32),
        (Conv::square(4, 1, 2), 1, 1, 1, 32, 32),
    ];
    all("conv_of_any_shape", &["forward"], &cases, &[[0, 0]]);
}

/// Channels of wider tensors, where vectors can be used and where not; neighbours must not change.
#[test]
fn conv_of_runs_of_channels() {
    let cases = [
        (Conv::HALVE, 1, 10, 12, 32, 64),
        (Conv::PATCH, 2, 6, 5, 64, 3),
        (Conv::HALVE, 1, 10, 12, 3, 32),
    ];
    all("conv_of_runs_of_channels", &["forward"], &cases, &[[32, 64], [4, 0], [3, 2], [3, 1]]);
}

/// Every kernel in every order of warps and blocks.
#[test]
fn conv_in_every_order() {
    let cases = [
        (Conv::HALVE, 1, 26, 16, 32, 64),
        (Conv::HALVE, 1, 2, 2, 64, 64),
        (Conv::PATCH, 1, 11, 9, 64, 1),
        (Conv::HALVE, 1, 16, 16, 3, 16),
    ];
    all("conv_in_every_order", &ORDERS, &cases, &[[0, 0]]);
}

/// Launched, captured and replayed, in every order of warps and blocks: the same bytes, even where
/// several blocks share a sum.
#[test]
fn conv_is_the_same_each_time() {
    for precision in PRECISIONS {
        let mut first: Option<Vec<u32>> = None;
        on_softgpu("conv_is_the_same_each_time", precision, &ORDERS, |desk| {
            let (x, k) = (Shape::new(1, 8, 8, 128), 128);
            let conv = Conv::HALVE;
            let y = conv.shrink(x, k).unwrap();
            let f = Shape::new(k, conv.r, conv.s, x.c);
            let [vx, vdx] = [1, 2].map(|seed| desk.tensor(x, &numbers(x.count(), seed)));
            let [vy, vdy] = [3, 4].map(|seed| desk.tensor(y, &numbers(y.count(), seed)));
            let [vw, vdw] = [5, 6].map(|seed| desk.floats(f, &numbers(f.count(), seed)));
            let args = [
                (Pass::Fprop, vx, vw, vy),
                (Pass::Dgrad, vdx, vw, vdy),
                (Pass::Wgrad, vx, vdw, vdy),
            ];
            let args = args.map(|(pass, x, w, y)| {
                let [x, w, y] = [x, w, y].map(|place| place.gpu);
                ConvArgs { pass, conv, x, w, y, bias: None, mode: Write::Set }
            });
            let shared = desk.cuda.conv_workspace(&args[0]).scratch;
            assert!(shared > 0, "no sum of this layer is shared by blocks");
            for turn in 0..3 {
                let run =
                    desk.cuda.run_with(1, |cuda| args.iter().try_for_each(|args| cuda.conv(args)));
                run.unwrap();
                let bits = [vy, vdx, vdw].map(|place| desk.read(place).0).concat();
                let bits: Vec<u32> = bits.into_iter().map(f32::to_bits).collect();
                let expected = first.get_or_insert_with(|| bits.clone());
                assert!(*expected == bits, "{precision:?}, turn {turn}");
            }
        });
    }
}

/// Layers on pictures: few channels in x, rows of y that tiles of 64 pixels and chunks of 16 or 32
/// divide or not (one has a pixel more than a tile), odd heights, several pictures; other windows
/// and strides that the same kernels take; and last, rows of x that are not whole vectors in bf16
/// or in any precision, which other kernels take.
#[test]
fn conv_thin_layers() {
    let cases = [
        (Conv::HALVE, 2, 7, 128, 3, 64),
        (Conv::HALVE, 3, 5, 144, 6, 72),
        (Conv::HALVE, 1, 6, 136, 3, 16),
        (Conv::HALVE, 2, 9, 72, 6, 8),
        (Conv::HALVE, 1, 4, 80, 5, 24),
        (Conv::HALVE, 1, 4, 130, 4, 16),
        (Conv::PATCH, 2, 5, 40, 4, 40),
        (Conv::PATCH, 1, 6, 72, 2, 16),
        (Conv::square(3, 1, 1), 1, 3, 64, 1, 8),
        (Conv::square(1, 2, 0), 1, 5, 96, 6, 8),
        (Conv { r: 2, s: 3, stride: 2, pad: 0 }, 1, 5, 80, 3, 20),
        (Conv::square(4, 2, 3), 1, 4, 64, 6, 8),
        (Conv::HALVE, 1, 5, 68, 3, 65),
        (Conv::HALVE, 1, 5, 67, 3, 8),
    ];
    all("conv_thin_layers", &["forward"], &cases, &[[0, 0]]);
}

/// The same in every order of warps and blocks.
#[test]
fn conv_thin_in_every_order() {
    let cases = [(Conv::HALVE, 2, 5, 72, 6, 24), (Conv::HALVE, 1, 5, 144, 3, 16)];
    all("conv_thin_in_every_order", &ORDERS, &cases, &[[0, 0]]);
}
