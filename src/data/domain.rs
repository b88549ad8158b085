//! What the samples of an image mean. Model files hold it for inputs and targets, so that a model's
//! outputs are stored as the targets of its training were.

use serde::{Deserialize, Serialize};

use super::{Axes, PixelFormat, StoredType};
use crate::error::{Error, Result};
use crate::tensor::{SampleRange, SampleType};

/// The meaning of the images on one side of the pairs. The default is 8-bit RGB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Domain {
    /// The names of the channels, in order.
    pub channels: Vec<String>,
    /// What the samples measure.
    pub kind: DomainKind,
    /// The type of a sample in memory.
    pub samples: SampleType,
    /// The sample that marks pixels without a measurement: losses, discriminators and metrics leave
    /// them out, as they do NaN.
    pub nodata: Option<f64>,
    /// The type of a sample in files, which translations are written with; by default that in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<StoredType>,
    /// The order of the axes of arrays in files, where they are arrays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub axes: Option<Axes>,
    /// Whether all pages of a file together are the channels of one picture, in files that are read and
    /// written.
    #[serde(skip_serializing_if = "is_false")]
    pub stacked: bool,
    /// The ICC profile that all pictures to train on have, other than sRGB, in base64: translations say that it is
    /// theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The classes that colours stand for, where they are learnt as colours: each pixel of an output gets
    /// the nearest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub palette: Option<Vec<Class>>,
}

/// What the channels of a [`Domain`] measure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DomainKind {
    /// Light: 0 to the largest value of an integer type, 0 to 1 in floats.
    #[default]
    Colour,
    /// A quantity, such as a height or a temperature.
    Values {
        /// The sample that a network sees as -1.
        low: f64,
        /// The sample that a network sees as 1; above `low`.
        high: f64,
        /// The unit of the samples, such as "m".
        unit: Option<String>,
        /// Low and high of each channel, where they have ranges of their own; `low` and `high` are then
        /// the ends of all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ranges: Vec<[f64; 2]>,
        /// Whether samples outside of the range are moved to its ends; otherwise a network sees them
        /// beyond -1 and 1.
        #[serde(default, skip_serializing_if = "is_false")]
        clip: bool,
    },
    /// The class of each pixel. In memory a sample is the index of its class in the list, in files it is
    /// [`Class::value`] or has [`Class::colour`].
    Labels {
        /// The classes, in the order of their indices.
        classes: Vec<Class>,
    },
}

/// A class of [`DomainKind::Labels`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// What it is called.
    pub name: String,
    /// The red, green and blue in which it is shown.
    #[serde(default)]
    pub colour: Option<[u8; 3]>,
    /// The sample that means it in files of one channel; by default its place in the list, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<u16>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The domains of both images of a pair.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Domains {
    /// The domain of inputs.
    pub input: Domain,
    /// The domain of targets and of outputs.
    pub target: Domain,
}

impl Domains {
    /// Checks both domains, and that they have the channels of a network's input and output.
    ///
    /// # Errors
    /// As [`Domain::check`]; [`Error::Input`] with both numbers of channels.
    pub fn check(&self, [input, output]: [usize; 2]) -> Result<()> {
        for (side, domain, channels) in
            [("input", &self.input, input), ("output", &self.target, output)]
        {
            domain.check()?;
            if domain.network_channels() != channels {
                let has = match &domain.kind {
                    DomainKind::Labels { classes } => format!("has {} classes", classes.len()),
                    _ => format!("names {}", domain.channels.len()),
                };
                return Err(Error::input(format!(
                    "the network's {side} has {channels} channels, and its domain {has}: name each \
                     channel once"
                )));
            }
        }
        Ok(())
    }
}

impl DomainKind {
    /// Values of one range for all channels.
    pub fn values(low: f64, high: f64, unit: Option<&str>) -> DomainKind {
        let unit = unit.map(String::from);
        DomainKind::Values { low, high, unit, ranges: Vec::new(), clip: false }
    }
}

impl Default for Domain {
    fn default() -> Self {
        Domain {
            channels: ["red", "green", "blue"].map(String::from).to_vec(),
            kind: DomainKind::Colour,
            samples: SampleType::U8,
            nodata: None,
            stored: None,
            axes: None,
            stacked: false,
            profile: None,
            palette: None,
        }
    }
}

impl Domain {
    /// 8-bit colour with `channels` channels, which is assumed of a model that states no domain.
    /// Three channels are RGB, others are named by their number from 1.
    pub fn of_channels(channels: usize) -> Domain {
        match channels {
            3 => Domain::default(),
            n => Domain { channels: (1..=n).map(|i| i.to_string()).collect(), ..Domain::default() },
        }
    }

    /// Channels that a network sees: one for each class of labels, else those of the images.
    pub fn network_channels(&self) -> usize {
        match &self.kind {
            DomainKind::Labels { classes } => classes.len(),
            _ => self.channels.len(),
        }
    }

    /// The pixel format of images of this domain, as files and callers have them.
    pub fn format(&self) -> PixelFormat {
        PixelFormat { channels: self.channels.len(), samples: self.samples }
    }

    /// The type of a sample in files.
    pub fn stored(&self) -> StoredType {
        self.stored.unwrap_or(StoredType::of(self.samples))
    }

    /// The pixel format of [prepared](Domain::prepared) images.
    pub fn prepared_format(&self) -> PixelFormat {
        match &self.kind {
            DomainKind::Values { ranges, .. } if !ranges.is_empty() => {
                PixelFormat { samples: SampleType::F32, ..self.format() }
            }
            _ => self.format(),
        }
    }

    /// The samples of a [prepared](Domain::prepared) image that a network sees as -1 and 1: the smallest
    /// and largest of a colour, the low and high of a quantity, 0 and 1 where channels have ranges of
    /// their own, the first and last class.
    pub fn range(&self) -> SampleRange {
        let (low, high) = match &self.kind {
            DomainKind::Colour => (0.0, self.largest().unwrap_or(1.0)),
            DomainKind::Values { ranges, .. } if !ranges.is_empty() => (0.0, 1.0),
            DomainKind::Values { low, high, .. } => (*low, *high),
            DomainKind::Labels { classes } => (0.0, classes.len().saturating_sub(1).max(1) as f64),
        };
        SampleRange { low, high }
    }

    /// The largest value of the sample type; `None` for floats.
    fn largest(&self) -> Option<f64> {
        match self.samples {
            SampleType::U8 => Some(f64::from(u8::MAX)),
            SampleType::U16 => Some(f64::from(u16::MAX)),
            SampleType::F32 => None,
        }
    }

    /// Checks that the parts fit each other.
    ///
    /// # Errors
    /// [`Error::Input`]: no channels, two of one name, an empty range, more classes than the
    /// samples can tell apart.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::input(what));
        let mut names: Vec<&String> = self.channels.iter().collect();
        names.sort();
        if names.is_empty() {
            return wrong("a domain has no channels: name at least one".into());
        }
        if let Some(twice) = names.windows(2).find(|w| w[0] == w[1]) {
            return wrong(format!(
                "two channels of a domain are called {}: give each a name of its own",
                twice[0]
            ));
        }
        let SampleRange { low, high } = self.range();
        let mut all = vec![[low, high]];
        if let DomainKind::Values { ranges, .. } = &self.kind {
            all.extend(ranges);
            if !ranges.is_empty() && ranges.len() != self.channels.len() {
                return wrong(format!(
                    "a domain of {} channels has {} ranges: give one, or one for each",
                    self.channels.len(),
                    ranges.len()
                ));
            }
        }
        for [low, high] in all {
            let (low32, high32) = (low as f32, high as f32);
            if !(low32 < high32 && (high32 - low32).is_finite()) {
                return wrong(format!(
                    "values from {low} to {high} are no range: give a low below high that single \
                     precision can tell apart"
                ));
            }
        }
        if let DomainKind::Labels { classes } = &self.kind {
            if self.channels.len() != 1 || classes.is_empty() {
                return wrong(format!(
                    "labels have one channel and at least one class, not {} channels and {} classes",
                    self.channels.len(),
                    classes.len()
                ));
            }
            if self.largest().is_none_or(|largest| classes.len() as f64 - 1.0 > largest) {
                return wrong(format!(
                    "{} classes cannot be told apart by samples of {}: use u8 or u16",
                    classes.len(),
                    self.samples
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Domain {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_domain_that_says_nothing_is_8_bit_rgb() {
        let domain = read("{}");
        assert_eq!(domain, Domain::default());
        assert_eq!(domain.format(), PixelFormat::RGB);
        assert_eq!(domain.range(), SampleRange::BYTE);
        let text =
            r#"{"channels":["red","green","blue"],"kind":"colour","samples":"u8","nodata":null}"#;
        assert_eq!(serde_json::to_string(&domain).unwrap(), text);
        let domains: Domains = serde_json::from_str(r#"{"target":{"samples":"u16"}}"#).unwrap();
        assert_eq!(domains.input, domain);
        assert_eq!(domains.target.range().high, 65_535.0);
    }

    #[test]
    fn heights_and_labels_are_written_and_read() {
        let heights = Domain {
            channels: vec!["height".into()],
            kind: DomainKind::values(-50.0, 350.0, Some("m")),
            samples: SampleType::F32,
            nodata: Some(-9999.0),
            ..Domain::default()
        };
        let text = r#"{"channels":["height"],"kind":{"values":{"low":-50.0,"high":350.0,"unit":"m"}},"samples":"f32","nodata":-9999.0}"#;
        assert_eq!(serde_json::to_string(&heights).unwrap(), text);
        assert_eq!(read(text), heights);
        assert_eq!(heights.range(), SampleRange { low: -50.0, high: 350.0 });
        let labels = read(
            r#"{"channels":["class"],"kind":{"labels":{"classes":[{"name":"road"},
               {"name":"roof","colour":[255,0,0]},{"name":"tree"}]}}}"#,
        );
        assert_eq!(labels.range(), SampleRange { low: 0.0, high: 2.0 });
        let back = serde_json::to_string(&labels).unwrap();
        assert_eq!(read(&back), labels);
        assert!(heights.check().is_ok() && labels.check().is_ok());
    }

    #[test]
    fn wrong_domains_are_refused() {
        assert!(serde_json::from_str::<Domain>(r#"{"sample":"u8"}"#).is_err());
        let values = |low, high| DomainKind::values(low, high, None);
        let class = |i: usize| Class { name: i.to_string(), colour: None, value: None };
        let labels = |n| DomainKind::Labels { classes: (0..n).map(class).collect() };
        let one = Domain::of_channels(1);
        let cases = [
            (Domain { channels: vec![], ..Domain::default() }, "no channels"),
            (Domain { channels: vec!["x".into(), "x".into()], ..Domain::default() }, "called x"),
            (Domain { kind: values(1.0, 1.0), ..Domain::default() }, "no range"),
            (Domain { kind: values(f64::NAN, 1.0), ..Domain::default() }, "no range"),
            (Domain { kind: values(0.0, f64::INFINITY), ..Domain::default() }, "no range"),
            (Domain { kind: values(1e9, 1e9 + 1.0), ..Domain::default() }, "no range"),
            (Domain { kind: labels(3), ..Domain::default() }, "one channel"),
            (Domain { kind: labels(0), ..one.clone() }, "one class"),
            (Domain { kind: labels(257), ..one.clone() }, "257 classes"),
            (Domain { kind: labels(2), samples: SampleType::F32, ..one }, "u8 or u16"),
        ];
        for (domain, says) in cases {
            let text = domain.check().unwrap_err().to_string();
            assert!(text.contains(says), "{text:?} does not say {says:?}");
        }
    }
}
