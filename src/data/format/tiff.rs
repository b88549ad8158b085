//! TIFF: grey or RGB with 8 or 16 bits, RGB floats; of several pages the first.

use image::ImageFormat;

use super::image_crate::ImageCrate;

/// TIFF files.
pub static TIFF: ImageCrate = ImageCrate {
    format: ImageFormat::Tiff,
    name: "TIFF",
    extensions: &["tiff", "tif"],
    recognises: |start| {
        // The second pair is BigTIFF.
        let marks: [&[u8]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
        marks.iter().any(|mark| start.starts_with(mark))
    },
};
