//! Bytes against the values a network sees: 0 to 255 is -1 to 1.

/// `x / 127.5 - 1` for every byte. Both slices have one length.
pub fn from_bytes(bytes: &[u8], out: &mut [f32]) {
    assert_eq!(bytes.len(), out.len(), "one value a byte");
    for (out, &x) in out.iter_mut().zip(bytes) {
        *out = f32::from(x) / 127.5 - 1.0;
    }
}

/// `round((x + 1) * 127.5)`, clamped to 0..=255; a NaN becomes 0. Both slices have one length.
///
/// Rounding, not cutting: the PyTorch port cuts, which turns an output that is right to within
/// rounding error into the byte below, and darkens every picture by half a level on average. With
/// rounding, [`from_bytes`] and back gives every byte again.
pub fn to_bytes(values: &[f32], out: &mut [u8]) {
    assert_eq!(values.len(), out.len(), "one byte a value");
    for (out, &x) in out.iter_mut().zip(values) {
        // The cast saturates.
        *out = ((x + 1.0) * 127.5).round() as u8;
    }
}
