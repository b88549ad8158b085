//! The values that a flag can have, for settings of the library: by the names that files have them
//! under.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::de::DeserializeOwned;

use crate::data::Direction;
use crate::model::{GeneratorKind, NormKind};
use crate::train::{Distance, Gan};

/// A parser of `names`, each with its help, to the value that has this name in files.
fn named<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    names: &'static [(&'static str, &'static str)],
) -> impl TypedValueParser<Value = T> {
    let values = names.iter().map(|&(name, help)| PossibleValue::new(name).help(help));
    PossibleValuesParser::new(values).map(|name| {
        serde_json::from_value(serde_json::Value::String(name))
            .expect("each name is that of a value: the test below tries them")
    })
}

const GENERATORS: &[(&str, &str)] = &[
    ("unet", "Encoder and decoder of one depth, joined by skip connections"),
    ("encoder-decoder", "The same without the skips: the paper's ablation"),
];
const NORMS: &[(&str, &str)] = &[
    (
        "batch",
        "Batch norm with scale, shift and running statistics; convolutions before it have no bias",
    ),
    ("instance", "Instance norm without parameters; every convolution has a bias"),
    ("none", "No normalisation; every convolution has a bias"),
];
const GANS: &[(&str, &str)] = &[
    (
        "vanilla",
        "Binary cross entropy of logits; the generator maximises log D (equations 1 and 2)",
    ),
    ("lsgan", "Mean squared difference from the label (Mao et al. 2017)"),
    ("none", "No discriminator: the rows \"L1\" of the paper's tables"),
];
const DISTANCES: &[(&str, &str)] = &[
    ("l1", "Mean absolute difference (equation 3)"),
    ("l2", "Mean squared difference"),
    ("none", "None: the rows \"GAN\" and \"cGAN\" of Table 1"),
];
const DIRECTIONS: &[(&str, &str)] =
    &[("a2b", "A is the input, B the target"), ("b2a", "B is the input, A the target")];

pub fn generator() -> impl TypedValueParser<Value = GeneratorKind> {
    named(GENERATORS)
}

pub fn norm() -> impl TypedValueParser<Value = NormKind> {
    named(NORMS)
}

pub fn gan() -> impl TypedValueParser<Value = Gan> {
    named(GANS)
}

pub fn distance() -> impl TypedValueParser<Value = Distance> {
    named(DISTANCES)
}

pub fn direction() -> impl TypedValueParser<Value = Direction> {
    named(DIRECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_are_values<T: DeserializeOwned + serde::Serialize>(names: &[(&str, &str)]) {
        for (name, _) in names {
            let value: T = serde_json::from_value((*name).into()).expect(name);
            assert_eq!(serde_json::to_value(&value).unwrap(), *name);
        }
    }

    #[test]
    fn every_name_is_that_of_a_value() {
        all_are_values::<GeneratorKind>(GENERATORS);
        all_are_values::<NormKind>(NORMS);
        all_are_values::<Gan>(GANS);
        all_are_values::<Distance>(DISTANCES);
        all_are_values::<Direction>(DIRECTIONS);
    }
}
