//! A cache of numbers that are derived from parts of the arena, valid until these are written.

use std::collections::HashMap;
use std::ops::Range;

/// What kernels have derived from parts of the arena, such as a transformed filter.
#[derive(Default)]
pub(crate) struct Memo {
    /// By the start of the part, and the kind of what was derived from it.
    derived: HashMap<(usize, u8), Derived>,
    /// One past the last element of any part.
    end: usize,
}

struct Derived {
    part: Range<usize>,
    /// False once the part has been written.
    fresh: bool,
    data: Vec<f32>,
}

impl Memo {
    /// The `len` numbers of kind `kind` derived from `part`. `make` must set all of them; it is
    /// called where there are none yet or the part has been written since. The caller numbers the
    /// kinds.
    pub(crate) fn get(
        &mut self,
        part: Range<usize>,
        kind: u8,
        len: usize,
        make: impl FnOnce(&mut [f32]),
    ) -> &[f32] {
        self.end = self.end.max(part.end);
        let empty = || Derived { part: part.clone(), fresh: false, data: Vec::new() };
        let derived = self.derived.entry((part.start, kind)).or_insert_with(empty);
        if !derived.fresh || derived.data.len() != len || derived.part != part {
            derived.data.resize(len, 0.0);
            make(&mut derived.data);
            (derived.part, derived.fresh) = (part, true);
        }
        &derived.data
    }

    /// Invalidates what was derived from any element of `span`, which is about to be written. The
    /// memory is kept for the next use.
    pub(super) fn forget(&mut self, span: &Range<usize>) {
        // Parameters are at the front of the arena; most writes go to planned memory after them.
        if span.start >= self.end {
            return;
        }
        for derived in self.derived.values_mut() {
            derived.fresh &= derived.part.end <= span.start || span.end <= derived.part.start;
        }
    }

    /// Floats held.
    pub(super) fn capacity(&self) -> usize {
        self.derived.values().map(|derived| derived.data.capacity()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_is_derived_anew() {
        let mut memo = Memo::default();
        let mut made = 0;
        let mut get = |memo: &mut Memo, part, kind, len| {
            let before = made;
            memo.get(part, kind, len, |_| made += 1);
            made > before
        };
        assert!(get(&mut memo, 10..20, 0, 3) && get(&mut memo, 20..30, 0, 3));
        assert!(get(&mut memo, 10..20, 1, 3), "another kind");
        memo.forget(&(0..10));
        memo.forget(&(20..21));
        memo.forget(&(30..40));
        assert!(!get(&mut memo, 10..20, 0, 3) && !get(&mut memo, 10..20, 1, 3));
        assert!(get(&mut memo, 20..30, 0, 3), "its first element was written");
        assert!(get(&mut memo, 10..20, 0, 4), "another length");
        assert!(get(&mut memo, 10..19, 0, 4), "another part that begins there");
        memo.forget(&(18..19));
        assert!(get(&mut memo, 10..19, 0, 4), "its last element was written");
    }
}
