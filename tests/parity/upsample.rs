//! Nearest upsampling and its gradient.

use pix2pix_engine::kernel::{UpsampleArgs, UpsampleGradArgs, UpsampleKernels, Write};
use pix2pix_engine::tensor::{Shape, View};

use crate::cases::{STORED, close, placed, same};
use crate::common::numbers;
use crate::desk::{ORDERS, Place, on_softgpu};

const CASES: [(usize, Shape); 5] = [
    (2, Shape::new(2, 3, 5, 8)),
    (3, Shape::new(1, 5, 3, 5)),
    (1, Shape::new(2, 3, 2, 33)),
    (4, Shape::new(1, 1, 1, 264)),
    (2, Shape::new(1, 7, 6, 1)),
];

#[test]
fn upsample_and_its_gradient() {
    for precision in STORED {
        on_softgpu("upsample_and_its_gradient", precision, &ORDERS, |desk| {
            // Every placing of each shape: dense, slices on and off vectors.
            for (way, (factor, of)) in CASES.into_iter().cycle().take(10).enumerate() {
                let to = Shape { h: factor * of.h, w: factor * of.w, ..of };
                let what = format!("{of} times {factor}");
                let x = placed(desk, of, way, &numbers(of.count(), 1));
                let y = placed(desk, to, way + way / 3, &vec![7.0; to.count()]);
                let forward =
                    |view: fn(Place) -> View| UpsampleArgs { factor, x: view(x), y: view(y) };
                desk.cpu.upsample(&forward(|place| place.cpu)).unwrap();
                desk.cuda.upsample(&forward(|place| place.gpu)).unwrap();
                same(desk, y, &what);
                let dy = placed(desk, to, way, &numbers(to.count(), 2));
                let dx = placed(desk, of, way + way / 3, &numbers(of.count(), 3));
                for mode in [Write::Add, Write::Set] {
                    let backward = |view: fn(Place) -> View| UpsampleGradArgs {
                        factor,
                        dy: view(dy),
                        dx: view(dx),
                        mode,
                    };
                    desk.cpu.upsample_grad(&backward(|place| place.cpu)).unwrap();
                    desk.cuda.upsample_grad(&backward(|place| place.gpu)).unwrap();
                    close(desk, dx, &format!("gradient of {what}, {mode:?}"));
                }
            }
        });
    }
}
