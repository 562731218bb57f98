use burn::tensor::{Tensor, backend::AutodiffBackend};

/// Gives an output, and beside it what the gradient of the output can be asked of: for each example by itself.
///
/// Zeros that are added to the output are the start of a graph, so there is a gradient of them, and it is the output's. Where nothing
/// before the layer trains (`first`), the output itself is made the start.
pub(super) fn watch<B: AutodiffBackend, const D: usize>(
    output: Tensor<B, D>,
    first: bool,
) -> [Tensor<B, D>; 2] {
    if first {
        let output = constant(output).require_grad();
        return [output.clone(), output];
    }
    let zeros = Tensor::zeros(output.shape(), &output.device()).require_grad();
    [output + zeros.clone(), zeros]
}

/// The tensor as a constant: nothing before it gets a gradient through it.
pub(super) fn constant<B: AutodiffBackend, const D: usize>(tensor: Tensor<B, D>) -> Tensor<B, D> {
    Tensor::from_inner(tensor.inner())
}
