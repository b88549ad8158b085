//! Name and attributes of an operation, for printed programs, export and tests.

use std::fmt;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// A count or an extent.
    Count(usize),
    /// Several counts: rows and columns of a window, one offset per input.
    Counts(Vec<usize>),
    /// A real number.
    Number(f32),
    /// Several real numbers.
    Numbers(Vec<f32>),
    /// One of a few named alternatives.
    Choice(&'static str),
}

/// An operation with its attributes: all that its inputs' shapes do not say.
#[derive(Clone, Debug, PartialEq)]
pub struct Describe {
    /// The name of the operation: "conv", "batch_norm".
    pub kind: &'static str,
    /// Names and values, in the order in which they are printed.
    pub attributes: Vec<(&'static str, Attribute)>,
}

impl Describe {
    /// The attribute of this name, None where the operation has none.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fn list<T: ToString>(values: &[T]) -> String {
            values.iter().map(T::to_string).collect::<Vec<_>>().join(" ")
        }
        match self {
            Attribute::Count(value) => write!(f, "{value}"),
            Attribute::Counts(values) => f.write_str(&list(values)),
            Attribute::Number(value) => write!(f, "{value}"),
            Attribute::Numbers(values) => f.write_str(&list(values)),
            Attribute::Choice(value) => f.write_str(value),
        }
    }
}

/// "conv: window 4 4, stride 2, pad 1".
impl fmt::Display for Describe {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.kind)?;
        for (i, (name, value)) in self.attributes.iter().enumerate() {
            write!(f, "{} {name} {value}", if i == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}
