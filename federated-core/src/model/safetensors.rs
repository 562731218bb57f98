use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{ModelError, ModelLayout, ModelParameters, TensorSpec, values_from_le_bytes};

/// The metadata key that keeps the tensors' order: safetensors files themselves are sorted by name.
const ORDER_KEY: &str = "federated.order";

/// Writes a model as a safetensors file, so that other tools can read it.
///
/// The layout's order is kept in the file's metadata under `federated.order`.
///
/// # Errors
/// [`ModelError::Safetensors`] when a shape does not fit this machine's addresses.
pub fn to_safetensors(model: &ModelParameters) -> Result<Vec<u8>, ModelError> {
    let invalid = |detail: String| ModelError::Safetensors { detail };
    let bytes = model.as_le_bytes();
    let mut views = Vec::with_capacity(model.layout().tensors().len());
    for (index, tensor) in model.layout().tensors().iter().enumerate() {
        let shape: Result<Vec<usize>, _> = tensor.shape.iter().map(|size| usize::try_from(*size)).collect();
        let range = model.layout().range(index).map(|range| range.start * 4..range.end * 4);
        let data = range.and_then(|range| bytes.get(range)).unwrap_or_default();
        let shape = shape.map_err(|error| invalid(error.to_string()))?;
        let view = TensorView::new(Dtype::F32, shape, data).map_err(|error| invalid(error.to_string()))?;
        views.push((tensor.name.as_str(), view));
    }
    let order: Vec<&str> = model.layout().tensors().iter().map(|tensor| tensor.name.as_str()).collect();
    let metadata = std::collections::HashMap::from([(ORDER_KEY.to_owned(), order.join(" "))]);
    safetensors::serialize(views, Some(metadata)).map_err(|error| invalid(error.to_string()))
}

/// Reads a safetensors file as a model.
///
/// The tensors stand in the order of the metadata key `federated.order` if the file has it, else sorted by name.
///
/// # Errors
/// [`ModelError`] when the bytes are not such a file, a tensor is not `f32`, or a value is not finite.
pub fn from_safetensors(bytes: &[u8]) -> Result<ModelParameters, ModelError> {
    let invalid = |detail: String| ModelError::Safetensors { detail };
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| invalid(error.to_string()))?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| invalid(error.to_string()))?;
    let mut tensors: BTreeMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
    let order = metadata.metadata().as_ref().and_then(|entries| entries.get(ORDER_KEY));
    let order: Vec<String> = order.map_or_else(
        || tensors.keys().cloned().collect(),
        |order| order.split(' ').map(str::to_owned).collect(),
    );
    let mut specs = Vec::with_capacity(order.len());
    let mut values = Vec::with_capacity(bytes.len() / 4);
    for name in order {
        let missing = || invalid(format!("`{name}` is in {ORDER_KEY} but not among the tensors"));
        let view = tensors.remove(&name).ok_or_else(missing)?;
        if view.dtype() != Dtype::F32 {
            return Err(ModelError::WrongDtype { name, found: format!("{:?}", view.dtype()).to_lowercase() });
        }
        values.extend(values_from_le_bytes(view.data()));
        specs.push(TensorSpec::new(name, view.shape().iter().map(|size| *size as u64).collect::<Vec<_>>()));
    }
    if let Some(name) = tensors.keys().next() {
        return Err(invalid(format!("`{name}` is missing in {ORDER_KEY}")));
    }
    ModelParameters::new(ModelLayout::new(specs)?, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_survives_a_safetensors_file_with_its_order() {
        let layout = ModelLayout::new(vec![
            TensorSpec::new("z.weight", [2, 2]),
            TensorSpec::new("a.bias", [2]),
            TensorSpec::new("scale", []),
        ]);
        let model = ModelParameters::new(layout.unwrap(), vec![1.0, -2.0, 3.5, 4.0, 5.0, 6.0, 7.0]).unwrap();
        assert_eq!(from_safetensors(&to_safetensors(&model).unwrap()).unwrap(), model);
    }

    #[test]
    fn other_element_types_and_garbage_are_refused() {
        let data = [0_u8; 4];
        let view = TensorView::new(Dtype::F16, vec![2], &data).unwrap();
        let file = safetensors::serialize([("w", view)], None).unwrap();
        assert!(matches!(from_safetensors(&file), Err(ModelError::WrongDtype { name, .. }) if name == "w"));
        assert!(matches!(from_safetensors(b"not a model"), Err(ModelError::Safetensors { .. })));
    }
}
