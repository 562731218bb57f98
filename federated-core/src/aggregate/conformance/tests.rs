use std::{
    num::NonZeroU32,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::*;
use crate::aggregate::{AggregationRule, Krum, Median, TrimmedMean, UpdateSelector};

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

#[test]
fn the_mean_and_the_median_keep_the_laws_whatever_the_number_of_updates() {
    for updates in [1, 2, 3, 4, 5, 6, 7, 16, 33] {
        check(AggregationRule::Mean.aggregation(), updates);
        check(AggregationRule::Median.aggregation(), updates);
    }
}

#[test]
fn the_trimmed_mean_keeps_the_laws() {
    for (trim, updates) in [(1, 3), (1, 4), (2, 17), (10, 32)] {
        let rule = AggregationRule::TrimmedMean(TrimmedMean::new(number(trim)));
        check(rule.aggregation(), updates);
    }
}

#[test]
fn krum_and_multi_krum_keep_the_laws_and_so_does_what_they_choose() {
    for (byzantine, keep, updates) in [(1, 1, 5), (1, 2, 5), (2, 3, 12), (10, 21, 33)] {
        let rule = AggregationRule::Krum(Krum::new(number(byzantine), number(keep)));
        check(rule.aggregation(), updates);
    }
    let distances = DistanceSums::new(7, 0).complete().unwrap();
    let chosen = Krum::new(number(1), number(4)).choose(&distances).unwrap();
    check(Aggregation::Columns(&chosen), 4);
}

/// An aggregator that breaks a law.
#[derive(Debug)]
struct Wrong(fn(&[WeightedBlock<'_>]) -> Combined);

impl Aggregator for Wrong {
    fn combine(&self, blocks: &[WeightedBlock<'_>]) -> Combined {
        self.0(blocks)
    }
}

fn takes_the_first(blocks: &[WeightedBlock<'_>]) -> Combined {
    Median.combine(blocks).map(|_| blocks[0].values.to_vec())
}

fn adds_in_floating_point(blocks: &[WeightedBlock<'_>]) -> Combined {
    let mut sums = Median.combine(&[blocks, blocks].concat()).map(|values| vec![0.0; values.len()])?;
    for block in blocks {
        sums.iter_mut().zip(block.values).for_each(|(sum, value)| *sum += value / blocks.len() as f32);
    }
    Ok(sums)
}

fn looks_at_the_place_in_the_block(blocks: &[WeightedBlock<'_>]) -> Combined {
    let mut values = Median.combine(blocks)?;
    values.iter_mut().take(1).for_each(|value| *value = 0.0);
    Ok(values)
}

fn counts_one_update_too_many(blocks: &[WeightedBlock<'_>]) -> Combined {
    let (values, more) = (Median.combine(blocks)?, 1.0 + 1.0 / blocks.len() as f32);
    Ok(values.into_iter().map(|value| value * more).collect())
}

fn combines_nothing(blocks: &[WeightedBlock<'_>]) -> Combined {
    if blocks.is_empty() { Ok(Vec::new()) } else { Median.combine(blocks) }
}

fn cuts_to_the_shortest(blocks: &[WeightedBlock<'_>]) -> Combined {
    let shortest = blocks.iter().map(|block| block.values.len()).min().unwrap_or(0);
    let mut blocks = blocks.to_vec();
    blocks.iter_mut().for_each(|block| block.values = &block.values[..shortest]);
    Median.combine(&blocks)
}

#[test]
fn each_broken_law_is_noticed() {
    for (wrong, complaint) in [
        (Wrong(takes_the_first), "another order of the updates changes"),
        (Wrong(adds_in_floating_point), "another order of the updates changes"),
        (Wrong(looks_at_the_place_in_the_block), "another cut into blocks changes"),
        (Wrong(counts_one_update_too_many), "combining equal updates changes"),
        (Wrong(combines_nothing), "combines nothing"),
        (Wrong(cuts_to_the_shortest), "combines blocks of different lengths"),
    ] {
        let run = AssertUnwindSafe(|| check(Aggregation::Columns(&wrong), 5));
        let panic = catch_unwind(run).unwrap_err();
        let found = panic.downcast_ref::<String>().unwrap();
        assert!(found.contains(complaint), "{found}");
    }
}
