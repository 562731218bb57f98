use burn::{
    module::ParamId,
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};

/// What a layer adds to the clipped sum, once the gradients of the outputs are known.
pub(in crate::trainer::private) type Entry<B> = Box<
    dyn FnOnce(&mut <B as AutodiffBackend>::Gradients) -> Vec<Part<<B as AutodiffBackend>::InnerBackend>>,
>;

/// The gradients of one parameter, for each example of a batch.
pub(in crate::trainer::private) struct Part<I: Backend> {
    /// The parameter.
    pub(in crate::trainer::private) id: ParamId,
    /// Its gradients.
    pub(in crate::trainer::private) gradients: Box<dyn PerExample<I>>,
}

impl<I: Backend> Part<I> {
    pub(super) fn new(id: ParamId, gradients: impl PerExample<I> + 'static) -> Self {
        Self { id, gradients: Box::new(gradients) }
    }
}

/// Gradients of one parameter for each example, however they are kept.
pub(in crate::trainer::private) trait PerExample<I: Backend> {
    /// The squared Euclidean norm of each example's gradient: `[examples]`.
    ///
    /// NaN or infinite if a gradient is.
    fn squared_norms(&self) -> Tensor<I, 1>;

    /// The sum of the examples' gradients, each times its weight, in the parameter's own order.
    fn weighted(self: Box<Self>, weights: Tensor<I, 1>) -> Weighted<I>;
}

/// A weighted sum of gradients.
pub(in crate::trainer::private) enum Weighted<I: Backend> {
    /// As it is: `[elements]`.
    Sum(Tensor<I, 1>),
    /// As the product of `inputs`, `[rows, in]`, transposed, and `outputs`, `[rows, out]`. Put below each other, the rows of several
    /// batches are multiplied at once: the product may be far larger than they are.
    Product { inputs: Tensor<I, 2>, outputs: Tensor<I, 2> },
}

impl<I: Backend> Weighted<I> {
    /// As it is: `[elements]`.
    pub(in crate::trainer::private) fn sum(self) -> Tensor<I, 1> {
        match self {
            Self::Sum(sum) => sum,
            Self::Product { inputs, outputs } => {
                let elements = inputs.dims()[1] * outputs.dims()[1];
                inputs.transpose().matmul(outputs).reshape([elements])
            }
        }
    }
}
