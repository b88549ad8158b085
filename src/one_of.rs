//! Settings that are one of a few: a list of names in one place, for Rust, files and the command line.

/// A setting that is one of a few.
pub trait OneOf: Copy + Send + Sync + Sized + 'static {
    /// Each value with the name that files and flags have it under, and what it means.
    const ALL: &'static [(Self, &'static str, &'static str)];
}

/// Declares an enum and its [`OneOf::ALL`]: each variant has its documentation, which is also the
/// help of its flag, and its name.
macro_rules! one_of {
    ($(#[$meta:meta])* pub enum $enum:ident {
        $($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $enum {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl $crate::one_of::OneOf for $enum {
            const ALL: &'static [(Self, &'static str, &'static str)] =
                &[$(($enum::$variant, $name, concat!($($doc),+)),)+];
        }
    };
}
pub(crate) use one_of;
