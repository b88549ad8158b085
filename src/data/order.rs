//! The order of samples in an epoch, and its division into batches.
//!
//! An epoch is a permutation of all samples that depends on (seed, epoch). A recorded program has a
//! fixed batch size, so the last batch of an epoch is filled up from the epoch's start. Every epoch
//! thus has `ceil(samples / batch)` steps, as in the PyTorch port, whose loader keeps the short
//! batch; no image is left out, and a data set smaller than a batch works. A sample that is used
//! twice in an epoch gets a new crop and flip.

use crate::random::{Purpose, below, philox};

/// The order of samples, and their division into batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Samples in the data set, at least 1.
    pub samples: usize,
    /// Samples in a batch, at least 1.
    pub batch: usize,
    /// A new permutation each epoch; otherwise the order of the list.
    pub shuffle: bool,
    /// Seed of the permutations.
    pub seed: u64,
}

impl Order {
    /// Batches in an epoch: `ceil(samples / batch)`.
    pub fn steps_per_epoch(&self) -> usize {
        self.samples.div_ceil(self.batch)
    }

    /// The permutation of an epoch, by the Fisher-Yates shuffle.
    pub fn permutation(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.samples).collect();
        if self.shuffle {
            for i in (1..self.samples).rev() {
                let counter = [(i / 4) as u32, epoch as u32, 0, Purpose::Shuffle as u32];
                let word = philox(self.seed, counter)[i % 4];
                order.swap(i, below(word, i as u32 + 1) as usize);
            }
        }
        order
    }

    /// The samples of batch `step` of an epoch whose permutation is `order`, each with the number
    /// of times that the epoch has used it before.
    pub fn batch_of(&self, order: &[usize], step: usize) -> Vec<(usize, usize)> {
        let from = step * self.batch;
        (from..from + self.batch).map(|i| (order[i % self.samples], i / self.samples)).collect()
    }
}
