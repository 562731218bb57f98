//! Bounds of any precision: the slow half of a decision, taken where 64 bits do not tell.

use num_bigint::BigUint;

/// Bits beyond those asked for.
const GUARD: u64 = 64;

/// Lower and upper bounds of `2^bits exp(-numerator / denominator)`, within a few units of each other.
pub(super) fn exp_neg(numerator: &BigUint, denominator: &BigUint, bits: u64) -> (BigUint, BigUint) {
    if *numerator >= denominator * bits {
        return (BigUint::ZERO, BigUint::from(1_u8));
    }
    // The exponent is halved until it is at most 1/2, and the result squared as often.
    let halvings = (numerator.bits() + 2).saturating_sub(denominator.bits());
    let work = bits + GUARD + 2 * halvings;
    let below = (numerator << work) / (denominator << halvings);
    let above = &below + 1_u8;
    let slack = |terms: u64| 2 * terms + 4;
    let (sum, terms) = series(&above, work);
    let mut low = if sum > slack(terms).into() { sum - slack(terms) } else { BigUint::ZERO };
    let (sum, terms) = series(&below, work);
    let mut high = sum + slack(terms);
    for _ in 0..halvings {
        low = (&low * &low) >> work;
        high = ((&high * &high) >> work) + 1_u8;
    }
    let most = BigUint::from(1_u8) << bits;
    let extra = work - bits;
    (low >> extra, ((high >> extra) + 1_u8).min(most))
}

/// The alternating series of `2^work exp(-y / 2^work)` for `y` at most a half, and its number of terms.
///
/// A term is off by at most two units (each halves the error of the one before and rounds by one), and what is left out
/// is below the first term that is zero, so below 3: [`exp_neg`] allows for both.
fn series(y: &BigUint, work: u64) -> (BigUint, u64) {
    let one = BigUint::from(1_u8) << work;
    let (mut plus, mut minus, mut term, mut terms) = (one.clone(), BigUint::ZERO, one, 0_u64);
    while term != BigUint::ZERO {
        terms += 1;
        term = ((term * y) >> work) / terms;
        *if terms.is_multiple_of(2) { &mut plus } else { &mut minus } += &term;
    }
    (plus - minus, terms)
}

/// Lower and upper bounds of `2^bits` times a product of fractions, each at most 1.
pub(super) fn product(
    factors: impl ExactSizeIterator<Item = (BigUint, BigUint)>,
    bits: u64,
) -> (BigUint, BigUint) {
    // Each factor widens the bounds by at most two units.
    let extra = GUARD + u64::from(usize::BITS - factors.len().leading_zeros()) + 1;
    let mut low = BigUint::from(1_u8) << (bits + extra);
    let mut high = low.clone();
    for (numerator, denominator) in factors {
        low = low * &numerator / &denominator;
        high = high * numerator / denominator + 1_u8;
        if low == BigUint::ZERO && high < BigUint::from(1_u8) << extra {
            return (BigUint::ZERO, BigUint::from(1_u8));
        }
    }
    (low >> extra, ((high >> extra) + 1_u8).min(BigUint::from(1_u8) << bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_of_e_are_known() {
        // 2^128 / e, from its continued digits: 0.36787944117144232159552377016146086744581113103176...
        let (low, high) = exp_neg(&1_u8.into(), &1_u8.into(), 128);
        let known = BigUint::parse_bytes(b"36787944117144232159552377016146086744581113103176", 10).unwrap();
        let known = (known << 128) / BigUint::from(10_u8).pow(50);
        assert!(low <= known && known <= high && &high - &low <= 3_u8.into(), "{low} {known} {high}");
    }

    #[test]
    fn precision_narrows_the_same_bounds() {
        for (numerator, denominator) in
            [(0_u64, 1_u64), (1, 3), (1, 1_000_000_007), (45, 1), (100, 7), (127, 2)]
        {
            let (low, high) = exp_neg(&numerator.into(), &denominator.into(), 64);
            let (finer_low, finer_high) = exp_neg(&numerator.into(), &denominator.into(), 256);
            assert!(low <= &finer_low >> 192 && &finer_high >> 192 <= high, "{numerator}/{denominator}");
            assert!(&finer_high - &finer_low <= 3_u8.into() && high - low <= 3_u8.into());
        }
    }

    #[test]
    fn a_product_holds_its_value_between_its_bounds() {
        let thirds = || (0..50).map(|_| (BigUint::from(2_u8), BigUint::from(3_u8)));
        let (low, high) = product(thirds(), 100);
        let known = (BigUint::from(2_u8).pow(50) << 100) / BigUint::from(3_u8).pow(50);
        assert!(low <= known && known <= high && high - low <= 2_u8.into());
    }
}
