//! Constants of a tape, on both devices and in a captured graph.

use pix2pix_engine::device::{Cpu, Device, Precision};
use pix2pix_engine::kernel::{Backend, Conv, Write};
use pix2pix_engine::nn::Placement;
use pix2pix_engine::tape::{Program, Tape};
use pix2pix_engine::tensor::Shape;

use crate::common::{PRODUCT_NMSE, nmse, numbers};
use crate::desk::{ORDERS, on_softgpu};

const PICTURE: Shape = Shape::new(2, 9, 8, 1);

/// The filter 1 2 1 by 1 2 1, scaled to a sum of 1.
fn blur() -> Vec<f32> {
    let line = [0.25, 0.5, 0.25];
    line.iter().flat_map(|a| line.map(|b| a * b)).collect()
}

/// A picture blurred by a fixed filter.
fn program(b: &dyn Backend) -> Program {
    let tape = &mut Tape::new();
    let x = tape.input("x", PICTURE);
    let filter = tape.constant("blur", Shape::new(1, 3, 3, 1), blur()).unwrap();
    let y = tape.conv(Conv::square(3, 1, 1), x, filter, None).unwrap();
    tape.output("y", y);
    tape.compile(b, 0).unwrap()
}

/// The same blur, computed in f64.
fn by_hand(x: &[f32]) -> Vec<f64> {
    let Shape { n, h, w, .. } = PICTURE;
    let (filter, mut all) = (blur(), Vec::new());
    for (picture, row, column) in
        (0..n).flat_map(|n| (0..h).flat_map(move |i| (0..w).map(move |j| (n, i, j))))
    {
        let mut sum = 0.0;
        for (tap, weight) in filter.iter().enumerate() {
            let (i, j) = ((row + tap / 3).wrapping_sub(1), (column + tap % 3).wrapping_sub(1));
            if i < h && j < w {
                sum += f64::from(*weight) * f64::from(x[(picture * h + i) * w + j]);
            }
        }
        all.push(sum);
    }
    all
}

/// Runs the program several times on different pictures, overwriting planned memory in between as
/// another program of the device would; a GPU launches, captures and replays.
fn runs(b: &mut dyn Backend, bound: f64) {
    let program = program(b);
    b.reserve(program.end()).unwrap();
    let (x, y) = (program.view("x").unwrap(), program.view("y").unwrap());
    for round in 0..4 {
        let spoiled = pix2pix_engine::tensor::View::dense(0, Shape::vector(program.end()));
        b.upload(spoiled, &vec![f32::NAN; program.end()]).unwrap();
        b.upload(x, &numbers(PICTURE.count(), round)).unwrap();
        let mut stored = vec![0.0; PICTURE.count()];
        b.download(x, &mut stored).unwrap();
        program.run(b).unwrap();
        let mut got = vec![0.0; PICTURE.count()];
        b.download(y, &mut got).unwrap();
        let error = nmse(&got, &by_hand(&stored));
        assert!(error < bound, "round {round}: normalised error {error:.1e}");
    }
}

#[test]
fn a_fixed_filter_blurs_on_the_cpu() {
    runs(&mut Cpu::new(1).unwrap(), PRODUCT_NMSE);
}

#[test]
fn a_fixed_filter_blurs_on_a_gpu() {
    for precision in [Precision::F32, Precision::Bf16] {
        // One rounding to bf16, half a unit of 7 bits of fraction.
        let bound = if precision == Precision::Bf16 { 2f64.powi(-16) } else { PRODUCT_NMSE };
        on_softgpu("a_fixed_filter_blurs_on_a_gpu", precision, &ORDERS[..1], |desk| {
            runs(&mut desk.cuda, bound);
        });
    }
}

/// The filter is not a parameter: gradients flow through the convolution, but the filter gets none.
#[test]
fn gradients_flow_through_a_fixed_filter() {
    let mut arena = pix2pix_engine::device::Arena::default();
    let mut params = crate::common::harness::leaves(&[("x", PICTURE)], &[]);
    params.place(&mut arena, Placement::Training(&[]));
    let tape = &mut Tape::new();
    let x = params.on(tape, 0);
    let filter = tape.constant("blur", Shape::new(1, 3, 3, 1), blur()).unwrap();
    let y = tape.conv(Conv::square(3, 1, 1), x, filter, None).unwrap();
    let target = tape.input("target", PICTURE);
    let loss = tape.l2(y, target).unwrap();
    tape.backward(&[(1.0, loss)], params.group(), Write::Set).unwrap();
    let mut cpu = Cpu::new(1).unwrap();
    let program = tape.compile(&cpu, arena.len()).unwrap();
    assert_eq!(params.iter().count(), 1, "a checkpoint holds parameters, of which this is none");
    cpu.reserve(program.end()).unwrap();
    let zeros = vec![0.0; PICTURE.count()];
    cpu.upload(params.iter().next().unwrap().view(), &zeros).unwrap();
    cpu.upload(program.view("target").unwrap(), &numbers(PICTURE.count(), 5)).unwrap();
    program.run(&mut cpu).unwrap();
    // The blur is its own adjoint: dx = blur(2 (y - target) / count), and y is 0 here.
    let group = params.group();
    let got = crate::common::read(&cpu, group.grads);
    let slope: Vec<f32> =
        numbers(PICTURE.count(), 5).iter().map(|t| -2.0 * t / PICTURE.count() as f32).collect();
    let error = nmse(&got[..PICTURE.count()], &by_hand(&slope));
    assert!(error < PRODUCT_NMSE, "normalised error {error:.1e}");
}

#[test]
fn a_constant_has_as_many_numbers_as_its_shape() {
    let error = Tape::new().constant("blur", PICTURE, vec![0.0; 3]).unwrap_err().to_string();
    assert!(error.contains("3 numbers") && error.contains("144"), "{error}");
}
