//! Arguments of kernels: structs that are declared once, for Rust and CUDA alike.
#![allow(unsafe_code)]

use cudarc::driver::{DeviceRepr, LaunchArgs, PushKernelArg};

/// A type for fields of a `device_struct!` and parameters of kernels.
pub trait Named {
    /// Its name in CUDA, as it appears in a kernel's parameter list.
    const NAME: &'static str;
}

macro_rules! named {
    ($($type:ty => $name:literal),*) => { $(impl Named for $type { const NAME: &'static str = $name; })* };
}
named!(i32 => "int", u32 => "unsigned", u64 => "unsigned long long", f32 => "float");

/// An argument of a launch.
pub trait Arg {
    /// The name of its type in CUDA.
    fn name(&self) -> &'static str;
    /// Adds it to a launch.
    #[doc(hidden)]
    fn push<'a>(&'a self, launch: &mut LaunchArgs<'a>);
}

impl<T: DeviceRepr + Named> Arg for T {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn push<'a>(&'a self, launch: &mut LaunchArgs<'a>) {
        launch.arg(self);
    }
}

/// The arguments of a launch: a tuple of [`Arg`]s.
pub trait Args {
    /// Each of them, in order.
    fn list(&self) -> Vec<&dyn Arg>;
}

macro_rules! tuple {
    ($($name:ident)*) => {
        impl<$($name: Arg),*> Args for ($($name,)*) {
            #[allow(non_snake_case)]
            fn list(&self) -> Vec<&dyn Arg> {
                let ($($name,)*) = self;
                vec![$($name),*]
            }
        }
    };
}
tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);
tuple!(A B C D E F G);
tuple!(A B C D E F G H);
tuple!(A B C D E F G H I);
tuple!(A B C D E F G H I J);
tuple!(A B C D E F G H I J K);
tuple!(A B C D E F G H I J K L);
tuple!(A B C D E F G H I J K L M);
tuple!(A B C D E F G H I J K L M N);

macro_rules! address {
    ($(#[$doc:meta])* $type:ident => $name:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(transparent)]
        pub struct $type(pub u64);
        impl Named for $type { const NAME: &'static str = $name; }
        // SAFETY: an address is 8 bytes in Rust and CUDA. `Cuda::tensor` and the other methods that
        // make one check that the View is inside the arena.
        unsafe impl DeviceRepr for $type {}
    };
}
address!(
    /// The address of activations, of the type that the precision stores them as; 0 is null.
    ElemAddress => "elem*"
);
address!(
    /// The address of f32 numbers; 0 is null.
    FloatAddress => "float*"
);
address!(
    /// The address of f64 numbers.
    DoubleAddress => "double*"
);
address!(
    /// The address of counters.
    CounterAddress => "unsigned*"
);
address!(
    /// The address of bytes; 0 is null.
    ByteAddress => "unsigned char*"
);

/// Declares a struct that kernels take by value: the Rust type and the CUDA declaration that is
/// compiled before every kernel come from one text, so that they cannot differ.
///
/// Fields are `i32`, `u32`, `u64`, `f32`, addresses or a `device_enum!`.
macro_rules! device_struct {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$field_doc:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[repr(C)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl $crate::device::Named for $name {
            const NAME: &'static str = stringify!($name);
        }

        impl $name {
            /// The struct in CUDA.
            pub fn declaration() -> String {
                let fields = [$((<$type as $crate::device::Named>::NAME, stringify!($field))),*];
                let lines = fields.map(|(of, name)| format!("    {of} {name};\n")).concat();
                format!("struct {} {{\n{lines}}};\n", stringify!($name))
            }
        }

        $crate::device::plain!($name);
    };
}

/// Declares that a `#[repr(C)]` struct may be copied to a kernel byte by byte.
macro_rules! plain {
    ($name:ident) => {
        // SAFETY: `device_struct!` makes it a `#[repr(C)]` struct of numbers, addresses and enums
        // of type int, and declares the same fields in the same order in CUDA, which has C's
        // layout.
        #[allow(unsafe_code)]
        unsafe impl $crate::device::DeviceRepr for $name {}
    };
}

/// Declares an enum that a field of a `device_struct!` may be: an `enum class` of the same name and
/// variants in CUDA.
macro_rules! device_enum {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(i32)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $crate::device::Named for $name {
            const NAME: &'static str = stringify!($name);
        }

        impl $name {
            /// The enum in CUDA.
            pub fn declaration() -> String {
                let variants = [$((stringify!($variant), $name::$variant as i32)),*];
                let list = variants.map(|(name, value)| format!("{name} = {value}")).join(", ");
                format!("enum class {} : int {{ {list} }};\n", stringify!($name))
            }
        }
    };
}

/// A type for the constants of `device_constants!`.
pub trait Constant {
    /// The line that declares it in CUDA: as an enum, because a `constexpr` would take memory in
    /// every module.
    fn declaration(self, name: &str) -> String;
}

impl Constant for usize {
    /// Sizes become an int in CUDA, which the kernels compute with.
    fn declaration(self, name: &str) -> String {
        assert!(i32::try_from(self).is_ok(), "{name} is larger than an int");
        format!("enum : int {{ {name} = {self} }};\n")
    }
}

impl Constant for u32 {
    fn declaration(self, name: &str) -> String {
        format!("enum : unsigned {{ {name} = {self}u }};\n")
    }
}

/// Declares constants that kernels use by the same names, and `constants()`, their text in CUDA.
///
/// They are declared in Rust, so that kernels read from a folder, in place of the built-in ones,
/// always agree with the code that launches them.
macro_rules! device_constants {
    ($($(#[$doc:meta])* $vis:vis const $name:ident: $type:ty = $value:expr;)*) => {
        $($(#[$doc])* $vis const $name: $type = $value;)*

        /// The constants of this module in CUDA.
        pub(super) fn constants() -> String {
            [$($crate::device::Constant::declaration($name, stringify!($name))),*].concat()
        }
    };
}
pub(crate) use {device_constants, device_enum, device_struct, plain};

device_struct! {
    /// A tensor of activations: element (n, h, w, c) at `data[((n * H + h) * W + w) * pitch + c]`.
    pub struct Tensor {
        /// Its first element.
        pub data: ElemAddress,
        /// Pictures.
        pub n: i32,
        /// Rows.
        pub h: i32,
        /// Columns.
        pub w: i32,
        /// Channels.
        pub c: i32,
        /// Elements from one pixel to the next.
        pub pitch: i32,
    }
}

device_struct! {
    /// What changes from step to step: see [`StepState`](crate::device::StepState).
    pub struct State {
        /// Seed of the run.
        pub seed: u64,
        /// Number of the step, from 1.
        pub step: u64,
        /// Learning rate of the step.
        pub lr: f32,
        /// The row of the ring of losses that this run writes.
        pub row: u32,
        /// Micro-step: the number of the batch within the step, from 0.
        pub micro: u32,
    }
}
address!(
    /// The address of the [`State`] on the device.
    StateAddress => "State*"
);
