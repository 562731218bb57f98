use burn::tensor::{
    Tensor,
    backend::{Backend, ExecutionError},
};

/// How many steps' losses are added on the device before they are read: reading waits for a GPU to finish.
const STEPS_BETWEEN_READS: u32 = 32;

/// The mean loss of an epoch over its examples.
pub(super) struct LossMeter<B: Backend> {
    pending: Option<Tensor<B, 1>>,
    steps: u32,
    sum: f64,
    examples: f64,
}

impl<B: Backend> LossMeter<B> {
    pub(super) const fn new() -> Self {
        Self { pending: None, steps: 0, sum: 0.0, examples: 0.0 }
    }

    /// Adds the mean loss of a step of so many examples, and gives the sum as far as it has been read: a loss that is
    /// not finite shows there within [`STEPS_BETWEEN_READS`] steps.
    pub(super) fn add(&mut self, loss: Tensor<B, 1>, examples: usize) -> Result<f64, ExecutionError> {
        let examples = u32::try_from(examples).unwrap_or(u32::MAX);
        self.examples += f64::from(examples);
        let loss = loss.sum().mul_scalar(examples);
        self.pending = Some(match self.pending.take() {
            Some(pending) => pending + loss,
            None => loss,
        });
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS_BETWEEN_READS) {
            self.read()?;
        }
        Ok(self.sum)
    }

    /// The mean; not finite when a loss was not.
    pub(super) fn mean(mut self) -> Result<f64, ExecutionError> {
        self.read()?;
        Ok(self.sum / self.examples)
    }

    fn read(&mut self) -> Result<(), ExecutionError> {
        if let Some(pending) = self.pending.take() {
            self.sum += pending.try_into_data()?.iter::<f64>().sum::<f64>();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;

    use super::*;

    fn loss(value: f32) -> Tensor<Flex, 1> {
        Tensor::from_floats([value], &Default::default())
    }

    #[test]
    fn each_example_counts_the_same() {
        let mut meter = LossMeter::new();
        for _ in 0..40 {
            meter.add(loss(1.0), 3).unwrap();
        }
        meter.add(loss(5.0), 40).unwrap();
        assert!((meter.mean().unwrap() - (120.0 + 200.0) / 160.0).abs() < 1e-6);
    }

    #[test]
    fn a_nan_shows_soon() {
        let mut meter = LossMeter::new();
        assert!((0..=STEPS_BETWEEN_READS).any(|_| !meter.add(loss(f32::NAN), 1).unwrap().is_finite()));
        assert!(!meter.mean().unwrap().is_finite());
    }
}
