use super::{VectorError, VectorPlan};
use crate::metrics::Metrics;

/// What a sum of vectors tells beside the values.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Totals {
    /// The examples of all participants together, exactly.
    pub examples: u64,
    /// The metrics that all of them report, averaged with the example counts as weights.
    pub metrics: Metrics,
    /// How many vectors are in the sum.
    pub survivors: u32,
}

impl Totals {
    /// What the sums of several groups tell together.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "weights of a mean that is rounded anyway")]
    pub fn merged(groups: &[Self]) -> Self {
        if let [only] = groups {
            return only.clone();
        }
        Self {
            examples: groups.iter().map(|group| group.examples).sum(),
            metrics: Metrics::mean_by(groups.iter().map(|group| (group.examples as f64, &group.metrics))),
            survivors: groups.iter().map(|group| group.survivors).sum(),
        }
    }
}

impl VectorPlan {
    /// Reads the first elements of a sum of `survivors` vectors: [`VectorPlan::prefix_bytes`] of them.
    ///
    /// # Errors
    /// [`VectorError::ImplausibleExamples`] and [`VectorError::Implausible`] when it cannot be such a sum;
    /// [`VectorError::Survivors`] and [`VectorError::Length`].
    pub fn decode_prefix(&self, sum: &[u8], survivors: u32) -> Result<Totals, VectorError> {
        if survivors == 0 || survivors > self.max_participants {
            return Err(VectorError::Survivors { most: self.max_participants, found: survivors });
        }
        if sum.len() != self.prefix_bytes() {
            let (expected, found) = (self.prefix_bytes() as u64, sum.len() as u64);
            return Err(VectorError::Length { expected, found });
        }
        let width = self.modulus.bytes();
        let mut elements = (0..).zip(sum.chunks(width).map(unsigned));
        let mut examples = 0;
        for (limb, (element, sum)) in (0..self.limbs()).zip(&mut elements) {
            check(element, sum, self.most_in_sum(survivors))?;
            examples += u64::from(sum) << (limb * self.limb_bits());
        }
        let (least, most) = (survivors.into(), u64::from(survivors) * u64::from(self.max_examples.get()));
        if examples < least || examples > most {
            return Err(VectorError::ImplausibleExamples { least, most, found: examples });
        }
        let mut totals = Totals { examples, metrics: Metrics::new(), survivors };
        for (name, bound) in &self.metrics {
            let (Some((element, reported)), Some((next, sum))) = (elements.next(), elements.next()) else {
                break;
            };
            check(element, reported, survivors)?;
            let sum = self.signed(sum);
            check(next, sum.unsigned_abs(), self.most_in_sum(survivors))?;
            if reported == survivors {
                let weighted = f64::from(sum) / f64::from(self.quantizer().most()) * bound;
                totals.metrics.insert(name, weighted / self.weight(examples))?;
            }
        }
        Ok(totals)
    }

    /// Reads the mean of each value out of a stretch of the sum.
    ///
    /// The mean is the sum, in units of the values, over the sum of the weights: `examples / w_max`.
    ///
    /// The stretch is told by its first value and by how many values the model has.
    ///
    /// # Errors
    /// [`VectorError::Implausible`] when so many vectors cannot have such a sum;
    /// [`VectorError::Length`] when there are not as many sums as places.
    pub fn decode_values(
        &self,
        totals: &Totals,
        (first, values): (u64, u64),
        sums: &[u8],
        means: &mut [f32],
    ) -> Result<(), VectorError> {
        let expected = means.len() as u64 * self.modulus.bytes() as u64;
        if sums.len() as u64 != expected {
            return Err(VectorError::Length { expected, found: sums.len() as u64 });
        }
        let noise = self.most_noise(totals.survivors, values)?;
        let factor = self.step() / self.weight(totals.examples);
        let limit = self.most_in_sum(totals.survivors).saturating_add(noise).min(i32::MAX.unsigned_abs());
        if self.quantizer().decode(sums, factor, limit, means) {
            return Ok(());
        }
        Err(VectorError::Implausible { element: self.elements(first), most: limit.into() })
    }

    /// The largest magnitude of the sum of so many values. It is below half of the modulus.
    const fn most_in_sum(&self, survivors: u32) -> u32 {
        survivors.saturating_mul(self.quantizer().most())
    }

    /// An element in two's complement.
    const fn signed(&self, element: u32) -> i32 {
        let unused = u32::BITS - self.modulus.bits();
        (element << unused).cast_signed() >> unused
    }
}

pub(super) fn unsigned(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn check(element: u64, found: u32, most: u32) -> Result<(), VectorError> {
    if found <= most { Ok(()) } else { Err(VectorError::Implausible { element, most: most.into() }) }
}
