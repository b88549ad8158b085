//! Images, folders, loader and metrics, against files that `tests/golden/make_data.py` wrote with
//! Pillow and scikit-image.

mod damaged;
mod folder;
mod formats;
mod hostile;
mod image;
mod loader;
mod metric;
#[path = "../common/mutate.rs"]
mod mutate;
mod mutated;
mod notes;
mod resize;
mod tiles;
mod translate;

use std::path::{Path, PathBuf};

use pix2pix_engine::data::Image;
use pix2pix_engine::tensor::Samples;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/data").join(name)
}

fn atlas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/atlas")
}

/// Reads the little-endian numbers and bytes of a golden file, front to back.
struct Reader {
    bytes: Vec<u8>,
    at: usize,
}

impl Reader {
    fn open(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Reader { bytes, at: 0 }
    }

    fn done(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn take(&mut self, count: usize) -> &[u8] {
        self.at += count;
        &self.bytes[self.at - count..self.at]
    }

    fn number(&mut self) -> usize {
        u32::from_le_bytes(self.take(4).try_into().unwrap()) as usize
    }

    fn real(&mut self) -> f64 {
        f64::from_le_bytes(self.take(8).try_into().unwrap())
    }

    fn picture(&mut self, width: usize, height: usize) -> Image {
        Image::new(width, height, 3, self.take(width * height * 3).to_vec()).unwrap()
    }
}

/// A picture whose pixels all tell their place and `tag`.
fn marked(width: usize, height: usize, tag: u8) -> Image {
    let pixel = |i: usize| {
        let (x, y) = (i % width, i / width);
        [(x * 7 + y * 13) as u8, (x * 3) as u8, tag]
    };
    let pixels: Vec<u8> = (0..width * height).flat_map(pixel).collect();
    Image::new(width, height, 3, pixels).unwrap()
}

/// The samples of an image with 8 bits a channel.
pub fn bytes(image: &Image) -> &[u8] {
    let Samples::U8(bytes) = &image.samples else { panic!("{}", image.format()) };
    bytes
}

fn save(folder: &Path, name: &str, picture: &Image) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.write_png(&path).unwrap();
}
