//! Shadow of a block's shared memory where every barrier is one of the whole block.
//!
//! Such barriers cut a block's life into epochs. Two accesses of one epoch by two warps are unordered, all
//! others are ordered, so it is enough to keep, a bit a word, what each warp did since the last barrier.
//! Words are looked at 64 at a time, by patterns that are made once an instruction.

use super::lines::Lines;
use super::shadow::{Conflict, Touch};
use crate::mutants::{Mutant, on};

/// What a warp did to words.
const READ: usize = 0;
const WROTE: usize = 1;
const UPDATED: usize = 2;
type Marks = [u64; 3];

/// An access that set marks, to name the instruction of a conflict.
struct Access {
    pc: u32,
    line: u32,
    kind: usize,
    bits: u64,
}

#[derive(Default)]
pub(crate) struct Epochs {
    warps: usize,
    /// What all warps together did since the last barrier, a line each.
    all: Vec<Marks>,
    /// What each warp did: lines x warps.
    own: Vec<Marks>,
    /// The accesses behind them, a list a warp. Each has a mark that was new, so there are at most as many as words.
    log: Vec<Vec<Access>>,
    /// Lines with marks.
    marked: Vec<u32>,
    /// Words of which every byte was written, and words that a copy is on its way to.
    valid: Vec<u64>,
    in_flight: Vec<u64>,
    /// Written bytes of words that are not valid, a bit each.
    bytes: Vec<u8>,
}

fn join(a: Marks, b: Marks) -> Marks {
    [a[0] | b[0], a[1] | b[1], a[2] | b[2]]
}

/// The marks of other warps that an access of one epoch may not meet.
#[inline(always)]
fn against([read, wrote, updated]: Marks, touch: Touch) -> u64 {
    match touch {
        Touch::Read => wrote | updated,
        Touch::Atomic => read | wrote,
        Touch::Write | Touch::Copy => read | wrote | updated,
    }
}

fn kind(touch: Touch) -> usize {
    match touch {
        Touch::Read => READ,
        Touch::Atomic => UPDATED,
        Touch::Write | Touch::Copy => WROTE,
    }
}

impl Epochs {
    pub fn new(words: usize, warps: usize) -> Epochs {
        let lines = words.div_ceil(64);
        Epochs {
            warps,
            all: vec![[0; 3]; lines],
            own: vec![[0; 3]; lines * warps],
            log: (0..warps).map(|_| Vec::new()).collect(),
            marked: Vec::new(),
            valid: vec![0; lines],
            in_flight: vec![0; lines],
            bytes: vec![0; words],
        }
    }

    /// Forgets everything: a new block starts.
    pub fn reset(&mut self) {
        self.forget(u32::MAX);
        self.valid.fill(0);
        self.in_flight.fill(0);
        self.bytes.fill(0);
    }

    /// The warps of `mask` passed a barrier; the others have exited, and nothing orders what they did.
    pub fn join(&mut self, mask: u32) {
        if !on(Mutant::BarrierClock) {
            self.forget(if on(Mutant::EpochExited) { u32::MAX } else { mask });
        }
    }

    fn forget(&mut self, mask: u32) {
        let Epochs { warps, all, own, log, marked, .. } = self;
        for (warp, list) in log.iter_mut().enumerate() {
            if mask >> warp & 1 != 0 {
                list.clear();
            }
        }
        marked.retain(|&line| {
            let line = line as usize;
            let mut left = [0; 3];
            for (warp, marks) in own[line * *warps..][..*warps].iter_mut().enumerate() {
                if mask >> warp & 1 != 0 {
                    *marks = [0; 3];
                }
                left = join(left, *marks);
            }
            all[line] = left;
            left != [0; 3]
        });
    }

    /// What the other warps did to a line.
    #[inline]
    fn others(&self, line: usize, warp: usize) -> Marks {
        let mut sum = [0; 3];
        for (other, marks) in self.own[line * self.warps..][..self.warps].iter().enumerate() {
            if other != warp {
                sum = join(sum, *marks);
            }
        }
        sum
    }

    #[inline(always)]
    fn mark(&mut self, line: usize, bits: u64, kind: usize, warp: usize, pc: u32) {
        let own = &mut self.own[line * self.warps + warp][kind];
        let new = bits & !*own;
        if new == 0 {
            return;
        }
        *own |= new;
        let all = &mut self.all[line];
        if *all == [0; 3] {
            self.marked.push(line as u32);
        }
        all[kind] |= new;
        self.log[warp].push(Access { pc, line: line as u32, kind, bits: new });
    }

    /// Marks an access and says that nothing is to be said of it, or marks nothing: then [`Self::word`] tells
    /// what is wrong, word by word. A `partial` access is of less than a word.
    #[inline(always)]
    pub fn touch(
        &mut self,
        lines: &Lines,
        first: usize,
        partial: bool,
        warp: usize,
        pc: u32,
        touch: Touch,
    ) -> bool {
        let whole = matches!(touch, Touch::Write | Touch::Copy) && !partial;
        let mut wrong = 0;
        lines.at(first, |line, bits| {
            let mut bad = self.in_flight[line] | if whole { 0 } else { !self.valid[line] };
            if against(self.all[line], touch) & bits != 0 {
                bad |= against(self.others(line, warp), touch);
            }
            wrong |= bad & bits;
        });
        if wrong != 0 {
            return false;
        }
        lines.at(first, |line, bits| {
            match touch {
                Touch::Write => self.valid[line] |= bits,
                Touch::Copy => self.in_flight[line] |= bits,
                Touch::Read | Touch::Atomic => {}
            }
            self.mark(line, bits, kind(touch), warp, pc);
        });
        true
    }

    /// One word of an access, its bytes a bit each: marks it and says what is wrong, a race first.
    pub fn word(
        &mut self,
        word: usize,
        bytes: u8,
        warp: usize,
        pc: u32,
        touch: Touch,
    ) -> [Option<Conflict>; 2] {
        let (line, bit) = (word / 64, 1u64 << (word % 64));
        let race = self.race(line, bit, warp, touch);
        let valid = self.valid[line] & bit != 0 || self.bytes[word] & bytes == bytes;
        let reads = matches!(touch, Touch::Read | Touch::Atomic);
        self.mark(line, bit, kind(touch), warp, pc);
        match touch {
            Touch::Read => {}
            Touch::Copy => self.in_flight[line] |= bit,
            Touch::Write | Touch::Atomic => {
                self.bytes[word] |= bytes;
                if self.bytes[word] == 15 {
                    self.valid[line] |= bit;
                }
            }
        }
        [race, (reads && !valid).then_some(Conflict::Invalid)]
    }

    /// The access of another warp that this one conflicts with, or a copy on its way.
    fn race(&self, line: usize, bit: u64, warp: usize, touch: Touch) -> Option<Conflict> {
        if self.in_flight[line] & bit != 0 {
            return Some(Conflict::InFlight);
        }
        let blind = touch != Touch::Read && on(Mutant::SharedRaceBlind);
        (0..self.warps).filter(|other| *other != warp).find_map(|other| {
            let [read, wrote, updated] = self.own[line * self.warps + other];
            if against([if blind { 0 } else { read }, wrote, updated], touch) & bit == 0 {
                return None;
            }
            let mut log = self.log[other].iter().rev();
            let harmless = if touch == Touch::Atomic { UPDATED } else { usize::MAX };
            let access = log.find(|a| {
                let harmless =
                    a.kind == harmless || a.kind == READ && (touch == Touch::Read || blind);
                a.line as usize == line && a.bits & bit != 0 && !harmless
            })?;
            Some(match access.kind {
                READ => Conflict::Read(other, access.pc),
                _ => Conflict::Write(other, access.pc),
            })
        })
    }

    /// The warp has waited for copies to these words.
    #[inline(always)]
    pub fn end_copy(&mut self, lines: &Lines, first: usize, warp: usize, pc: u32) {
        lines.at(first, |line, bits| {
            self.in_flight[line] &= !bits;
            self.valid[line] |= bits;
            if !on(Mutant::CopyLanding) {
                self.mark(line, bits, WROTE, warp, pc);
            }
        });
    }
}
