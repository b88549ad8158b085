//! What an operation knows to have happened before it: vector clocks over streams.
//!
//! Operations carry ever-growing numbers, so the clock entry of a stream is the number of the
//! latest operation of that stream known to be complete, and "everything up to number n" (after the
//! host waited for all) is one more number.

use std::collections::BTreeMap;

/// Number of an operation: grows with the order of submission over all streams, starts at 1.
pub type OpId = u64;

/// Number of a stream, never reused.
pub type Lane = u64;

/// A set of operations that are ordered before something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    floor: OpId,
    lanes: BTreeMap<Lane, OpId>,
}

impl Clock {
    /// Whether operation `op` of stream `lane` is in the set.
    pub fn knows(&self, lane: Lane, op: OpId) -> bool {
        op <= self.floor || self.lanes.get(&lane).is_some_and(|&known| op <= known)
    }

    /// Adds operation `op` of `lane` and with it all earlier ones of that stream.
    pub fn learn(&mut self, lane: Lane, op: OpId) {
        if op > self.floor {
            let known = self.lanes.entry(lane).or_insert(op);
            *known = op.max(*known);
        }
    }

    /// Adds all that `other` holds.
    pub fn join(&mut self, other: &Clock) {
        self.raise(other.floor);
        for (&lane, &op) in &other.lanes {
            self.learn(lane, op);
        }
    }

    /// Adds every operation up to number `op`, whatever its stream.
    pub fn raise(&mut self, op: OpId) {
        if op > self.floor {
            self.floor = op;
            self.lanes.retain(|_, known| *known > op);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_keep_what_each_side_knew() {
        let mut a = Clock::default();
        a.learn(1, 10);
        let mut b = Clock::default();
        b.learn(2, 7);
        assert!(!b.knows(1, 10));
        b.join(&a);
        assert!(b.knows(1, 10) && b.knows(1, 3) && b.knows(2, 7));
        assert!(!b.knows(2, 8) && !b.knows(3, 1));
        b.raise(9);
        assert!(b.knows(3, 9) && b.knows(1, 10) && !b.knows(1, 11));
    }
}
