use burn::{
    module::ParamId,
    nn::Embedding,
    tensor::{
        IndexingUpdateOp, Int, Tensor,
        backend::{AutodiffBackend, Backend},
        module::embedding as apply,
    },
};

use super::{
    part::{Entry, Part, PerExample, Weighted},
    watch::{constant, watch},
};

/// Records an embedding; `trained` is its table, where it trains.
pub(in crate::trainer::private) fn embedding<B: AutodiffBackend>(
    layer: &Embedding<B>,
    indices: Tensor<B, 2, Int>,
    trained: [Option<ParamId>; 1],
) -> (Tensor<B, 3>, Entry<B>) {
    let vocabulary = layer.weight.dims()[0];
    let looked_up = indices.clone().inner();
    let [output, watched] = watch(apply(constant(layer.weight.val()), indices), true);
    let entry: Entry<B> = Box::new(move |gradients| {
        let Some(gradients) = watched.grad_remove(gradients) else { return Vec::new() };
        let [id] = trained;
        id.map(|id| Part::new(id, LookUps { indices: looked_up, gradients, vocabulary }))
            .into_iter()
            .collect()
    });
    (output, entry)
}

/// The gradient of each example's look-ups: `[examples, positions]` and `[examples, positions, width]`.
///
/// A row of the table gets the sum of the gradients at the positions that looked it up, so the squared norm is the sum of dot
/// products over all pairs of positions with equal indices.
struct LookUps<I: Backend> {
    indices: Tensor<I, 2, Int>,
    gradients: Tensor<I, 3>,
    vocabulary: usize,
}

impl<I: Backend> PerExample<I> for LookUps<I> {
    fn squared_norms(&self) -> Tensor<I, 1> {
        let [examples, positions] = self.indices.dims();
        let shape = [examples, positions, positions];
        let one = self.indices.clone().reshape([examples, positions, 1]).expand(shape);
        let other = self.indices.clone().reshape([examples, 1, positions]).expand(shape);
        let products = self.gradients.clone().matmul(self.gradients.clone().swap_dims(1, 2));
        let equal = products * one.equal(other).float();
        equal.sum_dim(2).squeeze_dim::<2>(2).sum_dim(1).squeeze_dim(1)
    }

    fn weighted(self: Box<Self>, weights: Tensor<I, 1>) -> Weighted<I> {
        let [examples, positions, width] = self.gradients.dims();
        let weighted = self.gradients * weights.reshape([examples, 1, 1]);
        let table = Tensor::<I, 2>::zeros([self.vocabulary, width], &weighted.device());
        let indices = self.indices.reshape([examples * positions]);
        let rows = weighted.reshape([examples * positions, width]);
        let table = table.select_assign(0, indices, rows, IndexingUpdateOp::Add);
        Weighted::Sum(table.reshape([self.vocabulary * width]))
    }
}
