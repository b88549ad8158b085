//! Operations describe themselves in a form that export and printed programs use.

use pix2pix_engine::device::Cpu;
use pix2pix_engine::kernel::{Activation, Conv, NormScope, Pool, Statistics};
use pix2pix_engine::op::{NormUse, NormVars};
use pix2pix_engine::tape::{Attribute, Describe, Tape};
use pix2pix_engine::tensor::Shape;

/// Every kind of operation, one after the other.
fn descriptions() -> (Vec<Describe>, String) {
    let tape = &mut Tape::new();
    let x = tape.input("x", Shape::new(2, 8, 8, 3));
    let [w, back] =
        [("w", 4), ("back", 4)].map(|(name, k)| tape.input(name, Shape::new(k, 4, 4, 3)));
    let small = tape.conv(Conv::HALVE, x, w, None).unwrap();
    let scope = NormScope::Runs(2);
    let activation = Activation::LeakyRelu(0.2);
    let how = NormUse { scope, statistics: Statistics::Batch, dropout: 0.5, activation };
    let normed = tape.norm(how, small, NormVars::default()).unwrap();
    let y = tape.conv_transpose(Conv::HALVE, normed, back, None).unwrap();
    let y = tape.leaky_relu(0.1, y).unwrap();
    let y = tape.dropout(0.25, y).unwrap();
    let y = tape.weighted_sum(&[(1.0, y), (-2.0, x)]).unwrap();
    let other = tape.copy(x).unwrap();
    let joined = tape.concat(&[y, other]).unwrap();
    let stacked = tape.stack(&[(joined, 0, 0), (joined, 2, 0)]).unwrap();
    let loss = tape.labelled(pix2pix_engine::kernel::Loss::Mse, stacked, &[0.0, 1.0]).unwrap();
    tape.output("loss", loss);
    let program = tape.compile(&Cpu::new(1).unwrap(), 0).unwrap();
    let all = program.instructions().iter().filter_map(|i| i.application());
    (all.map(|applied| applied.op.describe()).collect(), program.to_string())
}

#[test]
fn operations_say_what_they_are() {
    let (all, printed) = descriptions();
    let text: Vec<String> = all.iter().map(Describe::to_string).collect();
    assert_eq!(
        text,
        [
            "conv: window 4 4, stride 2, pad 1",
            "batch_norm: runs 2, statistics own, eps 0.00001, dropout 0.5, stream 0, activation \
             leaky_relu, slope 0.2",
            "conv_transpose: window 4 4, stride 2, pad 1",
            "leaky_relu: slope 0.1",
            "dropout: rate 0.25, stream 1",
            "weighted_sum: weights 1 -2",
            "copy",
            "concat: channels 0 3",
            "stack: pictures 0 2, channels 0 0",
            "mse: weight 1, labels 0 1",
        ]
    );
    assert_eq!(all[0].attribute("stride"), Some(&Attribute::Count(2)));
    assert_eq!(all[0].attribute("slope"), None);
    for (line, described) in printed.lines().zip(&all) {
        assert!(line.contains(&format!("forward {}", described.kind)), "{line}");
        for (name, value) in &described.attributes {
            assert!(line.contains(&format!("{name} {value}")), "no {name} {value} in {line}");
        }
    }
}

#[test]
fn operations_of_segmentation_say_what_they_are() {
    let tape = &mut Tape::new();
    let x = tape.input("x", Shape::new(1, 8, 8, 3));
    let labels = tape.input_f32("labels", Shape::new(1, 8, 8, 1));
    let y = tape.max_pool(Pool { r: 2, s: 3, stride: 2, pad: 1 }, x).unwrap();
    let y = tape.average_pool(Pool::square(2, 1, 0), y).unwrap();
    let y = tape.upsample(2, y).unwrap();
    let y = tape.reflection_pad(1, y).unwrap();
    assert_eq!(tape.shape(y), Shape::new(1, 10, 8, 3));
    let ignored = [Some(255), None].map(|ignored| tape.cross_entropy(x, labels, ignored).unwrap());
    tape.output("loss", ignored[0]);
    let program = tape.compile(&Cpu::new(1).unwrap(), 0).unwrap();
    let all = program.instructions().iter().filter_map(|i| i.application());
    let text: Vec<String> = all.map(|applied| applied.op.describe().to_string()).collect();
    assert_eq!(
        text,
        [
            "max_pool: window 2 3, stride 2, pad 1",
            "average_pool: window 2 2, stride 1, pad 0",
            "upsample: factor 2",
            "reflection_pad: pad 1",
            "cross_entropy: ignored 255",
            "cross_entropy",
        ]
    );
}
