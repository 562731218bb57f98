use bytes::Bytes;
use federated_core::{
    ids::{Digest, RoundNumber, TaskId},
    model::{ModelError, ModelLayout, TensorSpec},
};

use super::{range, required};
use crate::{WireError, v1};

/// Parses a digest field.
///
/// # Errors
/// [`WireError::Id`] when it does not have 32 bytes.
pub fn digest(field: &'static str, bytes: &[u8]) -> Result<Digest, WireError> {
    Digest::try_from(bytes).map_err(|source| WireError::Id { field, source })
}

/// A model by its content: what a checked [`v1::ModelRef`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelContent {
    /// The tensors.
    pub layout: ModelLayout,
    /// BLAKE3 digest of the values.
    pub digest: Digest,
}

impl TryFrom<v1::ModelRef> for ModelContent {
    type Error = WireError;

    fn try_from(wire: v1::ModelRef) -> Result<Self, WireError> {
        let layout = ModelLayout::try_from(required("model.layout", wire.layout)?)?;
        if wire.size_bytes != layout.bytes() {
            let expected = format!("{}, four bytes an element", layout.bytes());
            return Err(range("model.size_bytes", expected, wire.size_bytes));
        }
        Ok(Self { digest: digest("model.digest", &wire.digest)?, layout })
    }
}

impl From<&ModelContent> for v1::ModelRef {
    fn from(model: &ModelContent) -> Self {
        Self {
            layout: Some((&model.layout).into()),
            digest: Bytes::copy_from_slice(model.digest.as_bytes()),
            size_bytes: model.layout.bytes(),
        }
    }
}

impl TryFrom<v1::ModelLayout> for ModelLayout {
    type Error = WireError;

    fn try_from(wire: v1::ModelLayout) -> Result<Self, WireError> {
        let tensors: Result<Vec<_>, _> = wire.tensors.into_iter().map(tensor).collect();
        Ok(Self::new(tensors?)?)
    }
}

fn tensor(wire: v1::TensorSpec) -> Result<TensorSpec, WireError> {
    let found = match wire.element_type() {
        v1::ElementType::F32 => return Ok(TensorSpec::new(wire.name, wire.shape)),
        v1::ElementType::F16 => "f16".to_owned(),
        v1::ElementType::Bf16 => "bf16".to_owned(),
        v1::ElementType::F64 => "f64".to_owned(),
        v1::ElementType::Unspecified => format!("an unknown element type ({})", wire.element_type),
    };
    let name: String = wire.name.chars().take(80).collect();
    Err(ModelError::WrongDtype { name, found }.into())
}

impl From<&ModelLayout> for v1::ModelLayout {
    fn from(layout: &ModelLayout) -> Self {
        let tensors = layout.tensors().iter().map(|tensor| v1::TensorSpec {
            name: tensor.name.clone(),
            element_type: v1::ElementType::F32.into(),
            shape: tensor.shape.clone(),
        });
        Self { tensors: tensors.collect() }
    }
}

impl TryFrom<v1::TaskId> for TaskId {
    type Error = WireError;

    fn try_from(wire: v1::TaskId) -> Result<Self, WireError> {
        let job = wire.job.parse().map_err(|source| WireError::Id { field: "task.job", source })?;
        let round = RoundNumber::new(wire.round).ok_or_else(|| range("task.round", "at least 1", 0))?;
        if wire.attempt == 0 {
            return Err(range("task.attempt", "at least 1", 0));
        }
        Ok(Self { job, round, attempt: wire.attempt })
    }
}

impl From<&TaskId> for v1::TaskId {
    fn from(task: &TaskId) -> Self {
        Self { job: task.job.to_string(), round: task.round.get(), attempt: task.attempt }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(element_type: i32) -> v1::ModelLayout {
        v1::ModelLayout {
            tensors: vec![v1::TensorSpec { name: "w".to_owned(), element_type, shape: vec![2, 3] }],
        }
    }

    #[test]
    fn a_layout_survives_the_trip_and_other_element_types_are_named() {
        let wire = layout(v1::ElementType::F32.into());
        let parsed = ModelLayout::try_from(wire.clone()).unwrap();
        assert_eq!(v1::ModelLayout::from(&parsed), wire);
        for (element_type, name) in
            [(v1::ElementType::F16 as i32, "f16"), (99, "an unknown element type (99)")]
        {
            let error = ModelLayout::try_from(layout(element_type)).unwrap_err();
            assert_eq!(error.reason().as_str(), "UPDATE_WRONG_DTYPE");
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn task_ids_are_checked() {
        let wire = v1::TaskId { job: "heart".to_owned(), round: 3, attempt: 1 };
        assert_eq!(v1::TaskId::from(&TaskId::try_from(wire.clone()).unwrap()), wire);
        assert!(TaskId::try_from(v1::TaskId { round: 0, ..wire.clone() }).is_err());
        assert!(TaskId::try_from(v1::TaskId { attempt: 0, ..wire.clone() }).is_err());
        assert!(TaskId::try_from(v1::TaskId { job: "../x".to_owned(), ..wire }).is_err());
    }

    #[test]
    fn a_model_whose_size_does_not_fit_its_layout_is_refused() {
        let model = ModelContent {
            layout: ModelLayout::try_from(layout(v1::ElementType::F32.into())).unwrap(),
            digest: Digest::of(b""),
        };
        let wire = v1::ModelRef::from(&model);
        assert_eq!(ModelContent::try_from(wire.clone()).unwrap(), model);
        assert!(ModelContent::try_from(v1::ModelRef { size_bytes: 23, ..wire.clone() }).is_err());
        assert!(ModelContent::try_from(v1::ModelRef { digest: Bytes::from_static(b"x"), ..wire }).is_err());
    }
}
