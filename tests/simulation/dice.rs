//! The only source of chance: a small generator (`SplitMix64`), so that one number replays a whole history.

use sekisho::clock::Entropy;
use std::sync::atomic::{AtomicU64, Ordering};

/// A stream of random numbers. Intake and notices draw from one of their own through [`Entropy`].
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A number below `most`.
    pub(crate) fn below(&self, most: usize) -> usize {
        usize::try_from(self.bits() % most as u64).unwrap()
    }

    /// True in this many of a hundred cases.
    pub(crate) fn percent(&self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Each of these with this chance, but at least one.
    pub(crate) fn some<T: Copy>(&self, from: &[T], chance: usize) -> Vec<T> {
        let some: Vec<T> = from.iter().copied().filter(|_| self.percent(chance)).collect();
        if some.is_empty() { vec![self.pick(from)] } else { some }
    }
}

impl Entropy for Dice {
    fn bits(&self) -> u64 {
        let mut mixed = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
