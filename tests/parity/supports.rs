//! What a GPU does not support is refused before anything runs, with both shapes or the bound, and
//! the remedy.

use pix2pix_engine::device::Precision;
use pix2pix_engine::error::Result;
use pix2pix_engine::kernel::{
    Activation, Conv, ConvArgs, ConvKernels, CrossEntropyArgs, CrossEntropyKernels, Loss, LossArgs,
    LossKernels, Norm, NormArgs, NormKernels, NormParams, NormScope, Pass, PointwiseKernels,
    Statistics, Target, Write,
};
use pix2pix_engine::tensor::{Elem, Shape, View};

use crate::desk::{ORDERS, on_softgpu};

fn says(answer: Result<()>, words: &[&str]) {
    let error = answer.expect_err("it is refused").to_string();
    for word in words {
        assert!(error.contains(word), "no {word:?} in {error}");
    }
}

/// A vector of losses is f32 in bf16 too, a picture is not: no kernel reads both.
#[test]
fn tensors_stored_differently_are_refused() {
    on_softgpu("tensors_stored_differently_are_refused", Precision::Bf16, &ORDERS[..1], |desk| {
        let shape = Shape::new(1, 1, 1, 8);
        let [x, single] = [Elem::Bf16, Elem::F32].map(|elem| View::dense_of(elem, 0, shape));
        let w = View::dense(0, Shape::new(8, 1, 1, 8));
        let conv = |y| {
            let (pass, conv, bias, mode) = (Pass::Fprop, Conv::PIXEL, None, Write::Set);
            ConvArgs { pass, conv, x, w, y, bias, mode }
        };
        let loss = |other| {
            let (loss, target) = (Loss::L1, Target::Tensor(other));
            LossArgs { loss, x, target, weight: 1.0, y: View::dense(0, Shape::SCALAR) }
        };
        let cure = &["1x1x1x8", "stored differently", "`precision` f32"];
        says(desk.cuda.conv_supports(&conv(single)), cure);
        says(desk.cuda.loss_supports(&loss(single)), cure);
        says(desk.cuda.scale_supports(x, single), cure);
        assert!(desk.cuda.conv_supports(&conv(x)).is_ok());
        assert!(desk.cuda.loss_supports(&loss(x)).is_ok());
        assert!(desk.cuda.scale_supports(x, x).is_ok());
    });
}

/// As many channels as there are counters for, and one more.
#[test]
fn channels_without_a_counter_are_refused() {
    on_softgpu("channels_without_a_counter_are_refused", Precision::F32, &ORDERS[..1], |desk| {
        let norm = Norm {
            scope: NormScope::Batch,
            statistics: Statistics::Batch,
            eps: 1e-5,
            momentum: 0.1,
            dropout: None,
            activation: Activation::Identity,
        };
        let of = |c: usize| {
            let x = View::dense(0, Shape::new(1, 2, 2, c));
            NormArgs { norm, x, params: NormParams::default(), kept: [x; 2], y: x, skip: None }
        };
        assert!(desk.cuda.norm_supports(&of(32_768)).is_ok());
        says(desk.cuda.norm_supports(&of(32_769)), &["1x2x2x32769", "32768", "`base_channels`"]);
        assert!(desk.cpu.norm_supports(&of(32_769)).is_ok(), "the CPU counts nothing");
        let sum = |c: usize| desk.cuda.channel_sum_supports(View::dense(0, Shape::vector(c)));
        assert!(sum(262_144).is_ok());
        says(sum(262_145), &["1x1x1x262145", "262144", "`base_channels`"]);
    });
}

/// Kernels take no more scratch memory than they announce, or it would grow.
#[test]
fn kernels_take_no_more_scratch_than_they_say() {
    on_softgpu(
        "kernels_take_no_more_scratch_than_they_say",
        Precision::F32,
        &ORDERS[..1],
        |desk| {
            let shape = Shape::new(2, 40, 30, 20);
            let x = desk.tensor(shape, &vec![0.5; shape.count()]);
            let y = desk.floats(Shape::vector(2), &[0.0; 2]);
            let sums = desk.floats(Shape::vector(20), &[0.0; 20]);
            let (loss, target) = (Loss::Mse, Target::Labels(&[0.0, 1.0]));
            let loss = LossArgs { loss, x: x.gpu, target, weight: 1.0, y: y.gpu };
            let needs = [
                desk.cuda.loss_workspace(&loss).scratch,
                desk.cuda.channel_sum_workspace(x.gpu).scratch,
            ];
            assert!(needs[0] > 0 && needs[1] > needs[0], "{needs:?}");
            let before = desk.cuda.scratch(needs[1]).unwrap();
            desk.cuda.loss(&loss).unwrap();
            desk.cuda.channel_sum(x.gpu, sums.gpu, Write::Set).unwrap();
            assert_eq!(desk.cuda.scratch(0).unwrap(), before, "it was not enough");
        },
    );
}

/// Labels in bf16 would be rounded from 256 on.
#[test]
fn labels_in_bf16_are_refused() {
    on_softgpu("labels_in_bf16_are_refused", Precision::Bf16, &ORDERS[..1], |desk| {
        let of = |elem| {
            let x = View::dense_of(Elem::Bf16, 0, Shape::new(2, 3, 4, 5));
            let labels = View::dense_of(elem, 0, Shape::new(2, 3, 4, 1));
            let one = View::dense(0, Shape::SCALAR);
            CrossEntropyArgs { x, labels, ignored: None, y: one, count: one }
        };
        let refused = desk.cuda.cross_entropy_supports(&of(Elem::Bf16));
        says(refused, &["cross_entropy", "2x3x4x1", "256", "`precision` f32"]);
        assert!(desk.cuda.cross_entropy_supports(&of(Elem::F32)).is_ok());
    });
}
