use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Tensor, backend::Backend},
};
use federated_core::model::{ModelLayout, TensorSpec};

use super::{ParametersError, path::Path};

/// The names and shapes of a module's float parameters.
///
/// Parameters that are not initialised yet are initialised: until then burn may state another shape.
///
/// # Errors
/// [`ParametersError::Layout`] when the module has no float parameter, or one that no layout may have.
///
/// # Examples
/// ```
/// use burn::{backend::Flex, nn::LinearConfig};
/// use federated_client::parameters::layout_of;
///
/// let layout = layout_of(&LinearConfig::new(3, 2).init::<Flex>(&Default::default()))?;
/// assert_eq!(layout.tensors()[0].name, "weight");
/// assert_eq!(layout.tensors()[0].shape, [3, 2]);
/// # Ok::<(), federated_client::parameters::ParametersError>(())
/// ```
pub fn layout_of<B: Backend, M: Module<B>>(module: &M) -> Result<ModelLayout, ParametersError> {
    let mut visitor = LayoutVisitor::default();
    module.visit(&mut visitor);
    ModelLayout::new(visitor.tensors).map_err(|source| ParametersError::Layout { source })
}

#[derive(Default)]
struct LayoutVisitor {
    path: Path,
    tensors: Vec<TensorSpec>,
}

impl<B: Backend> ModuleVisitor<B> for LayoutVisitor {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let shape: Vec<u64> = param.val().shape().iter().map(|size| *size as u64).collect();
        self.tensors.push(TensorSpec::new(self.path.name(), shape));
    }
}
