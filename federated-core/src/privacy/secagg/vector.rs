//! The vector that is masked: what an update is as integers that can be summed.
//!
//! | elements | what | in the sum |
//! |---|---|---|
//! | `limbs` | the example count `n_u`, in limbs of `q - 1` bits, lowest first | the count of all, exactly |
//! | 2 for each metric, by name | 1 if it is reported; its value times `w`, in steps of `bound / most` | how many report it; the weighted sum |
//! | 1 for each value of the model | the value times `w`, in steps of `clip / most` | the weighted sum |
//!
//! `w = n_u / w_max` is at most 1, `most = 2^(q - 1) - 1`, and `q` is what the sum of all participants leaves of the
//! modulus' bits: it cannot wrap. Numbers are rounded up or down by chance so that they are right on average, and stand
//! in two's complement.
//!
//! With noise all weigh the same, `clip` bounds the whole update, and each value has a discrete Gaussian added to it; `q` then
//! leaves room for ten standard deviations of their sum.
//!
//! Read in this order: [`VectorPlan`] is what all must agree on, `encoder` makes a participant's vector, `noise` adds to it, `sums` reads
//! the sum, [`error`](VectorError).

mod encoder;
mod error;
mod noise;
mod sums;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Modulus, quantize::Quantizer};
use crate::{metrics::Metrics, update::ExampleCount};

pub use encoder::VectorEncoder;
pub use error::VectorError;
pub use noise::VectorNoise;
pub use sums::Totals;

/// Fewest bits that a participant's value may have: 8, so that a step is a 127th of the clip, as in the encoding
/// `int8`. With fewer, the noise of rounding is as large as most values of an update.
pub const LEAST_VALUE_BITS: u32 = 8;

/// How an update becomes a vector that can be masked, and the sum of vectors becomes the mean of updates.
///
/// # Privacy
/// The sum tells the examples of all participants together, and for each metric how many report it.
///
/// # Examples
/// ```
/// use std::collections::BTreeMap;
///
/// use federated_core::{
///     metrics::Metrics,
///     privacy::secagg::{Modulus, RoundingSeed, VectorPlan},
///     update::ExampleCount,
/// };
///
/// let plan = VectorPlan::new(Modulus::B32, 1.0, ExampleCount::new(1_000)?, 3, BTreeMap::new())?;
/// let seed = RoundingSeed::new([7; 32].into());
/// let values = [0.5, -0.25];
/// let metrics = Metrics::new();
/// let encoder = plan.encoder(ExampleCount::new(400)?, &metrics, &values, &seed)?;
/// let mut vector = vec![0; usize::try_from(plan.byte_len(2))?];
/// encoder.write(0, &mut vector)?;
///
/// let (prefix, sums) = vector.split_at(plan.prefix_bytes());
/// let totals = plan.decode_prefix(prefix, 1)?;
/// let mut means = [0.0; 2];
/// plan.decode_values(&totals, (0, 2), sums, &mut means)?;
/// assert_eq!(totals.examples, 400);
/// assert!((means[0] - 0.5).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawPlan", into = "RawPlan")]
pub struct VectorPlan {
    modulus: Modulus,
    clip: f32,
    max_examples: ExampleCount,
    max_participants: u32,
    metrics: BTreeMap<String, f64>,
    value_bits: u32,
    noise: Option<VectorNoise>,
}

/// A plan that is not checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlan {
    modulus: Modulus,
    clip: f32,
    max_examples: ExampleCount,
    max_participants: u32,
    metrics: BTreeMap<String, f64>,
    noise: Option<VectorNoise>,
}

impl VectorPlan {
    /// A plan for at most so many participants with at most so many examples each.
    ///
    /// `clip` bounds the magnitude of each value of `w * delta`. `metrics` are the names of the metrics that travel,
    /// each with the bound of its magnitude times `w`; a participant's other metrics stay where they are.
    ///
    /// # Errors
    /// [`VectorError::Clip`], [`VectorError::MetricBound`] and [`VectorError::Metrics`] for bounds and names that are of
    /// no use; [`VectorError::Participants`] for fewer than 2; [`VectorError::ValueBits`] when the modulus is too small
    /// for the sum.
    pub fn new(
        modulus: Modulus,
        clip: f32,
        max_examples: ExampleCount,
        max_participants: u32,
        metrics: BTreeMap<String, f64>,
    ) -> Result<Self, VectorError> {
        if !(clip.is_finite() && clip > 0.0) {
            return Err(VectorError::Clip { found: clip });
        }
        let mut named = Metrics::new();
        for (name, bound) in &metrics {
            if !(bound.is_finite() && *bound > 0.0) {
                return Err(VectorError::MetricBound { name: name.clone(), found: *bound });
            }
            named.insert(name, *bound)?;
        }
        if max_participants < 2 {
            return Err(VectorError::Participants { found: max_participants });
        }
        // The bits of n - 1 are the logarithm of n, rounded up.
        let value_bits = modulus.bits().saturating_sub(u32::BITS - (max_participants - 1).leading_zeros());
        if value_bits < LEAST_VALUE_BITS {
            let (modulus, participants) = (modulus.bits(), max_participants);
            return Err(VectorError::ValueBits { modulus, participants, found: value_bits });
        }
        Ok(Self { modulus, clip, max_examples, max_participants, metrics, value_bits, noise: None })
    }

    /// What elements are counted modulo.
    #[must_use]
    pub const fn modulus(&self) -> Modulus {
        self.modulus
    }

    /// The bound of the magnitude of each value times its weight.
    #[must_use]
    pub const fn clip(&self) -> f32 {
        self.clip
    }

    /// The largest example count, which weighs 1.
    #[must_use]
    pub const fn max_examples(&self) -> ExampleCount {
        self.max_examples
    }

    /// The most vectors in a sum.
    #[must_use]
    pub const fn max_participants(&self) -> u32 {
        self.max_participants
    }

    /// The metrics that travel, and their bounds.
    #[must_use]
    pub const fn metrics(&self) -> &BTreeMap<String, f64> {
        &self.metrics
    }

    /// Bits of a participant's value, with its sign: from 8 to 31.
    #[must_use]
    pub const fn value_bits(&self) -> u32 {
        self.value_bits
    }

    /// The step that a value times its weight is rounded to: the largest error of one participant.
    #[must_use]
    pub fn step(&self) -> f64 {
        f64::from(self.clip) / f64::from(self.quantizer().most())
    }

    /// Elements before those of the model's values.
    #[must_use]
    pub fn prefix_elements(&self) -> u64 {
        u64::from(self.limbs()) + 2 * self.metrics.len() as u64
    }

    /// Bytes before those of the model's values.
    #[must_use]
    pub fn prefix_bytes(&self) -> usize {
        (self.limbs() as usize + 2 * self.metrics.len()) * self.modulus.bytes()
    }

    /// Elements of the vector of a model with so many values.
    #[must_use]
    pub fn elements(&self, values: u64) -> u64 {
        values.saturating_add(self.prefix_elements())
    }

    /// Bytes of the vector of a model with so many values.
    #[must_use]
    pub fn byte_len(&self, values: u64) -> u64 {
        self.elements(values).saturating_mul(self.modulus.bytes() as u64)
    }

    const fn quantizer(&self) -> Quantizer {
        Quantizer::new(self.modulus, self.value_bits)
    }

    /// Bits of a limb of the example count.
    const fn limb_bits(&self) -> u32 {
        self.value_bits - 1
    }

    /// Elements that hold the example count.
    const fn limbs(&self) -> u32 {
        (u32::BITS - self.max_examples.get().leading_zeros()).div_ceil(self.limb_bits())
    }
}

impl TryFrom<RawPlan> for VectorPlan {
    type Error = VectorError;

    fn try_from(raw: RawPlan) -> Result<Self, VectorError> {
        let plan = Self::new(raw.modulus, raw.clip, raw.max_examples, raw.max_participants, raw.metrics)?;
        raw.noise.map_or(Ok(plan.clone()), |noise| plan.noised(noise))
    }
}

impl From<VectorPlan> for RawPlan {
    fn from(plan: VectorPlan) -> Self {
        let VectorPlan { modulus, clip, max_examples, max_participants, metrics, noise, .. } = plan;
        Self { modulus, clip, max_examples, max_participants, metrics, noise }
    }
}
