//! Images to and from a device: the CPU's numbers and samples.

use pix2pix_engine::kernel::{ImageBatch, ImageKernels};
use pix2pix_engine::tensor::{Crop, Elem, SampleRange, SampleSlice, SampleType, Samples, Shape};

use crate::cases::{STORED, same};
use crate::common::numbers;
use crate::desk::{ORDERS, on_softgpu};

const BYTE: SampleRange = SampleRange::BYTE;

#[test]
fn images_go_in_and_out() {
    for precision in STORED {
        on_softgpu("images_go_in_and_out", precision, &ORDERS, |desk| {
            for shape in
                [Shape::new(1, 16, 17, 3), Shape::new(2, 5, 7, 1), Shape::new(1, 40, 64, 3)]
            {
                let bytes: Vec<u8> = (0..shape.count()).map(|i| (i * 7 % 256) as u8).collect();
                let x = desk.slice(shape, shape.c + 3, 2, &vec![0.0; shape.count()]);
                let sent = SampleSlice::U8(&bytes);
                desk.cpu.upload_images(sent, BYTE, x.cpu).unwrap();
                desk.cuda.upload_images(sent, BYTE, x.gpu).unwrap();
                if precision == pix2pix_engine::device::Precision::F32 {
                    same(desk, x, "upload");
                }
                let back = desk.cuda.download_images(x.gpu, BYTE, SampleType::U8).unwrap();
                let Samples::U8(back) = back else { panic!("u8 was asked for") };
                let apart = back.iter().zip(&bytes).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                // bf16 has 8 bits in all: a value near 1 is stored to 2^-9, half a grey level.
                assert!(apart <= u8::from(x.gpu.elem.size() == 2), "{apart} levels");
                // Values out of range, and halves.
                let mut values = numbers(shape.count(), 5);
                values.iter_mut().for_each(|v| *v *= 8.0);
                values[0] = 0.5 / 127.5 - 1.0;
                desk.set(x, &values);
                let got = desk.cuda.download_images(x.gpu, BYTE, SampleType::U8).unwrap();
                let expected = desk.cpu.download_images(x.cpu, BYTE, SampleType::U8).unwrap();
                assert!(got == expected, "{precision:?} {shape}");
            }
            let x = desk.tensor(Shape::new(1, 2, 2, 3), &[0.0; 12]);
            assert!(desk.cuda.upload_images(SampleSlice::U8(&[0; 11]), BYTE, x.gpu).is_err());
            for nothing in [[3.0, 3.0], [4.0, 3.0], [f64::NAN, 3.0]] {
                let range = SampleRange { low: nothing[0], high: nothing[1] };
                assert!(desk.cuda.upload_images(SampleSlice::U8(&[0; 12]), range, x.gpu).is_err());
                assert!(desk.cuda.download_images(x.gpu, range, SampleType::U8).is_err());
                assert!(desk.cpu.download_images(x.cpu, range, SampleType::U8).is_err());
            }
        });
    }
}

/// Every sample type with ranges that begin at 0 and elsewhere, one to nine channels, cropped and
/// flipped on the way in: the CPU's numbers bit for bit, and its samples on the way out, with
/// values that leave the range, and halves. What is not finite is refused, with how many there are.
#[test]
fn samples_of_every_type_go_in_and_out() {
    let wild = |i: usize| (i * 2_654_435_761 % 65_536) as u16;
    let ranges = [(0.0, 255.0), (0.0, 65_535.0), (-50.0, 350.5), (1e-3, 1.1e-3)];
    for precision in STORED {
        on_softgpu("samples_of_every_type", precision, &ORDERS, |desk| {
            for (channels, (low, high)) in [1, 2, 4, 9].into_iter().zip(ranges) {
                let (shape, height, width) = (Shape::new(2, 5, 6, channels), 7, 9);
                let range = SampleRange { low, high };
                let count = shape.n * height * width * channels;
                let half = range.half() as f32;
                let bytes: Vec<u8> = (0..count).map(|i| wild(i) as u8).collect();
                let deep: Vec<u16> = (0..count).map(wild).collect();
                let number = |i| f32::from(wild(i)) / 30_000.0 * half + low as f32;
                let wide: Vec<f32> = (0..count).map(number).collect();
                let crops = [(3, 2, true), (0, 1, false)].map(|(x, y, flip)| Crop { x, y, flip });
                for samples in
                    [SampleSlice::U8(&bytes), SampleSlice::U16(&deep), SampleSlice::F32(&wide)]
                {
                    let of = samples.sample_type();
                    let x = desk.slice(shape, channels + 3, 2, &vec![0.0; shape.count()]);
                    let batch = ImageBatch { samples, range, height, width, crops: &crops };
                    desk.cpu.upload_crops(batch, x.cpu).unwrap();
                    desk.cuda.upload_crops(batch, x.gpu).unwrap();
                    let (got, on_cpu) = desk.read(x);
                    for (i, (got, on_cpu)) in got.iter().zip(&on_cpu).enumerate() {
                        let value = *on_cpu as f32;
                        let stored = match x.gpu.elem {
                            Elem::F32 => value,
                            Elem::Bf16 => half::bf16::from_f32(value).to_f32(),
                        };
                        assert_eq!(*got, stored, "{of} {low}..{high} at {i}");
                    }
                    let mut values = numbers(shape.count(), 5);
                    values.iter_mut().for_each(|v| *v *= 8.0);
                    values[0] = 0.5 / half - 1.0;
                    values[1] = 1e30;
                    values[2] = -1e30;
                    desk.set(x, &values);
                    let out = desk.cuda.download_images(x.gpu, range, of).unwrap();
                    let want = desk.cpu.download_images(x.cpu, range, of).unwrap();
                    assert!(out == want, "{of} {low}..{high} {precision:?}");
                    let wrong = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN];
                    for (i, wrong) in wrong.into_iter().enumerate() {
                        values[shape.count() - 1 - 7 * i] = wrong;
                        desk.set(x, &values);
                        let said = format!("{} of {} numbers", i + 1, shape.count());
                        for refused in [
                            desk.cuda.download_images(x.gpu, range, of),
                            desk.cpu.download_images(x.cpu, range, of),
                        ] {
                            let error = refused.unwrap_err().to_string();
                            assert!(error.contains(&said) && error.contains("`lr`"), "{error}");
                        }
                    }
                }
            }
        });
    }
}

/// Many batches one after another, which reuse the slots of the ring.
#[test]
fn images_of_many_steps_arrive_in_order() {
    on_softgpu("images_of_many_steps", pix2pix_engine::device::Precision::F32, &ORDERS, |desk| {
        let shape = Shape::new(1, 8, 8, 3);
        let places: Vec<_> =
            (0..20).map(|_| desk.tensor(shape, &vec![0.0; shape.count()])).collect();
        for (i, place) in places.iter().enumerate() {
            let bytes = vec![10 * i as u8; shape.count()];
            let sent = SampleSlice::U8(&bytes);
            desk.cpu.upload_images(sent, BYTE, place.cpu).unwrap();
            desk.cuda.upload_images(sent, BYTE, place.gpu).unwrap();
        }
        places.iter().for_each(|place| same(desk, *place, "a batch"));
    });
}

/// Crops at every edge of pictures of odd sizes, some flipped, several batches into channels of a
/// wider tensor: the CPU's numbers bit for bit, which are those of the expected samples.
#[test]
fn images_are_cropped_and_flipped() {
    let corner = |x, y, flip| Crop { x, y, flip };
    let cases = [
        (Shape::new(1, 16, 16, 3), [18, 18], vec![corner(1, 2, true)]),
        (
            Shape::new(3, 13, 11, 3),
            [17, 16],
            vec![corner(0, 4, true), corner(5, 0, false), corner(5, 4, true)],
        ),
        (
            Shape::new(3, 7, 9, 1),
            [7, 12],
            vec![corner(3, 0, false), corner(0, 0, true), corner(2, 0, true)],
        ),
        (Shape::new(2, 1, 1, 3), [3, 5], vec![corner(4, 2, true), corner(0, 0, false)]),
        (Shape::new(1, 40, 64, 3), [45, 72], vec![corner(8, 5, false)]),
    ];
    for precision in STORED {
        on_softgpu("images_are_cropped_and_flipped", precision, &ORDERS, |desk| {
            for (shape, [height, width], crops) in &cases {
                let (shape, height, width) = (*shape, *height, *width);
                let count = shape.n * height * width * shape.c;
                let bytes: Vec<u8> = (0..count).map(|i| (i * 37 % 251) as u8).collect();
                let x = desk.slice(shape, shape.c + 3, 2, &vec![0.0; shape.count()]);
                let samples = SampleSlice::U8(&bytes);
                let pictures = ImageBatch { samples, range: BYTE, height, width, crops };
                desk.cpu.upload_crops(pictures, x.cpu).unwrap();
                desk.cuda.upload_crops(pictures, x.gpu).unwrap();
                let (got, on_cpu) = desk.read(x);
                let mut i = 0;
                for (n, crop) in crops.iter().enumerate() {
                    for h in 0..shape.h {
                        for w in 0..shape.w {
                            let w = if crop.flip { shape.w - 1 - w } else { w };
                            let at = (n * height + crop.y + h) * width + crop.x + w;
                            for c in 0..shape.c {
                                let value = f32::from(bytes[at * shape.c + c]) / 127.5 - 1.0;
                                let stored = match x.gpu.elem {
                                    Elem::F32 => value,
                                    Elem::Bf16 => half::bf16::from_f32(value).to_f32(),
                                };
                                let both = (on_cpu[i], got[i]);
                                assert_eq!(both, (f64::from(value), stored), "{shape} at {i}");
                                i += 1;
                            }
                        }
                    }
                }
            }
        });
    }
}

/// A crop outside its picture, too few crops and too few bytes are refused before anything is sent.
#[test]
fn images_are_refused_where_a_crop_leaves_them() {
    on_softgpu("images_are_refused", STORED[0], &ORDERS[..1], |desk| {
        let shape = Shape::new(2, 4, 4, 3);
        let x = desk.tensor(shape, &vec![0.5; shape.count()]);
        let bytes = [0; 2 * 6 * 5 * 3];
        let samples = SampleSlice::U8(&bytes);
        let (range, height, width) = (BYTE, 6, 5);
        let good = Crop { x: 1, y: 2, flip: true };
        let bad = [
            (vec![good, Crop { x: 2, ..good }], "picture 1"),
            (vec![Crop { y: 3, ..good }, good], "picture 0"),
            (vec![good, Crop { x: usize::MAX, ..good }], "picture 1"),
            (vec![good], "1 crops"),
        ];
        for (crops, says) in &bad {
            let pictures = ImageBatch { samples, range, height, width, crops };
            for error in [
                desk.cpu.upload_crops(pictures, x.cpu).unwrap_err(),
                desk.cuda.upload_crops(pictures, x.gpu).unwrap_err(),
            ] {
                assert!(error.to_string().contains(says), "{error}");
            }
        }
        let crops = [good; 2];
        let samples = SampleSlice::U8(&bytes[1..]);
        let short = ImageBatch { samples, range, height, width, crops: &crops };
        assert!(desk.cpu.upload_crops(short, x.cpu).is_err());
        assert!(desk.cuda.upload_crops(short, x.gpu).is_err());
        let (got, on_cpu) = desk.read(x);
        assert!(got.iter().all(|v| *v == 0.5) && on_cpu.iter().all(|v| *v == 0.5));
    });
}
