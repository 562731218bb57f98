use burn::{
    module::ParamId,
    nn::Linear,
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
        module::linear as apply,
    },
};

use super::{
    factors::Factors,
    part::{Entry, Part},
    watch::{constant, watch},
    whole::Whole,
};

/// Records a linear layer; `trained` is its weight and bias, where they train.
pub(in crate::trainer::private) fn linear<B: AutodiffBackend, const D: usize>(
    layer: &Linear<B>,
    input: Tensor<B, D>,
    trained: [Option<ParamId>; 2],
    first: bool,
) -> (Tensor<B, D>, Entry<B>) {
    let given = rows(input.clone().inner());
    let bias = layer.bias.as_ref().map(|bias| constant(bias.val()));
    let [output, watched] = watch(apply(input, constant(layer.weight.val()), bias), first);
    let entry: Entry<B> = Box::new(move |gradients| {
        let Some(gradient) = watched.grad_remove(gradients) else { return Vec::new() };
        let outputs = rows(gradient);
        let [weight, bias] = trained;
        let bias = bias.map(|id| Part::new(id, Whole(outputs.clone().sum_dim(1).squeeze_dim(1))));
        let weight = weight.map(|id| Part { id, gradients: Factors { inputs: given, outputs }.or_whole() });
        weight.into_iter().chain(bias).collect()
    });
    (output, entry)
}

/// `[examples, ..., width]` as `[examples, positions, width]`.
pub(super) fn rows<I: Backend, const D: usize>(tensor: Tensor<I, D>) -> Tensor<I, 3> {
    let dims = tensor.dims();
    let (examples, width) = (dims[0], dims[D - 1]);
    let positions = dims[1..D - 1].iter().product();
    tensor.reshape([examples, positions, width])
}
