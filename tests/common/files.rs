//! The files that `tests/golden/make.py` writes with PyTorch, in the engine's order.

use std::collections::HashMap;
use std::path::PathBuf;

use pix2pix_engine::tensor::Shape;
use safetensors::SafeTensors;
use serde_json::Value;

/// A file's tensors in PyTorch's order, and the JSON that describes them.
#[derive(Clone)]
pub struct Golden {
    tensors: HashMap<String, (Vec<usize>, Vec<f32>)>,
    pub facts: Value,
}

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect()
}

/// A JSON file beside the golden files.
pub fn json(name: &str) -> Value {
    let text = std::fs::read_to_string(path(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

impl Golden {
    pub fn open(name: &str) -> Golden {
        let bytes = std::fs::read(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = metadata.metadata().clone().unwrap();
        let facts = metadata.get("facts").or(metadata.get("cases")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = file.iter().map(|(name, tensor)| {
            let (numbers, rest) = tensor.data().as_chunks::<4>();
            assert!(rest.is_empty());
            let numbers = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
            (name.to_string(), (tensor.shape().to_vec(), numbers))
        });
        Golden { tensors: tensors.collect(), facts: serde_json::from_str(facts).unwrap() }
    }

    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Names that begin with `prefix`, without it, sorted.
    pub fn under(&self, prefix: &str) -> Vec<String> {
        let mut names: Vec<String> =
            self.tensors.keys().filter_map(|n| n.strip_prefix(prefix)).map(String::from).collect();
        names.sort();
        assert!(!names.is_empty(), "nothing under {prefix}");
        names
    }

    /// The tensor's numbers as they are stored.
    pub fn raw(&self, name: &str) -> &[f32] {
        &self.tensors.get(name).unwrap_or_else(|| panic!("no tensor {name}")).1
    }

    /// Shape and numbers in the engine's order.
    pub fn get(&self, name: &str) -> (Shape, Vec<f32>) {
        let (extents, numbers) =
            self.tensors.get(name).unwrap_or_else(|| panic!("no tensor {name}"));
        match **extents {
            [n, c, h, w] => (Shape::new(n, h, w, c), channels_last([n, c, h, w], numbers)),
            [c] => (Shape::vector(c), numbers.clone()),
            _ => panic!("{name} has extents {extents:?}"),
        }
    }

    /// Leaves these input channels of a filter (k,c,r,s), for a network that sees fewer.
    pub fn keep_channels(&mut self, name: &str, channels: std::ops::Range<usize>) {
        let (extents, numbers) = self.tensors.get_mut(name).unwrap();
        let (c, taps) = (extents[1], extents[2] * extents[3]);
        let filters = numbers.chunks_exact(c * taps);
        let kept = filters.flat_map(|f| &f[channels.start * taps..channels.end * taps]);
        *numbers = kept.copied().collect();
        extents[1] = channels.len();
    }

    /// As [`Golden::get`], in f64 for comparison.
    pub fn exact(&self, name: &str) -> Vec<f64> {
        self.get(name).1.into_iter().map(f64::from).collect()
    }
}

/// PyTorch's (d0, d1, d2, d3) to (d0, d2, d3, d1). One rule for all: pictures (n,c,h,w) become
/// (n,h,w,c), filters (k,c,r,s) become (k,r,s,c), filters of transposed convolutions (in,out,r,s)
/// become (in,r,s,out).
pub fn channels_last([n, c, h, w]: [usize; 4], numbers: &[f32]) -> Vec<f32> {
    assert_eq!(numbers.len(), n * c * h * w);
    let mut out = Vec::with_capacity(numbers.len());
    for picture in numbers.chunks_exact(c * h * w) {
        for pixel in 0..h * w {
            out.extend(picture.iter().skip(pixel).step_by(h * w));
        }
    }
    out
}

/// What `formula.py` calls `uniform`: numbers in [-scale, scale) by index in PyTorch's order.
pub fn uniform(stream: u32, count: usize, scale: f32) -> Vec<f32> {
    let number = |i: u32| {
        let mut h =
            (i + 1).wrapping_mul(0x9E37_79B1).wrapping_add(stream.wrapping_mul(0x85EB_CA77));
        h ^= h >> 16;
        h = h.wrapping_mul(0x7FEB_352D);
        h ^= h >> 15;
        h = h.wrapping_mul(0x846C_A68B);
        h ^= h >> 16;
        ((h >> 8) as f32 / 8_388_608.0 - 1.0) * scale
    };
    (0..count as u32).map(number).collect()
}

/// A picture batch or a filter by formula, in the engine's order; `shape` is the engine's.
pub fn uniform_tensor(stream: u32, shape: Shape, scale: f32) -> Vec<f32> {
    let Shape { n, h, w, c } = shape;
    channels_last([n, c, h, w], &uniform(stream, shape.count(), scale))
}

/// The field of a JSON object as a whole number.
pub fn whole(value: &Value, key: &str) -> usize {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} in {value}")) as usize
}
