//! What every aggregation promises, as checks that any implementation can be put through.
//!
//! Available under the feature `test-util`, for tests. [`check`] runs all that apply.

use std::{iter, ops::Range};

use super::{AggregateError, Aggregation, Aggregator, DistanceSums, WeightedBlock};
use crate::update::ExampleCount;

/// Columns of the updates that are made up.
const COLUMNS: usize = 300;
/// Orders and cuts that are tried.
const TRIALS: u64 = 20;

/// Checks the laws of an aggregation with `updates` updates, a number that it can work on.
///
/// The updates are made up: the same at every call, of many magnitudes, and no two equally far from the others, so that
/// a selector has no tie to break. Checked are that neither the order of the updates nor the cut into blocks nor, for a
/// selection, the tree in which partial distances are merged changes a bit; that equal updates give that update; and
/// that blocks which are missing or differ in length are refused.
///
/// # Examples
/// ```
/// # #[cfg(feature = "test-util")] {
/// use federated_core::aggregate::{Aggregation, Median, conformance};
///
/// for updates in 1..10 {
///     conformance::check(Aggregation::Columns(&Median), updates);
/// }
/// # }
/// ```
///
/// # Panics
/// When a law does not hold.
pub fn check(aggregation: Aggregation<'_>, updates: usize) {
    let mut random = Random(updates as u64);
    let updates: Vec<Update> = (0..updates).map(|_| Update::random(&mut random)).collect();
    order_does_not_matter(aggregation, &updates, &mut random);
    cuts_do_not_matter(aggregation, &updates, &mut random);
    equal_updates_give_that_update(aggregation, &updates);
    what_does_not_fit_is_refused(aggregation, &updates);
}

fn order_does_not_matter(aggregation: Aggregation<'_>, updates: &[Update], random: &mut Random) {
    let expected = combine(aggregation, updates, &[0, COLUMNS]);
    let refusal = expected.as_ref().err();
    assert_eq!(refusal, None, "{aggregation:?} cannot combine {} updates", updates.len());
    let mut updates = updates.to_vec();
    for _ in 0..TRIALS {
        random.shuffle(&mut updates);
        let found = combine(aggregation, &updates, &[0, COLUMNS]);
        assert_same(found, &expected, "another order of the updates", aggregation);
    }
}

fn cuts_do_not_matter(aggregation: Aggregation<'_>, updates: &[Update], random: &mut Random) {
    let expected = combine(aggregation, updates, &[0, COLUMNS]);
    for trial in 0..TRIALS {
        // First every column alone, then stretches of many lengths, an empty one among them.
        let mut cuts: Vec<_> = if trial == 0 {
            (0..=COLUMNS).collect()
        } else {
            (0..trial).map(|_| random.below(COLUMNS)).chain([0, 0, COLUMNS]).collect()
        };
        cuts.sort_unstable();
        assert_same(combine(aggregation, updates, &cuts), &expected, "another cut into blocks", aggregation);
    }
}

fn equal_updates_give_that_update(aggregation: Aggregation<'_>, updates: &[Update]) {
    for update in updates {
        let alike = |other: &Update| Update { examples: other.examples, ..update.clone() };
        let found = combine(aggregation, &updates.iter().map(alike).collect::<Vec<_>>(), &[0, COLUMNS]);
        assert_same(found, &Ok(update.values.clone()), "combining equal updates", aggregation);
    }
}

fn what_does_not_fit_is_refused(aggregation: Aggregation<'_>, updates: &[Update]) {
    let found = combine(aggregation, &[], &[0, 0]);
    assert_eq!(found, Err(AggregateError::Empty), "{aggregation:?} combines nothing");
    let [first, .., last] = updates else {
        return;
    };
    // The last block is longer than the others, then shorter.
    for (others, odd) in [(COLUMNS - 1, COLUMNS), (COLUMNS, COLUMNS - 1)] {
        let mut blocks = vec![first.block(0..others); updates.len() - 1];
        blocks.push(last.block(0..odd));
        let found = match aggregation {
            Aggregation::Linear(aggregator) => aggregator.combine(&blocks).map(drop),
            Aggregation::Columns(aggregator) => aggregator.combine(&blocks).map(drop),
            Aggregation::Selection(_) => DistanceSums::new(blocks.len(), COLUMNS as u64).add(&blocks),
        };
        let refused = matches!(found, Err(AggregateError::BlockLength { .. }));
        assert!(refused, "{aggregation:?} combines blocks of different lengths: {found:?}");
    }
}

/// Both passes over the blocks between cuts, with the sums of the first one merged out of two halves.
fn combine(aggregation: Aggregation<'_>, updates: &[Update], cuts: &[usize]) -> Combined {
    let blocks: Vec<Vec<_>> = cuts
        .iter()
        .zip(cuts.iter().skip(1))
        .map(|(start, end)| updates.iter().map(|update| update.block(*start..*end)).collect())
        .collect();
    match aggregation {
        Aggregation::Linear(aggregator) => all(&blocks, |block| aggregator.combine(block)),
        Aggregation::Columns(aggregator) => all(&blocks, |block| aggregator.combine(block)),
        Aggregation::Selection(selector) => {
            let columns = cuts.last().map_or(0, |last| *last as u64);
            let (mut sums, mut other) =
                (DistanceSums::new(updates.len(), columns), DistanceSums::new(updates.len(), columns));
            // From the back, and unevenly, as threads might take them.
            for (index, block) in blocks.iter().enumerate().rev() {
                if index % 3 == 0 { &mut sums } else { &mut other }.add(block)?;
            }
            sums.merge(&other)?;
            let chosen = selector.choose(&sums.complete()?)?;
            all(&blocks, |block| chosen.combine(&chosen.pick(block.iter().copied())))
        }
    }
}

/// The results for all blocks, one after the other.
fn all(blocks: &[Vec<WeightedBlock<'_>>], combine: impl Fn(&[WeightedBlock<'_>]) -> Combined) -> Combined {
    let results: Vec<_> = blocks.iter().map(|block| combine(block)).collect::<Result<_, _>>()?;
    Ok(results.concat())
}

type Combined = Result<Vec<f32>, AggregateError>;

/// The same bits, or the first column that differs is named.
fn assert_same(found: Combined, expected: &Combined, cause: &str, aggregation: Aggregation<'_>) {
    let difference = match (&found, expected) {
        (Ok(found), Ok(expected)) if found.len() == expected.len() => {
            let mut both = found.iter().zip(expected);
            both.position(|(found, expected)| found.to_bits() != expected.to_bits())
                .map(|column| format!("column {column}"))
        }
        (Ok(found), Ok(expected)) => Some(format!("{} columns instead of {}", found.len(), expected.len())),
        (found, expected) if found == expected => None,
        (found, _) => Some(format!("{:?}", found.as_ref().err())),
    };
    assert!(difference.is_none(), "{cause} changes the result of {aggregation:?}: {difference:?}");
}

#[derive(Clone, Debug)]
struct Update {
    examples: ExampleCount,
    values: Vec<f32>,
}

impl Update {
    fn random(random: &mut Random) -> Self {
        let examples = ExampleCount::new(1 + random.below(1_000) as u64).unwrap_or(ExampleCount::ONE);
        Self { examples, values: iter::repeat_with(|| random.value()).take(COLUMNS).collect() }
    }

    fn block(&self, range: Range<usize>) -> WeightedBlock<'_> {
        WeightedBlock { examples: self.examples, values: self.values.get(range).unwrap_or_default() }
    }
}

/// SplitMix64 (Steele et al., OOPSLA 2014): made-up numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below a usize")]
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// A value of either sign between 2^-20 and 2^21.
    fn value(&mut self) -> f32 {
        let exponent = 127 - 20 + self.next() % 41;
        let bits = (self.next() & 0x807f_ffff) | exponent << 23;
        f32::from_bits(u32::try_from(bits).unwrap_or_default())
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for place in (1..all.len()).rev() {
            let other = self.below(place + 1);
            all.swap(place, other);
        }
    }
}

#[cfg(test)]
mod tests;
