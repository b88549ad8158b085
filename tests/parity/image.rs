//! Pictures in and out: the CPU's bytes.

use pix2pix_engine::kernel::PictureKernels;
use pix2pix_engine::tensor::Shape;

use crate::cases::{STORED, same};
use crate::common::numbers;
use crate::desk::{ORDERS, on_softgpu};

#[test]
fn images_go_in_and_out() {
    for precision in STORED {
        on_softgpu("images_go_in_and_out", precision, &ORDERS, |desk| {
            for shape in
                [Shape::new(1, 16, 17, 3), Shape::new(2, 5, 7, 1), Shape::new(1, 40, 64, 3)]
            {
                let bytes: Vec<u8> = (0..shape.count()).map(|i| (i * 7 % 256) as u8).collect();
                let x = desk.slice(shape, shape.c + 3, 2, &vec![0.0; shape.count()]);
                desk.cpu.upload_pictures(&bytes, x.cpu).unwrap();
                desk.cuda.upload_pictures(&bytes, x.gpu).unwrap();
                if precision == pix2pix_engine::device::Precision::F32 {
                    same(desk, x, "upload");
                }
                let mut back = vec![0; bytes.len()];
                desk.cuda.download_pictures(x.gpu, &mut back).unwrap();
                let apart = back.iter().zip(&bytes).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                // bf16 has 8 bits in all: a value near 1 is stored to 2^-9, half a grey level.
                assert!(apart <= u8::from(x.gpu.elem.size() == 2), "{apart} levels");
                // Out of range, and halves.
                let mut values = numbers(shape.count(), 5);
                values.iter_mut().for_each(|v| *v *= 8.0);
                values[0] = 0.5 / 127.5 - 1.0;
                desk.set(x, &values);
                let (mut got, mut expected) = (vec![0; bytes.len()], vec![0; bytes.len()]);
                desk.cuda.download_pictures(x.gpu, &mut got).unwrap();
                desk.cpu.download_pictures(x.cpu, &mut expected).unwrap();
                assert!(got == expected, "{precision:?} {shape}");
            }
            let x = desk.tensor(Shape::new(1, 2, 2, 3), &[0.0; 12]);
            assert!(desk.cuda.upload_pictures(&[0; 11], x.gpu).is_err());
            assert!(desk.cuda.download_pictures(x.gpu, &mut [0; 13]).is_err());
        });
    }
}

/// Many batches one after the other: the slots of the ring are used again and again.
#[test]
fn images_of_many_steps_arrive_in_order() {
    on_softgpu("images_of_many_steps", pix2pix_engine::device::Precision::F32, &ORDERS, |desk| {
        let shape = Shape::new(1, 8, 8, 3);
        let places: Vec<_> =
            (0..20).map(|_| desk.tensor(shape, &vec![0.0; shape.count()])).collect();
        for (i, place) in places.iter().enumerate() {
            let bytes = vec![10 * i as u8; shape.count()];
            desk.cpu.upload_pictures(&bytes, place.cpu).unwrap();
            desk.cuda.upload_pictures(&bytes, place.gpu).unwrap();
        }
        places.iter().for_each(|place| same(desk, *place, "a batch"));
    });
}
