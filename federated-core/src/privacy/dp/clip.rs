//! Clipping: no unit's contribution is longer than it is said to be.

use super::ClipNorm;
use crate::{
    fault::Fault,
    model::{ModelError, ModelParameters},
};

#[cfg(test)]
mod tests;

/// Values whose squares are summed at a time.
const BLOCK: usize = 4_096;
/// Sums that are kept side by side, for vector instructions.
const LANES: usize = 8;

/// Why values cannot be clipped.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClipError {
    /// A value that has no length: refused before the norm is taken, which it would make NaN, and nothing would be
    /// clipped.
    #[error(
        "expected finite values, found {found} at element {element}: the training diverged, lower its learning rate"
    )]
    NotFinite {
        /// The value.
        found: f32,
        /// Which one it is, from 0, over all tensors.
        element: u64,
    },
}

impl ClipError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NotFinite { .. } => Fault::Environment,
        }
    }
}

/// What clipping did.
///
/// # Privacy
/// It depends on the values: what leaves the site goes through noise, as adaptive clipping does with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clipping {
    factor: f64,
}

impl Clipping {
    /// What the values were multiplied with: 1 when they were within the norm, less when not.
    #[must_use]
    pub const fn factor(self) -> f64 {
        self.factor
    }

    /// Whether the values were within the norm, and were left as they are.
    #[must_use]
    pub fn was_within(self) -> bool {
        self.factor >= 1.0
    }
}

/// A model's change that is no longer than its clip norm, in Euclidean norm over all tensors together.
///
/// Only clipping makes one, so whoever takes one need not ask.
///
/// # Examples
/// ```
/// use federated_core::{
///     model::{ModelLayout, ModelParameters, TensorSpec},
///     privacy::dp::{ClipNorm, Clipped},
/// };
///
/// let layout = ModelLayout::new(vec![TensorSpec::new("w", [1]), TensorSpec::new("b", [1])])?;
/// let clipped = Clipped::new(ModelParameters::new(layout, vec![3.0, -4.0])?, ClipNorm::new(2.5)?)?;
/// assert!(!clipped.clipping().was_within());
/// assert!((clipped.parameters().values()[1] + 2.0).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Clipped {
    parameters: ModelParameters,
    norm: ClipNorm,
    clipping: Clipping,
}

impl Clipped {
    /// Clips over all tensors together.
    ///
    /// # Errors
    /// [`ModelError`], which clipping never causes: values are finite before, and smaller after.
    pub fn new(parameters: ModelParameters, norm: ClipNorm) -> Result<Self, ModelError> {
        let layout = parameters.layout().clone();
        let mut values = parameters.into_values();
        let clipping = scale_down(&mut [&mut values], norm);
        Ok(Self { parameters: ModelParameters::new(layout, values)?, norm, clipping })
    }

    /// The clipped change.
    #[must_use]
    pub const fn parameters(&self) -> &ModelParameters {
        &self.parameters
    }

    /// Gives up the clipped change.
    #[must_use]
    pub fn into_parameters(self) -> ModelParameters {
        self.parameters
    }

    /// The norm it does not exceed.
    #[must_use]
    pub const fn norm(&self) -> ClipNorm {
        self.norm
    }

    /// What clipping did.
    #[must_use]
    pub const fn clipping(&self) -> Clipping {
        self.clipping
    }
}

/// Clips tensors to a Euclidean norm over all of them together: multiplies all values with `min(1, norm / length)`.
///
/// What comes out is no longer than `norm`, as an exact sum of squares of the `f32` values would find: the length is
/// rounded up, and each product towards zero.
///
/// # Errors
/// [`ClipError::NotFinite`]; nothing is changed then.
pub fn clip(tensors: &mut [&mut [f32]], norm: ClipNorm) -> Result<Clipping, ClipError> {
    let mut element = 0;
    for tensor in tensors.iter() {
        if let Some((place, found)) = (element..).zip(tensor.iter()).find(|(_, value)| !value.is_finite()) {
            return Err(ClipError::NotFinite { found: *found, element: place });
        }
        element += tensor.len() as u64;
    }
    Ok(scale_down(tensors, norm))
}

fn scale_down(tensors: &mut [&mut [f32]], norm: ClipNorm) -> Clipping {
    let length = length_at_most(tensors.iter().map(|tensor| &**tensor));
    if length <= norm.get() {
        return Clipping { factor: 1.0 };
    }
    // Below the true quotient, by more than the roundings of the quotient and of a product.
    let factor = norm.get() / length * (1.0 - 4.0 * f64::EPSILON);
    for tensor in tensors {
        tensor.iter_mut().for_each(|value| *value = towards_zero(f64::from(*value) * factor));
    }
    Clipping { factor }
}

/// An upper bound of the Euclidean norm, within 2^-20 of it up to 2^40 values.
fn length_at_most<'a>(tensors: impl Iterator<Item = &'a [f32]>) -> f64 {
    let (mut sum, mut blocks) = (0.0, 0.0);
    for block in tensors.flat_map(|tensor| tensor.chunks(BLOCK)) {
        let (lanes, rest) = block.as_chunks::<LANES>();
        let mut sums = [0.0; LANES];
        for values in lanes {
            // The square of an f32 is exact in an f64, and never overflows there.
            sums.iter_mut()
                .zip(values)
                .for_each(|(sum, value)| *sum += f64::from(*value) * f64::from(*value));
        }
        let rest: f64 = rest.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
        sum += sums.iter().sum::<f64>() + rest;
        blocks += 1.0;
    }
    // A sum of n terms that are not negative lacks at most n 2^-53 of itself.
    let lacking = (BLOCK as f64 + blocks + 8.0) * f64::EPSILON;
    (sum * (1.0 + lacking)).sqrt() * (1.0 + 2.0 * f64::EPSILON)
}

/// The nearest `f32` that is not larger in magnitude.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounded, and stepped back where that was away from zero"
)]
fn towards_zero(value: f64) -> f32 {
    let nearest = value as f32;
    let away = f64::from(nearest).abs() > value.abs();
    f32::from_bits(nearest.to_bits() - u32::from(away))
}
