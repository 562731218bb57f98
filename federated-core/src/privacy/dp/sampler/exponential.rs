//! `exp(-x)` in integers, with a bound on its error that is proven: the quick half of a decision.

/// How far [`exp_neg`] may be from the truth, in units of 2^-64.
///
/// Each of the three factors is off by at most 4 units (a table's entry by one, the polynomial by 1 + 3 (1 + 1/16 +
/// ...) < 4.3) and each of the two products rounds by one; nothing is magnified, as all factors are at most 1.
pub(super) const EXP_ERROR: u64 = 9;

/// `2^64 exp(-i)`, rounded down; from 45 on it is below a unit.
#[rustfmt::skip]
const WHOLES: [u64; 45] = [
    0xffff_ffff_ffff_ffff, 0x5e2d_58d8_b3bc_df1a, 0x22a5_5547_7f03_973f, 0x0cbe_d866_6758_5764,
    0x04b0_556e_084f_3d1d, 0x01b9_93fe_00d5_3761, 0x00a2_728f_889e_a6ae, 0x003b_c2d7_3849_531d,
    0x0015_fc21_0410_27ac, 0x0008_1679_1293_2a2c, 0x0002_f9af_36ac_8f93, 0x0001_1835_4238_f676,
    0x0000_6715_30ed_0ef2, 0x0000_25ec_0a77_303b, 0x0000_0df3_637e_d80b, 0x0000_0521_d728_89fb,
    0x0000_01e3_55bb_aee8, 0x0000_00b1_cf18_bad3, 0x0000_0041_698a_31a6, 0x0000_0018_1056_ff2c,
    0x0000_0008_da43_2af9, 0x0000_0003_41b6_1a1b, 0x0000_0001_32b4_8bf1, 0x0000_0000_70d4_9f90,
    0x0000_0000_2982_0f1f, 0x0000_0000_0f45_1bd2, 0x0000_0000_059e_14a9, 0x0000_0000_0211_0a53,
    0x0000_0000_00c2_9f80, 0x0000_0000_0047_990a, 0x0000_0000_001a_56e0, 0x0000_0000_0009_b090,
    0x0000_0000_0003_908c, 0x0000_0000_0001_4fb5, 0x0000_0000_0000_7b80, 0x0000_0000_0000_2d6e,
    0x0000_0000_0000_10b6, 0x0000_0000_0000_0626, 0x0000_0000_0000_0243, 0x0000_0000_0000_00d5,
    0x0000_0000_0000_004e, 0x0000_0000_0000_001c, 0x0000_0000_0000_000a, 0x0000_0000_0000_0003,
    0x0000_0000_0000_0001,
];

/// `2^64 exp(-i / 16)`, rounded down.
#[rustfmt::skip]
const SIXTEENTHS: [u64; 16] = [
    0xffff_ffff_ffff_ffff, 0xf07d_5fde_3815_1e72, 0xe1eb_5127_6c11_0c3c, 0xd43b_4096_043b_de02,
    0xc75f_7cf5_6410_5743, 0xbb4b_296f_917b_f09a, 0xaff2_30af_4c74_7553, 0xa549_38c9_b7e8_46b1,
    0x9b45_97e3_7cb0_4ff3, 0x91dd_4986_0ab4_57fe, 0x8906_e49a_4c9f_3d59, 0x80b9_91fe_c801_0361,
    0x78ed_03af_bf35_f94b, 0x7199_6c78_7c78_3410, 0x6ab7_7825_76b5_2d00, 0x6440_442f_81a5_d838,
];

/// `2^64 exp(-x / 2^64)`, off by at most [`EXP_ERROR`].
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "what is left below 2^64 is wanted")]
pub(super) fn exp_neg(x: u128) -> u64 {
    let (whole, part) = ((x >> 64) as usize, x as u64);
    let Some(whole) = (x >> 70 == 0).then_some(whole).and_then(|whole| WHOLES.get(whole)) else { return 0 };
    let sixteenth = SIXTEENTHS.get((part >> 60) as usize).copied().unwrap_or(0);
    let r = part & (u64::MAX >> 4);
    // 1 - r (1 - r/2 (1 - r/3 (...))): r < 1/16, so what is left after 11 terms is below 2^-69.
    let mut series = u64::MAX;
    for divisor in [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1] {
        series = u64::MAX - multiply(r, series) / divisor;
    }
    multiply(multiply(*whole, sixteenth), series)
}

/// The product of two fractions in units of 2^-64, rounded down.
#[inline(always)]
pub(super) const fn multiply(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::*;
    use crate::privacy::dp::sampler::interval::exp_neg as exact;

    fn check(x: u128) {
        let (low, high) = exact(&x.into(), &(BigUint::from(1_u8) << 64), 64);
        let found = BigUint::from(exp_neg(x));
        assert!(&found + EXP_ERROR >= high, "{x}: {found} < {high}");
        assert!(found <= low + EXP_ERROR, "{x}");
    }

    #[test]
    fn the_tables_are_within_their_bound_at_every_entry() {
        (0..64).for_each(|whole: u128| check(whole << 64));
        (0..16).for_each(|part: u128| check(part << 60));
        for x in [0, 1, (1 << 60) - 1, 1 << 60, u128::from(u64::MAX), 1 << 70, u128::MAX] {
            check(x);
        }
    }

    proptest! {
        #[test]
        fn the_exponential_is_within_its_bound(x in 0..(1_u128 << 70)) {
            check(x);
        }
    }
}
