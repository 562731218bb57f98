use std::fmt;

use super::{
    super::quantize::{Quantizer, RoundingSeed},
    VectorError, VectorPlan,
    noise::Share,
};
use crate::{metrics::Metrics, privacy::dp::NoiseSeed, update::ExampleCount};

/// Makes a participant's vector, any range of it at a time and on any number of threads.
pub struct VectorEncoder<'a> {
    plan: &'a VectorPlan,
    values: &'a [f32],
    rounding: &'a RoundingSeed,
    quantizer: Quantizer,
    /// Steps for each unit of a value: the weight by the scale.
    factor: f64,
    /// The elements before the values.
    prefix: Vec<u8>,
    clipped_metrics: u64,
    share: Option<Share<'a>>,
}

impl VectorPlan {
    /// Prepares the vector of an update. The values are those of a `ModelParameters`: finite.
    ///
    /// # Errors
    /// [`VectorError::Examples`] for more examples than the plan has room for; [`VectorError::NoiseMismatch`] for a plan with
    /// noise.
    pub fn encoder<'a>(
        &'a self,
        examples: ExampleCount,
        metrics: &Metrics,
        values: &'a [f32],
        rounding: &'a RoundingSeed,
    ) -> Result<VectorEncoder<'a>, VectorError> {
        if self.noise().is_some() {
            return Err(VectorError::NoiseMismatch { planned: true });
        }
        self.encoder_with(examples, metrics, values, rounding, None)
    }

    /// Prepares the vector of an update that is clipped to the plan's clip, with this participant's share of noise, from a seed
    /// that is used for nothing else. Each participant weighs the same.
    ///
    /// # Errors
    /// [`VectorError::NoiseMismatch`] for a plan without noise; [`VectorError::Noise`] when it cannot be shared out.
    pub fn noised_encoder<'a>(
        &'a self,
        values: &'a [f32],
        rounding: &'a RoundingSeed,
        seed: &'a NoiseSeed,
    ) -> Result<VectorEncoder<'a>, VectorError> {
        let noise = self.noise().ok_or(VectorError::NoiseMismatch { planned: false })?;
        let share = Share::new(self.share(noise, values.len() as u64)?, seed);
        self.encoder_with(ExampleCount::ONE, &Metrics::new(), values, rounding, Some(share))
    }

    fn encoder_with<'a>(
        &'a self,
        examples: ExampleCount,
        metrics: &Metrics,
        values: &'a [f32],
        rounding: &'a RoundingSeed,
        share: Option<Share<'a>>,
    ) -> Result<VectorEncoder<'a>, VectorError> {
        if examples > self.max_examples {
            let (most, found) = (self.max_examples.get(), examples.get());
            return Err(VectorError::Examples { most, found });
        }
        let (weight, quantizer) = (self.weight(examples.get().into()), self.quantizer());
        let factor = weight * f64::from(quantizer.most()) / f64::from(self.clip);
        let (prefix, clipped_metrics) = self.prefix(examples, metrics, rounding);
        Ok(VectorEncoder { plan: self, values, rounding, quantizer, factor, prefix, clipped_metrics, share })
    }

    /// What an example count weighs.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a sum of 2^32 counts below 2^32 may lose its last places"
    )]
    pub(super) fn weight(&self, examples: u64) -> f64 {
        examples as f64 / f64::from(self.max_examples.get())
    }

    fn prefix(&self, examples: ExampleCount, metrics: &Metrics, rounding: &RoundingSeed) -> (Vec<u8>, u64) {
        let (quantizer, weight) = (self.quantizer(), self.weight(examples.get().into()));
        let limb = |limb: u32| (examples.get() >> (limb * self.limb_bits())) & quantizer.most();
        let mut elements: Vec<u32> = (0..self.limbs()).map(limb).collect();
        let mut clipped = 0;
        for (name, bound) in &self.metrics {
            let value = metrics.get(name);
            elements.push(value.is_some().into());
            let steps = weight * value.unwrap_or_default() / bound * f64::from(quantizer.most());
            let (rounded, beyond) = quantizer.round(steps, &mut rounding.at_element(elements.len() as u64));
            elements.push(rounded);
            clipped += u64::from(beyond);
        }
        let width = self.modulus.bytes();
        (elements.iter().flat_map(|element| element.to_le_bytes().into_iter().take(width)).collect(), clipped)
    }
}

impl VectorEncoder<'_> {
    /// Elements of the whole vector.
    #[must_use]
    pub fn elements(&self) -> u64 {
        self.plan.elements(self.values.len() as u64)
    }

    /// Writes elements from `first_element` on, as many as fit into `bytes`; gives how many of them were clipped.
    ///
    /// An element has the same bits in whichever range it is asked for, unless it has noise: then they depend on where the range
    /// begins, and the vector is to be written once.
    ///
    /// # Errors
    /// [`VectorError::Length`], with nothing written, when the vector ends before or the bytes are not whole elements.
    pub fn write(&self, first_element: u64, bytes: &mut [u8]) -> Result<u64, VectorError> {
        let width = self.plan.modulus.bytes() as u64;
        let left = self.elements().saturating_sub(first_element);
        let found = bytes.len() as u64;
        if !found.is_multiple_of(width) || found / width > left {
            let expected = (found / width).min(left) * width;
            return Err(VectorError::Length { expected, found });
        }
        let mut clipped = 0;
        let start = usize::try_from(first_element.saturating_mul(width)).unwrap_or(usize::MAX);
        let prefix = self.prefix.get(start..).unwrap_or_default();
        let (before, bytes) = bytes.split_at_mut(prefix.len().min(bytes.len()));
        before.iter_mut().zip(prefix).for_each(|(place, byte)| *place = *byte);
        if !before.is_empty() && first_element == 0 {
            clipped += self.clipped_metrics;
        }
        let first = first_element.max(self.plan.prefix_elements());
        let value = usize::try_from(first - self.plan.prefix_elements()).unwrap_or(usize::MAX);
        let values = self.values.get(value..).unwrap_or_default();
        let mut rounding = self.rounding.at_element(first);
        clipped += self.quantizer.encode(
            values.get(..bytes.len() / self.plan.modulus.bytes()).unwrap_or_default(),
            self.factor,
            &mut rounding,
            bytes,
        );
        if let Some(share) = &self.share {
            share.add(first, self.plan.modulus.bytes(), bytes);
        }
        Ok(clipped)
    }
}

impl fmt::Debug for VectorEncoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VectorEncoder").field("plan", self.plan).finish_non_exhaustive()
    }
}
