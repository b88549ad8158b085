//! What a file says beside its samples: their type and meaning, and where in the world they lie.

use super::stored::StoredType;

/// What a file says of its image beside the samples, to be written with a translation of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Attributes {
    /// The type of a sample in the file.
    pub stored: StoredType,
    /// Bits of a sample that are used, where the file says so and they are fewer than its type has: 1,
    /// 2 or 4 in a PNG, 12 in a TIFF.
    pub bits: Option<u8>,
    /// The names of the channels in order; empty if the file has none.
    pub channels: Vec<String>,
    /// The unit of the samples, such as "m".
    pub unit: Option<String>,
    /// The sample that marks pixels without a measurement.
    pub nodata: Option<f64>,
    /// Red, green and blue of each index, where samples are indices.
    pub palette: Option<Vec<[u8; 3]>>,
    /// The ICC profile of the colours.
    pub profile: Option<Vec<u8>>,
    /// How an array lies in its file; pictures have their channels last.
    pub axes: Axes,
    /// Where the picture lies, and what else the same format can hold of it.
    pub place: Place,
}

/// The order of an array's axes in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Axes {
    /// Rows, columns; one channel.
    Hw,
    /// Rows, columns, channels.
    #[default]
    Hwc,
    /// Channels, rows, columns.
    Chw,
}

/// Where a picture lies in the world: kept as its format holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Tags of a TIFF that are carried over as they are: GeoTIFF's, GDAL's, resolution, description
    /// (OME-XML, ImageJ), in ascending order.
    pub tags: Vec<Tag>,
    /// The header of a volume (NIfTI, MetaImage) as its format writes it.
    pub volume: Option<VolumeHeader>,
}

/// A tag of a TIFF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its number.
    pub tag: u16,
    /// The type of its values, by TIFF's number.
    pub kind: u16,
    /// How many values it has.
    pub count: u64,
    /// Its values, little-endian.
    pub bytes: Vec<u8>,
}

/// The header of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeHeader {
    /// The name of the format that it is of.
    pub format: &'static str,
    /// Its bytes, with extensions, as that format keeps them.
    pub bytes: Vec<u8>,
}

impl Attributes {
    /// Those of samples of this type of which nothing else is known.
    pub fn new(stored: StoredType) -> Attributes {
        Attributes {
            stored,
            bits: None,
            channels: Vec::new(),
            unit: None,
            nodata: None,
            palette: None,
            profile: None,
            axes: Axes::default(),
            place: Place::default(),
        }
    }
}
