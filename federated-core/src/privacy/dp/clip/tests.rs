use num_bigint::BigInt;
use proptest::prelude::*;

use super::*;
use crate::model::{ModelLayout, TensorSpec};

/// The exact sum of squares is at most the exact square of the norm.
fn is_within(values: &[f32], norm: f64) -> bool {
    // All numbers are multiples of 2^-1200.
    let exact = |value: f64| {
        let (bits, exponent) = (value.to_bits() & ((1 << 52) - 1), (value.to_bits() >> 52) & 0x7ff);
        let (mantissa, exponent) = if exponent == 0 { (bits, 1) } else { (bits | 1 << 52, exponent) };
        BigInt::from(mantissa) << (exponent + 1_200 - 1_075)
    };
    let sum: BigInt = values.iter().map(|value| exact(f64::from(value.abs())).pow(2)).sum();
    sum <= exact(norm).pow(2)
}

proptest! {
    #[test]
    fn what_is_clipped_is_never_longer_than_its_norm(
        values in prop::collection::vec(prop_oneof![-1e3_f32..1e3, any::<f32>().prop_filter("finite", |v| v.is_finite()),
            -1e-40_f32..1e-40], 0..60),
        norm in prop_oneof![1e-6..1e6_f64, 1e-42..1e-38_f64, 1e30..1e40_f64],
        cut in 0..60_usize,
    ) {
        let norm = ClipNorm::new(norm).unwrap();
        let mut clipped = values.clone();
        let (first, second) = clipped.split_at_mut(cut.min(values.len()));
        let clipping = clip(&mut [first, second], norm).unwrap();
        prop_assert!(is_within(&clipped, norm.get()));
        prop_assert_eq!(clipping.was_within(), clipped == values);
        if clipping.was_within() {
            prop_assert!(is_within(&values, norm.get()));
        } else {
            prop_assert!(!is_within(&values, norm.get() * (1.0 - 1e-10)), "clipped without need");
        }
    }
}

#[test]
fn all_tensors_are_clipped_together_and_keep_their_direction() {
    let (mut weight, mut bias) = (vec![6.0_f32; 64], [0.0_f32, -36.0]);
    let clipping = clip(&mut [&mut weight, &mut bias], ClipNorm::new(6.0).unwrap()).unwrap();
    assert!((clipping.factor() - 0.1).abs() < 1e-9);
    assert!((weight[63] - 0.6).abs() < 1e-6 && (bias[1] + 3.6).abs() < 1e-6);
}

#[test]
fn a_nan_is_refused_before_the_norm_is_taken() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let (mut first, mut second) = ([1e9_f32; 3], [1.0, bad]);
        let error = clip(&mut [&mut first, &mut second], ClipNorm::new(1.0).unwrap()).unwrap_err();
        assert!(matches!(error, ClipError::NotFinite { element: 4, .. }), "{error}");
        assert_eq!(first.map(f32::to_bits), [1e9_f32; 3].map(f32::to_bits));
    }
}

#[test]
fn a_long_vector_is_clipped_as_a_short_one() {
    let layout = ModelLayout::new(vec![TensorSpec::new("w", [1_000_000])]).unwrap();
    let values = (0..1_000_000_u32).map(|n| (n % 1_009) as f32 * 1e-3 - 0.5).collect();
    let clipped =
        Clipped::new(ModelParameters::new(layout, values).unwrap(), ClipNorm::new(3.0).unwrap()).unwrap();
    assert!(is_within(clipped.parameters().values(), 3.0));
    assert!(!is_within(clipped.parameters().values(), 3.0 * (1.0 - 1e-6)));
}
