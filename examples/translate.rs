//! Translates one picture: `cargo run --release --example translate -- MODEL IN.png OUT.png`.

use std::path::PathBuf;

use pix2pix_engine::data::Image;
use pix2pix_engine::device::Cpu;
use pix2pix_engine::translate::{TranslateOptions, Translator};
use pix2pix_engine::{Error, Result};

fn main() -> Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [model, from, to] = args.as_slice() else {
        return Err(Error::input("give a model, a picture to read and a picture to write"));
    };
    let cpu = Box::new(Cpu::new(0)?);
    let mut translator = Translator::open(model, TranslateOptions::default(), cpu)?;
    translator.translate(&Image::read(from)?)?.write(to)
}
