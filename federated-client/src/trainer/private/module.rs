use burn::{
    module::{AutodiffModule, ParamId},
    nn::{Embedding, GroupNorm, LayerNorm, Linear, conv::Conv2d},
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};

use super::Tape;

/// A burn module that can be trained with differential privacy.
///
/// It is written as any other, of burn's own layers, but that its forward pass goes through a [`Tape`], and that it gives the loss of
/// each example and not their mean. Between the layers any operation may stand that works on each example by itself
/// (activations, pooling, attention).
///
/// # Examples
/// ```
/// use burn::{module::Module, nn::{GroupNorm, Linear}, tensor::{Tensor, activation::tanh, backend::{AutodiffBackend, Backend}}};
/// use federated_client::trainer::private::{PrivateLayer, PrivateModule, Tape};
///
/// #[derive(Module, Debug)]
/// struct DoseModel<B: Backend> {
///     hidden: Linear<B>,
///     output: Linear<B>,
/// }
///
/// impl<B: Backend> DoseModel<B> {
///     fn forward(&self, weight: Tensor<B, 2>, tape: &mut impl Tape<B>) -> Tensor<B, 2> {
///         let hidden = tanh(tape.linear(&self.hidden, weight));
///         tape.linear(&self.output, hidden)
///     }
/// }
///
/// impl<B: AutodiffBackend> PrivateModule<B> for DoseModel<B> {
///     type Batch = (Tensor<B, 2>, Tensor<B, 2>);
///     fn layers(&self) -> Vec<&dyn PrivateLayer> {
///         vec![&self.hidden, &self.output]
///     }
///     fn losses(&self, (weight, dose): Self::Batch, tape: &mut impl Tape<B>) -> Tensor<B, 1> {
///         (self.forward(weight, tape) - dose).square().sum_dim(1).squeeze_dim(1)
///     }
/// }
/// ```
/// Batch normalisation is no private layer, and there is no way through the tape:
/// ```compile_fail,E0277
/// use burn::{backend::{Autodiff, Flex}, nn::BatchNorm};
/// use federated_client::trainer::private::PrivateLayer;
///
/// fn layers(norm: &BatchNorm<Autodiff<Flex>>) -> Vec<&dyn PrivateLayer> {
///     vec![norm]
/// }
/// ```
pub trait PrivateModule<B: AutodiffBackend>: AutodiffModule<B> {
    /// The examples of one step, as the data set gives them.
    type Batch;

    /// Every layer that trains.
    fn layers(&self) -> Vec<&dyn PrivateLayer>;

    /// The loss of each example of the batch: `[examples]`.
    fn losses(&self, batch: Self::Batch, tape: &mut impl Tape<B>) -> Tensor<B, 1>;
}

/// A layer whose gradient can be told for each example by itself: those that [`Tape`] has a method for, and no others.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be trained with differential privacy",
    note = "layers are Linear, Conv2d, Embedding, LayerNorm and GroupNorm; instead of batch normalisation, which mixes the examples of a \
            batch, use GroupNorm or LayerNorm"
)]
pub trait PrivateLayer: sealed::Sealed {
    /// The parameters of the layer, those that do not train included.
    fn parameters(&self) -> Vec<ParamId>;
}

mod sealed {
    #[expect(unnameable_types, reason = "so that nobody declares a layer private that is not")]
    pub trait Sealed {}
}

/// Declares layers by their optional and other parameters.
macro_rules! layers {
    ($($layer:ident: [$($always:ident),*] [$($maybe:ident),*];)*) => {$(
        impl<B: Backend> sealed::Sealed for $layer<B> {}

        impl<B: Backend> PrivateLayer for $layer<B> {
            fn parameters(&self) -> Vec<ParamId> {
                let always = [$(Some(self.$always.id)),*].into_iter();
                let maybe: Vec<Option<ParamId>> = vec![$(self.$maybe.as_ref().map(|param| param.id)),*];
                always.chain(maybe).flatten().collect()
            }
        }
    )*};
}

layers! {
    Linear: [weight] [bias];
    Conv2d: [weight] [bias];
    Embedding: [weight] [];
    LayerNorm: [gamma] [beta];
    GroupNorm: [] [gamma, beta];
}
