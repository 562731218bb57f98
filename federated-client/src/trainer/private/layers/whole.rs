use burn::tensor::{Tensor, backend::Backend};

use super::part::{PerExample, Weighted};

/// How many squares are summed at a time: sums of few 32-bit floats lose little.
const BLOCK: usize = 256;

/// The gradient of each example as it is: `[examples, elements]`.
pub(super) struct Whole<I: Backend>(pub(super) Tensor<I, 2>);

impl<I: Backend> PerExample<I> for Whole<I> {
    fn squared_norms(&self) -> Tensor<I, 1> {
        sum_of_squares(self.0.clone())
    }

    fn weighted(self: Box<Self>, weights: Tensor<I, 1>) -> Weighted<I> {
        Weighted::Sum(weights.unsqueeze_dim::<2>(0).matmul(self.0).squeeze_dim(0))
    }
}

/// The sum of the squares of each row.
pub(super) fn sum_of_squares<I: Backend>(rows: Tensor<I, 2>) -> Tensor<I, 1> {
    let [count, elements] = rows.dims();
    let squares = rows.clone() * rows;
    let blocks = elements / BLOCK;
    if blocks < 2 {
        return squares.sum_dim(1).squeeze_dim(1);
    }
    let whole = squares.clone().slice([0..count, 0..blocks * BLOCK]).reshape([count * blocks, BLOCK]);
    let sum = whole.sum_dim(1).reshape([count, blocks]).sum_dim(1).squeeze_dim(1);
    if blocks * BLOCK == elements {
        return sum;
    }
    sum + squares.slice([0..count, blocks * BLOCK..elements]).sum_dim(1).squeeze_dim(1)
}
