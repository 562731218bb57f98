/// The square of a distance between two updates: an exact sum, so that it does not depend on the order of its terms.
///
/// Each term, the square of the difference in one column, is rounded to a multiple of 2^-84; its relative error is
/// below 2^-22 besides, because the difference is taken in `f32`. So differences below 2^-43 count as none. A term is at
/// most 2^64, and the sum over the 2^40 columns that a model has at most takes 188 of the 256 bits here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SquaredDistance {
    /// The upper 128 bits come first, so that the derived order is that of the numbers.
    high: u128,
    low: u128,
}

/// The last digit stands for 2^-84.
pub(super) const UNIT_EXPONENT: i32 = -84;

impl SquaredDistance {
    /// The distance of an update from itself.
    pub const ZERO: Self = Self { high: 0, low: 0 };

    /// The sum. No sum of fewer than 2^67 distances that there can be overflows, so that wrapping does not occur.
    #[must_use]
    pub const fn wrapping_add(self, other: Self) -> Self {
        let (low, carry) = self.low.overflowing_add(other.low);
        Self { high: self.high.wrapping_add(other.high).wrapping_add(carry as u128), low }
    }

    /// As a floating-point number, for reports.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "rounding is the purpose")]
    pub fn to_f64(self) -> f64 {
        self.high as f64 * 2.0_f64.powi(128 + UNIT_EXPONENT) + self.low as f64 * 2.0_f64.powi(UNIT_EXPONENT)
    }

    /// `parts` times 2^`shift` units, in two's complement: a negative part takes away from the sum that it is added to.
    #[expect(clippy::cast_sign_loss, reason = "two's complement is meant")]
    pub(super) const fn of_parts(parts: i64, shift: u32) -> Self {
        let low = parts as i128 as u128;
        let high = if parts < 0 { u128::MAX } else { 0 };
        match shift {
            0 => Self { high, low },
            1..128 => Self { high: high << shift | low >> (128 - shift), low: low << shift },
            _ => Self { high: low << (shift - 128), low: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_carry_from_the_lower_half() {
        let half = SquaredDistance { high: 0, low: 1 << 127 };
        assert_eq!(half.wrapping_add(half), SquaredDistance { high: 1, low: 0 });
        assert!(half < SquaredDistance { high: 1, low: 0 });
    }

    #[expect(clippy::float_cmp, reason = "the results are exact")]
    #[test]
    fn parts_stand_for_their_multiples_whatever_their_sign() {
        for shift in [0_u32, 1, 44, 88, 127, 128, 132] {
            let power = 2.0_f64.powi(shift.cast_signed() + UNIT_EXPONENT);
            let (five, minus_three) =
                (SquaredDistance::of_parts(5, shift), SquaredDistance::of_parts(-3, shift));
            assert_eq!(five.to_f64(), 5.0 * power);
            assert_eq!(five.wrapping_add(minus_three).to_f64(), 2.0 * power, "shifted by {shift}");
        }
        let one = SquaredDistance::of_parts(1, 44).wrapping_add(SquaredDistance::of_parts(-(1 << 44), 0));
        assert_eq!(one, SquaredDistance::ZERO);
    }
}
