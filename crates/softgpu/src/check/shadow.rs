//! Shadow of a block's shared memory: written bytes, races between warps, copies on their way.

use super::clocks::Clocks;
use super::epochs::Epochs;
use super::lines::Lines;

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    Read,
    Write,
    Atomic,
    /// Starts a copy to it.
    Copy,
}

/// What is wrong with an access: the warp and the instruction that it conflicts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// Written by this warp at this instruction.
    Write(usize, u32),
    /// Read by this warp at this instruction.
    Read(usize, u32),
    /// Bytes that nothing wrote.
    Invalid,
    /// The destination of a copy that nothing has waited for.
    InFlight,
}

/// The two ways to keep it: the first where every barrier is one of the whole block, as `__syncthreads` is.
pub(crate) enum Shadow {
    Epochs(Epochs),
    Clocks(Clocks),
}

impl Shadow {
    /// Of `words` words for `warps` warps.
    pub fn new(words: usize, warps: usize, whole_barriers: bool) -> Shadow {
        match whole_barriers {
            true => Shadow::Epochs(Epochs::new(words, warps)),
            false => Shadow::Clocks(Clocks::new(words, warps)),
        }
    }

    /// Forgets everything: a new block starts.
    pub fn reset(&mut self) {
        match self {
            Shadow::Epochs(epochs) => epochs.reset(),
            Shadow::Clocks(clocks) => clocks.reset(),
        }
    }

    /// A barrier that the warps of `mask` passed.
    pub fn join(&mut self, mask: u32) {
        match self {
            Shadow::Epochs(epochs) => epochs.join(mask),
            Shadow::Clocks(clocks) => clocks.join(mask),
        }
    }

    /// Marks an access and says whether all is well, or answers false where [`Self::word`] has to be asked.
    /// A `partial` access is of less than a word.
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
        match self {
            Shadow::Epochs(epochs) => epochs.touch(lines, first, partial, warp, pc, touch),
            Shadow::Clocks(_) => false,
        }
    }

    /// One word of an access, its bytes a bit each: marks it and says what is wrong, a race first.
    #[inline(never)]
    pub fn word(
        &mut self,
        word: usize,
        bytes: u8,
        warp: usize,
        pc: u32,
        touch: Touch,
    ) -> [Option<Conflict>; 2] {
        match self {
            Shadow::Epochs(epochs) => epochs.word(word, bytes, warp, pc, touch),
            Shadow::Clocks(clocks) => clocks.word(word, bytes, warp, pc, touch),
        }
    }

    /// The warp has waited for copies to these words.
    #[inline(always)]
    pub fn end_copy(&mut self, lines: &Lines, first: usize, warp: usize, pc: u32) {
        match self {
            Shadow::Epochs(epochs) => epochs.end_copy(lines, first, warp, pc),
            Shadow::Clocks(clocks) => clocks.end_copy(lines, first, warp, pc),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Up to the first conflict the two shadows see the same, whatever four warps do between barriers.
    #[test]
    fn the_two_shadows_agree() {
        let mut state = 1u64;
        let mut random = |n: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % n
        };
        let (mut conflicts, mut quiet) = (0, 0);
        for _ in 0..3000 {
            let mut shadows = [Shadow::new(200, 4, true), Shadow::new(200, 4, false)];
            shadows.iter_mut().for_each(Shadow::reset);
            let mut copies: Vec<(usize, usize, Lines)> = Vec::new();
            let mut exited = 0u32;
            quiet += 1;
            for pc in 0..40 {
                let warp = random(4) as usize;
                if exited >> warp & 1 != 0 {
                    continue;
                }
                match random(16) {
                    0 if exited == 0 => exited |= 1 << warp & u32::from(random(4) == 0) << warp,
                    1..5 => shadows.iter_mut().for_each(|s| s.join(15 & !exited)),
                    5 | 6 => {
                        let Some(i) = copies.iter().position(|c| c.0 == warp) else { continue };
                        let (_, first, lines) = copies.swap_remove(i);
                        shadows.iter_mut().for_each(|s| s.end_copy(&lines, first, warp, pc));
                    }
                    what => {
                        // Words that the warp has to itself, or any.
                        let own = random(3) != 0;
                        let first = if own {
                            40 * warp + random(30) as usize
                        } else {
                            random(180) as usize
                        };
                        let words = 1 << random(3);
                        let partial = words == 1 && random(3) == 0;
                        let bytes = if partial { 3 } else { 15 };
                        let touch = match what {
                            7..10 => Touch::Read,
                            10 => Touch::Atomic,
                            11 if !partial => Touch::Copy,
                            _ => Touch::Write,
                        };
                        let lines = Lines::of(std::iter::once(0..words as u64));
                        let verdicts = shadows.each_mut().map(|s| {
                            if s.touch(&lines, first, partial, warp, pc, touch) {
                                return [0; 2];
                            }
                            // How many words are in a race, and how many were not written.
                            (first..first + words).fold([0; 2], |[races, unwritten], word| {
                                let [race, invalid] = s.word(word, bytes, warp, pc, touch);
                                [
                                    races + i32::from(race.is_some()),
                                    unwritten + i32::from(invalid.is_some()),
                                ]
                            })
                        });
                        assert_eq!(verdicts[0], verdicts[1], "{touch:?} of {first}+{words}");
                        if verdicts[0][0] != 0 {
                            conflicts += 1;
                            quiet -= 1;
                            break;
                        }
                        if touch == Touch::Copy {
                            copies.push((warp, first, lines));
                        }
                    }
                }
            }
        }
        assert!(conflicts > 300 && quiet > 300, "{conflicts} conflicts, {quiet} runs without");
    }
}
