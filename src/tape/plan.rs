//! The memory plan: when each buffer is alive, and where it is placed.

use super::backward::GradPlace;
use super::{Source, Tape, Var};
use crate::device::ALIGNMENT;
use crate::tensor::{Elem, Shape, View};

/// A buffer of a tape, by what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Buffer {
    /// A value; the owner, where several share memory.
    Value(Var),
    /// A gradient buffer.
    Grad(usize),
    /// Element `.1` of what node `.0` keeps for its backward pass.
    Kept(usize, usize),
}

/// How a value and its gradient are stored: as `elem`, but losses as f32.
fn elem_of(tape: &Tape, v: Var, elem: Elem) -> Elem {
    if tape.values[v.0].keep_f32 { Elem::F32 } else { elem }
}

/// Every buffer of a tape and its place in the arena.
pub(super) struct Plan {
    values: Vec<Option<View>>,
    grads: Vec<View>,
    kept: Vec<Vec<View>>,
    /// One past the last unit of 4 bytes.
    pub end: usize,
}

/// The entries from the first to the last that touches a buffer, both included; `len` is its size
/// in units of 4 bytes.
#[derive(Clone, Copy, Debug)]
struct Life {
    buffer: Buffer,
    len: usize,
    first: usize,
    last: usize,
}

impl Plan {
    /// Places every buffer at `base` or after it, so that no two buffers that are alive at the same
    /// time overlap. Values and gradients are stored as `elem`; losses and what operations keep as
    /// f32.
    pub fn new(tape: &Tape, base: usize, elem: Elem) -> Plan {
        let lives = lives(tape, elem);
        let view = |at, v: Var| View::dense_of(elem_of(tape, v, elem), at, tape.shape(v));
        let (places, end) = place(&lives, base);
        let mut plan = Plan {
            values: vec![None; tape.values.len()],
            grads: vec![View::dense(base, Shape::SCALAR); tape.grads.len()],
            kept: tape
                .nodes
                .iter()
                .map(|n| n.kept.iter().map(|&s| View::dense(base, s)).collect())
                .collect(),
            end,
        };
        for (life, at) in lives.iter().zip(places) {
            match life.buffer {
                Buffer::Value(v) => plan.values[v.0] = Some(view(at, v)),
                Buffer::Grad(i) => plan.grads[i] = view(at, tape.grads[i]),
                Buffer::Kept(node, i) => plan.kept[node][i].at = at,
            }
        }
        plan
    }

    /// The View of a value.
    pub fn value(&self, tape: &Tape, v: Var) -> View {
        let (owner, channel) = tape.owner(v);
        let whole = match tape.values[owner.0].source {
            Source::Param(view) => view,
            _ => self.values[owner.0].expect("every value that something touches was placed"),
        };
        slice(whole, channel, tape.shape(v).c)
    }

    /// The View of a gradient.
    pub fn grad(&self, place: GradPlace) -> View {
        match place {
            GradPlace::Fixed(view) => view,
            GradPlace::Planned { buffer, from, channels } => {
                slice(self.grads[buffer], from, channels)
            }
        }
    }

    /// The View of an output, by its index in [`Tape::outputs`].
    pub fn output(&self, tape: &Tape, i: usize) -> View {
        let (_, v, channel) = &tape.outputs[i];
        let all = self.value(tape, *v);
        channel.map_or(all, |c| slice(all, c, 1))
    }

    /// What a node keeps.
    pub fn kept(&self, node: usize) -> Vec<View> {
        self.kept[node].clone()
    }
}

fn slice(whole: View, from: usize, channels: usize) -> View {
    whole.channels(from..from + channels).expect("aliases are inside their owner's channels")
}

/// When each buffer is alive, in entries of the tape.
fn lives(tape: &Tape, elem: Elem) -> Vec<Life> {
    let units = |v: Var| elem_of(tape, v, elem).units(tape.shape(v).count());
    let end = tape.entries.len();
    let mut lives: Vec<Life> = Vec::new();
    let mut index = std::collections::HashMap::new();
    let mut touch = |buffer: Buffer, len: usize, at: usize| {
        let i = *index.entry(buffer).or_insert_with(|| {
            lives.push(Life { buffer, len, first: at, last: at });
            lives.len() - 1
        });
        lives[i].first = lives[i].first.min(at);
        lives[i].last = lives[i].last.max(at);
    };
    let value = |v: Var, at: usize, touch: &mut dyn FnMut(Buffer, usize, usize)| {
        let owner = tape.owner(v).0;
        if !matches!(tape.values[owner.0].source, Source::Param(_)) {
            touch(Buffer::Value(owner), units(owner), at);
        }
    };
    for (at, entry) in tape.entries.iter().enumerate() {
        for buffer in entry.touches(tape) {
            match buffer {
                Buffer::Value(v) => value(v, at, &mut touch),
                Buffer::Grad(i) => touch(buffer, units(tape.grads[i]), at),
                Buffer::Kept(node, i) => touch(buffer, tape.nodes[node].kept[i].count(), at),
            }
        }
    }
    // What the host writes is alive from the start, what it reads to the end.
    for (i, v) in tape.values.iter().enumerate().filter(|(_, v)| v.pinned) {
        value(Var(i), end, &mut touch);
        if v.source == Source::Input {
            value(Var(i), 0, &mut touch);
        }
    }
    lives
}

/// Places the largest buffer first, each at the lowest address where it overlaps none that is alive
/// at the same time. Returns the addresses and one past the last unit.
fn place(lives: &[Life], base: usize) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(lives[i].len), lives[i].first, i));
    let mut places = vec![0; lives.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut end = base;
    for i in order {
        let life = lives[i];
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&j| lives[j].first <= life.last && life.first <= lives[j].last)
            .map(|&j| (places[j], places[j] + lives[j].len))
            .collect();
        taken.sort_unstable();
        let mut at = base;
        for (from, to) in taken {
            if at + life.len <= from {
                break;
            }
            at = at.max(to.next_multiple_of(ALIGNMENT));
        }
        places[i] = at;
        placed.push(i);
        end = end.max(at + life.len);
    }
    (places, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two hundred buffers of random sizes and lives: those alive at the same time do not overlap.
    #[test]
    fn what_lives_together_lies_apart() {
        let lives: Vec<Life> = (0..200)
            .map(|i| {
                let w = crate::random::philox(5, [i, 0, 0, 0]);
                let first = (w[0] % 100) as usize;
                Life {
                    buffer: Buffer::Grad(i as usize),
                    len: 1 + (w[1] % 1000) as usize,
                    first,
                    last: first + (w[2] % 20) as usize,
                }
            })
            .collect();
        let (places, end) = place(&lives, 128);
        let total: usize = lives.iter().map(|l| l.len).sum();
        assert!(end < 128 + total / 2, "memory is shared: {end} of {total}");
        for (i, a) in lives.iter().enumerate() {
            assert!(places[i] >= 128 && places[i].is_multiple_of(ALIGNMENT));
            for (j, b) in lives.iter().enumerate().skip(i + 1) {
                let together = a.first <= b.last && b.first <= a.last;
                let apart = places[i] + a.len <= places[j] || places[j] + b.len <= places[i];
                assert!(!together || apart);
            }
        }
    }
}
