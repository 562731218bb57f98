use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{LEAST_VALUE_BITS, VectorError, VectorPlan};
use crate::{
    privacy::dp::{
        DiscreteGaussian, NoiseMultiplier, NoiseSeed,
        distributed::{DistributedGaussian, NoiseShare, RoundedNorms},
    },
    update::ExampleCount,
};

/// How many standard deviations of noise the modulus holds beside the values: beyond it is a sum in 10^22.
const TAIL: f64 = 10.0;
/// The bits of a plan leave room for the noise of models of up to so many values.
const MOST_VALUES: u64 = 1 << 34;
/// What the noise is made larger by, for the distance of a sum of discrete Gaussians from one and for roundings.
const UP: f64 = 1.0 + 1e-9;

/// Noise that participants add to their vectors, a share each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "these two numbers are what a share follows from")]
pub struct VectorNoise {
    /// The standard deviation of the noise on the sum, divided by what one participant can change the sum by.
    pub multiplier: NoiseMultiplier,
    /// How many are sure to add their share: survivors who do not lie.
    pub contributors: NonZeroU32,
}

impl VectorPlan {
    /// The same with noise on the sum of values: the clip is then that of a whole update, in Euclidean norm.
    ///
    /// # Errors
    /// [`VectorError::NotAlike`] when participants could weigh differently, or report metrics, which have no noise;
    /// [`VectorError::ValueBits`] when the modulus is too small for values and noise.
    pub fn noised(self, noise: VectorNoise) -> Result<Self, VectorError> {
        if self.max_examples != ExampleCount::ONE || !self.metrics.is_empty() {
            return Err(VectorError::NotAlike {
                examples: self.max_examples.get(),
                metrics: self.metrics.len(),
            });
        }
        let fits = |bits: u32| {
            let most = f64::from((1_u32 << (bits - 1)) - 1);
            let participants = f64::from(self.max_participants);
            let room = 2.0_f64.powi(self.modulus.bits().cast_signed() - 1) - 1.0;
            let two = most + (MOST_VALUES as f64).sqrt();
            let total =
                noise.multiplier.get() * two * (participants / f64::from(noise.contributors.get())).sqrt();
            participants * most + TAIL * total * UP < room
        };
        let bits = (LEAST_VALUE_BITS..=self.value_bits).rev().find(|bits| fits(*bits));
        let (modulus, participants) = (self.modulus.bits(), self.max_participants);
        let value_bits = bits.ok_or(VectorError::ValueBits { modulus, participants, found: 0 })?;
        Ok(Self { noise: Some(noise), value_bits, ..self })
    }

    /// The noise that is shared out, if any is.
    #[must_use]
    pub const fn noise(&self) -> Option<VectorNoise> {
        self.noise
    }

    /// What each participant adds to the vector of a model with so many values, in steps.
    ///
    /// # Errors
    /// [`VectorError::Noise`] when the shares are so narrow that their sum is no Gaussian.
    pub(super) fn share(&self, noise: VectorNoise, values: u64) -> Result<NoiseShare, VectorError> {
        let norms = RoundedNorms::new(self.quantizer().most().into(), values.max(1), 0.0)?;
        let total = (noise.multiplier.get() * norms.two()).powi(2) * UP;
        let share = NoiseShare::new(total, noise.contributors.get(), 0.0)?;
        let found = DistributedGaussian::new(share, norms)?.multiplier();
        let expected = noise.multiplier.get();
        if found < expected { Err(VectorError::Narrow { expected, found }) } else { Ok(share) }
    }

    /// How large the noise in a sum of so many vectors is at most, in steps.
    pub(super) fn most_noise(&self, survivors: u32, values: u64) -> Result<u32, VectorError> {
        let Some(noise) = self.noise else { return Ok(0) };
        let sigma = self.share(noise, values)?.variance().sigma();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturating, and not negative"
        )]
        let most = (TAIL * sigma * f64::from(survivors).sqrt()).ceil() as u32;
        Ok(most)
    }
}

/// A participant's share of noise, drawn as it is needed.
#[derive(Debug)]
pub(super) struct Share<'a> {
    noise: DiscreteGaussian,
    seed: &'a NoiseSeed,
}

impl<'a> Share<'a> {
    pub(super) fn new(share: NoiseShare, seed: &'a NoiseSeed) -> Self {
        Self { noise: DiscreteGaussian::new(share.variance()), seed }
    }

    /// Adds noise to a stretch of elements of so many bytes each, modulo what they are counted modulo. Each stretch is told
    /// by its first element.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "modulo 2^32 is what is wanted"
    )]
    pub(super) fn add(&self, first: u64, width: usize, elements: &mut [u8]) {
        let mut keystream = self.seed.keystream(first);
        for element in elements.chunks_exact_mut(width) {
            let value = super::sums::unsigned(element).wrapping_add(self.noise.sample(&mut keystream) as u32);
            element.iter_mut().zip(value.to_le_bytes()).for_each(|(place, byte)| *place = byte);
        }
    }
}
