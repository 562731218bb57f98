use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::{DType, Tensor, TensorData, backend::Backend},
};
use federated_core::model::{ModelError, ModelParameters};

use super::{ParametersError, layout_of, path::Path, settle_running_statistics};

/// Writes a model into a module.
///
/// Each parameter keeps its id, its device, its element type and whether it trains; its values are copied once, from
/// the model's vector. Integer and boolean parameters are left as they are. Running statistics are shared by all
/// clones of a module, so they change in those too.
///
/// # Errors
/// [`ParametersError::Mismatch`] naming the first tensor whose name or shape differs; [`ParametersError::Quantised`]
/// for a quantised parameter.
pub fn load<B: Backend, M: Module<B>>(module: M, model: &ModelParameters) -> Result<M, ParametersError> {
    let mismatch = |source| ParametersError::Mismatch { source };
    layout_of(&module)?.check_same(model.layout()).map_err(mismatch)?;
    settle_running_statistics(&module);
    let mut mapper = LoadMapper { path: Path::default(), model, next: 0, failure: None };
    let module = module.map(&mut mapper);
    match mapper.failure {
        Some(failure) => Err(failure),
        None => Ok(module),
    }
}

struct LoadMapper<'a> {
    path: Path,
    model: &'a ModelParameters,
    /// The position of the tensor that the next float parameter gets.
    next: usize,
    failure: Option<ParametersError>,
}

impl LoadMapper<'_> {
    fn replacement<B: Backend, const D: usize>(
        &mut self,
        old: &Tensor<B, D>,
    ) -> Result<Tensor<B, D>, ParametersError> {
        let name = self.path.name();
        let dtype = old.dtype();
        if matches!(dtype, DType::QFloat(_)) {
            return Err(ParametersError::Quantised { name, found: format!("{dtype:?}") });
        }
        let layout = self.model.layout();
        let index = self.next;
        self.next += 1;
        let spec = layout.tensors().get(index).filter(|spec| spec.name == name);
        let values = layout.range(index).and_then(|range| self.model.values().get(range));
        let (Some(_), Some(values)) = (spec, values) else {
            // Only a hand-written Module that visits in one order and maps in another comes here.
            let found = layout.tensors().get(index).map(|spec| spec.name.clone()).unwrap_or_default();
            return Err(ParametersError::Mismatch {
                source: ModelError::WrongTensor { index, expected: name, found },
            });
        };
        let data = TensorData::new(values.to_vec(), old.shape());
        Ok(Tensor::from_data(data, (&old.device(), dtype)).set_require_grad(old.is_require_grad()))
    }
}

impl<B: Backend> ModuleMapper<B> for LoadMapper<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.leave();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        if self.failure.is_some() {
            return param;
        }
        let (id, old, mapper) = param.consume();
        let tensor = self.replacement(&old).unwrap_or_else(|failure| {
            self.failure = Some(failure);
            old
        });
        Param::from_mapped_value(id, tensor, mapper)
    }
}
