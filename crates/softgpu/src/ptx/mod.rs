//! PTX text to a syntax tree: names resolved, types and modifiers still as written.

pub(crate) mod ast;
mod declare;
mod lex;
mod parse;
mod scope;

pub(crate) use parse::parse;
