//! What a translation will take, said before it begins, and how far it is.

use std::io::IsTerminal;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use super::progress::clock;
use super::{bytes, say, with_flags, words};
use crate::error::{Error, Result};
use crate::translate::{MEASURED, Translator};

/// A translation of as many pixels as this many pictures of [`MEASURED`] pixels is measured before
/// it begins. Measuring translates two of them, so it costs a tenth at most.
const LONG: usize = 20;

/// Says which pictures are too large for the memory, and of a long translation the memory of the
/// largest picture and the time. Each has its path, width and height.
///
/// # Errors
/// A failure of the device.
pub fn announce(translator: &mut Translator, pictures: &[(&Path, [usize; 2])]) -> Result<()> {
    let mut by_pixels: Vec<(f64, &Path, [usize; 2])> = Vec::new();
    for &(path, size) in pictures {
        let [width, height] = translator.computed(size);
        by_pixels.push((width as f64 * height as f64, path, size));
    }
    by_pixels.sort_by(|a, b| b.0.total_cmp(&a.0));
    // From the largest down, until one fits in one piece: smaller ones fit too.
    let (mut too_large, mut tiled, mut first) = (0, 0, None);
    let mut work: f64 = by_pixels.iter().map(|(pixels, ..)| pixels).sum();
    for &(pixels, path, size) in &by_pixels {
        match translator.tiling(size) {
            Ok(None) => break,
            Ok(Some(tiling)) => {
                first.get_or_insert((path, tiling));
                tiled += 1;
                work += pixels * (tiling.work() - 1.0);
            }
            Err(error @ (Error::Input(_) | Error::Machine(_))) => {
                say(format!("too large {}: {}", path.display(), with_flags(&error)));
                too_large += 1;
                work -= pixels;
            }
            Err(error) => return Err(error),
        }
    }
    let Some(&(_, _, largest)) = by_pixels.get(too_large) else { return Ok(()) };
    if let Some((path, tiling)) = first {
        let such = match tiled {
            1 => path.display().to_string(),
            n => format!("{n} pictures, such as {}", path.display()),
        };
        say(format!("tiles     {such}: {}", words::tiling(&tiling)));
    }
    if work > (LONG * MEASURED * MEASURED) as f64 {
        let memory = bytes(match first {
            Some((_, tiling)) => tiling.bytes,
            None => translator.memory(largest)?,
        });
        let seconds = translator.seconds_per_pixel()? * work;
        let time = clock(seconds.max(1.0));
        let of = if by_pixels.len() > 1 { " for the largest picture" } else { "" };
        say(format!("work      {memory} of memory{of}, about {time} to compute"));
    }
    Ok(())
}

/// A bar on a terminal for several pictures; lines otherwise.
pub struct Bar(Option<ProgressBar>);

impl Bar {
    /// For this many pictures.
    pub fn new(pictures: usize) -> Bar {
        let shown = pictures > 1 && std::io::stderr().is_terminal();
        Bar(shown.then(|| {
            let style = ProgressStyle::with_template("{bar:20} {pos}/{len}, {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(pictures as u64).with_style(style)
        }))
    }

    /// Prints a line about a picture that is done.
    pub fn done(&self, line: String) {
        match &self.0 {
            Some(bar) => {
                bar.suspend(|| say(line));
                bar.inc(1);
            }
            None => say(line),
        }
    }

    /// Counts a picture that is done.
    pub fn advance(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// Prints a line for every tenth part of the tiles of a picture.
    pub fn tiles<'a>(&'a self, path: &'a Path) -> impl FnMut(usize, usize) + 'a {
        let mut said = 0;
        move |done, all| {
            let tenth = 10 * done / all.max(1);
            // Few tiles are over before a line would be read.
            if all >= 50 && tenth > said && tenth < 10 {
                said = tenth;
                let line = format!("{}: {done} of {all} tiles", path.display());
                match &self.0 {
                    Some(bar) => bar.suspend(|| say(line)),
                    None => say(line),
                }
            }
        }
    }

    /// Removes the bar.
    pub fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
