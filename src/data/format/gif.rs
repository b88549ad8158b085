//! GIF: indices into a palette, with or without transparent pixels; grey where the palette is. Of an animation the
//! first frame.

use std::io::{Cursor, SeekFrom};
use std::num::NonZeroU64;

use gif::{
    ColorOutput, DecodeOptions, Decoder, DecodingError, Encoder, EncodingError, MemoryLimit,
};

use super::{
    Alpha, Colours, Decoded, FileSource, Format, FormatError, Header, is_grey, only, unkept,
};
use crate::atomic::Sink;
use crate::data::limits::decoder_bytes;
use crate::data::stored::{ByteOrder, bytes_of};
use crate::data::{Attributes, Image, StoredType};

/// GIF files.
#[derive(Debug)]
pub struct Gif;

/// Most frames that are counted: those of an hour.
const MAX_FRAMES: usize = 1 << 18;

impl From<DecodingError> for FormatError {
    fn from(error: DecodingError) -> Self {
        match error {
            DecodingError::Io(e) => e.into(),
            DecodingError::OutOfMemory => FormatError::TooLarge,
            e => FormatError::failed(e.to_string()),
        }
    }
}

/// The first frame: its place on the canvas, what its indices mean, and the indices if they were decoded.
struct First {
    canvas: [usize; 2],
    place: [usize; 4],
    palette: Vec<[u8; 3]>,
    transparent: Option<u8>,
    indices: Vec<u8>,
}

impl First {
    fn of(decoder: &mut Decoder<impl std::io::Read>, pixels: bool) -> Result<First, FormatError> {
        let canvas = [decoder.width(), decoder.height()].map(usize::from);
        let global = decoder.global_palette().map(<[u8]>::to_vec);
        let frame = match pixels {
            true => decoder.read_next_frame()?,
            false => decoder.next_frame_info()?,
        };
        let frame = frame.ok_or(FormatError::CutShort)?;
        let place = [frame.left, frame.top, frame.width, frame.height].map(usize::from);
        let palette = frame.palette.clone().or(global);
        let palette = palette.ok_or_else(|| FormatError::failed("it has no palette"))?;
        let [left, top, width, height] = place;
        if width == 0 || height == 0 || left + width > canvas[0] || top + height > canvas[1] {
            return Err(FormatError::failed(format!(
                "a frame of {width}x{height} pixels at {left}, {top} in a picture of {}x{}",
                canvas[0], canvas[1]
            )));
        }
        Ok(First {
            canvas,
            place,
            palette: palette.chunks_exact(3).map(|c| [c[0], c[1], c[2]]).collect(),
            transparent: frame.transparent,
            indices: if pixels { frame.buffer.to_vec() } else { Vec::new() },
        })
    }

    /// Whether some pixels may show nothing.
    fn is_open(&self) -> bool {
        self.transparent.is_some() || self.place != [0, 0, self.canvas[0], self.canvas[1]]
    }
}

fn options(width: usize, height: usize) -> DecodeOptions {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    let most = NonZeroU64::new(decoder_bytes(width, height)).unwrap_or(NonZeroU64::MIN);
    options.set_memory_limit(MemoryLimit::Bytes(most));
    options
}

impl Format for Gif {
    fn name(&self) -> &'static str {
        "GIF"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["gif"]
    }

    fn recognises(&self, start: &[u8]) -> bool {
        start.starts_with(b"GIF87a") || start.starts_with(b"GIF89a")
    }

    fn header(&self, source: &mut dyn FileSource) -> Result<Header, FormatError> {
        let mut options = options(1 << 16, 1 << 10);
        options.skip_frame_decoding(true);
        let mut decoder = options.read_info(source)?;
        let first = First::of(&mut decoder, false)?;
        let alpha = if first.is_open() { Alpha::Straight } else { Alpha::None };
        let channels = if first.is_open() { 2 } else { 1 };
        let mut header = Header::new(first.canvas[0], first.canvas[1], channels, alpha);
        if !is_grey(&first.palette) {
            header.colours = Colours::Palette;
        }
        // What lies behind the first frame may be damaged: it is not read.
        let more = (0..MAX_FRAMES).take_while(|_| matches!(decoder.next_frame_info(), Ok(Some(_))));
        header.notes.more_frames = more.count();
        Ok(header)
    }

    fn attributes(
        &self,
        source: &mut dyn FileSource,
        header: &Header,
    ) -> Result<Attributes, FormatError> {
        let mut attributes = Attributes::new(header.stored);
        if header.colours == Colours::Palette {
            source.seek(SeekFrom::Start(0))?;
            let mut options = options(1 << 16, 1 << 10);
            options.skip_frame_decoding(true);
            attributes.palette = Some(First::of(&mut options.read_info(source)?, false)?.palette);
        }
        Ok(attributes)
    }

    fn decode(&self, bytes: &[u8], header: &Header, _page: usize) -> Result<Decoded, FormatError> {
        let options = options(header.width, header.height);
        let first = First::of(&mut options.read_info(Cursor::new(bytes))?, true)?;
        let ([width, height], [left, top, across, down]) = (first.canvas, first.place);
        if first.indices.len() != across * down {
            return Err(FormatError::CutShort);
        }
        let sample = |index: u8| match header.colours {
            Colours::Palette => index,
            // Behind the palette is black, as in other formats.
            _ => first.palette.get(usize::from(index)).map_or(0, |colour| colour[0]),
        };
        let open = header.alpha != Alpha::None;
        // Where no frame is, nothing is seen.
        let mut samples = vec![0; width * height * header.channels];
        for (y, row) in first.indices.chunks_exact(across).enumerate() {
            let begin = ((top + y) * width + left) * header.channels;
            let pixels = samples[begin..].chunks_exact_mut(header.channels);
            for (pixel, &index) in pixels.zip(row) {
                pixel[0] = sample(index);
                if open {
                    pixel[1] = if first.transparent == Some(index) { 0 } else { u8::MAX };
                }
            }
        }
        let image = Image { height, width, channels: header.channels, samples: samples.into() };
        Ok(image.into())
    }

    fn holds(&self, channels: usize, stored: StoredType) -> bool {
        channels == 1 && stored == StoredType::U8
    }

    fn encode(
        &self,
        pages: &[Image],
        attributes: &Attributes,
        sink: &mut Sink,
        _quality: u8,
    ) -> Result<Vec<&'static str>, FormatError> {
        let image = only(pages, self.name())?;
        if !self.holds(image.channels, attributes.stored) {
            return Err(FormatError::Unsupported(format!(
                "{} channels of {}",
                image.channels, attributes.stored
            )));
        }
        let side = |side: usize| u16::try_from(side).map_err(|_| FormatError::TooLarge);
        let (width, height) = (side(image.width)?, side(image.height)?);
        let indices = bytes_of(image.samples.as_slice(), attributes.stored, ByteOrder::Little);
        let mut palette = match &attributes.palette {
            Some(colours) => colours.clone(),
            None => (0..=u8::MAX).map(|v| [v; 3]).collect(),
        };
        let most = indices.iter().max().map_or(0, |&most| usize::from(most));
        palette.resize(palette.len().max(most + 1).min(256), [0; 3]);
        let failed = |e: EncodingError| match e {
            EncodingError::Io(e) => FormatError::from(e),
            e => FormatError::failed(e.to_string()),
        };
        let mut encoder =
            Encoder::new(sink, width, height, palette.as_flattened()).map_err(failed)?;
        let frame = gif::Frame::from_indexed_pixels(width, height, indices, None);
        encoder.write_frame(&frame).map_err(failed)?;
        encoder.into_inner().map_err(failed)?;
        let mut lost = unkept(attributes);
        lost.retain(|what| *what != "the palette");
        Ok(lost)
    }
}
