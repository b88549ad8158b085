//! Shadow of a block's shared memory: written bytes, and who touched each word last.
//!
//! Every warp has a clock that its barriers advance. An earlier access by another warp is ordered before
//! this one when a chain of barriers has brought the other's clock to this warp.

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
    /// Warp plus one that has a copy under way to this word.
    in_flight: u8,
}

/// What a check of an access says: the instruction that it conflicts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// Written by this warp at this instruction.
    Write(usize, u32),
    /// Read by this warp at this instruction.
    Read(usize, u32),
    /// Bytes that nothing wrote.
    Invalid,
    /// The destination of a copy that this warp has not waited for.
    InFlight(usize, u32),
}

#[derive(Default)]
pub(crate) struct Shadow {
    cells: Vec<Cell>,
    write_pc: Vec<u32>,
    read_pc: Vec<u32>,
    /// `clocks[u][w]`: what warp `u` knows of warp `w`.
    clocks: Vec<[u32; 32]>,
    dirty: bool,
}

/// Which questions to ask of an access.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    pub race: bool,
    pub valid: bool,
}

impl Shadow {
    pub fn new(words: usize, warps: usize) -> Shadow {
        Shadow {
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

    #[inline(always)]
    pub fn read(
        &mut self,
        word: usize,
        bytes: u8,
        warp: usize,
        pc: u32,
        ask: Ask,
    ) -> Option<Conflict> {
        self.dirty = true;
        let cell = &mut self.cells[word];
        let mine = &self.clocks[warp];
        let mut conflict = None;
        if ask.valid && cell.valid & bytes != bytes {
            conflict = Some(Conflict::Invalid);
        }
        if ask.race {
            let writer = usize::from(cell.writer);
            if writer != warp && cell.write > mine[writer] {
                conflict = Some(Conflict::Write(writer, self.write_pc[word]));
            }
            if cell.in_flight != 0 {
                conflict =
                    Some(Conflict::InFlight(usize::from(cell.in_flight) - 1, self.write_pc[word]));
            }
            let now = mine[warp];
            if cell.read != now {
                cell.read = now;
                cell.readers = 0;
            }
            if cell.readers >> warp & 1 == 0 {
                cell.readers |= 1 << warp;
                self.read_pc[word] = pc;
            }
        }
        conflict
    }

    #[inline(always)]
    pub fn write(
        &mut self,
        word: usize,
        bytes: u8,
        warp: usize,
        pc: u32,
        ask: Ask,
        atomic: bool,
    ) -> Option<Conflict> {
        self.dirty = true;
        let cell = &mut self.cells[word];
        let mine = &self.clocks[warp];
        let mut conflict = None;
        if ask.race {
            let writer = usize::from(cell.writer);
            if writer != warp && cell.write > mine[writer] && !(atomic && cell.atomic) {
                conflict = Some(Conflict::Write(writer, self.write_pc[word]));
            }
            let others = if on(Mutant::SharedRaceBlind) { 0 } else { cell.readers & !(1 << warp) };
            if others != 0 {
                let late = super::shadow::each(others).find(|r| cell.read > mine[*r]);
                if let Some(reader) = late {
                    conflict = Some(Conflict::Read(reader, self.read_pc[word]));
                }
            }
            if cell.in_flight != 0 {
                conflict =
                    Some(Conflict::InFlight(usize::from(cell.in_flight) - 1, self.write_pc[word]));
            }
        }
        cell.write = mine[warp];
        cell.writer = warp as u8;
        cell.atomic = atomic;
        cell.valid |= bytes;
        self.write_pc[word] = pc;
        conflict
    }

    /// A copy to the word starts: as a write, but the bytes are not there yet.
    pub fn start_copy(&mut self, word: usize, warp: usize, pc: u32, ask: Ask) -> Option<Conflict> {
        let conflict = self.write(word, 0, warp, pc, ask, false);
        self.cells[word].in_flight = warp as u8 + 1;
        conflict
    }

    /// The copy has been waited for.
    pub fn end_copy(&mut self, word: usize, warp: usize, pc: u32, ask: Ask) {
        self.cells[word].in_flight = 0;
        self.write(word, 15, warp, pc, Ask { race: false, ..ask }, false);
    }
}

fn each(mask: u32) -> impl Iterator<Item = usize> {
    (0..32).filter(move |w| mask >> w & 1 != 0)
}
