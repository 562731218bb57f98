use super::AggregateError;

/// Most weight that one sum can take: 2^40 examples.
pub const MAX_TOTAL_WEIGHT: u64 = 1 << 40;

/// Binary digits after the point of the fixed-point sums.
const FRACTION_BITS: i32 = 56;
/// 2^-56.
const RESOLUTION: f64 = 1.0 / (1_u64 << FRACTION_BITS) as f64;

/// Weighted sums of vectors of `f32` that come out with the same bits in whatever order the vectors are added.
///
/// Each product of weight and value becomes an integer multiple of 2^-56 and is added in 128-bit integers. Integer
/// addition is associative and commutative, so neither the order of arrival, nor the number of threads, nor a tree of
/// partial sums changes a bit; floating-point addition would. Values are below 2^31 in magnitude and weights sum to at
/// most 2^40, so that a sum stays below 2^127 and cannot overflow.
///
/// The error of each product is at most 2^-57; the mean is then rounded once to `f32`.
///
/// # Examples
/// ```
/// use federated_core::aggregate::ExactSum;
///
/// let mut sum = ExactSum::new(2);
/// sum.add(1, &[1.0, 0.0])?;
/// sum.add(3, &[5.0, 1.0])?;
/// assert_eq!(sum.mean()?, [4.0, 0.75]);
/// # Ok::<(), federated_core::aggregate::AggregateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactSum {
    sums: Vec<i128>,
    weight: u64,
}

impl ExactSum {
    /// The empty sum of vectors of `length` elements. It takes 16 bytes an element.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self { sums: vec![0; length], weight: 0 }
    }

    /// Adds `weight` times `values`. The values must be finite and below 2^31 in magnitude, as in every
    /// [`ModelParameters`](crate::model::ModelParameters).
    ///
    /// # Errors
    /// [`AggregateError`] when the length differs or the weights exceed [`MAX_TOTAL_WEIGHT`]; nothing is added then.
    pub fn add(&mut self, weight: u32, values: &[f32]) -> Result<(), AggregateError> {
        self.grow(u64::from(weight), values.len())?;
        self.sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += scaled(weight, *value));
        Ok(())
    }

    /// Adds another sum, for instance another thread's.
    ///
    /// # Errors
    /// As [`ExactSum::add`].
    pub fn merge(&mut self, other: &Self) -> Result<(), AggregateError> {
        self.grow(other.weight, other.sums.len())?;
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, other)| *sum += other);
        Ok(())
    }

    /// The total weight added.
    #[must_use]
    pub const fn weight(&self) -> u64 {
        self.weight
    }

    /// The weighted mean of everything added.
    ///
    /// # Errors
    /// [`AggregateError::Empty`] when nothing was added.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "rounding to f32 is the purpose"
    )]
    pub fn mean(&self) -> Result<Vec<f32>, AggregateError> {
        if self.weight == 0 {
            return Err(AggregateError::Empty);
        }
        let weight = self.weight as f64;
        Ok(self.sums.iter().map(|sum| (*sum as f64 / weight * RESOLUTION) as f32).collect())
    }

    fn grow(&mut self, weight: u64, length: usize) -> Result<(), AggregateError> {
        if length != self.sums.len() {
            return Err(AggregateError::BlockLength { expected: self.sums.len(), found: length });
        }
        let total = self.weight.saturating_add(weight);
        if total > MAX_TOTAL_WEIGHT {
            return Err(AggregateError::TotalWeight);
        }
        self.weight = total;
        Ok(())
    }
}

/// `weight` times `value` in units of 2^-56, rounded to the nearest, ties to even.
fn scaled(weight: u32, value: f32) -> i128 {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) & 0xff).cast_signed();
    let fraction = bits & 0x007f_ffff;
    // A value is mantissa * 2^(exponent - 150), IEEE 754 binary32; subnormals have no hidden bit and exponent 1.
    let (mantissa, exponent) = if exponent == 0 { (fraction, 1) } else { (fraction | 0x0080_0000, exponent) };
    let product = u64::from(mantissa) * u64::from(weight);
    let shift = exponent - 150 + FRACTION_BITS;
    let magnitude = if shift >= 0 {
        i128::from(product) << shift
    } else if shift >= -62 {
        let (whole, half) = (product >> -shift, 1_u64 << (-shift - 1));
        let rest = product & (half | (half - 1));
        let up = rest > half || (rest == half && whole % 2 == 1);
        i128::from(whole + u64::from(up))
    } else {
        0
    };
    if value.is_sign_negative() { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn products_are_exact_down_to_the_resolution() {
        assert_eq!(scaled(1, 1.0), 1 << 56);
        assert_eq!(scaled(3, -0.5), -(3 << 55));
        assert_eq!(scaled(u32::MAX, 2_147_483_520.0), i128::from(u32::MAX) * 2_147_483_520 * (1 << 56));
        assert_eq!(scaled(1, f32::from_bits(1)), 0, "the smallest subnormal is below the resolution");
        assert_eq!(scaled(1, 2.0_f32.powi(-56)), 1);
        assert_eq!(scaled(1, 2.0_f32.powi(-57)), 0, "half a unit rounds to the even neighbour");
        assert_eq!(scaled(3, -(2.0_f32.powi(-57))), -2);
    }

    #[test]
    fn the_largest_possible_sum_does_not_overflow() {
        let largest = f32::from_bits(crate::model::MAX_MAGNITUDE.to_bits() - 1);
        let mut sum = ExactSum::new(1);
        for _ in 0..256 {
            sum.add(u32::MAX, &[largest]).unwrap();
        }
        assert_eq!(sum.mean().unwrap(), [largest]);
        assert_eq!(sum.add(u32::MAX, &[largest]), Err(AggregateError::TotalWeight));
    }

    proptest! {
        #[test]
        fn any_order_and_any_tree_of_merges_gives_the_same_bits(
            updates in prop::collection::vec((1_u32.., prop::collection::vec(-1e6_f32..1e6, 5)), 2..20),
            cut in 1_usize..19,
        ) {
            let sum = |updates: &[(u32, Vec<f32>)]| {
                let mut sum = ExactSum::new(5);
                updates.iter().try_for_each(|(weight, values)| sum.add(*weight, values)).map(|()| sum).unwrap()
            };
            let forward = sum(&updates);
            let reversed: Vec<_> = updates.iter().rev().cloned().collect();
            prop_assert_eq!(&forward, &sum(&reversed));
            let (left, right) = updates.split_at(cut.min(updates.len() - 1));
            let mut merged = sum(right);
            merged.merge(&sum(left)).unwrap();
            prop_assert_eq!(&forward, &merged);
        }

        #[test]
        fn the_mean_of_equal_values_is_that_value(
            value in -2e9_f32..2e9, weights in prop::collection::vec(1_u32.., 1..30),
        ) {
            prop_assume!(value == 0.0 || value.abs() > 1e-9);
            let mut sum = ExactSum::new(1);
            weights.iter().try_for_each(|weight| sum.add(*weight, &[value])).unwrap();
            prop_assert_eq!(sum.mean().unwrap()[0].to_bits(), value.to_bits());
        }

        #[test]
        fn the_mean_agrees_with_floating_point(
            updates in prop::collection::vec((1_u32..100_000, -100.0_f32..100.0), 1..30),
        ) {
            let mut sum = ExactSum::new(1);
            updates.iter().try_for_each(|(weight, value)| sum.add(*weight, &[*value])).unwrap();
            let total: f64 = updates.iter().map(|(weight, _)| f64::from(*weight)).sum();
            let plain: f64 = updates.iter().map(|(weight, value)| f64::from(*weight) * f64::from(*value)).sum();
            prop_assert!((f64::from(sum.mean().unwrap()[0]) - plain / total).abs() < 1e-5);
        }
    }
}
