//! What a TIFF says beside its samples: names, unit, no data, palette, profile, and its place in the world.
//!
//! Sources: TIFF 6.0; GeoTIFF 1.1 (OGC 19-008r4); GDAL's tags 42112 and 42113; OME-XML 2016-06.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use quick_xml::events::attributes::Attribute;

use super::super::{FileSource, FormatError, Header};
use super::directory::Directory;
use super::tag;
use crate::data::{Attributes, Colours, Place, Tag};

/// Tags that are carried over as they are: description, resolution, GeoTIFF's, GDAL's metadata.
const CARRIED: [u16; 11] =
    [270, 282, 283, 296, 33_550, 33_922, 34_264, 34_735, 34_736, 34_737, 42_112];
/// Most bytes of a tag that are carried over: the OME-XML of a large experiment has some.
const MOST: u64 = 16 << 20;

/// The attributes of a page.
pub fn attributes(
    page: &Directory,
    source: &mut dyn FileSource,
    header: &Header,
) -> Result<Attributes, FormatError> {
    let mut attributes = Attributes::new(header.stored);
    let bits = page.number(source, tag::BITS)?.unwrap_or(1);
    if bits < 8 * header.stored.size() as u64 {
        attributes.bits = Some(bits as u8);
    }
    if header.colours == Colours::Palette {
        let all = page.numbers(source, tag::PALETTE, 3 << 16)?;
        let n = all.len() / 3;
        // 16 bits each; programs that store 8 leave the upper ones 0.
        let shift = if all.iter().any(|&v| v > 255) { 8 } else { 0 };
        let colour = |i: usize| [all[i], all[n + i], all[2 * n + i]].map(|v| (v >> shift) as u8);
        attributes.palette = Some((0..n).map(colour).collect());
    }
    attributes.profile = page.bytes(source, tag::PROFILE, MOST)?;
    if let Some(text) = page.text(source, tag::GDAL_NODATA, 64)? {
        attributes.nodata = text.trim().parse().ok();
    }
    let mut tags = Vec::new();
    for number in CARRIED {
        let Some(entry) = page.entry(number) else { continue };
        let bytes = page.bytes(source, number, MOST)?.unwrap_or_default();
        tags.push(Tag { tag: number, kind: entry.kind, count: entry.count, bytes });
    }
    // One that is too long, or cut short, is not carried.
    tags.retain(|tag| {
        tag.bytes.len() as u64 == tag.count.saturating_mul(super::directory::kind_size(tag.kind))
    });
    let text = |number: u16| {
        let tag = tags.iter().find(|tag| tag.tag == number)?;
        Some(String::from_utf8_lossy(tag.bytes.split(|&b| b == 0).next()?).into_owned())
    };
    if let Some(xml) = text(tag::GDAL_METADATA) {
        let found = gdal(&xml);
        attributes.unit = found.unit;
        attributes.channels = names(found.names, header.colour_channels());
    }
    if let Some(xml) = text(tag::DESCRIPTION).filter(|text| text.contains("<OME")) {
        let found = ome(&xml);
        attributes.channels = names(found, header.colour_channels().max(header.pages));
    }
    attributes.place = Place { tags, volume: None };
    Ok(attributes)
}

/// The names, if each of `channels` has one of its own.
fn names(found: Vec<String>, channels: usize) -> Vec<String> {
    let mut sorted = found.clone();
    sorted.sort();
    let own = sorted.windows(2).all(|two| two[0] != two[1]) && !found.iter().any(String::is_empty);
    if own && found.len() == channels { found } else { Vec::new() }
}

#[derive(Default)]
struct Gdal {
    names: Vec<String>,
    unit: Option<String>,
}

/// The names and the unit of bands in GDAL's XML.
fn gdal(xml: &str) -> Gdal {
    let mut found = Gdal::default();
    let mut reader = Reader::from_str(xml);
    let mut item = None;
    let mut text = String::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                let value = |name: &str| {
                    let attribute = start.try_get_attribute(name).ok()??;
                    Some(attribute.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
                };
                let sample = value("sample").and_then(|n| n.parse::<usize>().ok());
                item = value("role").zip(sample);
                text.clear();
            }
            Ok(Event::Text(part)) => text.push_str(&part),
            Ok(Event::GeneralRef(entity)) => match entity.resolve_char_ref() {
                Ok(Some(character)) => text.push(character),
                _ => text.push_str(resolve_predefined_entity(&entity).unwrap_or_default()),
            },
            Ok(Event::End(_)) => {
                let text = text.trim().to_string();
                match item.take() {
                    Some((role, sample)) if role == "description" && sample < 1 << 12 => {
                        if found.names.len() <= sample {
                            found.names.resize(sample + 1, String::new());
                        }
                        found.names[sample] = text;
                    }
                    Some((role, _)) if role == "unittype" => found.unit = Some(text),
                    _ => {}
                }
            }
            Ok(Event::Eof) | Err(_) => return found,
            _ => {}
        }
    }
}

/// The names of channels in OME-XML, in order.
fn ome(xml: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event() {
            Ok(Event::Start(start) | Event::Empty(start))
                if start.local_name().as_ref() == "Channel" =>
            {
                let name = start.try_get_attribute("Name").ok().flatten();
                let value = |name: Attribute| {
                    Some(name.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
                };
                let name = name.and_then(value);
                names.push(name.unwrap_or_default());
            }
            Ok(Event::Eof) | Err(_) => return names,
            _ if names.len() > 1 << 12 => return names,
            _ => {}
        }
    }
}
