use std::{collections::BTreeSet, ops::Range, sync::Arc};

use serde::{Deserialize, Serialize};

use super::ModelError;
use crate::ids::{Digest, DigestBuilder};

/// Most tensors in a layout.
pub const MAX_TENSORS: usize = 16_384;
/// Longest tensor name, in bytes.
pub const MAX_TENSOR_NAME_BYTES: usize = 256;
/// Most dimensions of a tensor.
pub const MAX_RANK: usize = 8;
/// Most elements of a model: 2^40 elements are 4 TiB.
const MAX_ELEMENTS: u64 = 1 << 40;

/// The name and shape of one tensor. Elements are 32-bit IEEE 754 floats, row-major.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TensorSpec {
    /// Unique within the layout, for instance `encoder.linear.weight`: 1 to 256 printable ASCII characters.
    pub name: String,
    /// Dimensions, outermost first, each at least 1, at most 8 of them; empty for a scalar.
    pub shape: Vec<u64>,
}

impl TensorSpec {
    /// A tensor of this name and shape.
    #[must_use]
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<u64>>) -> Self {
        Self { name: name.into(), shape: shape.into() }
    }

    /// How many elements the tensor has; `None` when the product does not fit 64 bits.
    fn checked_elements(&self) -> Option<u64> {
        self.shape.iter().try_fold(1_u64, |product, dimension| product.checked_mul(*dimension))
    }

    fn check(&self, index: usize) -> Result<u64, ModelError> {
        let printable = self.name.bytes().all(|byte| byte.is_ascii_graphic());
        if self.name.is_empty() || self.name.len() > MAX_TENSOR_NAME_BYTES || !printable {
            return Err(ModelError::TensorName { index });
        }
        let invalid = || ModelError::TensorShape { name: self.name.clone(), shape: self.shape.clone() };
        if self.shape.len() > MAX_RANK || self.shape.contains(&0) {
            return Err(invalid());
        }
        self.checked_elements().ok_or_else(invalid)
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    tensors: Vec<TensorSpec>,
    /// Where each tensor starts in the flat vector, plus the end of the last.
    offsets: Vec<u64>,
    digest: Digest,
}

/// Which tensors a model has, in which order: the contract between everyone who trains it.
///
/// Cloning is cheap: the content is shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<TensorSpec>", into = "Vec<TensorSpec>")]
pub struct ModelLayout(Arc<Inner>);

impl ModelLayout {
    /// Checks the tensors and fixes their order.
    ///
    /// # Errors
    /// [`ModelError`] when there is no tensor, more than [`MAX_TENSORS`], a name is unusable or used twice, a shape has
    /// a zero or more than [`MAX_RANK`] dimensions, or the model would have more than 2^40 elements.
    pub fn new(tensors: Vec<TensorSpec>) -> Result<Self, ModelError> {
        if tensors.is_empty() || tensors.len() > MAX_TENSORS {
            let limit = "between 1 and 16,384 tensors";
            return Err(ModelError::LayoutSize { limit, found: tensors.len() as u64 });
        }
        let mut names = BTreeSet::new();
        let mut offsets = Vec::with_capacity(tensors.len() + 1);
        let mut end = 0_u64;
        offsets.push(end);
        for (index, tensor) in tensors.iter().enumerate() {
            end = end.saturating_add(tensor.check(index)?);
            if end > MAX_ELEMENTS {
                return Err(ModelError::LayoutSize { limit: "at most 2^40 elements", found: end });
            }
            if !names.insert(tensor.name.as_str()) {
                return Err(ModelError::DuplicateTensor { name: tensor.name.clone() });
            }
            offsets.push(end);
        }
        let digest = canonical_digest(&tensors);
        Ok(Self(Arc::new(Inner { tensors, offsets, digest })))
    }

    /// The tensors in order.
    #[must_use]
    pub fn tensors(&self) -> &[TensorSpec] {
        &self.0.tensors
    }

    /// How many elements all tensors have together.
    #[must_use]
    pub fn elements(&self) -> u64 {
        self.0.offsets.last().copied().unwrap_or(0)
    }

    /// How many bytes the values take on the wire: four an element.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.elements() * 4
    }

    /// The digest of the canonical encoding of the layout (see `docs/protocol.md`, "Layout digest").
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Where the tensor at `index` lies in the flat vector of values; `None` when there is no such tensor.
    #[must_use]
    pub fn range(&self, index: usize) -> Option<Range<usize>> {
        let start = usize::try_from(*self.0.offsets.get(index)?).ok()?;
        let end = usize::try_from(*self.0.offsets.get(index.checked_add(1)?)?).ok()?;
        Some(start..end)
    }

    /// Where the tensor of this name lies in the flat vector of values.
    #[must_use]
    pub fn range_of(&self, name: &str) -> Option<Range<usize>> {
        self.range(self.tensors().iter().position(|tensor| tensor.name == name)?)
    }

    /// The tensor that holds element `element` of the flat vector, and the element's place within it.
    #[must_use]
    pub fn locate(&self, element: u64) -> Option<(&TensorSpec, u64)> {
        let index = self.0.offsets.partition_point(|start| *start <= element).checked_sub(1)?;
        Some((self.0.tensors.get(index)?, element - self.0.offsets.get(index)?))
    }

    /// Checks that `found` is this very layout.
    ///
    /// # Errors
    /// [`ModelError`] naming the first difference: the tensor, what was expected, what was found.
    pub fn check_same(&self, found: &Self) -> Result<(), ModelError> {
        if self.digest() == found.digest() {
            return Ok(());
        }
        for (index, (mine, theirs)) in self.tensors().iter().zip(found.tensors()).enumerate() {
            if mine.name != theirs.name {
                let (expected, found) = (mine.name.clone(), theirs.name.clone());
                return Err(ModelError::WrongTensor { index, expected, found });
            }
            if mine.shape != theirs.shape {
                let (name, expected, found) = (mine.name.clone(), mine.shape.clone(), theirs.shape.clone());
                return Err(ModelError::WrongShape { name, expected, found });
            }
        }
        Err(ModelError::TensorCount { expected: self.tensors().len(), found: found.tensors().len() })
    }
}

/// `"federated.layout.v1\n"`, then for each tensor: name length (u32), name, element type (u8, 1 = f32), rank (u32),
/// dimensions (u64 each); integers little-endian.
fn canonical_digest(tensors: &[TensorSpec]) -> Digest {
    const F32: u8 = 1;
    let length = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut hasher = DigestBuilder::new();
    hasher.update(b"federated.layout.v1\n");
    for tensor in tensors {
        hasher.update(&length(tensor.name.len()));
        hasher.update(tensor.name.as_bytes());
        hasher.update(&[F32]);
        hasher.update(&length(tensor.shape.len()));
        for dimension in &tensor.shape {
            hasher.update(&dimension.to_le_bytes());
        }
    }
    hasher.finish()
}

impl TryFrom<Vec<TensorSpec>> for ModelLayout {
    type Error = ModelError;

    fn try_from(tensors: Vec<TensorSpec>) -> Result<Self, ModelError> {
        Self::new(tensors)
    }
}

impl From<ModelLayout> for Vec<TensorSpec> {
    fn from(layout: ModelLayout) -> Self {
        layout.0.tensors.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(tensors: &[(&str, &[u64])]) -> Result<ModelLayout, ModelError> {
        ModelLayout::new(tensors.iter().map(|(name, shape)| TensorSpec::new(*name, *shape)).collect())
    }

    #[test]
    fn a_layout_knows_where_each_tensor_lies() {
        let layout = layout(&[("w", &[3, 2]), ("b", &[2]), ("scale", &[])]).unwrap();
        assert_eq!(layout.elements(), 9);
        assert_eq!(layout.range_of("b"), Some(6..8));
        assert_eq!(layout.range(2), Some(8..9));
        assert_eq!(layout.range(3), None);
        let (tensor, place) = layout.locate(7).unwrap();
        assert_eq!((tensor.name.as_str(), place), ("b", 1));
        assert!(layout.locate(9).is_none());
    }

    #[test]
    fn unusable_layouts_are_refused() {
        assert!(layout(&[]).is_err());
        assert!(layout(&[("", &[1])]).is_err());
        assert!(layout(&[("a b", &[1])]).is_err());
        assert!(layout(&[("a", &[0])]).is_err());
        assert!(layout(&[("a", &[1; 9])]).is_err());
        assert!(layout(&[("a", &[1]), ("a", &[2])]).is_err());
        assert!(layout(&[("a", &[u64::MAX, 2])]).is_err());
        assert!(layout(&[("a", &[1 << 40]), ("b", &[1])]).is_err());
    }

    #[test]
    fn a_difference_is_named() {
        let expected = layout(&[("w", &[3, 2]), ("b", &[2])]).unwrap();
        let check = |tensors: &[(&str, &[u64])]| expected.check_same(&layout(tensors).unwrap()).unwrap_err();
        assert!(
            matches!(check(&[("w", &[2, 3]), ("b", &[2])]), ModelError::WrongShape { name, .. } if name == "w")
        );
        assert!(matches!(check(&[("w", &[3, 2]), ("c", &[2])]), ModelError::WrongTensor { index: 1, .. }));
        assert!(matches!(check(&[("w", &[3, 2])]), ModelError::TensorCount { expected: 2, found: 1 }));
        assert!(expected.check_same(&expected.clone()).is_ok());
    }

    #[test]
    fn the_digest_is_that_of_the_documented_encoding() {
        // printf 'federated.layout.v1\n\x01\0\0\0w\x01\x01\0\0\0\x02\0\0\0\0\0\0\0' | b3sum
        let documented = b"federated.layout.v1\n\x01\0\0\0w\x01\x01\0\0\0\x02\0\0\0\0\0\0\0";
        assert_eq!(layout(&[("w", &[2])]).unwrap().digest(), Digest::of(documented));
    }
}
