use pulp::{Arch, Simd, WithSimd};

use super::{SquaredDistance, squared_distance::UNIT_EXPONENT};

/// Columns whose squares are added in floating point before the sums become integers.
const STRETCH: usize = 4_096;
/// Sums that take turns, as many as two of the widest vectors hold.
const LANES: usize = 16;
/// The units, the coarsest first: so many binary digits are below each, the last of which stands for 2^-84.
const UNITS: [u32; 4] = [132, 88, 44, 0];
/// Below this magnitude of both values, a square is at most 16 and needs the two finest units only.
const SMALL: f32 = 2.0;

/// The squared distance between two stretches of columns, rounded term by term.
///
/// A square is cut into parts: the nearest multiple of a coarse unit, of what is left the nearest multiple of a finer
/// one, down to 2^-84. Each lane adds at most 2^8 parts, each at most 2^44 of its units, so that `f64` holds the sums of
/// parts exactly, in any order, and the vector units of the processor do the work. Only the sums become integers. The
/// coarsest unit has no unit above that bounds its parts: there it is the values that do, see [`SMALL`].
pub(super) fn squared_distance(arch: Arch, one: &[f32], other: &[f32]) -> SquaredDistance {
    let stretches = one.chunks(STRETCH).zip(other.chunks(STRETCH));
    let distance = |(one, other)| arch.dispatch(Stretch { one, other });
    stretches.map(distance).fold(SquaredDistance::ZERO, SquaredDistance::wrapping_add)
}

/// The work on at most [`STRETCH`] columns. It is a type because a closure would not always be inlined where the vector
/// instructions are.
struct Stretch<'a> {
    one: &'a [f32],
    other: &'a [f32],
}

impl WithSimd for Stretch<'_> {
    type Output = SquaredDistance;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> SquaredDistance {
        let Self { one, other } = self;
        if is_small(one) && is_small(other) { in_units::<2>(one, other) } else { in_units::<4>(one, other) }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "what is dispatched must be inlined")]
fn is_small(values: &[f32]) -> bool {
    // The bits of a magnitude are in the order of the magnitudes, and integers have a maximum that vectorises.
    let magnitude = |value: &f32| value.to_bits() & 0x7fff_ffff;
    values.iter().map(magnitude).fold(0, u32::max) < SMALL.to_bits()
}

/// The squared distance over at most [`STRETCH`] columns in so many units, the finest last.
#[inline(always)]
#[expect(clippy::inline_always, reason = "what is dispatched must be inlined")]
fn in_units<const COUNT: usize>(one: &[f32], other: &[f32]) -> SquaredDistance {
    let mut sums = [[0.0; LANES]; COUNT];
    let ((ones, one), (others, other)) = (one.as_chunks(), other.as_chunks());
    for (one, other) in ones.iter().zip(others) {
        add_squares(&mut sums, one, other);
    }
    let (mut last_one, mut last_other) = ([0.0; LANES], [0.0; LANES]);
    last_one.iter_mut().zip(one).for_each(|(last, one)| *last = *one);
    last_other.iter_mut().zip(other).for_each(|(last, other)| *last = *other);
    add_squares(&mut sums, &last_one, &last_other);
    total(&sums)
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "what is dispatched must be inlined")]
fn add_squares<const COUNT: usize>(
    sums: &mut [[f64; LANES]; COUNT],
    one: &[f32; LANES],
    other: &[f32; LANES],
) {
    let mut rest = [0.0; LANES];
    for lane in 0..LANES {
        let difference = f64::from(one[lane] - other[lane]);
        rest[lane] = difference * difference;
    }
    for (sums, digits) in sums.iter_mut().zip(finest::<COUNT>()) {
        // Added to a number below 2^51 units, this leaves no digits below the unit: 1.5 * 2^52 units.
        let rounder = 1.5 * (1_u64 << 52) as f64 * unit(*digits);
        for lane in 0..LANES {
            let part = (rest[lane] + rounder) - rounder;
            rest[lane] -= part;
            sums[lane] += part;
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the sums are integers below 2^53 units")]
fn total<const COUNT: usize>(sums: &[[f64; LANES]; COUNT]) -> SquaredDistance {
    let mut total = SquaredDistance::ZERO;
    for (sums, digits) in sums.iter().zip(finest::<COUNT>()) {
        let parts = sums.iter().map(|sum| (sum / unit(*digits)) as i64).sum();
        total = total.wrapping_add(SquaredDistance::of_parts(parts, *digits));
    }
    total
}

/// The finest units.
fn finest<const COUNT: usize>() -> &'static [u32] {
    &UNITS[UNITS.len() - COUNT..]
}

/// 2^-84 times 2^digits.
const fn unit(digits: u32) -> f64 {
    f64::from_bits(((1_023 + UNIT_EXPONENT) as u64 + digits as u64) << 52)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn squared(one: &[f32], other: &[f32]) -> SquaredDistance {
        squared_distance(Arch::new(), one, other)
    }

    /// The same sum, a term at a time in integers: each square is a 48-bit mantissa and an exponent.
    fn in_integers(one: &[f32], other: &[f32]) -> SquaredDistance {
        let term = |(one, other): (&f32, &f32)| {
            let difference = f64::from(one - other);
            let bits = (difference * difference).to_bits();
            let (mantissa, exponent) = (bits & ((1 << 52) - 1) | 1 << 52, (bits >> 52) as i32 - 1_075);
            let shift = exponent - UNIT_EXPONENT;
            if bits == 0 || shift < -60 {
                return SquaredDistance::ZERO;
            }
            if shift >= 0 {
                return SquaredDistance::of_parts(mantissa as i64, shift.cast_unsigned());
            }
            let (whole, half) = (mantissa >> -shift, 1_u64 << (-shift - 1));
            let rest = mantissa & (2 * half - 1);
            let up = rest > half || (rest == half && whole % 2 == 1);
            SquaredDistance::of_parts((whole + u64::from(up)) as i64, 0)
        };
        one.iter().zip(other).map(term).fold(SquaredDistance::ZERO, SquaredDistance::wrapping_add)
    }

    #[expect(clippy::float_cmp, reason = "the results are exact")]
    #[test]
    fn known_distances_are_exact() {
        assert_eq!(squared(&[3.0, 0.0], &[0.0, 4.0]).to_f64(), 25.0);
        assert_eq!(squared(&[1.0; 10_000], &[1.5; 10_000]).to_f64(), 2_500.0);
        assert_eq!(squared(&[-2e9], &[2e9]).to_f64(), 1.6e19);
        let smallest = 2.0_f32.powi(-42);
        assert_eq!(squared(&[smallest], &[0.0]), SquaredDistance::of_parts(1, 0));
        assert_eq!(squared(&[smallest / 2.0, -0.0], &[0.0, 0.0]), SquaredDistance::ZERO);
        assert_eq!(squared(&[], &[]), SquaredDistance::ZERO);
    }

    #[test]
    fn the_largest_possible_sums_are_exact() {
        let largest = f32::from_bits(crate::model::MAX_MAGNITUDE.to_bits() - 1);
        let small = f32::from_bits(SMALL.to_bits() - 1);
        for value in [largest, SMALL, small] {
            let (one, other) = ([value; 3 * STRETCH + 1], [-value; 3 * STRETCH + 1]);
            assert_eq!(squared(&one, &other), in_integers(&one, &other), "{value}");
        }
        let term = squared(&[largest], &[-largest]);
        assert!(term < SquaredDistance::of_parts(1, 148), "at most 2^64 in units of 2^-84");
    }

    /// Any finite value below 2^31 in magnitude, whatever its bits.
    fn any_value() -> impl Strategy<Value = f32> + Clone {
        let magnitude = (0..crate::model::MAX_MAGNITUDE.to_bits()).prop_map(f32::from_bits);
        (magnitude, prop::bool::ANY).prop_map(|(magnitude, minus)| if minus { -magnitude } else { magnitude })
    }

    fn columns(value: impl Strategy<Value = f32> + Clone) -> impl Strategy<Value = Vec<(f32, f32)>> {
        prop::collection::vec((value.clone(), value), 0..600)
    }

    fn check(columns: &[(f32, f32)], cut: usize) {
        let (one, other): (Vec<f32>, Vec<f32>) = columns.iter().copied().unzip();
        let whole = squared(&one, &other);
        assert_eq!(whole, in_integers(&one, &other));
        assert_eq!(whole, squared(&other, &one));
        let cut = cut.min(one.len());
        let parts = squared(&one[..cut], &other[..cut]).wrapping_add(squared(&one[cut..], &other[cut..]));
        assert_eq!(whole, parts);
        let plain: f64 =
            columns.iter().map(|(one, other)| (f64::from(*one) - f64::from(*other)).powi(2)).sum();
        let exact = whole.to_f64();
        let error = plain * 2.0_f64.powi(-22) + columns.len() as f64 * 2.0_f64.powi(-85);
        assert!((exact - plain).abs() <= error, "{exact} {plain}");
    }

    proptest! {
        #[test]
        fn the_bits_are_those_of_integer_sums_however_the_columns_are_cut(
            small in columns(-2.0_f32..2.0),
            tiny in columns(-1e-11_f32..1e-11),
            wild in columns(any_value()),
            cut in 0_usize..600,
        ) {
            check(&small, cut);
            check(&tiny, cut);
            check(&wild, cut);
        }
    }
}
