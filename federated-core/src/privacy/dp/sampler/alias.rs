use super::Keystream;

/// A column of the table: two outcomes share it.
#[derive(Clone, Copy)]
struct Column {
    /// Below it the column's own outcome is drawn, from it on the other.
    own: u64,
    other: u32,
}

/// Draws an outcome with a probability that is exactly its weight over 2^64, from one word (Walker's alias method).
///
/// All numbers are integers and the weights sum to 2^64, so nothing is rounded when the table is made, nor when it is
/// read.
pub(super) struct Alias {
    columns: Box<[Column]>,
    /// A word's bits below those that choose the column.
    low_bits: u32,
}

impl Alias {
    /// The table of weights that sum to 2^64. What a sum lacks is given to outcome 0 of those given here; see [`top_up`].
    pub(super) fn new(weights: &[u64]) -> Self {
        let count = weights.len().max(2).next_power_of_two();
        let low_bits = u64::BITS - count.trailing_zeros();
        let capacity = 1_u64 << low_bits;
        let mut left: Vec<u64> = weights.iter().copied().chain(std::iter::repeat(0)).take(count).collect();
        let mut columns: Vec<Column> =
            (0..).take(count).map(|other| Column { own: capacity, other }).collect();
        let (mut light, mut heavy): (Vec<usize>, Vec<usize>) =
            (0..count).partition(|at| left.get(*at).is_some_and(|left| *left < capacity));
        while let (Some(small), Some(large)) = (light.pop(), heavy.last().copied()) {
            let own = left.get(small).copied().unwrap_or(0);
            if let Some(column) = columns.get_mut(small) {
                *column = Column { own, other: u32::try_from(large).unwrap_or(0) };
            }
            let Some(rest) = left.get_mut(large) else { continue };
            *rest = rest.saturating_sub(capacity - own);
            if *rest < capacity {
                heavy.pop();
                light.push(large);
            }
        }
        Self { columns: columns.into(), low_bits }
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a column's number is small")]
    pub(super) fn draw(&self, keystream: &mut Keystream) -> usize {
        let word = keystream.next();
        let at = (word >> self.low_bits) as usize;
        let below = word & ((1 << self.low_bits) - 1);
        let Some(column) = self.columns.get(at) else { return 0 };
        if below < column.own { at } else { column.other as usize }
    }

    /// The weight each outcome has in the table, out of 2^64.
    #[cfg(test)]
    pub(super) fn weights(&self) -> Vec<u128> {
        let capacity = 1_u64 << self.low_bits;
        let mut weights = vec![0_u128; self.columns.len()];
        for (at, column) in self.columns.iter().enumerate() {
            weights[at] += u128::from(column.own);
            weights[column.other as usize] += u128::from(capacity - column.own);
        }
        weights
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_outcome_has_exactly_its_weight(
            parts in prop::collection::vec(0..u64::MAX / 64, 1..64),
        ) {
            let mut weights = parts.clone();
            let sum: u64 = parts.iter().sum();
            weights.push(0_u64.wrapping_sub(sum));
            let found = Alias::new(&weights).weights();
            let expected: Vec<_> = weights.iter().map(|weight| u128::from(*weight)).collect();
            prop_assert_eq!(&found[..expected.len()], &expected[..]);
            prop_assert!(found[expected.len()..].iter().all(|weight| *weight == 0));
        }
    }
}
