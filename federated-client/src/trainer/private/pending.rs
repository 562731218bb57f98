use burn::{
    module::ParamId,
    tensor::{Tensor, backend::Backend},
};

use super::{PrivateError, layers::Weighted, sum::ClippedSum};

/// How many rows are put below each other.
const ROWS: usize = 128;

/// Sums that are left as products over several batches, so that a large matrix is made and added once for all of them.
///
/// Batches are small so that what is known of them stays in the processor's cache; the gradients of a wide layer are not small.
pub(super) struct Pending<I: Backend>(Vec<Rows<I>>);

struct Rows<I: Backend> {
    id: ParamId,
    inputs: Vec<Tensor<I, 2>>,
    outputs: Vec<Tensor<I, 2>>,
    count: usize,
}

impl<I: Backend> Pending<I> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a weighted sum to `sum`, or keeps its rows for later.
    pub(super) fn add(
        &mut self,
        id: ParamId,
        weighted: Weighted<I>,
        sum: &mut ClippedSum,
    ) -> Result<(), PrivateError> {
        let (inputs, outputs) = match weighted {
            Weighted::Product { inputs, outputs } => (inputs, outputs),
            Weighted::Sum(whole) => return sum.add(id, whole),
        };
        let count = inputs.dims()[0];
        let place = self.0.iter().position(|rows| rows.id == id);
        let mut rows = place.map_or_else(
            || Rows { id, inputs: Vec::new(), outputs: Vec::new(), count: 0 },
            |place| self.0.swap_remove(place),
        );
        rows.inputs.push(inputs);
        rows.outputs.push(outputs);
        rows.count += count;
        if rows.count >= ROWS {
            return rows.settle(sum);
        }
        self.0.push(rows);
        Ok(())
    }

    /// Adds all that was kept.
    pub(super) fn settle(self, sum: &mut ClippedSum) -> Result<(), PrivateError> {
        self.0.into_iter().try_for_each(|rows| rows.settle(sum))
    }
}

impl<I: Backend> Rows<I> {
    fn settle(self, sum: &mut ClippedSum) -> Result<(), PrivateError> {
        let (inputs, outputs) = (Tensor::cat(self.inputs, 0), Tensor::cat(self.outputs, 0));
        sum.add(self.id, Weighted::Product { inputs, outputs }.sum())
    }
}
