//! What a TIFF that is written says of its channels: OME-XML where the input has some, else GDAL's metadata.
//!
//! Sources: OME-XML 2016-06; GDAL's tag 42112.

use std::fmt::Write as _;

use quick_xml::escape::escape;
use quick_xml::events::Event;
use quick_xml::{Reader, XmlVersion};

use crate::data::StoredType;

/// The size of a pixel in the world, as attributes of OME-XML's Pixels.
const PHYSICAL: [&str; 4] =
    ["PhysicalSizeX", "PhysicalSizeXUnit", "PhysicalSizeY", "PhysicalSizeYUnit"];

/// What is described.
pub struct Described<'a> {
    pub width: usize,
    pub height: usize,
    /// Samples of a pixel of a page.
    pub channels: usize,
    pub pages: usize,
    pub stored: StoredType,
    /// Names of all channels; none or one each.
    pub names: &'a [String],
}

/// OME-XML for a file, with the names of its channels and the size of a pixel that the input's states. `None` for a
/// type that OME does not have.
pub fn ome(input: &str, of: &Described) -> Option<String> {
    let kind = match of.stored {
        StoredType::U8 => "uint8",
        StoredType::I8 => "int8",
        StoredType::U16 => "uint16",
        StoredType::I16 => "int16",
        StoredType::U32 => "uint32",
        StoredType::I32 => "int32",
        StoredType::F32 => "float",
        StoredType::F64 => "double",
        _ => return None,
    };
    let Described { width, height, channels, pages, names, .. } = *of;
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OME xmlns=\"http://www.openmicroscopy.org/Schemas/OME/2016-06\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:schemaLocation=\"http://www.openmicroscopy.org/Schemas/OME/2016-06 \
         http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd\"><Image ID=\"Image:0\"><Pixels ID=\"Pixels:0\" \
         DimensionOrder=\"XYCZT\" Type=\"{kind}\" SizeX=\"{width}\" SizeY=\"{height}\" SizeC=\"{}\" SizeZ=\"1\" \
         SizeT=\"1\"",
        channels * pages
    );
    for (name, value) in physical(input) {
        let _ = write!(text, " {name}=\"{}\"", escape(&value));
    }
    text.push('>');
    for page in 0..pages {
        let name = match names.get(page) {
            Some(name) if channels == 1 => format!(" Name=\"{}\"", escape(name)),
            _ => String::new(),
        };
        let _ =
            write!(text, "<Channel ID=\"Channel:0:{page}\" SamplesPerPixel=\"{channels}\"{name}/>");
    }
    let _ = write!(text, "<TiffData IFD=\"0\" PlaneCount=\"{pages}\"/></Pixels></Image></OME>");
    Some(text)
}

/// What the input's OME-XML states of the size of a pixel.
fn physical(xml: &str) -> Vec<(&'static str, String)> {
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event() {
            Ok(Event::Start(start) | Event::Empty(start))
                if start.local_name().as_ref() == "Pixels" =>
            {
                let value = |name: &'static str| {
                    let attribute = start.try_get_attribute(name).ok()??;
                    Some((
                        name,
                        attribute.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned(),
                    ))
                };
                return PHYSICAL.into_iter().filter_map(value).collect();
            }
            Ok(Event::Eof) | Err(_) => return Vec::new(),
            _ => {}
        }
    }
}

/// GDAL's metadata with the name of each band and the unit of all; `None` if there is neither.
pub fn gdal(names: &[String], unit: Option<&str>, channels: usize) -> Option<String> {
    let names = if names.len() == channels { names } else { &[] };
    let mut text = String::from("<GDALMetadata>\n");
    for (sample, name) in names.iter().enumerate() {
        let _ = writeln!(
            text,
            "  <Item name=\"DESCRIPTION\" sample=\"{sample}\" role=\"description\">{}</Item>",
            escape(name)
        );
    }
    for sample in (0..channels).filter(|_| unit.is_some()) {
        let _ = writeln!(
            text,
            "  <Item name=\"UNITTYPE\" sample=\"{sample}\" role=\"unittype\">{}</Item>",
            escape(unit.unwrap_or_default())
        );
    }
    text.push_str("</GDALMetadata>\n");
    (!names.is_empty() || unit.is_some()).then_some(text)
}
