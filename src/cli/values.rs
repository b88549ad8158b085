//! The values of flags for settings of the library that are one of a few.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::one_of::OneOf;

/// A parser from names to values, with what each means as help.
pub fn one_of<T: OneOf>() -> impl TypedValueParser<Value = T> {
    let value = |(_, name, help): &(T, &'static str, &'static str)| {
        PossibleValue::new(*name).help(help.trim().trim_end_matches('.'))
    };
    PossibleValuesParser::new(T::ALL.iter().map(value)).map(|typed| {
        let found = T::ALL.iter().find(|(_, name, _)| *name == typed);
        found.expect("the parser passes names of the list alone").0
    })
}

/// The name of a value.
pub fn name_of<T: OneOf + PartialEq>(value: T) -> String {
    let found = T::ALL.iter().find(|(other, ..)| *other == value);
    found.expect("every value is in its list").1.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T>()
    where
        T: OneOf + PartialEq + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
    {
        for (value, name, help) in T::ALL {
            assert_eq!(serde_json::to_value(value).unwrap(), *name);
            assert_eq!(serde_json::from_value::<T>((*name).into()).unwrap(), *value);
            assert!(!help.trim().is_empty());
        }
    }

    #[test]
    fn names_are_those_of_files() {
        check::<crate::data::Direction>();
        check::<crate::data::Fit>();
        check::<crate::kernel::Statistics>();
        check::<crate::model::GeneratorKind>();
        check::<crate::model::NormKind>();
        check::<crate::train::Gan>();
        check::<crate::train::Distance>();
    }
}
