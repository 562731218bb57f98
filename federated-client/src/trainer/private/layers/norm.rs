use burn::{
    module::{Param, ParamId},
    nn::{GroupNorm, LayerNorm},
    tensor::{Tensor, backend::AutodiffBackend},
};

use super::{
    linear::rows,
    part::{Entry, Part},
    watch::{constant, watch},
    whole::Whole,
};

/// Records a layer normalisation; `trained` is its scale and shift, where they train.
pub(in crate::trainer::private) fn layer_norm<B: AutodiffBackend, const D: usize>(
    layer: &LayerNorm<B>,
    input: Tensor<B, D>,
    trained: [Option<ParamId>; 2],
    first: bool,
) -> (Tensor<B, D>, Entry<B>) {
    let mut bare = layer.clone();
    let gamma = layer.gamma.val();
    bare.gamma = Param::initialized(layer.gamma.id, constant(gamma.ones_like()));
    bare.beta = None;
    let normalised = bare.forward(input);
    let mut shape = [1; D];
    shape[D - 1] = gamma.dims()[0];
    let kept = normalised.clone().inner();
    let scaled = normalised * constant(gamma).reshape(shape);
    let shifted = match &layer.beta {
        Some(beta) => scaled + constant(beta.val()).reshape(shape),
        None => scaled,
    };
    let [output, watched] = watch(shifted, first);
    let entry: Entry<B> = Box::new(move |gradients| {
        let Some(gradient) = watched.grad_remove(gradients) else { return Vec::new() };
        let (gradient, kept) = (rows(gradient), rows(kept));
        let scaled = (gradient.clone() * kept).sum_dim(1).squeeze_dim(1);
        parts(trained, [scaled, gradient.sum_dim(1).squeeze_dim(1)])
    });
    (output, entry)
}

/// Records a group normalisation; `trained` is its scale and shift, where they train.
pub(in crate::trainer::private) fn group_norm<B: AutodiffBackend, const D: usize>(
    layer: &GroupNorm<B>,
    input: Tensor<B, D>,
    trained: [Option<ParamId>; 2],
    first: bool,
) -> (Tensor<B, D>, Entry<B>) {
    let bare = GroupNorm { gamma: None, beta: None, affine: false, ..layer.clone() };
    let normalised = bare.forward(input);
    let mut shape = [1; D];
    shape[1] = layer.num_channels;
    let kept = normalised.clone().inner();
    let scaled = match &layer.gamma {
        Some(gamma) => normalised * constant(gamma.val()).reshape(shape),
        None => normalised,
    };
    let shifted = match &layer.beta {
        Some(beta) => scaled + constant(beta.val()).reshape(shape),
        None => scaled,
    };
    let [output, watched] = watch(shifted, first);
    let channels = layer.num_channels;
    let entry: Entry<B> = Box::new(move |gradients| {
        let Some(gradient) = watched.grad_remove(gradients) else { return Vec::new() };
        let dims = gradient.dims();
        let (examples, places) = (dims[0], dims[2..].iter().product::<usize>());
        let sum = |tensor: Tensor<B::InnerBackend, D>| {
            tensor.reshape([examples, channels, places]).sum_dim(2).squeeze_dim::<2>(2)
        };
        parts(trained, [sum(gradient.clone() * kept), sum(gradient)])
    });
    (output, entry)
}

fn parts<I: burn::tensor::backend::Backend>(
    trained: [Option<ParamId>; 2],
    gradients: [Tensor<I, 2>; 2],
) -> Vec<Part<I>> {
    trained.into_iter().zip(gradients).filter_map(|(id, rows)| Some(Part::new(id?, Whole(rows)))).collect()
}
