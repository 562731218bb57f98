//! The mean of clipped updates with noise: a participant more or less makes little difference to it.

use federated_core::{
    aggregate::Aggregator,
    ids::Digest,
    privacy::dp::{CentralNoise, NoiseSeed},
};

use super::{
    Reduction,
    columns::{Columns, Scratch},
    in_order::in_order,
};
use crate::store::{Store, StoreError, StoredModel};

/// The noise of one mean.
#[derive(Clone, Copy, Debug)]
pub struct MeanNoise<'a> {
    /// How updates are clipped, and how much noise there is.
    pub mechanism: &'a CentralNoise,
    /// What the noise is drawn from: for this mean alone.
    pub seed: &'a NoiseSeed,
}

impl Reduction<'_> {
    /// Clips each update, and makes the new model of their mean with noise.
    pub(super) fn combine_noised<A: Aggregator + ?Sized>(
        &self,
        store: &Store,
        base: &StoredModel,
        columns: Columns,
        aggregator: &A,
        noise: MeanNoise<'_>,
    ) -> Result<Digest, StoreError> {
        let norms = self.squared_norms(&columns)?;
        let columns = columns.scaled(norms.into_iter().map(|norm| noise.mechanism.factor(norm)));
        let survivors = u32::try_from(self.contributions.len()).unwrap_or(u32::MAX);
        self.combine_with(store, base, &columns, aggregator, |block, mean| {
            // A stream for each block, so that cores need not wait for each other.
            Ok(noise.mechanism.apply(mean, survivors, &mut noise.seed.keystream(block))?)
        })
    }

    /// A pass over all columns: the squared Euclidean norm of each update.
    fn squared_norms(&self, columns: &Columns) -> Result<Vec<f64>, StoreError> {
        let square = |scratch: &mut Scratch, block| {
            let columns = columns.read(block, scratch)?;
            let square = |values: &[f32]| values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
            Ok::<_, StoreError>(columns.iter().map(|column| square(column.values)).collect::<Vec<f64>>())
        };
        let mut norms = vec![0.0; self.contributions.len()];
        let add = |squares: Vec<f64>| {
            norms.iter_mut().zip(squares).for_each(|(norm, square)| *norm += square);
            Ok(())
        };
        in_order(self.division.cores, columns.blocks(), Scratch::default, square, add)?;
        Ok(norms)
    }
}
