//! What the table of operations becomes: the type [`super::Op`], and a visit of the registers that an
//! instruction reads and writes, which liveness, allocation and tracking are made of.

use super::R;

/// An operand of an instruction: a register, one that may be missing, or several.
pub(super) trait Operand {
    /// Calls `f` with each register.
    fn each(&mut self, f: &mut dyn FnMut(&mut R));
}

impl Operand for R {
    fn each(&mut self, f: &mut dyn FnMut(&mut R)) {
        f(self);
    }
}

impl Operand for Option<R> {
    fn each(&mut self, f: &mut dyn FnMut(&mut R)) {
        self.iter_mut().for_each(f);
    }
}

impl Operand for Vec<R> {
    fn each(&mut self, f: &mut dyn FnMut(&mut R)) {
        self.iter_mut().for_each(f);
    }
}

/// Declares [`super::Op`] and its `visit` from the rows of the table.
macro_rules! operations {
    (
        flat {
            $($(#[$flat_doc:meta])* $flat:ident
                [$($attribute:ident: $type:ty),*]
                ($($read:ident: $read_file:expr),*) -> ($($write:ident: $write_file:expr),*);)*
        }
        boxed {
            $($(#[$boxed_doc:meta])* $boxed:ident($m:ident: $fields:ty)
                ($($from:ident: $from_file:expr),*) -> ($($to:ident: $to_file:expr),*);)*
        }
        bare {
            $($(#[$bare_doc:meta])* $bare:ident;)*
        }
    ) => {
        /// An instruction, flat so that the warp loop is one match.
        #[derive(Clone, Debug)]
        pub(crate) enum Op {
            $($(#[$flat_doc])* $flat { $($attribute: $type,)* $($write: R,)* $($read: R,)* },)*
            $($(#[$boxed_doc])* $boxed(Box<$fields>),)*
            $($(#[$bare_doc])* $bare,)*
        }

        impl Op {
            /// Calls `f` with every register operand, reads before writes.
            #[allow(unused_variables)]
            pub fn visit(&mut self, f: &mut dyn FnMut(&mut R, File, Role)) {
                use $crate::ir::File::{D, P, W};
                use $crate::ir::operands::Operand as _;
                match self {
                    $(Op::$flat { $($attribute,)* $($write,)* $($read,)* } => {
                        $(f($read, $read_file, Role::Read);)*
                        $(f($write, $write_file, Role::Write);)*
                    })*
                    $(Op::$boxed($m) => {
                        $({
                            let file = $from_file;
                            $m.$from.each(&mut |r| f(r, file, Role::Read));
                        })*
                        $({
                            let file = $to_file;
                            $m.$to.each(&mut |r| f(r, file, Role::Write));
                        })*
                    })*
                    $(Op::$bare => {})*
                }
            }
        }
    };
}
pub(super) use operations;
