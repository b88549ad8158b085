//! Shadow of a block's shared memory for programs with barriers of a part of the block: written bytes, and
//! who touched each word last.
//!
//! Every warp has a clock that its barriers advance. An earlier access by another warp is ordered before
//! this one when a chain of barriers has brought the other's clock to this warp.

use super::lines::Lines;
use super::shadow::{Conflict, Touch};
use crate::mutants::{Mutant, on};

/// What is known of a 4-byte word.
#[derive(Clone, Copy, Default)]
struct Cell {
    /// Clock of the last write, 0 for none, and the warp that made it.
    write: u32,
    /// Clock of the last reads and the warps that made them at that clock.
    read: u32,
    readers: u32,
    writer: u8,
    /// One bit a byte.
    valid: u8,
    atomic: bool,
    /// Whether a copy is on its way to this word.
    in_flight: bool,
}

#[derive(Default)]
pub(crate) struct Clocks {
    cells: Vec<Cell>,
    write_pc: Vec<u32>,
    read_pc: Vec<u32>,
    /// `clocks[u][w]`: what warp `u` knows of warp `w`.
    clocks: Vec<[u32; 32]>,
    dirty: bool,
}

impl Clocks {
    pub fn new(words: usize, warps: usize) -> Clocks {
        Clocks {
            cells: vec![Cell::default(); words],
            write_pc: vec![0; words],
            read_pc: vec![0; words],
            clocks: vec![[0; 32]; warps],
            dirty: true,
        }
    }

    /// Forgets everything: a new block starts.
    pub fn reset(&mut self) {
        if self.dirty {
            self.cells.fill(Cell::default());
        }
        for (w, clock) in self.clocks.iter_mut().enumerate() {
            *clock = [0; 32];
            clock[w] = 1;
        }
        self.dirty = false;
    }

    /// A barrier that the warps of `mask` passed: each knows what all know.
    pub fn join(&mut self, mask: u32) {
        if on(Mutant::BarrierClock) {
            return;
        }
        let mut all = [0; 32];
        for (w, clock) in self.clocks.iter().enumerate().filter(|(w, _)| mask >> w & 1 != 0) {
            let _ = w;
            all.iter_mut().zip(clock).for_each(|(a, c)| *a = (*a).max(*c));
        }
        for (w, clock) in self.clocks.iter_mut().enumerate().filter(|(w, _)| mask >> w & 1 != 0) {
            *clock = all;
            clock[w] += 1;
        }
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
        self.dirty = true;
        let cell = &mut self.cells[word];
        let mine = &self.clocks[warp];
        let (reads, atomic) = (touch == Touch::Read, touch == Touch::Atomic);
        let invalid = (reads || atomic) && cell.valid & bytes != bytes;
        let mut race = None;
        let writer = usize::from(cell.writer);
        if writer != warp && cell.write > mine[writer] && !(atomic && cell.atomic) {
            race = Some(Conflict::Write(writer, self.write_pc[word]));
        }
        let others = if on(Mutant::SharedRaceBlind) { 0 } else { cell.readers & !(1 << warp) };
        if !reads && others != 0 {
            let mut others = (0..32).filter(|w| others >> w & 1 != 0);
            if let Some(reader) = others.find(|r| cell.read > mine[*r]) {
                race = Some(Conflict::Read(reader, self.read_pc[word]));
            }
        }
        if cell.in_flight {
            race = Some(Conflict::InFlight);
        }
        let now = mine[warp];
        if reads {
            if cell.read != now {
                cell.read = now;
                cell.readers = 0;
            }
            if cell.readers >> warp & 1 == 0 {
                cell.readers |= 1 << warp;
                self.read_pc[word] = pc;
            }
        } else {
            cell.write = now;
            cell.writer = warp as u8;
            cell.atomic = atomic;
            self.write_pc[word] = pc;
            match touch {
                Touch::Copy => cell.in_flight = true,
                _ => cell.valid |= bytes,
            }
        }
        [race, invalid.then_some(Conflict::Invalid)]
    }

    /// The warp has waited for copies to these words.
    pub fn end_copy(&mut self, lines: &Lines, first: usize, warp: usize, pc: u32) {
        lines.at(first, |line, bits| {
            for word in (0..64).filter(|b| bits >> b & 1 != 0).map(|b| 64 * line + b) {
                self.cells[word].in_flight = false;
                self.word(word, 15, warp, pc, Touch::Write);
            }
        });
    }
}
