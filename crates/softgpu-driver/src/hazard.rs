//! Two streams touching the same bytes with nothing that orders them.
//!
//! Every byte remembers its last write and, for each stream, the last read and the last atomic after
//! it. An access by an operation that does not know (see [`Clock`]) of a conflicting one is a hazard:
//! on a real card the two may run in either order or together. Atomics conflict with reads and writes
//! and not with each other. The check needs no unlucky schedule: it looks at the order that the
//! program asked for, not at the one that happened.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::clock::{Clock, Lane, OpId};

/// One operation's touch of some bytes.
#[derive(Clone, Debug)]
struct Touch {
    lane: Lane,
    op: OpId,
    label: Arc<str>,
}

/// How bytes are touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Read,
    /// Written.
    Write,
    /// Changed by atomics alone.
    Atomic,
}

#[derive(Clone, Debug)]
struct Span {
    end: u64,
    write: Option<Touch>,
    reads: Vec<Touch>,
    atomics: Vec<Touch>,
}

/// Who is touching: the operation under check.
#[derive(Clone, Debug)]
pub struct Actor<'a> {
    /// Its stream.
    pub lane: Lane,
    /// Its number.
    pub op: OpId,
    /// What it is, for the report: a kernel's name or `copy host to device`.
    pub label: &'a Arc<str>,
    /// What is ordered before it.
    pub clock: &'a Clock,
}

/// A pair of operations that touch the same bytes unordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hazard {
    /// `write after write`, `read after write` or `write after read`.
    pub kind: &'static str,
    /// The operation that ran first here.
    pub first: Arc<str>,
    /// The stream of the first.
    pub first_lane: Lane,
    /// The operation that ran second here.
    pub second: Arc<str>,
    /// The stream of the second.
    pub second_lane: Lane,
    /// Some of the bytes that both touch.
    pub bytes: Range<u64>,
}

/// The last touches of every byte of one memory.
#[derive(Default)]
pub struct Hazards {
    spans: BTreeMap<u64, Span>,
    reported: BTreeSet<(Arc<str>, Arc<str>, &'static str)>,
}

impl Hazards {
    /// Forgets all touches, which is right once the host has waited for every operation.
    pub fn clear(&mut self) {
        self.spans.clear();
    }

    /// Forgets what was reported too.
    pub fn reset(&mut self) {
        *self = Hazards::default();
    }

    /// Whether no touch is remembered.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Notes that `actor` touches `bytes` and adds the hazards found to `found`, each pair of labels
    /// once.
    pub fn touch(
        &mut self,
        actor: &Actor<'_>,
        bytes: Range<u64>,
        access: Access,
        found: &mut Vec<Hazard>,
    ) {
        if bytes.start >= bytes.end {
            return;
        }
        self.split(bytes.start);
        self.split(bytes.end);
        let me = Touch { lane: actor.lane, op: actor.op, label: Arc::clone(actor.label) };
        let mut at = bytes.start;
        let (mut gaps, mut starts) = (Vec::new(), Vec::new());
        let mut clashes: Vec<(&'static str, Touch, Range<u64>)> = Vec::new();
        let after_write =
            if access == Access::Read { "read after write" } else { "write after write" };
        for (&start, span) in self.spans.range_mut(bytes.clone()) {
            starts.push(start);
            if start > at {
                gaps.push(at..start);
            }
            at = span.end;
            let atomics = span.atomics.iter().filter(|_| access != Access::Atomic);
            let writes = span.write.iter().chain(atomics).map(|touch| (after_write, touch));
            let reads = span.reads.iter().filter(|_| access != Access::Read);
            let earlier = writes.chain(reads.map(|touch| ("write after read", touch)));
            for (kind, touch) in earlier.filter(|(_, touch)| unordered(touch, actor)) {
                clashes.push((kind, touch.clone(), start..span.end));
            }
            let list = match access {
                Access::Write => continue,
                Access::Read => &mut span.reads,
                Access::Atomic => &mut span.atomics,
            };
            list.retain(|touch| touch.lane != me.lane);
            list.push(me.clone());
        }
        let empty = |end| Span { end, write: None, reads: Vec::new(), atomics: Vec::new() };
        if access == Access::Write {
            // All that was here is forgotten, so the pieces that kernels leave behind become one.
            for start in starts {
                self.spans.remove(&start);
            }
            self.spans.insert(bytes.start, Span { write: Some(me), ..empty(bytes.end) });
        } else {
            if at < bytes.end {
                gaps.push(at..bytes.end);
            }
            for gap in gaps {
                let (mut span, me) = (empty(gap.end), me.clone());
                if access == Access::Read { &mut span.reads } else { &mut span.atomics }.push(me);
                self.spans.insert(gap.start, span);
            }
        }
        for (kind, first, bytes) in clashes {
            let key = (Arc::clone(&first.label), Arc::clone(actor.label), kind);
            if self.reported.insert(key) {
                found.push(Hazard {
                    kind,
                    first: first.label,
                    first_lane: first.lane,
                    second: Arc::clone(actor.label),
                    second_lane: actor.lane,
                    bytes,
                });
            }
        }
    }

    /// Makes `at` a border between spans.
    fn split(&mut self, at: u64) {
        let Some((_, span)) = self.spans.range_mut(..at).next_back() else { return };
        if span.end > at {
            let tail = span.clone();
            span.end = at;
            self.spans.insert(at, tail);
        }
    }
}

fn unordered(earlier: &Touch, actor: &Actor<'_>) -> bool {
    earlier.lane != actor.lane && !actor.clock.knows(earlier.lane, earlier.op)
}

#[cfg(test)]
mod tests {
    use super::Access::{Atomic, Read, Write};
    use super::*;

    fn touch(
        h: &mut Hazards,
        lane: Lane,
        op: OpId,
        knows: &[(Lane, OpId)],
        bytes: Range<u64>,
        access: Access,
    ) -> Vec<Hazard> {
        let mut clock = Clock::default();
        for &(lane, op) in knows {
            clock.learn(lane, op);
        }
        let label: Arc<str> = format!("op{op}").into();
        let mut found = Vec::new();
        h.touch(&Actor { lane, op, label: &label, clock: &clock }, bytes, access, &mut found);
        found
    }

    #[test]
    fn an_unordered_pair_is_a_hazard_and_an_edge_cures_it() {
        let mut h = Hazards::default();
        assert!(touch(&mut h, 1, 1, &[], 100..200, Write).is_empty());
        assert!(touch(&mut h, 2, 2, &[(1, 1)], 100..200, Read).is_empty());
        let found = touch(&mut h, 3, 3, &[], 150..151, Read);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].kind, found[0].bytes.clone()), ("read after write", 150..151));
        let found = touch(&mut h, 1, 4, &[(2, 2)], 199..300, Write);
        assert!(
            found.is_empty(),
            "byte 199 was read by stream 2 only, and that is known: {found:?}"
        );
        let found = touch(&mut h, 1, 5, &[(2, 2)], 100..300, Write);
        assert_eq!(found.len(), 1, "stream 3 read byte 150: {found:?}");
        assert_eq!(found[0].kind, "write after read");
    }

    #[test]
    fn two_readers_are_no_hazard_and_gaps_are_remembered() {
        let mut h = Hazards::default();
        assert!(touch(&mut h, 1, 1, &[], 0..10, Read).is_empty());
        assert!(touch(&mut h, 2, 2, &[], 5..20, Read).is_empty());
        assert_eq!(touch(&mut h, 3, 3, &[], 19..30, Write).len(), 1);
        assert_eq!(touch(&mut h, 3, 4, &[(2, 2)], 0..19, Write).len(), 1);
        assert_eq!(touch(&mut h, 1, 5, &[], 29..30, Write).len(), 1);
    }
    #[test]
    fn atomics_clash_with_reads_and_writes_and_not_with_each_other() {
        let mut h = Hazards::default();
        assert!(touch(&mut h, 1, 1, &[], 0..8, Write).is_empty());
        assert!(touch(&mut h, 2, 2, &[(1, 1)], 0..8, Atomic).is_empty());
        assert!(touch(&mut h, 3, 3, &[(1, 1)], 4..12, Atomic).is_empty(), "both add");
        assert_eq!(
            touch(&mut h, 4, 4, &[], 0..1, Atomic)[0].kind,
            "write after write",
            "op1 wrote"
        );
        assert_eq!(touch(&mut h, 5, 5, &[(1, 1), (3, 3)], 6..7, Read)[0].first, "op2".into());
        assert_eq!(touch(&mut h, 6, 6, &[(1, 1)], 6..7, Atomic)[0].kind, "write after read");
        let found = touch(&mut h, 7, 7, &[], 11..12, Write);
        assert_eq!((found[0].kind, &*found[0].first), ("write after write", "op3"));
        let known = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7)];
        assert!(touch(&mut h, 8, 8, &known, 0..12, Write).is_empty(), "all are known");
        assert!(touch(&mut h, 8, 9, &[], 0..12, Atomic).is_empty(), "its own stream orders them");
    }
}
