//! The passes of a convolution on the CPU against their definition in f64, for each of its
//! algorithms: few channels, minimal filtering, gathered windows, few pixels.

mod common;

use common::{PRODUCT_NMSE, SlowConv, cpu, nmse, numbers, read};
use pix2pix_engine::device::{Arena, Cpu, Device};
use pix2pix_engine::kernel::{Conv, ConvArgs, ConvKernels, Pass, PointwiseKernels, Write};
use pix2pix_engine::tensor::{Shape, View};

/// (window, batch, height, width, input channels, output channels)
const CASES: &[(Conv, usize, usize, usize, usize, usize)] = &[
    // Minimal filtering: stride 2 by F(2, 2) and F(3, 2), stride 1 by F(3, 4); also sizes that the
    // tile does not divide.
    (Conv::HALVE, 1, 32, 32, 32, 48),
    (Conv::HALVE, 2, 44, 36, 16, 32),
    (Conv::HALVE, 1, 35, 33, 16, 16),
    (Conv::PATCH, 1, 32, 32, 16, 48),
    (Conv::PATCH, 2, 17, 23, 32, 16),
    (Conv::HALVE, 1, 64, 64, 16, 272),
    // Few channels on one side.
    (Conv::HALVE, 1, 32, 32, 3, 16),
    (Conv::HALVE, 2, 20, 24, 6, 64),
    (Conv::PATCH, 1, 31, 31, 32, 1),
    (Conv::PATCH, 2, 9, 7, 16, 2),
    (Conv::PIXEL, 1, 16, 16, 32, 1),
    (Conv::PIXEL, 1, 16, 16, 6, 64),
    // Few pixels, with taps that meet only padding.
    (Conv::HALVE, 1, 2, 2, 40, 24),
    (Conv::HALVE, 1, 4, 4, 32, 33),
    (Conv::HALVE, 3, 8, 8, 20, 24),
    (Conv::HALVE, 1, 16, 16, 64, 40),
    (Conv::HALVE, 1, 2, 4, 130, 18),
    // Any window.
    (Conv::square(3, 1, 1), 1, 12, 11, 40, 24),
    (Conv::square(3, 2, 1), 2, 13, 12, 40, 24),
    (Conv::square(7, 1, 3), 1, 16, 16, 3, 8),
    (Conv::square(4, 2, 1), 1, 24, 24, 40, 24),
    (Conv::square(5, 3, 0), 1, 30, 29, 36, 8),
    (Conv { r: 2, s: 3, stride: 2, pad: 1 }, 1, 21, 23, 90, 8),
];

/// A pass without a bias: x, w and y, or their gradients.
fn pass(cpu: &mut Cpu, pass: Pass, conv: Conv, [x, w, y]: [View; 3], mode: Write) {
    cpu.conv(&ConvArgs { pass, conv, x, w, y, bias: None, mode }).unwrap();
}

/// Every pass, set and added, dense and into a slice of a wider buffer.
#[test]
fn products_follow_their_definition() {
    for (row, &(conv, n, h, w, c, k)) in CASES.iter().enumerate() {
        let x = Shape::new(n, h, w, c);
        let y = conv.shrink(x, k).unwrap();
        let f = Shape::new(k, conv.r, conv.s, c);
        let mut arena = Arena::default();
        let slice = |arena: &mut Arena, shape: Shape, left: usize| -> View {
            let wide = arena.take(Shape { c: shape.c + 7, ..shape });
            wide.channels(left..left + shape.c).unwrap()
        };
        let (vx, vdx) = (slice(&mut arena, x, 3), slice(&mut arena, x, 2));
        let (vy, vdy) = (slice(&mut arena, y, 5), slice(&mut arena, y, 0));
        let (vw, vdw) = (arena.take(f), arena.take(f));
        let vb = arena.take(Shape::vector(k));
        let mut cpu = cpu(2, &arena);
        let (xs, ws) = (numbers(x.count(), 1), numbers(f.count(), 2));
        let (dys, bs) = (numbers(y.count(), 3), numbers(k, 4));
        for (view, values) in [(vx, &xs), (vw, &ws), (vdy, &dys), (vb, &bs)] {
            cpu.upload(view, values).unwrap();
        }
        let slow = SlowConv { conv, x, w: f, y };
        let expected = [slow.fprop(&xs, &ws), slow.dgrad(&dys, &ws), slow.wgrad(&xs, &dys)];
        for (mode, times) in [(Write::Set, 1.0), (Write::Add, 2.0)] {
            pass(&mut cpu, Pass::Fprop, conv, [vx, vw, vy], mode);
            pass(&mut cpu, Pass::Dgrad, conv, [vdx, vw, vdy], mode);
            pass(&mut cpu, Pass::Wgrad, conv, [vx, vdw, vdy], mode);
            for (name, view, exact) in [
                ("fprop", vy, &expected[0]),
                ("dgrad", vdx, &expected[1]),
                ("wgrad", vdw, &expected[2]),
            ] {
                let exact: Vec<f64> = exact.iter().map(|v| v * times).collect();
                let error = nmse(&read(&cpu, view), &exact);
                assert!(error < PRODUCT_NMSE, "row {row} {conv:?} {x} {name} {mode:?}: {error:e}");
            }
        }
        let (bias, mode) = (Some(vb), Write::Set);
        cpu.conv(&ConvArgs { pass: Pass::Fprop, conv, x: vx, w: vw, y: vy, bias, mode }).unwrap();
        let biased: Vec<f64> =
            expected[0].iter().enumerate().map(|(i, v)| v + f64::from(bs[i % k])).collect();
        assert!(nmse(&read(&cpu, vy), &biased) < PRODUCT_NMSE, "row {row} with bias");
    }
}

/// A slice's neighbours in the wider buffer do not change.
#[test]
fn products_write_only_their_channels() {
    for &(conv, n, h, w, c, k) in CASES {
        let x = Shape::new(n, h, w, c);
        let y = conv.shrink(x, k).unwrap();
        let mut arena = Arena::default();
        let (wx, wy) = (arena.take(Shape { c: c + 2, ..x }), arena.take(Shape { c: k + 2, ..y }));
        let vw = arena.take(Shape::new(k, conv.r, conv.s, c));
        let mut cpu = cpu(1, &arena);
        cpu.fill(wx, 7.0).unwrap();
        cpu.fill(wy, 7.0).unwrap();
        let (vx, vy) = (wx.channels(1..c + 1).unwrap(), wy.channels(1..k + 1).unwrap());
        pass(&mut cpu, Pass::Fprop, conv, [vx, vw, vy], Write::Set);
        pass(&mut cpu, Pass::Dgrad, conv, [vx, vw, vy], Write::Set);
        for (view, edge) in [(wx, c + 1), (wy, k + 1)] {
            let values = read(&cpu, view);
            for pixel in values.chunks(view.shape.c) {
                assert_eq!((pixel[0], pixel[edge]), (7.0, 7.0), "{conv:?} {x}");
            }
        }
    }
}

/// The same bytes whatever the number of threads.
#[test]
fn products_do_not_depend_on_threads() {
    for &(conv, n, h, w, c, k) in CASES {
        let x = Shape::new(n, h, w, c);
        let y = conv.shrink(x, k).unwrap();
        let f = Shape::new(k, conv.r, conv.s, c);
        let run = |threads: usize| {
            let mut arena = Arena::default();
            let [vx, vy, vw, vdw] = [x, y, f, f].map(|s| arena.take(s));
            let mut cpu = cpu(threads, &arena);
            cpu.upload(vx, &numbers(x.count(), 1)).unwrap();
            cpu.upload(vw, &numbers(f.count(), 2)).unwrap();
            pass(&mut cpu, Pass::Fprop, conv, [vx, vw, vy], Write::Set);
            pass(&mut cpu, Pass::Wgrad, conv, [vx, vdw, vy], Write::Set);
            pass(&mut cpu, Pass::Dgrad, conv, [vx, vw, vy], Write::Add);
            [vx, vy, vdw].map(|v| read(&cpu, v))
        };
        let (one, three) = (run(1), run(3));
        assert!(one == three, "{conv:?} {x}");
    }
}

/// The CPU keeps transformed filters between calls; a filter that any kernel has written since is
/// transformed again.
#[test]
fn a_filter_written_by_any_kernel_is_read_anew() {
    let (conv, n) = (Conv::HALVE, 16);
    let x = Shape::new(1, 32, 32, n);
    let (y, f) = (conv.shrink(x, n).unwrap(), Shape::new(n, 4, 4, n));
    let mut arena = Arena::default();
    let [vx, vy, vw, other] = [x, y, f, f].map(|s| arena.take(s));
    let mut cpu = cpu(1, &arena);
    cpu.upload(vx, &numbers(x.count(), 1)).unwrap();
    cpu.upload(other, &numbers(f.count(), 3)).unwrap();
    let writers: [fn(&mut Cpu, View, View); 3] = [
        |cpu, w, _| cpu.fill(w, 0.5).unwrap(),
        |cpu, w, other| cpu.scale(2.0, other, w, Write::Set).unwrap(),
        |cpu, w, other| cpu.upload(w, &read(cpu, other)).unwrap(),
    ];
    for (i, write) in writers.iter().enumerate() {
        cpu.upload(vw, &numbers(f.count(), 2)).unwrap();
        pass(&mut cpu, Pass::Fprop, conv, [vx, vw, vy], Write::Set);
        write(&mut cpu, vw, other);
        pass(&mut cpu, Pass::Fprop, conv, [vx, vw, vy], Write::Set);
        let exact = SlowConv { conv, x, w: f, y }.fprop(&read(&cpu, vx), &read(&cpu, vw));
        let error = nmse(&read(&cpu, vy), &exact);
        assert!(error < PRODUCT_NMSE, "writer {i}: {error:e}");
    }
}
