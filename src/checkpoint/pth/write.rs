//! Writes a state dict as `torch.save` does, for `torch.load(weights_only=True)`.

use std::io::Write;
use std::path::Path;

use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};

use super::super::float_type;
use crate::atomic;
use crate::{Error, Result};

/// PyTorch aligns every storage to this many bytes, so that it can be mapped.
const ALIGNMENT: u16 = 64;

/// Writes an OrderedDict of FloatTensors, atomically. `layout` gives names and extents in PyTorch's
/// order; `fetch(i, buffer)` appends the numbers of `layout[i]` to the empty `buffer`, so that one
/// tensor is held at a time.
///
/// # Errors
/// [`Error::File`] if the disk fails, [`Error::Shape`] if a length and its extents disagree, and
/// whatever `fetch` returns.
pub fn write(
    path: &Path,
    layout: &[(String, Vec<usize>)],
    mut fetch: impl FnMut(usize, &mut Vec<f32>) -> Result<()>,
) -> Result<()> {
    atomic::replace(path, |sink| {
        let fail = |e: &dyn std::fmt::Display| Error::file("write", path, e);
        let mut archive = ZipWriter::new(sink);
        let options = SimpleFileOptions::DEFAULT
            .compression_method(CompressionMethod::Stored)
            .with_alignment(ALIGNMENT);
        let member = |archive: &mut ZipWriter<_>, name: &str, bytes: &[u8]| {
            archive.start_file(format!("archive/{name}"), options).map_err(|e| fail(&e))?;
            archive.write_all(bytes).map_err(|e| fail(&e))
        };
        member(&mut archive, "data.pkl", &pickle(layout))?;
        member(&mut archive, "byteorder", b"little")?;
        let mut buffer = Vec::new();
        for (i, (name, size)) in layout.iter().enumerate() {
            buffer.clear();
            fetch(i, &mut buffer)?;
            if buffer.len() != size.iter().product::<usize>() {
                let detail = format!("{name} is {size:?} but came with {} numbers", buffer.len());
                return Err(Error::shape("write pth", detail));
            }
            member(&mut archive, &format!("data/{i}"), &[])?;
            float_type::write(&mut archive, &buffer).map_err(|e| fail(&e))?;
        }
        member(&mut archive, "version", b"3\n")?;
        archive.finish().map_err(|e| fail(&e))?;
        Ok(())
    })
}

/// Protocol 2: an OrderedDict whose members are calls of `_rebuild_tensor_v2`.
fn pickle(layout: &[(String, Vec<usize>)]) -> Vec<u8> {
    let mut out = b"\x80\x02ccollections\nOrderedDict\n)R(".to_vec();
    for (i, (name, size)) in layout.iter().enumerate() {
        text(&mut out, name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(b"ctorch\nFloatStorage\n");
        text(&mut out, &i.to_string());
        text(&mut out, "cpu");
        integer(&mut out, size.iter().product());
        out.extend(b"tQ");
        integer(&mut out, 0);
        tuple(&mut out, size.iter().copied());
        let stride = (0..size.len()).map(|d| size[d + 1..].iter().product());
        tuple(&mut out, stride);
        // Needs no gradient, has no hooks.
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.extend(b"u.");
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A 32-bit integer where it fits, else one of eight bytes.
fn integer(out: &mut Vec<u8>, value: usize) {
    match i32::try_from(value) {
        Ok(value) => {
            out.push(b'J');
            out.extend(value.to_le_bytes());
        }
        Err(_) => {
            out.extend([0x8a, 8]);
            out.extend((value as u64).to_le_bytes());
        }
    }
}

fn tuple(out: &mut Vec<u8>, values: impl Iterator<Item = usize>) {
    out.push(b'(');
    values.for_each(|value| integer(out, value));
    out.push(b't');
}
