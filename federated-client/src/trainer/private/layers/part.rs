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

    /// The sum of the examples' gradients, each times its weight, in the parameter's own order: `[elements]`.
    fn weighted_sum(self: Box<Self>, weights: Tensor<I, 1>) -> Tensor<I, 1>;
}
