use burn::tensor::{Tensor, backend::AutodiffBackend};

/// Adds the bias to an output, and gives beside it what the gradient of the output can be asked of.
///
/// The bias is spread over all examples and made the start of the graph there: its gradient then is the output's, for each
/// example by itself. Without a bias, zeros do the same.
pub(super) fn watch<B: AutodiffBackend, const D: usize>(
    output: Tensor<B, D>,
    bias: Option<Tensor<B::InnerBackend, D>>,
) -> (Tensor<B, D>, Tensor<B, D>) {
    let spread = match bias {
        Some(bias) => bias.expand(output.shape()),
        None => Tensor::zeros(output.shape(), &output.device()),
    };
    let spread = Tensor::from_inner(spread).require_grad();
    (output + spread.clone(), spread)
}

/// The tensor as a constant: nothing before it gets a gradient through it.
pub(super) fn constant<B: AutodiffBackend, const D: usize>(tensor: Tensor<B, D>) -> Tensor<B, D> {
    Tensor::from_inner(tensor.inner())
}
