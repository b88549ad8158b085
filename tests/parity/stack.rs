//! Copies into and out of one tensor.

use pix2pix_engine::kernel::PointwiseKernels;
use pix2pix_engine::tensor::Shape;

use crate::cases::{STORED, same};
use crate::common::numbers;
use crate::desk::{ORDERS, Place, on_softgpu};

#[test]
fn stack_is_its_parts() {
    for precision in STORED {
        on_softgpu("stack_is_its_parts", precision, &ORDERS, |desk| {
            // Five parts take two launches; channels that are multiples of a vector, and others.
            for channels in [[3, 3, 1, 2, 6], [8, 16, 24, 8, 64]] {
                let all = channels.iter().sum();
                let whole = Shape::new(2, 7, 5, all);
                let to = desk.tensor(whole, &vec![9.0; whole.count()]);
                let mut from = 0;
                let mut pairs = Vec::new();
                for (seed, c) in channels.into_iter().enumerate() {
                    let shape = Shape { c, ..whole };
                    let x = desk.tensor(shape, &numbers(shape.count(), seed as u64));
                    let part = |view: pix2pix_engine::tensor::View| view.channels(from..from + c);
                    pairs.push((
                        x,
                        Place { cpu: part(to.cpu).unwrap(), gpu: part(to.gpu).unwrap() },
                    ));
                    from += c;
                }
                let cpu: Vec<_> = pairs.iter().map(|(x, y)| (x.cpu, y.cpu)).collect();
                let gpu: Vec<_> = pairs.iter().map(|(x, y)| (x.gpu, y.gpu)).collect();
                desk.cpu.stack(&cpu).unwrap();
                desk.cuda.stack(&gpu).unwrap();
                same(desk, to, "stack");
                // The copies back: the gradient of a stack is its parts.
                let back: Vec<_> = gpu.iter().map(|(x, y)| (*y, *x)).collect();
                desk.cuda.stack(&back).unwrap();
                pairs.iter().for_each(|(x, _)| same(desk, *x, "parts of a stack"));
            }
        });
    }
}
