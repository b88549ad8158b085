//! Poolings and their gradients.

use pix2pix_engine::Result;
use pix2pix_engine::device::Precision;
use pix2pix_engine::kernel::{Pool, PoolArgs, PoolGradArgs, PoolKernels, Write};
use pix2pix_engine::tensor::{Shape, View};

use crate::cases::{STORED, close, placed, same, same_or_nan};
use crate::common::numbers;
use crate::desk::{Desk, ORDERS, Place, on_softgpu};

/// Windows beside each other, overlapping, with gaps between them, larger than the picture, of a
/// pixel; channels on and off vectors.
const WINDOWS: [(Pool, Shape); 8] = [
    (Pool::square(2, 2, 0), Shape::new(2, 8, 6, 16)),
    (Pool::square(3, 2, 1), Shape::new(1, 9, 7, 5)),
    (Pool::square(3, 1, 1), Shape::new(1, 6, 5, 8)),
    (Pool { r: 2, s: 3, stride: 2, pad: 1 }, Shape::new(2, 7, 8, 33)),
    (Pool::square(2, 3, 0), Shape::new(1, 9, 7, 3)),
    (Pool::square(5, 2, 2), Shape::new(1, 2, 3, 24)),
    (Pool::square(1, 1, 0), Shape::new(1, 3, 2, 1)),
    (Pool { r: 4, s: 1, stride: 1, pad: 0 }, Shape::new(1, 4, 9, 264)),
];

/// Numbers of which many are equal.
fn coarse(count: usize, seed: u64) -> Vec<f32> {
    numbers(count, seed).iter().map(|v| (8.0 * v).round() / 4.0).collect()
}

/// x, y, dy and dx of a pooling.
struct Operands {
    pool: Pool,
    x: Place,
    y: Place,
    dy: Place,
    dx: Place,
}

impl Operands {
    fn new(desk: &mut Desk, pool: Pool, of: Shape, way: usize) -> Self {
        let to = pool.shrink("pool", of).unwrap();
        let x = placed(desk, of, way, &coarse(of.count(), 1));
        let y = placed(desk, to, way + way / 3, &vec![7.0; to.count()]);
        let dy = placed(desk, to, way, &numbers(to.count(), 2));
        let dx = placed(desk, of, way + 1 + way / 3, &numbers(of.count(), 3));
        Operands { pool, x, y, dy, dx }
    }

    fn forward(&self, view: fn(Place) -> View) -> PoolArgs {
        PoolArgs { pool: self.pool, x: view(self.x), y: view(self.y) }
    }

    fn backward(&self, view: fn(Place) -> View, mode: Write) -> PoolGradArgs {
        let [x, dy, dx] = [self.x, self.dy, self.dx].map(view);
        PoolGradArgs { pool: self.pool, x, dy, dx, mode }
    }
}

type Forward = fn(&mut dyn PoolKernels, &PoolArgs) -> Result<()>;
type Backward = fn(&mut dyn PoolKernels, &PoolGradArgs) -> Result<()>;

/// A pooling and its gradient on both devices, at every window.
fn check(test: &str, forward: Forward, backward: Backward) {
    for precision in STORED {
        on_softgpu(test, precision, &ORDERS, |desk| {
            for (way, (pool, of)) in WINDOWS.into_iter().enumerate() {
                let what = format!("{pool:?} of {of}");
                let on = Operands::new(desk, pool, of, way);
                forward(&mut desk.cpu, &on.forward(|place| place.cpu)).unwrap();
                forward(&mut desk.cuda, &on.forward(|place| place.gpu)).unwrap();
                close(desk, on.y, &what);
                for mode in [Write::Add, Write::Set] {
                    backward(&mut desk.cpu, &on.backward(|place| place.cpu, mode)).unwrap();
                    backward(&mut desk.cuda, &on.backward(|place| place.gpu, mode)).unwrap();
                    close(desk, on.dx, &format!("gradient of {what}, {mode:?}"));
                }
            }
        });
    }
}

#[test]
fn max_pool_and_its_gradient() {
    check("max_pool_and_its_gradient", |d, args| d.max_pool(args), |d, args| d.max_pool_grad(args));
}

#[test]
fn average_pool_and_its_gradient() {
    check(
        "average_pool_and_its_gradient",
        |d, args| d.average_pool(args),
        |d, args| d.average_pool_grad(args),
    );
}

/// Maxima are copies: bit for bit, minus infinity too.
#[test]
fn max_pool_of_minus_infinity() {
    for precision in STORED {
        on_softgpu("max_pool_of_minus_infinity", precision, &ORDERS[..1], |desk| {
            let (pool, of) = (Pool::square(2, 2, 1), Shape::new(1, 5, 6, 8));
            let on = Operands::new(desk, pool, of, 0);
            let mut values = coarse(of.count(), 4);
            values[..of.count() / 2].fill(f32::NEG_INFINITY);
            desk.set(on.x, &values);
            desk.cpu.max_pool(&on.forward(|place| place.cpu)).unwrap();
            desk.cuda.max_pool(&on.forward(|place| place.gpu)).unwrap();
            same(desk, on.y, "maxima");
            let (_, expected) = desk.read(on.y);
            assert!(expected.contains(&f64::NEG_INFINITY) && expected.iter().any(|v| *v > 0.0));
            desk.cpu.max_pool_grad(&on.backward(|place| place.cpu, Write::Set)).unwrap();
            desk.cuda.max_pool_grad(&on.backward(|place| place.gpu, Write::Set)).unwrap();
            close(desk, on.dx, "gradient");
        });
    }
}

/// A window with a NaN is NaN, and the last NaN of a window has its gradient.
#[test]
fn max_pool_of_nan() {
    for (precision, c) in [(Precision::F32, 1), (Precision::F32, 8), (Precision::Bf16, 8)] {
        on_softgpu("max_pool_of_nan", precision, &ORDERS[..1], |desk| {
            let (pool, of) = (Pool::square(3, 2, 1), Shape::new(1, 6, 7, c));
            let on = Operands::new(desk, pool, of, 0);
            let mut values = coarse(of.count(), 4);
            for at in [0, 1, 9, 16, 17, 38] {
                values[at * c] = f32::NAN;
            }
            desk.set(on.x, &values);
            desk.cpu.max_pool(&on.forward(|place| place.cpu)).unwrap();
            desk.cuda.max_pool(&on.forward(|place| place.gpu)).unwrap();
            same_or_nan(desk, on.y, "maxima");
            let (got, _) = desk.read(on.y);
            assert!(got.iter().any(|v| v.is_nan()) && got.iter().any(|v| !v.is_nan()));
            desk.cpu.max_pool_grad(&on.backward(|place| place.cpu, Write::Set)).unwrap();
            desk.cuda.max_pool_grad(&on.backward(|place| place.gpu, Write::Set)).unwrap();
            close(desk, on.dx, "gradient");
            desk.cpu.average_pool(&on.forward(|place| place.cpu)).unwrap();
            desk.cuda.average_pool(&on.forward(|place| place.gpu)).unwrap();
            let nan = |values: &[f64]| values.iter().map(|v| v.is_nan()).collect::<Vec<_>>();
            let (got, expected) = desk.read(on.y);
            let got: Vec<f64> = got.into_iter().map(f64::from).collect();
            assert_eq!(nan(&got), nan(&expected), "means");
            assert!(nan(&got).contains(&true) && nan(&got).contains(&false));
        });
    }
}

/// Where one tensor alone does not fit vectors, none is read or written in them.
#[test]
fn max_pool_off_vectors_in_one_tensor() {
    for precision in STORED {
        on_softgpu("max_pool_off_vectors_in_one_tensor", precision, &ORDERS[..1], |desk| {
            let (pool, of) = (Pool::square(2, 2, 0), Shape::new(1, 4, 6, 16));
            let to = pool.shrink("pool", of).unwrap();
            for odd in 0..4 {
                let mut on = Operands::new(desk, pool, of, 0);
                on.dx = desk.tensor(of, &numbers(of.count(), 3));
                match odd {
                    0 => on.x = placed(desk, of, 2, &coarse(of.count(), 1)),
                    1 => on.dy = placed(desk, to, 2, &numbers(to.count(), 2)),
                    2 => on.dx = placed(desk, of, 2, &numbers(of.count(), 3)),
                    _ => on.y = placed(desk, to, 2, &numbers(to.count(), 4)),
                }
                desk.cpu.max_pool(&on.forward(|place| place.cpu)).unwrap();
                desk.cuda.max_pool(&on.forward(|place| place.gpu)).unwrap();
                same(desk, on.y, &format!("maxima, tensor {odd}"));
                let mode = Write::Add;
                desk.cpu.max_pool_grad(&on.backward(|place| place.cpu, mode)).unwrap();
                desk.cuda.max_pool_grad(&on.backward(|place| place.gpu, mode)).unwrap();
                close(desk, on.dx, &format!("gradient, tensor {odd}"));
            }
        });
    }
}
