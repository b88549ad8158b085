//! Activations, sums, fills, sums per channel.

use pix2pix_engine::kernel::{Activation, ActivationGradArgs, PointwiseKernels, Write};
use pix2pix_engine::tensor::{Elem, Shape, View};

use crate::cases::{SHAPES, STORED, close, near, same};
use crate::common::{NORM_NMSE, numbers};
use crate::desk::{Desk, ORDERS, Place, on_softgpu};

const KINDS: [Activation; 4] =
    [Activation::Identity, Activation::Relu, Activation::LeakyRelu(0.2), Activation::Tanh];

/// Three tensors of a shape: dense, or slices of wider ones, aligned for vectors or not.
fn three(desk: &mut Desk, shape: Shape, way: usize) -> [Place; 3] {
    [1, 2, 3].map(|seed| {
        let mut values: Vec<f32> = numbers(shape.count(), seed).iter().map(|v| 8.0 * v).collect();
        // One number at the kink.
        if seed == 1 {
            values[0] = 0.0;
        }
        match way {
            0 => desk.tensor(shape, &values),
            1 => desk.slice(shape, shape.c + 16, 8, &values),
            _ => desk.slice(shape, shape.c + 3, seed as usize - 1, &values),
        }
    })
}

/// Computes the gradient of an activation on both devices.
fn gradient(desk: &mut Desk, activation: Activation, of: [Place; 3], mode: Write) {
    let args = |view: fn(Place) -> View| {
        let [y, dy, dx] = of.map(view);
        ActivationGradArgs { activation, y, dy, dx, mode }
    };
    desk.cpu.activation_grad(&args(|place| place.cpu)).unwrap();
    desk.cuda.activation_grad(&args(|place| place.gpu)).unwrap();
}

#[test]
fn activations_and_their_gradients() {
    for precision in STORED {
        on_softgpu("activations_and_their_gradients", precision, &ORDERS, |desk| {
            for (i, shape) in SHAPES.into_iter().enumerate() {
                let [x, dy, to] = three(desk, shape, i % 3);
                for kind in KINDS {
                    let what = format!("{kind:?} of {shape}");
                    desk.cpu.activation(kind, x.cpu, to.cpu).unwrap();
                    desk.cuda.activation(kind, x.gpu, to.gpu).unwrap();
                    close(desk, to, &what);
                    for mode in [Write::Set, Write::Add] {
                        // x stands for y: any number has a slope.
                        gradient(desk, kind, [x, dy, to], mode);
                        close(desk, to, &format!("gradient of {what}, {mode:?}"));
                        let (_, values) = desk.read(to);
                        let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
                        desk.set(to, &values);
                    }
                }
            }
        });
    }
}

/// Vectors of 16 bytes are used nowhere if channels, pitch or address of any tensor rule them out.
#[test]
fn activation_off_vectors_in_one_tensor() {
    // Channels, pitch and first channel: fit for vectors, then not by one of the three.
    let ways = [(8, 24, 8), (8, 24, 3), (8, 19, 0), (5, 8, 0)];
    for precision in STORED {
        on_softgpu("activation_off_vectors_in_one_tensor", precision, &ORDERS[..1], |desk| {
            for (c, pitch, channel) in ways {
                let shape = Shape::new(1, 3, 5, c);
                for odd in 0..4 {
                    let [x, dy, to] = [0, 1, 2].map(|i| {
                        let values = numbers(shape.count(), i as u64);
                        match i {
                            _ if i == odd || odd == 3 => desk.slice(shape, pitch, channel, &values),
                            _ => desk.tensor(shape, &values),
                        }
                    });
                    let (kind, mode) = (Activation::LeakyRelu(0.2), Write::Add);
                    gradient(desk, kind, [x, dy, to], mode);
                    close(desk, to, &format!("{shape}, tensor {odd} at {channel} of {pitch}"));
                }
            }
        });
    }
}

#[test]
fn activation_sums_and_fills() {
    for precision in STORED {
        on_softgpu("activation_sums_and_fills", precision, &ORDERS, |desk| {
            for (i, shape) in SHAPES.into_iter().enumerate() {
                let [x, to, _] = three(desk, shape, (i + 1) % 3);
                for mode in [Write::Add, Write::Set] {
                    desk.cpu.scale(-0.75, x.cpu, to.cpu, mode).unwrap();
                    desk.cuda.scale(-0.75, x.gpu, to.gpu, mode).unwrap();
                    close(desk, to, &format!("scale of {shape}, {mode:?}"));
                }
                desk.cpu.fill(to.cpu, -1.5).unwrap();
                desk.cuda.fill(to.gpu, -1.5).unwrap();
                same(desk, to, &format!("fill of {shape}"));
            }
            // Losses are f32 in every precision.
            let one = desk.floats(Shape::SCALAR, &[0.3]);
            let sum = desk.floats(Shape::SCALAR, &[1.0]);
            assert_eq!(one.gpu.elem, Elem::F32);
            desk.cpu.scale(100.0, one.cpu, sum.cpu, Write::Add).unwrap();
            desk.cuda.scale(100.0, one.gpu, sum.gpu, Write::Add).unwrap();
            close(desk, sum, "a sum of losses");
        });
    }
}

#[test]
fn activation_sums_of_channels() {
    for precision in STORED {
        on_softgpu("activation_sums_of_channels", precision, &ORDERS, |desk| {
            // Parts of several blocks, each written by several warps.
            let shared = Shape::new(2, 29, 20, 70);
            for (i, shape) in SHAPES.into_iter().chain([shared]).enumerate() {
                let [dy, _, _] = three(desk, shape, i % 3);
                let db = desk.floats(Shape::vector(shape.c), &numbers(shape.c, 7));
                for mode in [Write::Add, Write::Set] {
                    desk.cpu.channel_sum(dy.cpu, db.cpu, mode).unwrap();
                    desk.cuda.channel_sum(dy.gpu, db.gpu, mode).unwrap();
                    near(desk, db, NORM_NMSE, &format!("sums of {shape}, {mode:?}"));
                }
            }
        });
    }
}
