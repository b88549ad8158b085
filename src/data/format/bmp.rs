//! BMP: 8 bits.

use image::ImageFormat;

use super::image_crate::ImageCrate;

/// BMP files.
pub static BMP: ImageCrate = ImageCrate {
    format: ImageFormat::Bmp,
    name: "BMP",
    extensions: &["bmp"],
    recognises: |start| start.starts_with(b"BM"),
};
