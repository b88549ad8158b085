//! WebP: RGB with 8 bits, with or without alpha; written without loss.

use image::ImageFormat;

use super::image_crate::ImageCrate;

/// WebP files.
pub static WEBP: ImageCrate = ImageCrate {
    format: ImageFormat::WebP,
    name: "WebP",
    extensions: &["webp"],
    recognises: |start| start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP"),
};
