//! Seeded damage to files.

use pix2pix_engine::random::{below, philox};

/// Changes up to four places of `bytes`, a function of `seed` and `round`. Headers stand at the
/// beginning, so half of all changes go to the first `head` bytes.
pub fn mutate(bytes: &mut Vec<u8>, head: usize, seed: u64, round: u32) {
    let [count, ..] = philox(seed, [round, 0, 0, 0]);
    for i in 0..=below(count, 4) {
        change(bytes, head, philox(seed, [round, 1 + i, 0, 0]));
    }
}

fn change(bytes: &mut Vec<u8>, head: usize, [kind, place, value, length]: [u32; 4]) {
    if bytes.is_empty() {
        return;
    }
    let within = if place & 1 == 0 { bytes.len().min(head) } else { bytes.len() };
    let at = below(place, within as u32) as usize;
    let end = (at + 1 + below(length, 16) as usize).min(bytes.len());
    const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'(', b'.', b'R'];
    match below(kind, 6) {
        0 => bytes[at] ^= 1 << below(value, 8),
        1 => bytes[at] = TELLING[below(value, 8) as usize],
        2 => bytes[at..end].fill(TELLING[below(value, 5) as usize]),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let part = bytes[at..end].to_vec();
            let to = below(value, bytes.len() as u32) as usize;
            bytes.splice(to..to, part);
        }
        _ => bytes[at] = value as u8,
    }
}
