use proptest::prelude::*;

use super::*;

const WIDTHS: [Width; 2] = [Width::Int8, Width::Int4];

fn round_trip(width: Width, values: &[f32], seed: u64) -> Vec<f32> {
    let (mut payload, mut back) = (Vec::new(), vec![9.0; values.len()]);
    width.encode(values, seed, 0, &mut payload);
    assert_eq!(payload.len(), width.payload_bytes(values.len()));
    width.decode(&payload, 0, &mut back).unwrap();
    back
}

fn steps(values: &[f32], width: Width) -> impl Iterator<Item = f32> {
    values.chunks(GROUP_ELEMENTS).flat_map(move |group| {
        let largest = group.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        std::iter::repeat_n(scale(largest, f32::from(width.most())), group.len())
    })
}

#[test]
fn int4_puts_two_integers_in_a_byte_the_first_in_the_lower_half() {
    // The largest is 7 steps of 1, so all are whole numbers of steps and nothing is left to chance.
    let mut payload = Vec::new();
    Width::Int4.encode(&[7.0, -1.0, 3.0, -7.0, 2.0], 0, 0, &mut payload);
    assert_eq!(payload, [0x00, 0x00, 0x80, 0x3f, 0xf7, 0x93, 0x02]);
}

#[test]
fn int8_puts_an_integer_in_a_byte() {
    let mut payload = Vec::new();
    Width::Int8.encode(&[127.0, -127.0, 0.0, -1.0, 64.0], 0, 0, &mut payload);
    assert_eq!(payload, [0x00, 0x00, 0x80, 0x3f, 127, 0x81, 0, 0xff, 64]);
}

#[test]
fn the_bytes_of_a_seed_never_change() {
    // From a program in Python with its own ChaCha8 (RFC 8439, section 2.3, with 8 rounds and a 64-bit stream).
    let values = [0.03, -0.155, 0.28, -0.405, 0.53, -0.655, 0.78, -0.905];
    for (width, seed, block, expected) in [
        (Width::Int4, 1, 0, &[0, 100, 4, 62, 224, 210, 180, 150][..]),
        (Width::Int4, 1, 5, &[0, 100, 4, 62, 240, 194, 180, 150]),
        (Width::Int4, 2, 0, &[0, 100, 4, 62, 240, 210, 180, 150]),
        (Width::Int8, 1, 0, &[0, 130, 233, 59, 4, 234, 39, 200, 74, 164, 109, 129]),
    ] {
        let mut payload = Vec::new();
        width.encode(&values, seed, block, &mut payload);
        assert_eq!(payload, expected, "{width:?} with seed {seed} in block {block}");
    }
}

#[test]
fn every_number_below_one_is_as_likely_as_any_other() {
    // 512 words for each of the 2^23 numbers.
    for number in [0_u32, 1, 2, 0x12_3456, 0x40_0000, 0x7f_ffff] {
        let first = number << 9;
        assert_eq!([first, first + 511].map(|word| noise(word.to_le_bytes())), [number.cast_signed(); 2]);
    }
}

#[test]
fn payloads_are_as_small_as_promised() {
    for (width, most) in [(Width::Int8, 0.255), (Width::Int4, 0.13)] {
        let share = width.payload_bytes(65_536) as f64 / (65_536.0 * 4.0);
        assert!(share < most, "{width:?} takes {share}");
    }
}

#[test]
fn zeros_and_the_extremes_survive() {
    let largest = f32::from_bits(MAX_MAGNITUDE.to_bits() - 1);
    for width in WIDTHS {
        assert_eq!(round_trip(width, &[0.0; 300], 1), [0.0; 300]);
        for value in [largest, f32::from_bits(1), f32::MIN_POSITIVE, 1e-30, LEAST_SCALE] {
            for back in round_trip(width, &[value, -value, 0.0], 3).iter().zip([value, -value, 0.0]) {
                let step = scale(value, f32::from(width.most()));
                assert!(back.0.abs() < MAX_MAGNITUDE && (back.0 - back.1).abs() <= step, "{back:?} {step}");
            }
        }
        let most = f32::from(width.most());
        assert!(largest_scale(most) * most < MAX_MAGNITUDE);
        assert!(largest_scale(most) * most > MAX_MAGNITUDE * (1.0 - 2.0_f32.powi(-14)));
    }
}

#[test]
fn scales_that_would_give_unusable_values_are_refused() {
    for width in WIDTHS {
        let (mut payload, mut back) = (Vec::new(), vec![0.0; 300]);
        width.encode(&[1.0; 300], 0, 0, &mut payload);
        for scale in [f32::NAN, f32::INFINITY, -1.0, MAX_MAGNITUDE / f32::from(width.most())] {
            payload[4..8].copy_from_slice(&scale.to_le_bytes());
            let error = width.decode(&payload, 1_000, &mut back).unwrap_err();
            assert!(matches!(error, CompressionError::Scale { element: 1_256, .. }), "{error}");
        }
    }
}

#[test]
fn integers_without_a_negative_and_padding_are_refused() {
    let one = 1.0_f32.to_le_bytes();
    let decode = |width: Width, integers: &[u8], elements| {
        width.decode(&[&one, integers].concat(), 0, &mut vec![0.0; elements])
    };
    assert_eq!(decode(Width::Int8, &[0x80, 0], 2), Err(CompressionError::Level { element: 0, most: 127 }));
    for byte in [0x08, 0x80] {
        let refused = Err(CompressionError::Level { element: 0, most: 7 });
        assert_eq!(decode(Width::Int4, &[byte, 0], 4), refused);
    }
    assert!(decode(Width::Int4, &[0x11, 0x01], 3).is_ok());
    assert!(decode(Width::Int4, &[0x11, 0x11], 3).is_err());
}

/// Rounding is right on the average over all 2^23 random numbers; here over 4,096 seeds.
///
/// An error of a value lies in an interval one step wide, so by Hoeffding's inequality the mean of n of them is further
/// than t steps from its expectation with probability at most 2 exp(-2 n t^2). For n = 4,096 and t = 0.064 that is
/// 6e-15 for a value, 2e-12 for 256 of them; for the mean over all values, n = 1,048,576 and t = 0.004, 6e-15. Twice
/// that for two widths: the false-alarm rate is below 1e-11.
#[test]
fn the_mean_over_many_seeds_is_the_value() {
    const SEEDS: u64 = 4_096;
    let values: Vec<f32> =
        (0..256).map(|place| (f32::from(u8::try_from(place).unwrap()) - 99.3) * 1e-3).collect();
    for width in WIDTHS {
        let step = f64::from(scale(0.155_7, f32::from(width.most())));
        let mut sums = vec![0.0_f64; values.len()];
        let mut squares = vec![0.0_f64; values.len()];
        for seed in 0..SEEDS {
            for ((sum, square), (back, value)) in
                sums.iter_mut().zip(&mut squares).zip(round_trip(width, &values, seed).iter().zip(&values))
            {
                let error = (f64::from(*back) - f64::from(*value)) / step;
                *sum += error;
                *square += error * error;
            }
        }
        let mean = |sum: f64| sum / SEEDS as f64;
        for (place, sum) in sums.iter().enumerate() {
            assert!(mean(*sum).abs() < 0.064, "element {place}: {} steps", mean(*sum));
        }
        assert!(mean(sums.iter().sum()).abs() / 256.0 < 0.004);
        // Hoeffding again: squares of errors lie between 0 and 1, so t is the same.
        for ((place, square), value) in squares.iter().enumerate().zip(&values) {
            let fraction = (f64::from(*value) / step).rem_euclid(1.0);
            let variance = fraction * (1.0 - fraction);
            assert!(
                (mean(*square) - variance).abs() < 0.064,
                "element {place}: {} for {variance}",
                mean(*square)
            );
        }
    }
}

proptest! {
    #[test]
    fn errors_are_below_one_step(
        values in prop::collection::vec(-2.0_f32..2.0, 1..600), exponent in -100_i32..29, seed: u64,
    ) {
        let values: Vec<f32> = values.iter().map(|value| value * 2.0_f32.powi(exponent)).collect();
        for width in WIDTHS {
            let back = round_trip(width, &values, seed);
            for ((back, value), step) in back.iter().zip(&values).zip(steps(&values, width)) {
                prop_assert!((back - value).abs() < step, "{back} for {value}, step {step}");
            }
        }
    }

    /// Of all 2^23 random numbers r, `fixed mod 2^23` make `floor((fixed + r) / 2^23)` the integer above: so the
    /// expectation of the integer is `fixed / 2^23` exactly, and this bounds how far it is from the value.
    #[test]
    fn the_expectation_is_the_value_but_for_two_roundings(value in -1.0_f32..1.0, exponent in -60_i32..30, larger in 1.0_f32..1e6) {
        let value = value * 2.0_f32.powi(exponent);
        for most in [127.0, 7.0] {
            let step = scale((value.abs() * larger).min(2e9), most);
            prop_assume!(step > 0.0);
            let expectation = f64::from(fixed_point(value, 1.0 / step, most)) * 2.0_f64.powi(-23) * f64::from(step);
            let bound = 2.0_f64.powi(-22) * f64::from(value.abs()) + 2.0_f64.powi(-24) * f64::from(step);
            prop_assert!((expectation - f64::from(value)).abs() <= bound, "{expectation} for {value}");
        }
    }
}
