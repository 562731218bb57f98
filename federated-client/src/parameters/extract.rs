use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{DType, Tensor, backend::Backend},
};
use federated_core::model::ModelParameters;

use super::{ParametersError, layout_of, path::Path, settle_running_statistics};

/// Reads a module's float parameters as a model.
///
/// Elements that are not `f32` are converted: from `f16` and `bf16` exactly, from `f64` rounded. The values are
/// written once, into one vector. Parameters that are not initialised yet are initialised.
///
/// # Errors
/// [`ParametersError`] when the module cannot be a model, holds a value that is not finite or not below 2^31 in
/// magnitude, is quantised, or its device fails.
pub fn extract<B: Backend, M: Module<B>>(module: &M) -> Result<ModelParameters, ParametersError> {
    let layout = layout_of(module)?;
    settle_running_statistics(module);
    let capacity = usize::try_from(layout.elements()).unwrap_or(usize::MAX);
    let values = Vec::with_capacity(capacity);
    let mut visitor = ExtractVisitor { path: Path::default(), values, failure: None };
    module.visit(&mut visitor);
    visitor.failure.map_or(Ok(()), Err)?;
    ModelParameters::new(layout, visitor.values).map_err(|source| ParametersError::Values { source })
}

struct ExtractVisitor {
    path: Path,
    values: Vec<f32>,
    failure: Option<ParametersError>,
}

impl ExtractVisitor {
    fn append<B: Backend, const D: usize>(&mut self, tensor: Tensor<B, D>) -> Result<(), ParametersError> {
        let quantised =
            |found: DType| ParametersError::Quantised { name: self.path.name(), found: format!("{found:?}") };
        if let found @ DType::QFloat(_) = tensor.dtype() {
            return Err(quantised(found));
        }
        let data = tensor
            .try_into_data()
            .map_err(|source| ParametersError::Unreadable { name: self.path.name(), source })?
            .convert::<f32>();
        let values = data.as_slice::<f32>().map_err(|_| quantised(data.dtype))?;
        self.values.extend_from_slice(values);
        Ok(())
    }
}

impl<B: Backend> ModuleVisitor<B> for ExtractVisitor {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if self.failure.is_none() {
            self.failure = self.append(param.val()).err();
        }
    }
}
