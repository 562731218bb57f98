use burn::tensor::{Tensor, backend::Backend};

use super::{
    part::{PerExample, Weighted},
    whole::{Whole, sum_of_squares},
};

/// What is added to squared norms from products, as a share of the most that they can be: more than their rounding.
const ROUNDING: f64 = 1.0 / 1_048_576.0;

/// The gradient of each example as a product: of `inputs`, `[examples, positions, in]`, transposed, and `outputs`, the gradients
/// `[examples, positions, out]`. The parameter is `[in, out]`.
///
/// With one position the squared norm is that of the one times that of the other. With more it is the sum over all pairs of
/// positions of the product of two dot products, which needs `positions^2` numbers instead of `in * out`.
pub(super) struct Factors<I: Backend> {
    pub(super) inputs: Tensor<I, 3>,
    pub(super) outputs: Tensor<I, 3>,
}

impl<I: Backend> Factors<I> {
    /// Whether keeping the factors takes less memory than keeping the product.
    pub(super) const fn are_smaller(positions: usize, inputs: usize, outputs: usize) -> bool {
        positions == 1 || 2 * positions * positions < inputs * outputs
    }

    /// The factors, or their product if that is smaller.
    pub(super) fn or_whole(self) -> Box<dyn PerExample<I>> {
        let ([examples, positions, inputs], [_, _, outputs]) = (self.inputs.dims(), self.outputs.dims());
        if Self::are_smaller(positions, inputs, outputs) {
            return Box::new(self);
        }
        let product = self.inputs.swap_dims(1, 2).matmul(self.outputs);
        Box::new(Whole(product.reshape([examples, inputs * outputs])))
    }
}

impl<I: Backend> PerExample<I> for Factors<I> {
    fn squared_norms(&self) -> Tensor<I, 1> {
        let [examples, positions, inputs] = self.inputs.dims();
        let outputs = self.outputs.dims()[2];
        let flat = |tensor: &Tensor<I, 3>, width| tensor.clone().reshape([examples, positions * width]);
        let most = sum_of_squares(flat(&self.inputs, inputs)) * sum_of_squares(flat(&self.outputs, outputs));
        if positions == 1 {
            return most;
        }
        let gram = |tensor: &Tensor<I, 3>| tensor.clone().matmul(tensor.clone().swap_dims(1, 2));
        let products = gram(&self.inputs) * gram(&self.outputs);
        let sums = products.sum_dim(2).squeeze_dim::<2>(2).sum_dim(1).squeeze_dim::<1>(1);
        // Terms of both signs may cancel, and their rounding stays: a norm that came out too small would clip too little.
        sums + most.mul_scalar(ROUNDING)
    }

    fn weighted(self: Box<Self>, weights: Tensor<I, 1>) -> Weighted<I> {
        let [examples, positions, inputs] = self.inputs.dims();
        let outputs = self.outputs.dims()[2];
        let weighted = self.outputs * weights.reshape([examples, 1, 1]);
        let rows = examples * positions;
        Weighted::Product {
            inputs: self.inputs.reshape([rows, inputs]),
            outputs: weighted.reshape([rows, outputs]),
        }
    }
}
