use proptest::prelude::*;

use super::*;

fn payload(values: &[f32], keep: u64) -> Vec<u8> {
    let mut payload = Vec::new();
    Selection::largest(values, keep).encode(values, 0, &mut payload);
    payload
}

fn kept(values: &[f32], keep: u64) -> Vec<f32> {
    let mut back = vec![9.0; values.len()];
    decode(&payload(values, keep), 0, &mut back).unwrap();
    back
}

#[test]
fn the_wire_form_is_gaps_and_then_values() {
    let payload = payload(&[0.5, -4.0, 0.25, 0.125, 2.0], 2);
    assert_eq!(payload, [1, 0, 2, 0, 0x00, 0x00, 0x80, 0xc0, 0x00, 0x00, 0x00, 0x40]);
}

#[test]
fn of_equal_magnitudes_the_first_are_kept_and_zeros_never_are() {
    assert_eq!(kept(&[1.0, -2.0, 2.0, -2.0, 3.0], 3), [0.0, -2.0, 2.0, 0.0, 3.0]);
    assert_eq!(kept(&[0.0, 5.0, -0.0], 3), [0.0, 5.0, 0.0]);
    assert!(payload(&[0.0; 10], 10).is_empty());
    assert!(payload(&[], 0).is_empty());
}

#[test]
fn the_last_place_of_a_block_can_be_named() {
    let mut values = vec![0.0; super::super::BLOCK_ELEMENTS];
    values[65_535] = 1.0;
    assert_eq!(payload(&values, 1)[..2], [0xff, 0xff]);
    assert_eq!(kept(&values, 1), values);
}

#[test]
fn places_beyond_the_block_are_refused() {
    let past = [0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let expected = CompressionError::Place { block: 3, elements: 3, found: 3 };
    assert_eq!(decode(&past, 3, &mut [0.0; 3]), Err(expected));
    assert_eq!(decode(&past, 3, &mut [0.0; 4]), Ok(()));
    assert!(matches!(decode(&past[..11], 0, &mut [0.0; 4]), Err(CompressionError::PayloadLength { .. })));
    assert!(matches!(decode(&past, 0, &mut [0.0; 1]), Err(CompressionError::PayloadLength { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against a sort of all elements by falling magnitude, which keeps the order of equal ones.
    #[test]
    fn the_selection_agrees_with_a_sort(
        values in prop::collection::vec(prop_oneof![-2.0_f32..2.0, Just(0.0), Just(1.0), Just(-1.0), Just(1e-40)], 1..300),
        keep in 1_usize..320,
    ) {
        let mut order: Vec<_> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*b].abs().total_cmp(&values[*a].abs()));
        let mut expected = vec![0.0; values.len()];
        order.iter().take(keep).for_each(|place| expected[*place] = values[*place]);
        prop_assert_eq!(kept(&values, keep as u64), expected);
    }

    /// Stich et al. 2018, section 2: top-k is a k-contraction.
    #[test]
    fn what_is_left_out_is_at_most_its_share(values in prop::collection::vec(-1.0_f32..1.0, 1..200), keep in 1_u64..200) {
        let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|value| f64::from(value).powi(2)).sum::<f64>();
        let left = norm(&mut values.iter().zip(kept(&values, keep)).map(|(value, kept)| value - kept));
        let share = 1.0 - keep.min(values.len() as u64) as f64 / values.len() as f64;
        prop_assert!(left <= share * norm(&mut values.iter().copied()) + 1e-12);
    }
}
