//! `translate --device cuda`.

use pix2pix_engine::data::Image;
use pix2pix_engine::tensor::Samples;

use crate::on_gpu::ok;
use crate::program::{bench, picture, save, train, words};

/// The samples of an image with 8 bits a channel.
fn bytes(image: &Image) -> &[u8] {
    let Samples::U8(bytes) = &image.samples else { panic!("{}", image.format()) };
    bytes
}

#[test]
fn a_translation_is_the_cpus_within_a_grey_level() {
    if !cuda::nvrtc::or_skip("a_translation_is_the_cpus_within_a_grey_level") {
        return;
    }
    let folder = bench();
    let cwd = folder.path();
    train(cwd, "run", "--steps 3 --device cpu");
    // One picture of a size that the network takes, and one that must be padded.
    save(&cwd.join("in/even.png"), &picture(64, 32, 5));
    save(&cwd.join("in/odd.png"), &picture(37, 45, 6));
    // By tiles statistics are measured on the device in one pass and given to it in the next.
    for flags in ["", "--norm running", "--dropout on --seed 9", "--scale 2 --tile 64"] {
        let line = format!("translate run in --output cpu --device cpu {flags}");
        crate::program::ok(cwd, &words(&line));
        // bf16 holds a value in -1..1 to 2^-9 at best, half a grey level, before anything is
        // summed.
        for (precision, levels) in [("f32", 1), ("tf32", 1), ("bf16", 4)] {
            let line = format!("translate run in --output gpu --device cuda {flags}");
            ok(cwd, &format!("{line} --precision {precision}"));
            for name in ["even.png", "odd.png"] {
                let [a, b] = ["cpu", "gpu"].map(|f| Image::read(&cwd.join(f).join(name)).unwrap());
                assert_eq!((a.width, a.height), (b.width, b.height));
                let [a, b] = [&a, &b].map(bytes);
                let apart = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max();
                assert!(apart.unwrap() <= levels, "{precision} {flags} {name}: {apart:?} levels");
            }
        }
    }
}
