//! NaN and infinity pass through every operation on the CPU, as in PyTorch.

use std::collections::BTreeSet;
use std::path::Path;

use pix2pix_engine::device::Cpu;
use pix2pix_engine::kernel::{Activation, Loss, Pool};
use pix2pix_engine::tensor::Shape;

use crate::common::harness::Harness;
use crate::common::passage::{Player, cases};

/// Places of an operand that are tried, one at a time.
const PLACES: usize = 3;

/// The names that the operations of `src/op` give themselves: the strings of every `fn name`.
fn names_in_the_code() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/op");
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for part in text.split("fn name(&self) -> &'static str {").skip(1) {
            let body = &part[..part.find("\n    }").unwrap()];
            names.extend(body.split('"').skip(1).step_by(2).map(str::to_string));
        }
    }
    names
}

/// An operation that is added to the code without a case fails here.
#[test]
fn what_is_not_finite_passes_through_every_operation() {
    let mut played = BTreeSet::new();
    for case in &cases() {
        let mut cpu = Cpu::new(1).unwrap();
        let mut player = Player::new(&mut cpu, case);
        player.check(PLACES);
        played.extend(player.names());
    }
    let names = names_in_the_code();
    assert!(names.len() >= 19, "{names:?}");
    let forward = names.iter().map(|name| format!("forward {name}"));
    for name in forward.chain(["adam", "average", "gradient norm"].map(String::from)) {
        assert!(played.contains(&name), "no case has {name}: {played:?}");
    }
}

/// Gradients that are constants where their operand is NaN, as PyTorch 2.9 gives them: of ReLU the
/// gradient of the result, of a leaky ReLU that of a number below 0, of |x - t| none.
#[test]
fn gradients_of_straight_pieces_at_nan_are_pytorchs() {
    let x = Shape::new(1, 1, 1, 4);
    let values = [f32::NAN, 2.0, -2.0, 0.0];
    let grads =
        |record: &dyn Fn(&mut pix2pix_engine::tape::Tape, &[pix2pix_engine::tape::Var]) -> _| {
            let mut op = Harness::op(&[("x", x)], &[], |tape, v| record(tape, v));
            op.set("x", &values);
            op.run(&[10.0; 4]);
            (op.y(), op.grad("x"))
        };
    let (y, dx) = grads(&|tape, v| tape.relu(v[0]));
    assert!(y[0].is_nan() && y[1..] == [2.0, 0.0, 0.0], "{y:?}");
    assert_eq!(dx, [10.0, 10.0, 0.0, 0.0]);
    let (y, dx) = grads(&|tape, v| tape.leaky_relu(0.5, v[0]));
    assert!(y[0].is_nan() && y[1..] == [2.0, -1.0, 0.0], "{y:?}");
    assert_eq!(dx, [5.0, 10.0, 5.0, 5.0]);
    let mut op =
        Harness::op(&[("x", x), ("t", x)], &[], |tape, v| tape.distance(Loss::L1, 4.0, v[0], v[1]));
    op.set("x", &values);
    op.run(&[10.0]);
    assert!(op.y()[0].is_nan());
    assert_eq!(
        (op.grad("x"), op.grad("t")),
        (vec![0.0, 10.0, -10.0, 0.0], vec![0.0, -10.0, 10.0, 0.0])
    );
}

/// Of a window with NaN the maximum is NaN, and the last NaN gets the gradient.
#[test]
fn the_maximum_of_a_window_with_nan() {
    let x = Shape::new(1, 2, 2, 1);
    let mut op =
        Harness::op(&[("x", x)], &[], |tape, v| tape.max_pool(Pool::square(2, 2, 0), v[0]));
    op.set("x", &[f32::NAN, f32::INFINITY, f32::NAN, 3.0]);
    op.run(&[10.0]);
    assert!(op.y()[0].is_nan());
    assert_eq!(op.grad("x"), [0.0, 0.0, 10.0, 0.0]);
}

/// ReLU of -0 is 0, in every way of computing it.
#[test]
fn relu_has_no_negative_zero() {
    let mut many = [-0.0f32; 37];
    many[5] = f32::NAN;
    let x = Shape::new(1, 1, 1, 37);
    let mut op = Harness::op(&[("x", x)], &[], |tape, v| tape.relu(v[0]));
    op.set("x", &many);
    op.run(&[1.0; 37]);
    for (i, y) in op.y().iter().enumerate() {
        assert!(if i == 5 { y.is_nan() } else { y.to_bits() == 0 }, "y[{i}] is {y}");
    }
    assert_eq!(Activation::Relu.value(-0.0).to_bits(), 0);
}
