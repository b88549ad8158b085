//! Sheets of samples: one row per sample, input | output | target.

use super::{Image, PixelFormat};
use crate::error::{Error, Result};

/// Pixels between two pictures of a sheet.
const GAP: usize = 4;

/// Arranges images in rows, 4 white pixels apart. A row is one sample, usually
/// `[input, output, target]`.
///
/// # Errors
/// [`Error::Shape`] for no images, rows of different lengths, images of different sizes, and images
/// that are not 8-bit RGB (see [`Image::preview`]).
pub fn sheet(rows: &[Vec<Image>]) -> Result<Image> {
    let Some(first) = rows.first().and_then(|r| r.first()) else {
        return Err(Error::shape("sheet", "there is no picture to show"));
    };
    let (w, h, columns) = (first.width, first.height, rows[0].len());
    let extent = |count: usize, size: usize| count * size + (count - 1) * GAP;
    let mut all = Image::filled(extent(columns, w), extent(rows.len(), h), &[255; 3]);
    for (r, row) in rows.iter().enumerate() {
        if row.len() != columns {
            return Err(Error::shape(
                "sheet",
                format!("row {r} has {} pictures, row 0 has {columns}", row.len()),
            ));
        }
        for (c, picture) in row.iter().enumerate() {
            if picture.format() != PixelFormat::RGB {
                return Err(Error::shape(
                    "sheet",
                    format!("picture {c} of row {r} has {}, not 8-bit RGB", picture.format()),
                ));
            }
            if (picture.width, picture.height) != (w, h) {
                return Err(Error::shape(
                    "sheet",
                    format!(
                        "picture {c} of row {r} is {}x{}, the first is {w}x{h}",
                        picture.width, picture.height
                    ),
                ));
            }
            for y in 0..h {
                let at = ((r * (h + GAP) + y) * all.width + c * (w + GAP)) * 3;
                all.samples.copy_at(at, picture.row(y));
            }
        }
    }
    Ok(all)
}
