use pulp::{Arch, NullaryFnOnce};

use super::{MaskError, Modulus, Sign};

/// Bits that end an element of 24 bits, in three words that hold eight of them.
const ENDS: [u64; 3] = [1 << 23 | 1 << 47, 1 << 7 | 1 << 31 | 1 << 55, 1 << 15 | 1 << 39 | 1 << 63];

/// Adds a vector to another, element by element, modulo 2^16, 2^24 or 2^32.
///
/// # Errors
/// [`MaskError`], with nothing changed, when they differ in length or are not whole elements.
pub fn add(modulus: Modulus, into: &mut [u8], other: &[u8]) -> Result<(), MaskError> {
    check_whole(modulus, into)?;
    if into.len() != other.len() {
        return Err(MaskError::Length { expected: into.len(), found: other.len() });
    }
    combine(modulus, Sign::Add, into, other);
    Ok(())
}

/// Whether the bytes are whole elements.
pub(super) const fn check_whole(modulus: Modulus, bytes: &[u8]) -> Result<(), MaskError> {
    let element = modulus.bytes();
    if bytes.len().is_multiple_of(element) {
        Ok(())
    } else {
        Err(MaskError::PartialElement { element, found: bytes.len() })
    }
}

/// Adds or takes away whole elements, as many as both have.
pub(super) fn combine(modulus: Modulus, sign: Sign, into: &mut [u8], other: &[u8]) {
    Arch::new().dispatch(Combine { modulus, sign, into, other });
}

struct Combine<'a> {
    modulus: Modulus,
    sign: Sign,
    into: &'a mut [u8],
    other: &'a [u8],
}

impl NullaryFnOnce for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { modulus, sign, into, other } = self;
        match (modulus, sign) {
            (Modulus::B16, Sign::Add) => each_u16(into, other, u16::wrapping_add),
            (Modulus::B16, Sign::Subtract) => each_u16(into, other, u16::wrapping_sub),
            (Modulus::B24, Sign::Add) => each_u24(into, other, 0),
            (Modulus::B24, Sign::Subtract) => each_u24(into, other, u64::MAX),
            (Modulus::B32, Sign::Add) => each_u32(into, other, u32::wrapping_add),
            (Modulus::B32, Sign::Subtract) => each_u32(into, other, u32::wrapping_sub),
        }
    }
}

#[inline(always)]
fn each_u16(into: &mut [u8], other: &[u8], combine: impl Fn(u16, u16) -> u16) {
    for (into, other) in into.as_chunks_mut().0.iter_mut().zip(other.as_chunks().0) {
        *into = combine(u16::from_le_bytes(*into), u16::from_le_bytes(*other)).to_le_bytes();
    }
}

#[inline(always)]
fn each_u32(into: &mut [u8], other: &[u8], combine: impl Fn(u32, u32) -> u32) {
    for (into, other) in into.as_chunks_mut().0.iter_mut().zip(other.as_chunks().0) {
        *into = combine(u32::from_le_bytes(*into), u32::from_le_bytes(*other)).to_le_bytes();
    }
}

/// Eight elements at a time. Adding to the complement, and complementing, subtracts: `flip` is all ones for that.
#[inline(always)]
fn each_u24(into: &mut [u8], other: &[u8], flip: u64) {
    let (groups, rest) = into.as_chunks_mut::<24>();
    let (other_groups, other_rest) = other.as_chunks::<24>();
    for (into, other) in groups.iter_mut().zip(other_groups) {
        let sum = add_u24(words(into).map(|word| word ^ flip), words(other));
        for (place, word) in into.as_chunks_mut().0.iter_mut().zip(sum) {
            *place = (word ^ flip).to_le_bytes();
        }
    }
    for (into, other) in rest.as_chunks_mut::<3>().0.iter_mut().zip(other_rest.as_chunks::<3>().0) {
        let element = |[low, middle, high]: [u8; 3]| u64::from_le_bytes([low, middle, high, 0, 0, 0, 0, 0]);
        let sum = (element(*into) ^ flip).wrapping_add(element(*other)) ^ flip;
        let [low, middle, high, ..] = sum.to_le_bytes();
        *into = [low, middle, high];
    }
}

#[inline(always)]
fn words(bytes: &[u8; 24]) -> [u64; 3] {
    let mut words = [0; 3];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// The sums of eight elements of 24 bits that lie in three words.
///
/// The last bit of each element is added apart, without its carry, so that no carry crosses into the next element.
/// Those elements that lie in two words hand their carry on from word to word.
#[inline(always)]
fn add_u24([a0, a1, a2]: [u64; 3], [b0, b1, b2]: [u64; 3]) -> [u64; 3] {
    let [e0, e1, e2] = ENDS;
    let (s0, carry0) = (a0 & !e0).overflowing_add(b0 & !e0);
    let (s1, carry1) = (a1 & !e1).carrying_add(b1 & !e1, carry0);
    let (s2, _) = (a2 & !e2).carrying_add(b2 & !e2, carry1);
    [s0 ^ ((a0 ^ b0) & e0), s1 ^ ((a1 ^ b1) & e1), s2 ^ ((a2 ^ b2) & e2)]
}
