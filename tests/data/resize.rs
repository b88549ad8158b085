//! Resizing and augmentation give Pillow's bytes.

use pix2pix_engine::data::{Augment, Draw, Image, sheet, values};

use crate::{Reader, golden, marked};

fn assert_equal(got: &Image, want: &Image, what: &str) {
    assert_eq!((got.width, got.height), (want.width, want.height), "{what}");
    let differ = got.pixels.iter().zip(&want.pixels).filter(|(a, b)| a != b).count();
    assert_eq!(differ, 0, "{what}: {differ} of {} bytes differ", want.pixels.len());
}

#[test]
fn bicubic_gives_the_bytes_of_pillow() {
    let mut file = Reader::open(&golden("resize.bin"));
    let mut cases = 0;
    while !file.done() {
        let [w, h, to_w, to_h] = [(); 4].map(|()| file.number());
        let x = file.picture(w, h);
        let want = file.picture(to_w, to_h);
        assert_equal(&x.resize(to_w, to_h), &want, &format!("{w}x{h} to {to_w}x{to_h}"));
        cases += 1;
    }
    assert_eq!(cases, 19);
}

/// What the network sees of a resized picture.
fn cut(picture: &Image, draw: Draw, size: usize) -> Image {
    let cut = picture.crop(draw.x, draw.y, size, size);
    if draw.flip { cut.mirror() } else { cut }
}

#[test]
fn jitter_and_flip_give_the_bytes_of_pillow() {
    let mut file = Reader::open(&golden("augment.bin"));
    let mut cases = 0;
    while !file.done() {
        let [seed, epoch, sample, size, w, h] = [(); 6].map(|()| file.number());
        let x = file.picture(w, h);
        let want = file.picture(size, size);
        let augment = Augment { size, jitter: true, flip: true, seed: seed as u64 };
        let draw = augment.draw(epoch, sample, 0);
        let out = cut(&augment.resized(&x), draw, size);
        assert_equal(&out, &want, &format!("seed {seed} epoch {epoch} sample {sample}"));
        cases += 1;
    }
    assert_eq!(cases, 5);
}

/// Each of 31 offsets has probability 1/31, the flip 1/2: with 6,200 draws the counts lie within six
/// deviations (14 and 39) of 200 and 3,100.
#[test]
fn draws_cover_every_offset_and_both_flips_evenly() {
    let augment = Augment { size: 256, jitter: true, flip: true, seed: 11 };
    let (mut x, mut y, mut flips) = ([0i32; 31], [0i32; 31], 0i32);
    for sample in 0..6_200 {
        let draw = augment.draw(sample / 100, sample, 0);
        x[draw.x] += 1;
        y[draw.y] += 1;
        flips += i32::from(draw.flip);
    }
    assert!(x.iter().chain(&y).all(|n| (n - 200).abs() < 84), "{x:?} {y:?}");
    assert!((flips - 3_100).abs() < 234, "{flips}");
}

#[test]
fn without_jitter_a_picture_of_the_size_stays_as_it_is() {
    let x = marked(32, 32, 5);
    let augment = Augment { size: 32, jitter: false, flip: false, seed: 3 };
    assert_eq!(augment.draw(4, 2, 0), Draw { x: 0, y: 0, flip: false });
    assert_eq!(augment.resized(&x), x);
    let other = marked(50, 20, 5);
    assert_eq!(augment.resized(&other), other.resize(32, 32));
    let flipping = Augment { flip: true, ..augment };
    let flipped = (0..64).map(|s| flipping.draw(0, s, 0)).find(|d| d.flip).unwrap();
    assert_eq!(cut(&flipping.resized(&x), flipped, 32), x.mirror());
    assert_ne!(x.mirror(), x);
}

#[test]
fn load_size_is_286_at_256() {
    let load = |size| Augment { size, jitter: true, flip: true, seed: 0 }.load();
    assert_eq!([256, 128, 64, 512, 1].map(load), [286, 143, 72, 572, 1]);
}

#[test]
fn every_byte_survives_the_way_to_values_and_back() {
    let bytes: Vec<u8> = (0..=255).collect();
    let mut x = vec![0.0; 256];
    values::from_bytes(&bytes, &mut x);
    assert_eq!((x[0], x[255]), (-1.0, 1.0));
    let mut back = vec![0; 256];
    values::to_bytes(&x, &mut back);
    assert_eq!(back, bytes);
    let mut edge = [9; 5];
    values::to_bytes(&[-3.0, 7.5, 0.0, 0.4 / 127.5 - 1.0, f32::NAN], &mut edge);
    assert_eq!(edge, [0, 255, 128, 0, 0]);
}

#[test]
fn a_sheet_shows_rows_of_samples_with_gaps() {
    let row = |t| vec![marked(6, 4, t), marked(6, 4, t + 1), marked(6, 4, t + 2)];
    let rows = [row(10), row(20)];
    let all = sheet(&rows).unwrap();
    assert_eq!((all.width, all.height), (6 * 3 + 8, 4 * 2 + 4));
    for (r, row) in rows.iter().enumerate() {
        for (c, picture) in row.iter().enumerate() {
            assert_eq!(&all.crop(c * 10, r * 8, 6, 4), picture);
        }
    }
    assert_eq!(all.at(7, 0), [255; 3]);
    assert!(sheet(&[]).is_err());
    let uneven = [row(1), vec![marked(6, 4, 0)]];
    assert!(sheet(&uneven).unwrap_err().to_string().contains("row 1 has 1 pictures"));
    let mixed = [vec![marked(6, 4, 0), marked(4, 6, 0)]];
    assert!(sheet(&mixed).unwrap_err().to_string().contains("4x6"));
}
