use anyhow::Result;
use federated_core::{
    metrics::Metrics,
    privacy::secagg::{RoundingSeed, VectorPlan},
    update::ExampleCount,
};

/// The most examples that a participant may have.
pub(crate) const MAX_EXAMPLES: u32 = 1_000;

/// What a participant has trained: other values for everyone.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) examples: ExampleCount,
    values: Vec<f32>,
    /// What its rounding follows from.
    seed: u64,
}

impl Input {
    /// That of the participant with this index.
    pub(crate) fn of(index: u32, params: u32) -> Result<Self> {
        // From -1 to 1.
        let value =
            |place: u32| (place.wrapping_mul(7_919).wrapping_add(index) % 2_001) as f32 / 1_000.0 - 1.0;
        let examples = ExampleCount::new((1 + index % MAX_EXAMPLES).into())?;
        Ok(Self { examples, values: (0..params).map(value).collect(), seed: index.into() })
    }

    /// The vector that is masked.
    pub(crate) fn encode(&self, plan: &VectorPlan) -> Result<Vec<u8>> {
        let (metrics, rounding) = (Metrics::new(), RoundingSeed::from_task(self.seed));
        let encoder = plan.encoder(self.examples, &metrics, &self.values, &rounding)?;
        let mut vector = vec![0; usize::try_from(plan.byte_len(self.values.len() as u64))?];
        encoder.write(0, &mut vector)?;
        Ok(vector)
    }
}
