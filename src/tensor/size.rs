//! Height and width of images.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Height and width in pixels. In files and flags a square is one number, others are height and width:
/// `[256, 512]`, "256x512".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Size {
    /// Rows.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Square(usize),
    Two([usize; 2]),
}

impl From<Stored> for Size {
    fn from(stored: Stored) -> Size {
        match stored {
            Stored::Square(side) => Size::from(side),
            Stored::Two([height, width]) => Size { height, width },
        }
    }
}

impl From<Size> for Stored {
    fn from(size: Size) -> Stored {
        match size.square() {
            Some(side) => Stored::Square(side),
            None => Stored::Two([size.height, size.width]),
        }
    }
}

/// A square.
impl From<usize> for Size {
    fn from(side: usize) -> Size {
        Size { height: side, width: side }
    }
}

impl Size {
    /// The side of a square.
    pub fn square(self) -> Option<usize> {
        (self.height == self.width).then_some(self.height)
    }

    /// Width and height.
    pub fn across(self) -> [usize; 2] {
        [self.width, self.height]
    }

    /// The shorter side.
    pub fn least(self) -> usize {
        self.height.min(self.width)
    }

    /// The longer side.
    pub fn most(self) -> usize {
        self.height.max(self.width)
    }

    /// Pixels; saturates.
    pub fn pixels(self) -> usize {
        self.height.saturating_mul(self.width)
    }

    /// Both sides changed alike.
    pub fn map(self, side: impl Fn(usize) -> usize) -> Size {
        Size { height: side(self.height), width: side(self.width) }
    }
}

/// Width and height, as pictures are described: "512 x 256".
impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} x {}", self.width, self.height)
    }
}

/// "256", or height and width: "256x512".
impl FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Size> {
        let side = |text: &str| text.trim().parse().ok();
        let size = match text.split_once(['x', 'X']) {
            Some((height, width)) => {
                side(height).zip(side(width)).map(|(height, width)| Size { height, width })
            }
            None => side(text).map(Size::from),
        };
        size.ok_or_else(|| {
            Error::input("it is a number of pixels such as 256, or height x width such as 256x512")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        let wide = Size { height: 256, width: 512 };
        assert_eq!("256x512".parse::<Size>().unwrap(), wide);
        assert_eq!("64".parse::<Size>().unwrap(), 64.into());
        assert_eq!(wide.to_string(), "512 x 256");
        for wrong in ["", "x", "12x", "-1", "1x2x3", "1.5"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
        for (size, text) in [(wide, "[256,512]"), (64.into(), "64")] {
            assert_eq!(serde_json::to_string(&size).unwrap(), text);
            assert_eq!(serde_json::from_str::<Size>(text).unwrap(), size);
        }
        assert_eq!((wide.square(), wide.least(), wide.pixels()), (None, 256, 131_072));
    }
}
