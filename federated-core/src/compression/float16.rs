//! 16-bit floats. Each conversion is a few integer operations without a branch, so that the compiler does many at once.

use pulp::Arch;

use super::{CompressionError, plain::MAGNITUDE_BITS};
use crate::model::MAX_MAGNITUDE;

/// The largest magnitude of bf16 below 2^31: 255 * 2^23.
const LARGEST_BF16: f32 = 2_139_095_040.0;
/// The smallest magnitude that f16 cannot hold: halfway between its largest, 65,504, and 2^16.
const F16_OVERFLOW: f32 = 65_520.0;
/// Bits of an infinite f16; larger magnitudes are NaN.
const F16_INFINITE: u16 = 0x7c00;
/// What the exponent of an f32 is larger by than that of the same f16, in the place of an f32's exponent.
const REBIAS: u32 = (127 - 15) << 23;
/// The smallest normal f16, 2^-14, as the bits of an f32.
const SMALLEST_NORMAL: u32 = REBIAS + (1 << 23);

pub(super) fn encode_bf16(values: &[f32], payload: &mut Vec<u8>) {
    encode(values, payload, bf16_bits);
}

pub(super) fn encode_f16(values: &[f32], first: u64, payload: &mut Vec<u8>) -> Result<(), CompressionError> {
    let fits = |value: &f32| value.to_bits() & MAGNITUDE_BITS < F16_OVERFLOW.to_bits();
    if !values.iter().fold(true, |all, value| all & fits(value)) {
        let place = values.iter().position(|value| !fits(value)).unwrap_or(0);
        let found = values.get(place).copied().unwrap_or(f32::NAN);
        return Err(CompressionError::Overflow { element: first + place as u64, found });
    }
    encode(values, payload, f16_bits);
    Ok(())
}

pub(super) fn decode_bf16(payload: &[u8], values: &mut [f32]) {
    decode(payload, values, |bits| f32::from_bits(u32::from(bits) << 16));
}

pub(super) fn decode_f16(payload: &[u8], first: u64, values: &mut [f32]) -> Result<(), CompressionError> {
    decode(payload, values, f16_value);
    let (words, _) = payload.as_chunks::<2>();
    let finite = |word: &[u8; 2]| u16::from_le_bytes(*word) & 0x7fff < F16_INFINITE;
    if words.iter().fold(true, |all, word| all & finite(word)) {
        return Ok(());
    }
    let place = words.iter().position(|word| !finite(word)).unwrap_or(0);
    let bits = words.get(place).map_or(0, |word| u16::from_le_bytes(*word));
    let found = match bits {
        F16_INFINITE => f32::INFINITY,
        bits if bits == F16_INFINITE | 0x8000 => f32::NEG_INFINITY,
        _ => f32::NAN,
    };
    Err(CompressionError::NotFinite { element: first + place as u64, found })
}

fn encode(values: &[f32], payload: &mut Vec<u8>, bits: impl Fn(f32) -> u16) {
    let start = payload.len();
    payload.resize(start + values.len() * 2, 0);
    let (words, _) = payload.get_mut(start..).unwrap_or_default().as_chunks_mut::<2>();
    Arch::new().dispatch(|| {
        words.iter_mut().zip(values).for_each(|(word, value)| *word = bits(*value).to_le_bytes());
    });
}

fn decode(payload: &[u8], values: &mut [f32], value: impl Fn(u16) -> f32) {
    let (words, _) = payload.as_chunks::<2>();
    Arch::new().dispatch(|| {
        values.iter_mut().zip(words).for_each(|(out, word)| *out = value(u16::from_le_bytes(*word)));
    });
}

/// The nearest bf16, ties to even, of a value below 2^31 in magnitude.
#[inline(always)]
const fn bf16_bits(value: f32) -> u16 {
    const { assert!(LARGEST_BF16 < MAX_MAGNITUDE) };
    let bits = value.clamp(-LARGEST_BF16, LARGEST_BF16).to_bits();
    // Half a unit of the upper half, less one where the upper half is even: a carry is a step up.
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

/// The nearest f16, ties to even, of a value below 65,520 in magnitude.
#[expect(clippy::cast_possible_truncation, reason = "sign, exponent and fraction are shifted into 16 bits")]
#[inline(always)]
const fn f16_bits(value: f32) -> u16 {
    let sign = (value.to_bits() >> 16) & 0x8000;
    let magnitude = value.to_bits() & MAGNITUDE_BITS;
    // As in bf16, with 13 bits less instead of 16. Wraps for what is not a normal f16 and is not used then.
    let normal = magnitude.wrapping_sub(REBIAS).wrapping_add(0xfff + ((magnitude >> 13) & 1)) >> 13;
    // Subnormal f16 are multiples of 2^-24, which is the last place of floats from 0.5 on: the addition rounds.
    let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5_f32.to_bits());
    (sign | if magnitude < SMALLEST_NORMAL { subnormal } else { normal }) as u16
}

/// The value of a finite f16.
#[inline(always)]
const fn f16_value(bits: u16) -> f32 {
    let sign = (bits as u32 & 0x8000) << 16;
    let shifted = (bits as u32 & 0x7fff) << 13;
    let normal = shifted + REBIAS;
    // 2^-14 plus the fraction, less 2^-14: without a subnormal f32 on the way, which processors are slow at.
    let subnormal = f32::from_bits(shifted + SMALLEST_NORMAL) - f32::from_bits(SMALLEST_NORMAL);
    f32::from_bits(sign | if shifted < 1 << 23 { subnormal.to_bits() } else { normal })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f16_has_the_values_of_ieee_754() {
        // Sign, 5 bits of exponent with bias 15, 10 bits of fraction.
        for (bits, value) in [
            (0x0000, 0.0_f32),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 1_365.0 / 4_096.0),
            (0x7bff, 65_504.0),
            (0x0400, 2.0_f32.powi(-14)),
            (0x03ff, 1_023.0 * 2.0_f32.powi(-24)),
            (0x0001, 2.0_f32.powi(-24)),
        ] {
            assert_eq!(f16_value(bits).to_bits(), value.to_bits(), "{bits:#06x}");
            assert_eq!(f16_bits(value), bits, "{value}");
        }
        assert_eq!(f16_bits(-0.0), 0x8000);
    }

    #[test]
    fn bf16_is_the_upper_half_of_f32() {
        for (bits, value) in
            [(0x3f80, 1.0), (0xbf80, -1.0), (0x4049, 3.140_625), (0x0000, 0.0), (0x8000, -0.0)]
        {
            assert_eq!(bf16_bits(value), bits, "{value}");
        }
        assert_eq!(bf16_bits(std::f32::consts::PI), 0x4049);
    }

    #[test]
    fn ties_go_to_the_even_neighbour() {
        // 1 + 2^-8 is halfway between bf16's 1 and 1 + 2^-7; 1 + 3 * 2^-8 between 1 + 2^-7 and 1 + 2^-6.
        let above_one = |part: f32, exponent| 1.0 + part * 2.0_f32.powi(exponent);
        assert_eq!([1.0, 3.0].map(|part| bf16_bits(above_one(part, -8))), [0x3f80, 0x3f82]);
        // The same with f16's 2^-11.
        assert_eq!([1.0, 3.0].map(|part| f16_bits(above_one(part, -11))), [0x3c00, 0x3c02]);
        // Half the smallest subnormal goes to zero, one and a half of it to two.
        assert_eq!([f16_bits(2.0_f32.powi(-25)), f16_bits(3.0 * 2.0_f32.powi(-25))], [0, 2]);
    }

    #[test]
    fn bf16_stays_below_what_a_model_may_hold() {
        let largest = f32::from_bits(MAX_MAGNITUDE.to_bits() - 1);
        assert_eq!([largest, -largest].map(bf16_bits), [0x4eff, 0xceff]);
        assert!((largest - LARGEST_BF16) / largest <= 2.0_f32.powi(-8));
    }

    #[test]
    fn a_value_too_large_for_f16_is_named() {
        let mut payload = Vec::new();
        assert!(encode_f16(&[65_519.996, -65_504.0], 0, &mut payload).is_ok());
        let error = encode_f16(&[1.0, 65_520.0], 100, &mut payload).unwrap_err();
        assert_eq!(error, CompressionError::Overflow { element: 101, found: 65_520.0 });
        assert_eq!(payload.len(), 4, "nothing is written then");
    }

    #[test]
    fn an_f16_that_is_not_finite_is_refused() {
        for (bits, found) in [(0x7c00_u16, f32::INFINITY), (0xfc00, f32::NEG_INFINITY)] {
            let error = decode_f16(&bits.to_le_bytes(), 5, &mut [0.0]).unwrap_err();
            assert_eq!(error, CompressionError::NotFinite { element: 5, found });
        }
        let error = decode_f16(&0x7e00_u16.to_le_bytes(), 5, &mut [0.0]).unwrap_err();
        assert!(matches!(error, CompressionError::NotFinite { element: 5, found } if found.is_nan()));
    }

    /// Against the crate `half`, another implementation.
    #[test]
    fn every_f16_and_a_sweep_of_f32_agree_with_another_implementation() {
        for bits in (0..=u16::MAX).filter(|bits| bits & 0x7fff < F16_INFINITE) {
            let value = half::f16::from_bits(bits).to_f32();
            assert_eq!(f16_value(bits).to_bits(), value.to_bits(), "{bits:#06x}");
            assert_eq!(f16_bits(value), bits, "{value:e}");
        }
        // A prime step: every exponent, all kinds of last bits.
        for bits in (0..MAX_MAGNITUDE.to_bits()).step_by(1_009) {
            for value in [f32::from_bits(bits), -f32::from_bits(bits)] {
                let expected = half::bf16::from_f32(value.clamp(-LARGEST_BF16, LARGEST_BF16)).to_bits();
                assert_eq!(bf16_bits(value), expected, "{value:e}");
                if value.abs() < F16_OVERFLOW {
                    assert_eq!(f16_bits(value), half::f16::from_f32(value).to_bits(), "{value:e}");
                }
            }
        }
    }
}
