//! The elements of largest magnitude, with their places.
//!
//! The payload of a block is, for each element kept, in the order of their places: how many elements were left out
//! between the one before and this one (u16, little-endian); after all of these the values (f32, little-endian). So
//! every payload names places in rising order, each once.

use super::CompressionError;

/// Bytes of an element that is kept.
pub(super) const ELEMENT_BYTES: usize = GAP_BYTES + 4;
const GAP_BYTES: usize = 2;
/// Values that are looked at together.
const SCANNED: usize = 16;

/// Which elements of an update are kept.
///
/// Every element has a rank: the bits of its magnitude, which grow with the magnitude, in the upper 31 of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Selection {
    /// Elements above this rank are kept.
    rank: u32,
    /// Of the elements of this very rank, those before this place in the update are kept.
    end: usize,
}

impl Selection {
    /// Chooses the `keep` elements of largest magnitude, of equal ones the first, and no zero.
    ///
    /// Three passes: the upper half of the rank of the last one kept, its lower half, and where the last one of that
    /// rank is. The values are not copied.
    pub(super) fn largest(values: &[f32], keep: u64) -> Self {
        let (upper, keep) = Histogram::of(values.iter().map(|value| halves(rank(*value)).0)).find(keep);
        let within = values.iter().map(|value| halves(rank(*value))).filter(|halves| halves.0 == upper);
        let (lower, keep) = Histogram::of(within.map(|halves| halves.1)).find(keep);
        let last = u32::from(upper) << 16 | u32::from(lower);
        if last == 0 {
            return Self { rank: 0, end: 0 };
        }
        let mut equal = values.iter().enumerate().filter(|(_, value)| rank(**value) == last);
        let place = keep.checked_sub(1).and_then(|before| equal.nth(usize::try_from(before).ok()?));
        Self { rank: last, end: place.map_or(0, |(place, _)| place + 1) }
    }

    const fn keeps(self, rank: u32, place: usize) -> bool {
        rank > self.rank || (rank == self.rank && place < self.end)
    }

    /// Appends a block whose first value is at `start` of the update.
    pub(super) fn encode(self, values: &[f32], start: usize, payload: &mut Vec<u8>) {
        let before = payload.len();
        let mut next = 0;
        let few = values.chunks(SCANNED).zip((0..).step_by(SCANNED));
        // Most stretches hold nothing to keep, and that is seen many values at a time.
        for (few, first) in
            few.filter(|(few, _)| few.iter().fold(false, |any, value| any | (rank(*value) >= self.rank)))
        {
            for (value, offset) in few.iter().zip(first..) {
                if self.keeps(rank(*value), start + offset) {
                    let gap = u16::try_from(offset - next).unwrap_or(u16::MAX);
                    payload.extend_from_slice(&gap.to_le_bytes());
                    next = offset + 1;
                }
            }
        }
        let count = (payload.len() - before) / GAP_BYTES;
        payload.resize(before + count * ELEMENT_BYTES, 0);
        let (gaps, sent) = split_mut(payload.get_mut(before..).unwrap_or_default());
        let mut rest = values.iter();
        for (gap, place) in gaps.iter().zip(sent) {
            let value = rest.nth(usize::from(u16::from_le_bytes(*gap)));
            *place = value.copied().unwrap_or(0.0).to_le_bytes();
        }
    }
}

/// Reads block `block`; the values that were not sent become 0.
pub(super) fn decode(payload: &[u8], block: u64, values: &mut [f32]) -> Result<(), CompressionError> {
    values.fill(0.0);
    let elements = values.len();
    let most = elements * ELEMENT_BYTES;
    if payload.len() > most || !payload.len().is_multiple_of(ELEMENT_BYTES) {
        return Err(CompressionError::PayloadLength { block, least: 0, most, found: payload.len() });
    }
    let (gaps, sent) = split(payload);
    let (gaps, sent) = (gaps.as_chunks::<GAP_BYTES>().0, sent.as_chunks::<4>().0);
    let mut next = 0;
    for (gap, value) in gaps.iter().zip(sent) {
        let found = next + usize::from(u16::from_le_bytes(*gap));
        let place = values.get_mut(found).ok_or(CompressionError::Place { block, elements, found })?;
        *place = f32::from_le_bytes(*value);
        next = found + 1;
    }
    Ok(())
}

/// A payload's gaps and values.
pub(super) fn split(payload: &[u8]) -> (&[u8], &[u8]) {
    payload.split_at_checked(payload.len() / ELEMENT_BYTES * GAP_BYTES).unwrap_or_default()
}

fn split_mut(payload: &mut [u8]) -> (&mut [[u8; GAP_BYTES]], &mut [[u8; 4]]) {
    let (gaps, sent) = payload.split_at_mut(payload.len() / ELEMENT_BYTES * GAP_BYTES);
    (gaps.as_chunks_mut().0, sent.as_chunks_mut().0)
}

const fn rank(value: f32) -> u32 {
    value.to_bits() << 1
}

#[expect(clippy::cast_possible_truncation, reason = "two halves of 32 bits")]
const fn halves(rank: u32) -> (u16, u16) {
    ((rank >> 16) as u16, rank as u16)
}

/// How often each number of 16 bits occurs.
struct Histogram(Vec<u64>);

impl Histogram {
    fn of(numbers: impl Iterator<Item = u16>) -> Self {
        let mut counts = vec![0; 1 << 16];
        numbers.for_each(|number| {
            if let Some(count) = counts.get_mut(usize::from(number)) {
                *count += 1;
            }
        });
        Self(counts)
    }

    /// The number that is `keep`th from the largest down, and how many of its kind are needed for that; 0 and 0 when
    /// there are fewer numbers.
    fn find(&self, keep: u64) -> (u16, u64) {
        let mut left = keep;
        for (number, count) in (0..=u16::MAX).zip(&self.0).rev() {
            if left <= *count {
                return (number, left);
            }
            left -= count;
        }
        (0, 0)
    }
}

#[cfg(test)]
mod tests;
