//! Reflection padding and its gradient.

use pix2pix_engine::kernel::{PadArgs, PadGradArgs, PadKernels, Write};
use pix2pix_engine::tensor::{Shape, View};

use crate::cases::{STORED, close, placed, same};
use crate::common::numbers;
use crate::desk::{ORDERS, Place, on_softgpu};

/// A pixel that is seen once, and up to nine times; paddings as wide as they may be.
const CASES: [(usize, Shape); 6] = [
    (3, Shape::new(1, 9, 8, 8)),
    (1, Shape::new(2, 5, 7, 5)),
    (2, Shape::new(1, 3, 4, 33)),
    (3, Shape::new(2, 4, 5, 24)),
    (0, Shape::new(1, 1, 1, 3)),
    (1, Shape::new(1, 2, 2, 264)),
];

#[test]
fn pad_by_reflection_and_its_gradient() {
    for precision in STORED {
        on_softgpu("pad_by_reflection_and_its_gradient", precision, &ORDERS, |desk| {
            for (way, (pad, of)) in CASES.into_iter().enumerate() {
                let to = Shape { h: of.h + 2 * pad, w: of.w + 2 * pad, ..of };
                let what = format!("{of} with {pad} around");
                let x = placed(desk, of, way, &numbers(of.count(), 1));
                let y = placed(desk, to, way + way / 3, &vec![7.0; to.count()]);
                let forward = |view: fn(Place) -> View| PadArgs { pad, x: view(x), y: view(y) };
                desk.cpu.reflection_pad(&forward(|place| place.cpu)).unwrap();
                desk.cuda.reflection_pad(&forward(|place| place.gpu)).unwrap();
                same(desk, y, &what);
                let dy = placed(desk, to, way, &numbers(to.count(), 2));
                let dx = placed(desk, of, way + way / 3, &numbers(of.count(), 3));
                for mode in [Write::Add, Write::Set] {
                    let backward = |view: fn(Place) -> View| PadGradArgs {
                        pad,
                        dy: view(dy),
                        dx: view(dx),
                        mode,
                    };
                    desk.cpu.reflection_pad_grad(&backward(|place| place.cpu)).unwrap();
                    desk.cuda.reflection_pad_grad(&backward(|place| place.gpu)).unwrap();
                    close(desk, dx, &format!("gradient of {what}, {mode:?}"));
                }
            }
        });
    }
}
