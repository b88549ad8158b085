//! Softmax cross entropy, its gradient, and labels that are no classes.

use pix2pix_engine::device::{Device, Precision};
use pix2pix_engine::kernel::{CrossEntropyArgs, CrossEntropyGradArgs, CrossEntropyKernels, Write};
use pix2pix_engine::tensor::{Elem, Shape, View};

use crate::cases::{STORED, close, placed};
use crate::common::numbers;
use crate::desk::{Desk, ORDERS, Place, on_softgpu};

/// Classes on and off vectors; one; batches of one block and of several, of which some take turns.
const SHAPES: [Shape; 6] = [
    Shape::new(1, 1, 1, 5),
    Shape::new(2, 7, 5, 8),
    Shape::new(1, 16, 16, 19),
    Shape::new(2, 17, 19, 3),
    Shape::new(1, 3, 3, 1),
    Shape::new(1, 180, 320, 2),
];

/// x, labels, loss, count, gradient of the loss, of x.
struct Operands {
    ignored: Option<usize>,
    x: Place,
    labels: Place,
    y: Place,
    count: Place,
    dy: Place,
    dx: Place,
}

impl Operands {
    fn new(desk: &mut Desk, shape: Shape, way: usize, labels: &[f32]) -> Self {
        let wide: Vec<f32> = numbers(shape.count(), 1).iter().map(|v| 20.0 * v).collect();
        let pixels = Shape { c: 1, ..shape };
        let labels = match desk.cuda.elem() {
            Elem::F32 => placed(desk, pixels, way, labels),
            Elem::Bf16 => desk.floats(pixels, labels),
        };
        let one = Shape::SCALAR;
        Operands {
            ignored: Some(255),
            x: placed(desk, shape, way, &wide),
            labels,
            y: desk.floats(one, &[7.0]),
            count: desk.floats(one, &[7.0]),
            dy: desk.floats(one, &[0.7 * shape.pixels() as f32]),
            dx: placed(desk, shape, way + way / 3, &numbers(shape.count(), 3)),
        }
    }

    fn forward(&self, view: fn(Place) -> View) -> CrossEntropyArgs {
        let [x, labels, y, count] = [self.x, self.labels, self.y, self.count].map(view);
        CrossEntropyArgs { x, labels, ignored: self.ignored, y, count }
    }

    fn backward(&self, view: fn(Place) -> View, mode: Write) -> CrossEntropyGradArgs {
        let all = [self.x, self.labels, self.count, self.dy, self.dx];
        let [x, labels, count, dy, dx] = all.map(view);
        CrossEntropyGradArgs { x, labels, ignored: self.ignored, count, dy, dx, mode }
    }

    /// Both devices, loss and gradient.
    fn check(&self, desk: &mut Desk, what: &str) {
        desk.cpu.cross_entropy(&self.forward(|place| place.cpu)).unwrap();
        desk.cuda.cross_entropy(&self.forward(|place| place.gpu)).unwrap();
        close(desk, self.y, what);
        close(desk, self.count, what);
        for mode in [Write::Add, Write::Set] {
            desk.cpu.cross_entropy_grad(&self.backward(|place| place.cpu, mode)).unwrap();
            desk.cuda.cross_entropy_grad(&self.backward(|place| place.gpu, mode)).unwrap();
            close(desk, self.dx, &format!("gradient of {what}, {mode:?}"));
        }
    }
}

/// Classes in turn, every fourth pixel ignored.
fn classes(shape: Shape) -> Vec<f32> {
    let class = |i: usize| if i % 4 == 3 { 255.0 } else { (i * 7 % shape.c) as f32 };
    (0..shape.pixels()).map(class).collect()
}

#[test]
fn cross_entropy_and_its_gradient() {
    for precision in STORED {
        on_softgpu("cross_entropy_and_its_gradient", precision, &ORDERS, |desk| {
            for (way, shape) in SHAPES.into_iter().enumerate() {
                let on = Operands::new(desk, shape, way, &classes(shape));
                on.check(desk, &format!("{shape}"));
                let (_, count) = desk.read(on.count);
                assert_eq!(count, [(shape.pixels() - shape.pixels() / 4) as f64]);
            }
        });
    }
}

/// A class may be the ignored one; without one all pixels count.
#[test]
fn cross_entropy_ignores_a_class_or_none() {
    on_softgpu("cross_entropy_ignores_a_class_or_none", Precision::F32, &ORDERS[..1], |desk| {
        let shape = Shape::new(1, 6, 7, 4);
        let labels: Vec<f32> = (0..shape.pixels()).map(|i| (i % 4) as f32).collect();
        for ignored in [Some(0), Some(3), None] {
            let on = Operands { ignored, ..Operands::new(desk, shape, 0, &labels) };
            on.check(desk, &format!("{ignored:?}"));
            let expected = labels.iter().filter(|l| Some(**l as usize) != ignored).count();
            assert_eq!(desk.read(on.count).1, [expected as f64]);
        }
    });
}

#[test]
fn cross_entropy_of_ignored_pixels_alone_is_0() {
    for precision in STORED {
        on_softgpu("cross_entropy_of_ignored_pixels_alone_is_0", precision, &ORDERS, |desk| {
            let shape = Shape::new(1, 5, 3, 4);
            let on = Operands::new(desk, shape, 1, &[255.0; 15]);
            on.check(desk, "ignored pixels alone");
            assert_eq!(desk.read(on.y).0, [0.0]);
            assert_eq!(desk.read(on.dx).0, [0.0; 60]);
        });
    }
}

/// The CPU says which pixel; a GPU has NaN for it, in the loss and at the pixel, and reads nothing
/// outside of it.
#[test]
fn cross_entropy_of_labels_that_are_no_classes() {
    let shape = Shape::new(1, 3, 4, 5);
    for label in [5.0, -1.0, 1.5, 3e9, f32::NAN, f32::INFINITY] {
        let mut labels = classes(shape);
        labels[6] = label;
        on_softgpu("cross_entropy_of_labels", Precision::F32, &ORDERS[..1], |desk| {
            let on = Operands::new(desk, shape, 0, &labels);
            let error = desk.cpu.cross_entropy(&on.forward(|place| place.cpu)).unwrap_err();
            let error = error.to_string();
            for part in ["(0, 1, 2)", "1x3x4x5", "1x3x4x1", "0 to 4", "255", &format!("{label}")] {
                assert!(error.contains(part), "{part} in {error}");
            }
            desk.cuda.cross_entropy(&on.forward(|place| place.gpu)).unwrap();
            assert!(desk.read(on.y).0[0].is_nan(), "{label}");
            let mode = Write::Set;
            assert!(desk.cpu.cross_entropy_grad(&on.backward(|place| place.cpu, mode)).is_err());
            desk.cuda.cross_entropy_grad(&on.backward(|place| place.gpu, mode)).unwrap();
            for (i, slope) in desk.read(on.dx).0.iter().enumerate() {
                assert_eq!(slope.is_nan(), i / 5 == 6, "{label} at {i}");
            }
        });
    }
}

/// A NaN among the logits makes the loss NaN, and the gradient of its pixel alone, on both devices; at
/// a pixel that is ignored it does nothing.
#[test]
fn cross_entropy_of_nan() {
    let shape = Shape::new(1, 3, 4, 5);
    for precision in STORED {
        for (pixel, counts) in [(5, true), (7, false)] {
            on_softgpu("cross_entropy_of_nan", precision, &ORDERS[..1], |desk| {
                let on = Operands::new(desk, shape, 0, &classes(shape));
                let mut logits = numbers(shape.count(), 4);
                logits[5 * pixel + 2] = f32::NAN;
                desk.set(on.x, &logits);
                desk.cpu.cross_entropy(&on.forward(|place| place.cpu)).unwrap();
                desk.cuda.cross_entropy(&on.forward(|place| place.gpu)).unwrap();
                let mode = Write::Set;
                desk.cpu.cross_entropy_grad(&on.backward(|place| place.cpu, mode)).unwrap();
                desk.cuda.cross_entropy_grad(&on.backward(|place| place.gpu, mode)).unwrap();
                let (got, expected) = desk.read(on.y);
                assert_eq!((got[0].is_nan(), expected[0].is_nan()), (counts, counts));
                let (got, expected) = desk.read(on.dx);
                for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
                    let nan = counts && i / 5 == pixel;
                    assert_eq!((got.is_nan(), expected.is_nan()), (nan, nan), "at {i}");
                }
            });
        }
    }
}
