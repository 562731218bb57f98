//! Cutting 32-bit words into planes: the lowest byte of each word, then the second byte of each, and so on.
//!
//! # References
//! The filter "shuffle" of the library Blosc, <https://www.blosc.org>.

use pulp::Arch;

/// Writes the planes of `words`; both have the same length, a multiple of 4.
#[expect(clippy::cast_possible_truncation, reason = "each plane takes one byte of a word")]
pub(super) fn cut(words: &[u8], planes: &mut [u8]) {
    let (words, _) = words.as_chunks::<4>();
    for (shift, plane) in SHIFTS.into_iter().zip(planes.chunks_mut(words.len().max(1))) {
        let byte = |word: &[u8; 4]| (u32::from_le_bytes(*word) >> shift) as u8;
        Arch::new().dispatch(|| plane.iter_mut().zip(words).for_each(|(place, word)| *place = byte(word)));
    }
}

/// The inverse of [`cut`].
pub(super) fn join(planes: &[u8], words: &mut [u8]) {
    let (words, _) = words.as_chunks_mut::<4>();
    words.fill([0; 4]);
    for (shift, plane) in SHIFTS.into_iter().zip(planes.chunks(words.len().max(1))) {
        let with =
            |word: &[u8; 4], byte: u8| (u32::from_le_bytes(*word) | u32::from(byte) << shift).to_le_bytes();
        Arch::new()
            .dispatch(|| words.iter_mut().zip(plane).for_each(|(word, byte)| *word = with(word, *byte)));
    }
}

/// How far the byte of each plane lies above the lowest.
const SHIFTS: [u32; 4] = [0, 8, 16, 24];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn planes_hold_like_bytes_together() {
        let mut planes = [0; 8];
        cut(&[1, 2, 3, 4, 5, 6, 7, 8], &mut planes);
        assert_eq!(planes, [1, 5, 2, 6, 3, 7, 4, 8]);
        cut(&[], &mut []);
        join(&[], &mut []);
    }

    proptest! {
        #[test]
        fn joining_undoes_cutting(words in prop::collection::vec(any::<[u8; 4]>(), 0..100)) {
            let words = words.as_flattened();
            let (mut planes, mut back) = (vec![0; words.len()], vec![9; words.len()]);
            cut(words, &mut planes);
            join(&planes, &mut back);
            prop_assert_eq!(words, &back);
        }
    }
}
