use federated_core::privacy::dp::SamplingRate;
use rand_chacha::{ChaCha20Rng, rand_core::RngCore};

/// Batches in which each example is with the same chance, whatever others are in it: what the accountants' amplification
/// by Poisson sampling is proven for.
///
/// Batches differ in size, and may be empty. An empty one is a step like any other and gets its noise: leaving it out would
/// tell that it was empty.
///
/// # Privacy
/// Which examples were taken must stay unknown to whoever sees what is released: seed the generator from the system,
/// never from a task. A chance of `q` is `q` rounded down to a multiple of 2^-64, so batches are never likelier to have an example
/// than was said.
///
/// # Examples
/// ```
/// use federated_client::trainer::private::PoissonBatches;
/// use federated_core::privacy::dp::SamplingRate;
/// use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
///
/// let mut batches = PoissonBatches::new(ChaCha20Rng::from_seed([1; 32]), 1_000, SamplingRate::new(0.1)?);
/// assert!((50..150).contains(&batches.next_batch().len()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PoissonBatches {
    generator: ChaCha20Rng,
    examples: usize,
    /// An example is taken when 64 random bits are below this.
    threshold: u128,
}

impl PoissonBatches {
    /// Batches of `examples` examples, each with the chance of `rate`.
    #[must_use]
    pub fn new(generator: ChaCha20Rng, examples: usize, rate: SamplingRate) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 2^64, and rounded down"
        )]
        let threshold = (rate.get() * 2.0_f64.powi(64)) as u128;
        Self { generator, examples, threshold }
    }

    /// The numbers of the next batch's examples, ascending.
    pub fn next_batch(&mut self) -> Vec<usize> {
        let Self { generator, threshold, .. } = self;
        (0..self.examples).filter(|_| u128::from(generator.next_u64()) < *threshold).collect()
    }
}

impl std::fmt::Debug for PoissonBatches {
    /// Not the generator: who knows it knows the batches.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoissonBatches").field("examples", &self.examples).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn batches(seed: u8, examples: usize, rate: f64) -> PoissonBatches {
        PoissonBatches::new(ChaCha20Rng::from_seed([seed; 32]), examples, SamplingRate::new(rate).unwrap())
    }

    /// 4,000 batches of 50 examples at 0.1: sizes have mean 5 and variance 4.5; each example is in 400 with a standard
    /// deviation of 19; each of the 49 pairs of neighbours is together in 40 with one of 6.3. Bounds are 6 standard
    /// deviations: a false alarm below 3e-7 over all, and the seed is fixed.
    #[test]
    fn each_example_is_in_a_batch_with_the_same_chance_whatever_others_are() {
        let mut batches = batches(1, 50, 0.1);
        let (mut single, mut pairs, mut sizes) = ([0_i32; 50], [0_i32; 49], Vec::new());
        for _ in 0..4_000 {
            let batch = batches.next_batch();
            batch.iter().for_each(|index| single[*index] += 1);
            batch.windows(2).filter(|pair| pair[1] == pair[0] + 1).for_each(|pair| pairs[pair[0]] += 1);
            sizes.push(f64::from(u32::try_from(batch.len()).unwrap()));
        }
        assert!(single.iter().all(|count| (count - 400).abs() < 114), "{single:?}");
        assert!(pairs.iter().all(|count| (count - 40).abs() < 38), "{pairs:?}");
        let mean = sizes.iter().sum::<f64>() / 4_000.0;
        let variance = sizes.iter().map(|size| (size - mean) * (size - mean)).sum::<f64>() / 3_999.0;
        assert!((mean - 5.0).abs() < 6.0 * (4.5_f64 / 4_000.0).sqrt(), "{mean}");
        // A binomial variable's sample variance: (4.5^2 (2 + 0.1)) / 4,000 to within a few percent.
        assert!((variance - 4.5).abs() < 6.0 * (4.5 * 4.5 * 2.1_f64 / 4_000.0).sqrt(), "{variance}");
    }

    #[test]
    fn a_small_rate_gives_empty_batches_and_a_rate_of_one_all_examples() {
        let mut rare = batches(2, 10, 1e-6);
        assert!((0..100).all(|_| rare.next_batch().is_empty()));
        let mut all = batches(3, 10, 1.0);
        assert!((0..100).all(|_| all.next_batch() == (0..10).collect::<Vec<_>>()));
        assert!(batches(4, 0, 0.5).next_batch().is_empty());
    }

    #[test]
    fn the_generator_determines_the_batches() {
        let draw = |seed| (0..5).map(|_| batches(seed, 40, 0.3).next_batch()).collect::<Vec<_>>();
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }
}
