//! Palettes: the classes of label maps, with their names, colours and values, from a file or built in.
//!
//! A palette file is a text with a class a line, `RED GREEN BLUE [NAME]` or `VALUE = RED GREEN BLUE [NAME]`
//! with numbers of 0 to 255, or `#rrggbb` in place of three numbers. Empty lines and those that begin with
//! `//` are passed over. `VALUE` is the sample that means the class in files of one channel; by default its
//! place in the list, from 0.

use std::fs;
use std::path::Path;

use super::Class;
use crate::error::{Error, Result};

/// The most bytes of a palette file: 65,535 classes with long names.
const MAX_BYTES: u64 = 8 << 20;

/// The 19 classes of Cityscapes that are evaluated (Cordts et al. 2016), with their label ids and colours.
/// Source: the labels of the data set's scripts.
const CITYSCAPES: &str = "\
7 = 128 64 128 road
8 = 244 35 232 sidewalk
11 = 70 70 70 building
12 = 102 102 156 wall
13 = 190 153 153 fence
17 = 153 153 153 pole
19 = 250 170 30 traffic light
20 = 220 220 0 traffic sign
21 = 107 142 35 vegetation
22 = 152 251 152 terrain
23 = 70 130 180 sky
24 = 220 20 60 person
25 = 255 0 0 rider
26 = 0 0 142 car
27 = 0 0 70 truck
28 = 0 60 100 bus
31 = 0 80 100 train
32 = 0 0 230 motorcycle
33 = 119 11 32 bicycle
";

/// The 12 classes of the CMP facades (Tylecek and Sara 2013), in the order of their values. Source: the
/// data set's list of labels; the colours are those of the paper's pictures.
const CMP_FACADES: &str = "\
1 = 0 0 170 background
2 = 0 0 255 facade
3 = 0 85 255 window
4 = 0 170 255 door
5 = 0 255 255 cornice
6 = 85 255 170 sill
7 = 170 255 85 balcony
8 = 255 255 0 blind
9 = 255 170 0 deco
10 = 255 85 0 molding
11 = 255 0 0 pillar
12 = 170 0 0 shop
";

/// The names of the palettes that are built in.
pub const BUILT_IN: [&str; 3] = ["cityscapes", "cityscapes-train-ids", "cmp-facades"];

/// The classes of a palette: one of [`BUILT_IN`] or a file.
///
/// # Errors
/// A file that cannot be read; a line that is no class, by its number; two classes of one colour or value.
pub fn palette(name_or_file: &str) -> Result<Vec<Class>> {
    match name_or_file {
        "cityscapes" => parse(CITYSCAPES, "cityscapes"),
        "cityscapes-train-ids" => {
            let mut classes = parse(CITYSCAPES, "cityscapes")?;
            classes.iter_mut().for_each(|class| class.value = None);
            Ok(classes)
        }
        "cmp-facades" => parse(CMP_FACADES, "cmp-facades"),
        file => {
            let path = Path::new(file);
            let unreadable = |e| {
                Error::input(format!(
                    "the palette {file} cannot be read ({e}): give a file, or one of {}",
                    BUILT_IN.join(", ")
                ))
            };
            if fs::metadata(path).map_err(unreadable)?.len() > MAX_BYTES {
                return Err(Error::input(format!(
                    "{file} is too large for a palette: give a text"
                )));
            }
            parse(&fs::read_to_string(path).map_err(unreadable)?, file)
        }
    }
}

fn parse(text: &str, file: &str) -> Result<Vec<Class>> {
    let mut classes: Vec<Class> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        let class = class(line).ok_or_else(|| {
            Error::input(format!(
                "{file}, line {}: \"{line}\" is no class: write RED GREEN BLUE NAME, or VALUE = RED \
                 GREEN BLUE NAME",
                i + 1
            ))
        })?;
        let twin = classes.iter().position(|other| {
            other.colour == class.colour || (class.value.is_some() && other.value == class.value)
        });
        if let Some(twin) = twin {
            return Err(Error::input(format!(
                "{file}, line {}: {} has the colour or value of {}: give each class its own",
                i + 1,
                class.name,
                classes[twin].name
            )));
        }
        classes.push(class);
    }
    if classes.is_empty() {
        return Err(Error::input(format!("{file} has no classes: write one a line")));
    }
    Ok(classes)
}

fn class(line: &str) -> Option<Class> {
    let (value, rest) = match line.split_once('=') {
        Some((value, rest)) => (Some(value.trim().parse().ok()?), rest.trim()),
        None => (None, line),
    };
    let (colour, name) = match rest.strip_prefix('#') {
        Some(rest) => {
            let (hex, name) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            if hex.len() != 6 || !hex.is_ascii() {
                return None;
            }
            let part = |i: usize| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok();
            ([part(0)?, part(1)?, part(2)?], name)
        }
        None => {
            let mut words = rest.split_whitespace();
            let mut part = || words.next()?.trim_end_matches(',').parse().ok();
            let colour = [part()?, part()?, part()?];
            (colour, &rest[rest.len() - words.collect::<Vec<_>>().join(" ").len()..])
        }
    };
    let name = match name.trim() {
        "" => hex_name(colour),
        name => name.to_string(),
    };
    Some(Class { name, colour: Some(colour), value })
}

/// "#ff8000".
pub fn hex_name([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_palettes_have_the_classes_of_their_data() {
        let cityscapes = palette("cityscapes").unwrap();
        assert_eq!(cityscapes.len(), 19);
        assert_eq!(cityscapes[6].name, "traffic light");
        assert_eq!((cityscapes[0].value, cityscapes[0].colour), (Some(7), Some([128, 64, 128])));
        assert!(palette("cityscapes-train-ids").unwrap().iter().all(|c| c.value.is_none()));
        assert_eq!(palette("cmp-facades").unwrap().len(), 12);
    }

    #[test]
    fn lines_are_read_and_wrong_ones_named() {
        let classes = parse("// sea and land\n0 0 255 sea\n\n#00ff00 dry  land\n9 = 1 2 3\n", "p");
        let classes = classes.unwrap();
        let all: Vec<_> = classes.iter().map(|c| (c.name.as_str(), c.colour, c.value)).collect();
        assert_eq!(
            all,
            [
                ("sea", Some([0, 0, 255]), None),
                ("dry  land", Some([0, 255, 0]), None),
                ("#010203", Some([1, 2, 3]), Some(9))
            ]
        );
        for (text, says) in [
            ("1 2 300 x", "line 1"),
            ("1 2 3 a\n1 2 3 b", "line 2: b has the colour"),
            ("#12345 x", "no class"),
            ("x = 1 2 3", "no class"),
            ("\n", "no classes"),
        ] {
            let error = parse(text, "p").unwrap_err().to_string();
            assert!(error.contains(says), "{error:?} does not say {says:?}");
        }
    }
}
