use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// In which order the examples of each epoch are taken.
///
/// The generator and the shuffle are fixed here, not left to a library's default, so that a seed gives the same order
/// on every machine and in every later version.
pub(super) struct Order {
    generator: ChaCha8Rng,
    indices: Vec<usize>,
    shuffled: bool,
}

impl Order {
    /// The order of `examples` examples. Not shuffled, they are taken as they stand: with all of them in one batch the
    /// order changes nothing but rounding.
    pub(super) fn new(seed: u64, examples: usize, shuffled: bool) -> Self {
        let generator = generator(b"federated.shuffle.v1\0\0\0\0", seed);
        Self { generator, indices: (0..examples).collect(), shuffled }
    }

    /// The order of the next epoch: a Fisher-Yates shuffle of the one before.
    pub(super) fn next_epoch(&mut self) -> &[usize] {
        if self.shuffled {
            for end in (1..self.indices.len()).rev() {
                let chosen = self.below(end + 1);
                self.indices.swap(chosen, end);
            }
        }
        &self.indices
    }

    /// A number from 0 to `bound` - 1, each equally likely: draws beyond the last full multiple of `bound` are repeated.
    fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let draw = self.generator.next_u64();
            if draw < limit {
                return usize::try_from(draw % bound).unwrap_or(0);
            }
        }
    }
}

/// A generator that purpose and seed determine: the key is the seed, little-endian, and the purpose.
pub(super) fn generator(purpose: &[u8; 24], seed: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    let (low, high) = key.split_at_mut(8);
    low.copy_from_slice(&seed.to_le_bytes());
    high.copy_from_slice(purpose);
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_epoch_is_a_permutation_that_the_seed_determines() {
        let epochs = |seed| {
            let mut order = Order::new(seed, 100, true);
            [order.next_epoch().to_vec(), order.next_epoch().to_vec()]
        };
        let [first, second] = epochs(7);
        assert_eq!(epochs(7), [first.clone(), second.clone()]);
        assert_ne!(first, second);
        assert_ne!(epochs(8)[0], first);
        let mut sorted = second;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn the_order_of_a_seed_never_changes() {
        assert_eq!(Order::new(1, 8, true).next_epoch(), [0, 7, 5, 1, 3, 4, 2, 6]);
    }

    /// 6,000 shuffles of 3: each of the 6 orders is expected 1,000 times with a standard deviation of 29. The bound is
    /// 6 standard deviations (false alarm below 2e-8 over all six), and the seed is fixed, so the test is not random.
    #[test]
    fn every_order_is_about_equally_likely() {
        let mut order = Order::new(3, 3, true);
        let mut counts = std::collections::BTreeMap::<Vec<usize>, i32>::new();
        for _ in 0..6_000 {
            *counts.entry(order.next_epoch().to_vec()).or_default() += 1;
        }
        assert!(counts.len() == 6 && counts.values().all(|count| (count - 1_000).abs() < 174), "{counts:?}");
    }

    #[test]
    fn without_shuffling_examples_are_taken_as_they_stand() {
        assert_eq!(Order::new(1, 3, false).next_epoch(), [0, 1, 2]);
    }
}
