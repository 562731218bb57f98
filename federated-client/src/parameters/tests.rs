use burn::{
    backend::{Autodiff, Flex},
    module::{AutodiffModule, Module, ModuleVisitor, Param, ParamId},
    nn::{
        BatchNorm, BatchNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, LinearLayout,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::{Bool, DType, Int, Tensor, backend::Backend},
};
use federated_core::model::{ModelError, ModelLayout, ModelParameters, TensorSpec};

use super::{ParametersError, extract, layout_of, load};

type Cpu = Autodiff<Flex>;

#[derive(Module, Debug)]
struct Block<B: Backend> {
    conv: Conv2d<B>,
    norm: BatchNorm<B>,
}

#[derive(Module, Debug)]
struct Nested<B: Backend> {
    blocks: Vec<Block<B>>,
    scale: Param<Tensor<B, 1>>,
    norm: LayerNorm<B>,
    head: Option<Linear<B>>,
    table: Param<Tensor<B, 1, Int>>,
    mask: Param<Tensor<B, 1, Bool>>,
}

fn nested<B: Backend>() -> Nested<B> {
    let device = B::Device::default();
    let block = || Block {
        conv: Conv2dConfig::new([2, 3], [3, 3]).init(&device),
        norm: BatchNormConfig::new(3).init(&device),
    };
    Nested {
        blocks: vec![block(), block()],
        scale: Param::from_tensor(Tensor::from_floats([0.25, -0.0], &device)).set_require_grad(false),
        norm: LayerNormConfig::new(4).init(&device),
        head: Some(LinearConfig::new(4, 2).init(&device)),
        table: Param::initialized(ParamId::new(), Tensor::from_ints([3, 1, 2], &device)),
        mask: Param::initialized(ParamId::new(), Tensor::from_data([true, false], &device)),
    }
}

fn bits(model: &ModelParameters) -> Vec<u32> {
    model.values().iter().map(|value| value.to_bits()).collect()
}

/// Another model of the same layout, with values that arithmetic would not leave alone.
fn other_values(model: &ModelParameters) -> ModelParameters {
    let special = [f32::MIN_POSITIVE / 4.0, -0.0, 1.0 + f32::EPSILON, -2.0e9, 1.0e-30];
    let values = special.iter().copied().cycle().take(model.values().len()).collect();
    ModelParameters::new(model.layout().clone(), values).unwrap()
}

fn assert_round_trip<M: AutodiffModule<Cpu>>(module: M) {
    let first = extract(&module).unwrap();
    assert_eq!(bits(&extract(&load(module.clone(), &first).unwrap()).unwrap()), bits(&first));
    let other = other_values(&first);
    assert_eq!(bits(&extract(&load(module, &other).unwrap()).unwrap()), bits(&other));
}

#[test]
fn modules_survive_the_round_trip_bit_for_bit() {
    let device = Default::default();
    assert_round_trip(LinearConfig::new(5, 3).init::<Cpu>(&device));
    assert_round_trip(LinearConfig::new(5, 3).with_layout(LinearLayout::Col).init::<Cpu>(&device));
    assert_round_trip(Conv2dConfig::new([2, 4], [3, 3]).init::<Cpu>(&device));
    assert_round_trip(LayerNormConfig::new(6).init::<Cpu>(&device));
    assert_round_trip(BatchNormConfig::new(6).init::<Cpu>(&device));
    assert_round_trip(nested::<Cpu>());
}

#[test]
fn tensors_are_named_by_their_path() {
    let layout = layout_of(&nested::<Cpu>()).unwrap();
    let names: Vec<_> = layout.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
    let block =
        ["conv.weight", "conv.bias", "norm.gamma", "norm.beta", "norm.running_mean", "norm.running_var"];
    let mut expected: Vec<_> =
        (0..2).flat_map(|index| block.map(|tensor| format!("blocks.{index}.{tensor}"))).collect();
    expected.extend(["scale", "norm.gamma", "norm.beta", "head.weight", "head.bias"].map(str::to_owned));
    assert_eq!(names, expected);
    assert_eq!(layout.tensors()[0].shape, [3, 2, 3, 3]);
}

#[test]
fn a_module_that_is_not_initialised_is_initialised_once() {
    let module = LinearConfig::new(5, 3).init::<Cpu>(&Default::default());
    let model = extract(&module).unwrap();
    assert_eq!(module.weight.val().to_data().to_vec::<f32>().unwrap(), model.tensor("weight").unwrap());
    assert_eq!(extract(&module).unwrap(), model);
}

#[test]
fn loading_keeps_ids_and_what_trains() {
    #[derive(Default)]
    struct Traits(Vec<(ParamId, bool)>);
    impl ModuleVisitor<Cpu> for Traits {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Cpu, D>>) {
            self.0.push((param.id, param.val().is_require_grad()));
        }
    }
    let traits = |module: &Nested<Cpu>| {
        let mut found = Traits::default();
        module.visit(&mut found);
        found.0
    };
    let module = nested::<Cpu>();
    let before = traits(&module);
    let model = other_values(&extract(&module).unwrap());
    assert_eq!(traits(&load(module, &model).unwrap()), before);
    assert_eq!(before.iter().filter(|(_, trains)| !trains).count(), 5, "running statistics and `scale`");
}

#[test]
fn integer_and_boolean_parameters_stay_as_they_are() {
    let module = nested::<Cpu>();
    let model = other_values(&extract(&module).unwrap());
    let loaded = load(module, &model).unwrap();
    assert_eq!(loaded.table.val().to_data().iter::<i64>().collect::<Vec<_>>(), [3, 1, 2]);
    assert_eq!(loaded.mask.val().to_data().iter::<bool>().collect::<Vec<_>>(), [true, false]);
}

#[test]
fn the_latest_running_statistics_are_read_and_old_ones_do_not_come_back() {
    let device = Default::default();
    let module = BatchNormConfig::new(1).with_momentum(0.5).init::<Cpu>(&device);
    let batch = || Tensor::<Cpu, 2>::from_floats([[2.0], [6.0]], &device);
    module.forward(batch());
    let model = extract(&module).unwrap();
    assert_eq!(model.tensor("running_mean"), Some(&[2.0_f32][..]), "half of 0 and half of the mean, 4");
    assert_eq!(model.tensor("running_var"), Some(&[2.5_f32][..]), "half of 1 and half of the variance, 4");

    module.forward(batch());
    let start = ModelParameters::new(model.layout().clone(), vec![1.0, 0.0, 0.0, 1.0]).unwrap();
    let module = load(module, &start).unwrap();
    module.forward(batch());
    assert_eq!(extract(&module).unwrap().tensor("running_mean"), Some(&[2.0_f32][..]));
}

#[test]
fn a_wrong_name_shape_or_count_is_named() {
    let module = LinearConfig::new(3, 2).init::<Cpu>(&Default::default());
    let refused = |tensors: &[(&str, &[u64])]| {
        let specs = tensors.iter().map(|(name, shape)| TensorSpec::new(*name, *shape)).collect();
        let model = ModelParameters::zeros(ModelLayout::new(specs).unwrap()).unwrap();
        match load(module.clone(), &model).unwrap_err() {
            ParametersError::Mismatch { source } => source,
            other => panic!("{other}"),
        }
    };
    let error = refused(&[("weight", &[3, 2]), ("offset", &[2])]);
    assert!(
        matches!(&error, ModelError::WrongTensor { index: 1, expected, .. } if expected == "bias"),
        "{error}"
    );
    let error = refused(&[("weight", &[2, 3]), ("bias", &[2])]);
    assert_eq!(error.to_string(), "tensor `weight`: expected shape [3, 2], found [2, 3]");
    let error = refused(&[("weight", &[3, 2])]);
    assert!(matches!(error, ModelError::TensorCount { expected: 2, found: 1 }), "{error}");
}

#[test]
fn a_module_with_a_nan_is_not_read() {
    let device = Default::default();
    let mut module = LinearConfig::new(1, 1).init::<Cpu>(&device);
    module.weight = Param::from_tensor(Tensor::from_floats([[f32::NAN]], &device));
    let error = extract(&module).unwrap_err();
    assert!(
        matches!(&error, ParametersError::Values { source: ModelError::NotFinite { name, .. } } if name == "weight"),
        "{error}"
    );
}

#[test]
fn half_precision_parameters_stay_half_precision() {
    let device = Default::default();
    let mut module = LinearConfig::new(2, 1).with_bias(false).init::<Cpu>(&device);
    let half = Tensor::<Cpu, 2>::from_floats([[0.5], [-1.25]], &device).cast(DType::F16);
    module.weight = Param::from_tensor(half);
    let model = extract(&module).unwrap();
    assert_eq!(model.values(), [0.5, -1.25]);
    let loaded = load(module, &model).unwrap();
    assert_eq!(loaded.weight.val().dtype(), DType::F16);
    assert_eq!(extract(&loaded).unwrap(), model);
}

#[test]
fn a_module_without_float_parameters_is_no_model() {
    #[derive(Module, Debug)]
    struct Empty<B: Backend> {
        table: Param<Tensor<B, 1, Int>>,
    }
    let table = Param::initialized(ParamId::new(), Tensor::from_ints([1], &Default::default()));
    assert!(matches!(extract(&Empty::<Cpu> { table }), Err(ParametersError::Layout { .. })));
}
