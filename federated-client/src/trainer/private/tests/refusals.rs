use burn::{
    module::Module,
    nn::{BatchNorm, BatchNormConfig, PRelu, PReluConfig},
    optim::SgdConfig,
    tensor::{Tensor, backend::Backend},
};

use super::{
    super::{GradientMethod, PrivateError, PrivateLayer, PrivateModule, PrivateTrainer, Randomness, Tape},
    models::{Cpu, Dense, Table, cross_entropies},
    trainer::numbers_of,
};
use crate::dataset::TabularBatch;

type Forward = fn(
    &Modified<Cpu>,
    Tensor<Cpu, 2>,
    &mut dyn FnMut(bool, Tensor<Cpu, 2>) -> Tensor<Cpu, 2>,
) -> Tensor<Cpu, 2>;

/// A network with something in it that no private one may have.
#[derive(Module, Debug)]
struct Modified<B: Backend> {
    dense: Dense<B>,
    norm: Option<BatchNorm<B>>,
    activation: Option<PRelu<B>>,
    #[module(skip)]
    forward: Wrong,
}

#[derive(Clone, Debug)]
struct Wrong(Forward);

impl PrivateModule<Cpu> for Modified<Cpu> {
    type Batch = TabularBatch<Cpu>;

    fn layers(&self) -> Vec<&dyn PrivateLayer> {
        PrivateModule::<Cpu>::layers(&self.dense)
    }

    fn losses(&self, batch: Self::Batch, tape: &mut impl Tape<Cpu>) -> Tensor<Cpu, 1> {
        let mut layer =
            |hidden, input| tape.linear(if hidden { &self.dense.hidden } else { &self.dense.output }, input);
        let logits = (self.forward.0)(self, batch.features, &mut layer);
        cross_entropies(logits, batch.labels)
    }
}

fn refused(norm: bool, activation: bool, forward: Forward) -> PrivateError {
    let device = Default::default();
    let module = Modified {
        dense: Dense::new(1, true),
        norm: norm.then(|| BatchNormConfig::new(7).init(&device)),
        activation: activation.then(|| PReluConfig::new().init(&device)),
        forward: Wrong(forward),
    };
    let (table, optimizer) = (Table::new(1, 6, 12), SgdConfig::new().init());
    PrivateTrainer::new(
        module,
        table,
        optimizer,
        numbers_of(2),
        GradientMethod::default(),
        Randomness::simulation(1),
    )
    .unwrap_err()
}

fn right(
    _: &Modified<Cpu>,
    input: Tensor<Cpu, 2>,
    layer: &mut dyn FnMut(bool, Tensor<Cpu, 2>) -> Tensor<Cpu, 2>,
) -> Tensor<Cpu, 2> {
    let hidden = layer(true, input);
    layer(false, hidden)
}

#[test]
fn batch_normalisation_is_refused_by_its_path_with_what_to_use_instead() {
    let error = refused(true, false, right);
    assert!(matches!(&error, PrivateError::BatchNormalisation { layer } if layer == "norm"), "{error}");
    assert!(
        error.to_string().contains("layer `norm`") && error.to_string().contains("use GroupNorm"),
        "{error}"
    );
}

#[test]
fn a_parameter_of_an_unknown_layer_is_refused_by_its_path_and_kind() {
    let error = refused(false, true, right);
    let PrivateError::UnknownLayer { parameter, kind } = &error else { panic!("{error}") };
    assert_eq!((parameter.as_str(), kind.as_str()), ("activation.alpha", "PRelu"));
}

#[test]
fn examples_that_depend_on_each_other_are_refused() {
    let error = refused(false, false, |_, input, layer| {
        let hidden = layer(true, input);
        layer(false, hidden.clone() - hidden.mean_dim(0))
    });
    assert!(matches!(error, PrivateError::Dependent { example: 0 }), "{error}");
}

#[test]
fn a_layer_that_is_used_twice_or_past_the_tape_is_refused() {
    let error = refused(false, false, |_, input, layer| {
        let hidden = layer(true, input.clone()) + layer(true, input);
        layer(false, hidden)
    });
    assert!(
        matches!(&error, PrivateError::UsedTwice { parameter } if parameter == "dense.hidden.weight"),
        "{error}"
    );
    let error = refused(false, false, |module, input, layer| {
        let hidden = module.dense.hidden.forward(input);
        layer(false, hidden)
    });
    assert!(
        matches!(&error, PrivateError::NotRecorded { parameter } if parameter == "dense.hidden.weight"),
        "{error}"
    );
    let error = refused(false, false, |module, input, layer| {
        let hidden = module.dense.hidden.forward(input.clone()) + layer(true, input);
        layer(false, hidden)
    });
    assert!(matches!(&error, PrivateError::Disagreement { .. }), "{error}");
}

#[test]
fn examples_folded_into_another_dimension_are_refused() {
    let error = refused(false, false, |_, input, layer| {
        let examples = input.dims()[0];
        let hidden = layer(true, input.reshape([1, examples * 12]).reshape([examples, 12]).repeat_dim(0, 2));
        layer(false, hidden.narrow(0, 0, examples))
    });
    assert!(
        matches!(&error, PrivateError::Examples { place: "linear layer", expected: 2, found: 4 }),
        "{error}"
    );
}

/// Only layers whose gradients are known are private: the trait's own documentation shows that others do not compile.
#[test]
fn nothing_to_train_is_refused() {
    let module = Dense::<Cpu>::new(1, true).no_grad();
    let (table, optimizer) = (Table::new(1, 6, 12), SgdConfig::new().init());
    let method = GradientMethod::default();
    let error =
        PrivateTrainer::new(module, table, optimizer, numbers_of(2), method, Randomness::simulation(1));
    assert!(matches!(error, Err(PrivateError::NothingTrains)));
}
