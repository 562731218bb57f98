use pulp::{Arch, NullaryFnOnce};

use super::{ModelError, ModelLayout, bytes_of, bytes_of_mut};
use crate::ids::Digest;

/// Values must be smaller than this in magnitude (2^31), so that weighted sums stay exact.
pub const MAX_MAGNITUDE: f32 = 2_147_483_648.0;

/// How many values are checked at a time: they stay in the first-level cache.
const CHECK_BLOCK: usize = 4_096;

/// The values of a model: one contiguous vector of `f32`, cut into tensors by a [`ModelLayout`].
///
/// Every value is finite and smaller than 2^31 in magnitude: a NaN cannot get into a `ModelParameters`, so it cannot
/// reach an aggregate either.
///
/// # Examples
/// ```
/// use federated_core::model::{ModelLayout, ModelParameters, TensorSpec};
///
/// let layout = ModelLayout::new(vec![TensorSpec::new("weight", [2, 1]), TensorSpec::new("bias", [1])])?;
/// let model = ModelParameters::new(layout, vec![0.5, -0.5, 0.1])?;
/// assert_eq!(model.tensor("bias"), Some(&[0.1_f32][..]));
/// # Ok::<(), federated_core::model::ModelError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ModelParameters {
    layout: ModelLayout,
    values: Vec<f32>,
}

impl ModelParameters {
    /// Puts values under a layout, without copying them.
    ///
    /// `values` holds the tensors one after another in the layout's order, each row-major.
    ///
    /// # Errors
    /// [`ModelError`] when the number of values differs from the layout's, or a value is NaN, infinite or not below
    /// 2^31 in magnitude; the error names the tensor and element.
    pub fn new(layout: ModelLayout, values: Vec<f32>) -> Result<Self, ModelError> {
        let found = values.len() as u64;
        if found != layout.elements() {
            return Err(ModelError::ValueCount { expected: layout.elements(), found });
        }
        check_values(&layout, 0, &values)?;
        Ok(Self { layout, values })
    }

    /// A model of this layout with every value zero.
    ///
    /// # Errors
    /// [`ModelError::LayoutSize`] when this machine cannot address as many values.
    pub fn zeros(layout: ModelLayout) -> Result<Self, ModelError> {
        let elements = usize::try_from(layout.elements()).map_err(|_| ModelError::LayoutSize {
            limit: "as many elements as this machine can address",
            found: layout.elements(),
        })?;
        Ok(Self { layout, values: vec![0.0; elements] })
    }

    /// Parses the wire form: the values as little-endian `f32`, four bytes each.
    ///
    /// # Errors
    /// As [`ModelParameters::new`].
    pub fn from_le_bytes(layout: ModelLayout, bytes: &[u8]) -> Result<Self, ModelError> {
        if bytes.len() as u64 != layout.bytes() {
            let expected = layout.elements();
            return Err(ModelError::ValueCount { expected, found: bytes.len() as u64 / 4 });
        }
        let mut values = vec![0.0; bytes.len() / 4];
        bytes_of_mut(&mut values).copy_from_slice(bytes);
        Self::new(layout, values)
    }

    /// The wire form: the values as little-endian `f32`, four bytes each; nothing is copied.
    #[must_use]
    pub fn as_le_bytes(&self) -> &[u8] {
        bytes_of(&self.values)
    }

    /// A copy of the wire form.
    #[must_use]
    pub fn to_le_bytes(&self) -> Vec<u8> {
        self.as_le_bytes().to_vec()
    }

    /// The layout.
    #[must_use]
    pub const fn layout(&self) -> &ModelLayout {
        &self.layout
    }

    /// All values, tensor after tensor.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Gives up the values, without copying them.
    #[must_use]
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// The values of the tensor of this name, row-major.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&[f32]> {
        self.values.get(self.layout.range_of(name)?)
    }

    /// The content address: the digest of the wire form.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.as_le_bytes())
    }

    /// This model minus `base`, element by element: what training changed.
    ///
    /// # Errors
    /// [`ModelError`] when the layouts differ, or a difference is not below 2^31 in magnitude.
    pub fn minus(mut self, base: &Self) -> Result<Self, ModelError> {
        base.layout.check_same(&self.layout)?;
        self.values.iter_mut().zip(&base.values).for_each(|(value, base)| *value -= base);
        Self::new(self.layout, self.values)
    }
}

/// Checks values that start at element `offset` of a model of this layout.
///
/// # Errors
/// [`ModelError`] naming the first value that is not finite or not below 2^31 in magnitude.
pub fn check_values(layout: &ModelLayout, offset: u64, values: &[f32]) -> Result<(), ModelError> {
    let arch = Arch::new();
    let mut position = offset;
    for block in values.chunks(CHECK_BLOCK) {
        if !arch.dispatch(AreUsable(block)) {
            return find_unusable(layout, position, block);
        }
        position += block.len() as u64;
    }
    Ok(())
}

/// Whether all values are finite and below 2^31 in magnitude.
struct AreUsable<'a>(&'a [f32]);

impl NullaryFnOnce for AreUsable<'_> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        // The bits of a magnitude are in the order of the magnitudes, those of infinity and NaN above all others;
        // integers have a maximum that vectorises.
        let magnitude = |value: &f32| value.to_bits() & 0x7fff_ffff;
        self.0.iter().map(magnitude).fold(0, u32::max) < MAX_MAGNITUDE.to_bits()
    }
}

fn find_unusable(layout: &ModelLayout, offset: u64, values: &[f32]) -> Result<(), ModelError> {
    // NaN fails the comparison, and so do both infinities.
    let usable = |value: &f32| value.abs() < MAX_MAGNITUDE;
    let Some(place) = values.iter().position(|value| !usable(value)) else {
        return Ok(());
    };
    let found = values.get(place).copied().unwrap_or(f32::NAN);
    let (name, element) = layout
        .locate(offset + place as u64)
        .map_or((String::new(), 0), |(tensor, element)| (tensor.name.clone(), element));
    Err(if found.is_finite() {
        ModelError::TooLarge { name, element, found }
    } else {
        ModelError::NotFinite { name, element, found }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::TensorSpec;

    fn layout(elements: u64) -> ModelLayout {
        ModelLayout::new(vec![TensorSpec::new("first", [1]), TensorSpec::new("rest", [elements - 1])])
            .unwrap()
    }

    #[test]
    fn nothing_that_is_not_finite_becomes_a_model() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = ModelParameters::new(layout(3), vec![0.0, 1.0, bad]).unwrap_err();
            assert!(
                matches!(error, ModelError::NotFinite { ref name, element: 1, .. } if name == "rest"),
                "{error}"
            );
        }
        let error = ModelParameters::new(layout(3), vec![MAX_MAGNITUDE, 1.0, 0.0]).unwrap_err();
        assert!(matches!(error, ModelError::TooLarge { element: 0, .. }), "{error}");
    }

    #[test]
    fn the_first_unusable_value_of_a_long_vector_is_found() {
        let mut values = vec![1.0; 3 * CHECK_BLOCK];
        values[2 * CHECK_BLOCK + 7] = -f32::INFINITY;
        values[2 * CHECK_BLOCK + 9] = f32::NAN;
        let error = ModelParameters::new(layout(values.len() as u64), values).unwrap_err();
        let place = 2 * CHECK_BLOCK as u64 + 6;
        assert!(matches!(error, ModelError::NotFinite { element, .. } if element == place), "{error}");
    }

    #[test]
    fn a_wrong_number_of_values_is_refused() {
        assert!(ModelParameters::new(layout(3), vec![0.0; 2]).is_err());
        assert!(ModelParameters::from_le_bytes(layout(3), &[0; 13]).is_err());
    }

    proptest! {
        #[test]
        fn the_wire_form_round_trips_bit_for_bit(values in prop::collection::vec(-1e9_f32..1e9, 2..200)) {
            let model = ModelParameters::new(layout(values.len() as u64), values).unwrap();
            let bytes = model.as_le_bytes();
            prop_assert_eq!(model.digest(), Digest::of(bytes));
            let back = ModelParameters::from_le_bytes(model.layout().clone(), bytes).unwrap();
            prop_assert_eq!(back, model);
        }
    }
}
