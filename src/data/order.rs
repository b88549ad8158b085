//! The order of samples in an epoch, and how it is cut into batches.
//!
//! An epoch is a permutation of all samples, drawn anew for each epoch from (seed, epoch). A recorded
//! program has a fixed batch, so the last batch of an epoch is filled from the epoch's own start:
//! every epoch has `ceil(samples / batch)` steps, which is what the PyTorch port runs (its loader
//! keeps the short batch), no picture is left out, and a data set smaller than a batch works. A
//! sample that is taken a second time in an epoch gets a crop and a flip of its own. Dropping the
//! short batch would leave out up to `batch - 1` pictures of small data sets in every epoch.

use crate::random::{Purpose, below, philox};

/// Which samples a batch takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Samples in the data set, at least 1.
    pub samples: usize,
    /// Samples in a batch, at least 1.
    pub batch: usize,
    /// A new permutation each epoch; else the order of file names.
    pub shuffle: bool,
    /// Key of the permutations.
    pub seed: u64,
}

impl Order {
    /// Batches in an epoch: `ceil(samples / batch)`.
    pub fn steps_per_epoch(&self) -> usize {
        self.samples.div_ceil(self.batch)
    }

    /// The permutation of an epoch, by Fisher and Yates.
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

    /// The samples of batch `step` of an epoch whose permutation is `order`, each with the number of
    /// times that the epoch took it before.
    pub fn batch_of(&self, order: &[usize], step: usize) -> Vec<(usize, usize)> {
        let from = step * self.batch;
        (from..from + self.batch).map(|i| (order[i % self.samples], i / self.samples)).collect()
    }
}
