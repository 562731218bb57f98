use proptest::prelude::*;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};

use super::*;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn places(shares: &[ShareValue]) -> Vec<(u8, &ShareValue)> {
    (1..=255).zip(shares).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The polynomials of an independent implementation, in Python.
const SECRET: &str = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
const COEFFICIENTS: [&str; 2] = [
    "d0f631ca1ddba8db3bcfcb9e057cdc98d0379f1bee00e75a545147a27dadd982",
    "9c0abe51c6e6655d81de2d044d4fb194931f058c0426c67c7285d8f5657ed64a",
];
const SHARES: [(u8, &str); 5] = [
    (1, "3bfbe291a82568fb860727e819810b499c64b51001e6b80c97a364f2056a23e2"),
    (2, "8ad8c1da7c0061bf78c6f845746d37081e5e1eb73c587975caf73803681bf006"),
    (3, "c6244e41a73dac39c2d71edf3c5e5a045d768420d67e5853ec23a75470c8ffce"),
    (4, "1952bc68d3bb399b1848267cf9c5de90417b35f33e96fcd89ba0d3d2f89aaad8"),
    (255, "78ece51808db0e2d748829bf149390d431f60eda22fcdfa54142d33a2bba77b8"),
];

#[test]
fn polynomials_have_the_values_that_another_implementation_gives_them() {
    let coefficients: Vec<_> = [SECRET].iter().chain(&COEFFICIENTS).map(|hex| bytes(hex)).collect();
    let polynomial: Vec<&[u8]> = coefficients.iter().map(Vec::as_slice).collect();
    let mut value = [0; 32];
    for (x, share) in SHARES {
        evaluate(&polynomial, x, &mut value).unwrap();
        assert_eq!(value[..], bytes(share), "{x}");
    }
}

#[test]
fn three_of_the_shares_of_another_implementation_give_the_secret_back() {
    let shares = SHARES.map(|(x, share)| (x, ShareValue::from_bytes(bytes(share).try_into().unwrap())));
    for one in 0..5 {
        for two in (0..5).filter(|two| *two != one) {
            for three in (0..5).filter(|three| *three != one && *three != two) {
                let chosen = [one, two, three].map(|at| (shares[at].0, &shares[at].1));
                assert_eq!(combine(3, &chosen).unwrap()[..], bytes(SECRET));
            }
        }
    }
}

/// The example of draft-mcgrew-tss.
#[test]
fn the_published_shares_give_the_published_secret() {
    let (one, two) = (bytes("b9fa07e185"), bytes("f5409b4511"));
    let mut secret = [0; 5];
    interpolate(&[(1, &one), (2, &two)], 0, &mut secret).unwrap();
    assert_eq!(secret[..], bytes("7465737400"));
}

#[test]
fn fewer_shares_than_the_threshold_are_refused() {
    let shares = split(&[7; 32], 3, 5, &mut rng(1)).unwrap();
    let few = places(&shares[..2]);
    assert_eq!(combine(3, &few).unwrap_err(), ShamirError::TooFew { expected: 3, found: 2 });
    assert_eq!(combine(3, &[]).unwrap_err(), ShamirError::TooFew { expected: 3, found: 0 });
    let wrong = combine(2, &few).unwrap();
    assert_ne!(*wrong, [7; 32], "two shares of a secret that takes three");
}

#[test]
fn a_share_at_zero_or_at_the_place_of_another_is_refused() {
    let shares = split(&[7; 32], 2, 3, &mut rng(1)).unwrap();
    let (one, two) = (&shares[0], &shares[1]);
    assert_eq!(combine(2, &[(1, one), (0, two)]).unwrap_err(), ShamirError::AtZero);
    assert_eq!(combine(2, &[(1, one), (1, two)]).unwrap_err(), ShamirError::Twice { x: 1 });
    let beyond = combine(2, &[(1, one), (2, two), (2, two)]);
    assert_eq!(beyond.unwrap_err(), ShamirError::Twice { x: 2 }, "also after the threshold");
}

#[test]
fn a_threshold_below_two_or_above_the_holders_is_refused() {
    for (threshold, holders) in [(0, 3), (1, 3), (4, 3), (2, 0), (2, 1)] {
        let expected = ShamirError::Threshold { threshold: threshold.into(), holders: holders.into() };
        assert_eq!(split(&[7; 32], threshold, holders, &mut rng(1)).unwrap_err(), expected);
    }
    let share = ShareValue::from_bytes([7; 32]);
    assert!(combine(1, &[(1, &share)]).is_err());
    assert!(combine(0, &[]).is_err());
}

#[test]
fn all_255_places_can_be_used() {
    let shares = split(&[9; 32], 255, 255, &mut rng(1)).unwrap();
    assert_eq!(*combine(255, &places(&shares)).unwrap(), [9; 32]);
}

#[test]
fn lengths_that_differ_are_refused() {
    let expected = ShamirError::Length { expected: 2, found: 1 };
    assert_eq!(evaluate(&[&[1, 2], &[1]], 1, &mut [0; 2]), Err(expected.clone()));
    assert_eq!(interpolate(&[(1, &[1, 2]), (2, &[1])], 0, &mut [0; 2]), Err(expected));
}

#[test]
fn a_share_prints_nothing() {
    assert_eq!(format!("{:?}", ShareValue::from_bytes([0xAB; 32])), "ShareValue(..)");
}

proptest! {
    #[test]
    fn any_threshold_of_shares_gives_the_secret_and_every_other_share(
        secret: [u8; 32],
        (threshold, holders) in (2_u8..12).prop_flat_map(|threshold| (Just(threshold), threshold..20)),
        seed: u64,
    ) {
        let shares = split(&secret, threshold, holders, &mut rng(seed)).unwrap();
        // Any of them: drawn from the seed.
        let mut chosen = places(&shares);
        chosen.sort_by_key(|(x, _)| seed.wrapping_mul(u64::from(*x)).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        chosen.truncate(threshold.into());
        prop_assert_eq!(*combine(threshold, &chosen).unwrap(), secret);
        for (x, share) in places(&shares) {
            let found = share_at(threshold, &chosen, x).unwrap();
            prop_assert_eq!(found.as_bytes(), share.as_bytes());
        }
    }

    #[test]
    fn a_changed_share_gives_another_secret_and_is_found_by_its_place(
        secret: [u8; 32], seed: u64, at in 0_usize..32, bit in 0_u32..8,
    ) {
        let shares = split(&secret, 3, 4, &mut rng(seed)).unwrap();
        let mut changed = *shares[3].as_bytes();
        changed[at] ^= 1 << bit;
        let liar = ShareValue::from_bytes(changed);
        let with_liar = [(1, &shares[0]), (2, &shares[1]), (4, &liar)];
        prop_assert_ne!(*combine(3, &with_liar).unwrap(), secret);
        let honest = places(&shares[..3]);
        let right = share_at(3, &honest, 4).unwrap();
        prop_assert_ne!(right.as_bytes(), liar.as_bytes());
    }
}

/// Chi-squared over the 65,536 values that two bytes have together.
fn chi_squared(pairs: impl Iterator<Item = (u8, u8)>) -> f64 {
    let mut counts = vec![0_u32; 1 << 16];
    pairs.for_each(|(one, two)| counts[usize::from(one) << 8 | usize::from(two)] += 1);
    let expected = f64::from(counts.iter().sum::<u32>()) / 65_536.0;
    counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}

/// 65,535 degrees of freedom: mean 65,535, standard deviation 362. Above this bound less than once in a million times.
const BOUND: f64 = 67_300.0;
/// 32 pairs of bytes each: 16 expected of every pair of values.
const SPLITS: u32 = 32_768;

/// Every two of three shares say nothing, together, about a secret that takes three. Six statistics, each above the
/// bound less than once in 10^6: a false alarm in 6 of 10^6 runs with random seeds, and this seed is fixed.
#[test]
fn one_share_less_than_the_threshold_is_uniform() {
    for secret in [[0x00; 32], [0xA5; 32]] {
        let mut rng = rng(5);
        let all: Vec<_> = (0..SPLITS).map(|_| split(&secret, 3, 3, &mut rng).unwrap()).collect();
        for (one, two) in [(0, 1), (0, 2), (1, 2)] {
            let pairs = all.iter().flat_map(|shares| {
                shares[one].as_bytes().iter().copied().zip(shares[two].as_bytes().iter().copied())
            });
            let found = chi_squared(pairs);
            assert!(found < BOUND, "shares {one} and {two}: {found}");
        }
    }
}

/// The test above notices the mistake of some libraries: a last coefficient that is never 0.
#[test]
fn polynomials_of_exactly_the_full_degree_would_be_noticed() {
    let mut rng = rng(5);
    let mut biased = Vec::new();
    for _ in 0..SPLITS {
        let [mut first, mut last] = [[0; 32]; 2];
        rng.fill_bytes(&mut first);
        rng.fill_bytes(&mut last);
        last.iter_mut().for_each(|byte| *byte = (*byte).max(1));
        let [mut one, mut two] = [[0; 32]; 2];
        let polynomial: [&[u8]; 3] = [&[0xA5; 32], &first, &last];
        evaluate(&polynomial, 1, &mut one).unwrap();
        evaluate(&polynomial, 2, &mut two).unwrap();
        biased.extend(one.into_iter().zip(two));
    }
    assert!(chi_squared(biased.into_iter()) > BOUND);
}
