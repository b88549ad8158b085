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

impl Place {
    /// GeoTIFF's scale of pixels, points of the raster on the map, map from raster to world, and keys.
    const SCALE: u16 = 33_550;
    const POINTS: u16 = 33_922;
    const TRANSFORM: u16 = 34_264;
    const KEYS: u16 = 34_735;
    /// The key that says whether a pixel's number is that of its corner (1) or of its centre (2).
    const RASTER_TYPE: u16 = 1025;

    /// The place of a picture whose pixel coordinates `r` became `(r - first) / scale`, in pixels from the upper left
    /// corner: a part that begins at `first`, and whose pixels are `scale` of the old ones. Also what of it cannot be
    /// kept then.
    pub fn mapped(&self, scale: [f64; 2], first: [f64; 2]) -> (Place, Vec<&'static str>) {
        if (scale, first) == ([1.0; 2], [0.0; 2]) {
            return (self.clone(), Vec::new());
        }
        let by_centre = self.tag(Place::KEYS).is_some_and(|keys| {
            let numbers: Vec<u16> = keys
                .bytes
                .chunks_exact(2)
                .map(|two| u16::from_le_bytes(two.try_into().expect("two bytes")))
                .collect();
            numbers.chunks_exact(4).skip(1).any(|key| key[0] == Place::RASTER_TYPE && key[3] == 2)
        });
        let centre = if by_centre { 0.5 } else { 0.0 };
        let mut lost = Vec::new();
        let mut place = Place::default();
        for tag in &self.tags {
            let mut tag = tag.clone();
            match tag.tag {
                Place::SCALE => tag.change(|all| (0..2).for_each(|i| all[i] *= scale[i])),
                Place::POINTS => tag.change(|all| {
                    for point in all.chunks_exact_mut(6) {
                        for i in 0..2 {
                            point[i] = (point[i] + centre - first[i]) / scale[i] - centre;
                        }
                    }
                }),
                Place::TRANSFORM => tag.change(|all| {
                    for row in all.chunks_exact_mut(4).take(3) {
                        for i in 0..2 {
                            row[3] += row[i] * (first[i] + centre * scale[i] - centre);
                            row[i] *= scale[i];
                        }
                    }
                }),
                270 if scale != [1.0; 2]
                    && String::from_utf8_lossy(&tag.bytes).contains("<OME") =>
                {
                    lost.push("the OME-XML, whose size of a pixel changed");
                    continue;
                }
                282 | 283 | 296 if scale != [1.0; 2] => {
                    lost.push("the resolution");
                    continue;
                }
                _ => {}
            }
            place.tags.push(tag);
        }
        if self.volume.is_some() {
            lost.push("the header of its volume, whose size changed");
        }
        (place, lost)
    }

    fn tag(&self, number: u16) -> Option<&Tag> {
        self.tags.iter().find(|tag| tag.tag == number)
    }
}

impl Tag {
    /// Changes values that are doubles, at least two.
    fn change(&mut self, change: impl FnOnce(&mut [f64])) {
        /// TIFF's number of the type.
        const DOUBLE: u16 = 12;
        let value = |eight: &[u8]| f64::from_le_bytes(eight.try_into().expect("eight bytes"));
        let mut all: Vec<f64> = self.bytes.chunks_exact(8).map(value).collect();
        if self.kind == DOUBLE && all.len() >= 2 {
            change(&mut all);
            self.bytes = all.iter().flat_map(|v| v.to_le_bytes()).collect();
        }
    }
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
