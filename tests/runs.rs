//! Two batches that pass through a norm as the runs of one: the numbers of two passes, bit for bit.

mod common;

use common::{numbers, read};
use pix2pix_engine::device::{Arena, Cpu, Device};
use pix2pix_engine::kernel::Write;
use pix2pix_engine::kernel::{
    Activation, Norm, NormArgs, NormGradArgs, NormKernels, NormParams, NormScope, Statistics,
};
use pix2pix_engine::tensor::{Shape, View};

fn norm(scope: NormScope) -> Norm {
    let activation = Activation::LeakyRelu(0.2);
    Norm {
        scope,
        statistics: Statistics::Batch,
        eps: 1e-5,
        momentum: 0.1,
        dropout: None,
        activation,
    }
}

/// y from x, then dx and the gradients of scale and shift from dy.
fn there_and_back(
    cpu: &mut Cpu,
    (norm, params, kept, mode): (Norm, NormParams, [View; 2], Write),
    [x, y, dy, dx]: [View; 4],
    gradients: [View; 2],
) {
    cpu.norm(&NormArgs { norm, x, params, kept, y, skip: None }).unwrap();
    let (dx, daffine) = (Some((dx, Write::Set)), gradients.map(|v| Some((v, mode))));
    let args = NormGradArgs { norm, x, params, kept, dy, dskip: None, dx, daffine };
    cpu.norm_grad(&args).unwrap();
}

#[test]
fn runs_are_batches_one_after_the_other() {
    let shape = Shape::new(4, 5, 3, 6);
    let mut arena = Arena::default();
    let [x, dy, apart, together, dx_apart, dx_together] = [0; 6].map(|_| arena.take(shape));
    let vector = Shape::vector(6);
    let [weight, bias] = [0; 2].map(|_| arena.take(vector));
    let running = [0; 2].map(|_| [0; 2].map(|_| arena.take(vector)));
    let kept_apart = [0; 2].map(|_| [0; 2].map(|_| arena.take(vector)));
    let kept_together = [0; 2].map(|_| arena.take(Shape::new(2, 1, 1, 6)));
    let gradients = [0; 2].map(|_| [0; 2].map(|_| arena.take(vector)));
    let mut cpu = common::cpu(2, &arena);
    for (i, view) in [x, dy, weight, bias].into_iter().enumerate() {
        cpu.upload(view, &numbers(view.shape.count(), i as u64)).unwrap();
    }
    for [mean, var] in running {
        cpu.upload(mean, &[0.5; 6]).unwrap();
        cpu.upload(var, &[2.0; 6]).unwrap();
    }
    let params = |i: usize| NormParams { affine: Some([weight, bias]), running: Some(running[i]) };
    let half = |v: View, i: usize| v.pictures(2 * i..2 * i + 2).unwrap();
    for (i, kept) in kept_apart.into_iter().enumerate() {
        let n = norm(NormScope::Batch);
        let mode = if i == 0 { Write::Set } else { Write::Add };
        let of = (n, params(0), kept, mode);
        there_and_back(&mut cpu, of, [x, apart, dy, dx_apart].map(|v| half(v, i)), gradients[0]);
    }
    let of = (norm(NormScope::Runs(2)), params(1), kept_together, Write::Set);
    there_and_back(&mut cpu, of, [x, together, dy, dx_together], gradients[1]);
    assert_eq!(read(&cpu, together), read(&cpu, apart));
    assert_eq!(read(&cpu, dx_together), read(&cpu, dx_apart));
    for i in 0..2 {
        assert_eq!(read(&cpu, running[1][i]), read(&cpu, running[0][i]));
        let (got, expected) = (read(&cpu, gradients[1][i]), read(&cpu, gradients[0][i]));
        let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
        // One sum in f64, instead of two that are rounded before they are added.
        assert!(common::nmse(&got, &expected) < common::NORM_NMSE);
    }
}
