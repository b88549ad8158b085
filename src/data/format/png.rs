//! PNG: grey or RGB, with alpha or a palette, 8 or 16 bits.

use image::ImageFormat;

use super::image_crate::ImageCrate;

/// PNG files.
pub static PNG: ImageCrate = ImageCrate {
    format: ImageFormat::Png,
    name: "PNG",
    extensions: &["png"],
    recognises: |start| start.starts_with(b"\x89PNG\r\n\x1a\n"),
};
