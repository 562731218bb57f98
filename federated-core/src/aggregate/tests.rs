//! What holds of all rules together: the laws, and what lying participants can do.

#![expect(
    clippy::float_cmp,
    clippy::cast_possible_truncation,
    reason = "what is compared is exact or copied, and the numbers are small"
)]

use std::{num::NonZeroU32, ops::RangeInclusive};

use proptest::prelude::*;

use super::*;

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn trimmed(trim: u32) -> AggregationRule {
    AggregationRule::TrimmedMean(TrimmedMean::new(number(trim)))
}

fn krum(byzantine: u32, keep: u32) -> AggregationRule {
    AggregationRule::Krum(Krum::new(number(byzantine), number(keep)))
}

/// Combines whole updates in one block; each weighs as many examples as it says.
fn combine(rule: AggregationRule, updates: &[(u64, Vec<f32>)]) -> Result<Vec<f32>, AggregateError> {
    let blocks: Vec<_> = updates
        .iter()
        .map(|(examples, values)| WeightedBlock { examples: ExampleCount::new(*examples).unwrap(), values })
        .collect();
    match rule.aggregation() {
        Aggregation::Linear(aggregator) => aggregator.combine(&blocks),
        Aggregation::Columns(aggregator) => aggregator.combine(&blocks),
        Aggregation::Selection(selector) => {
            let mut sums = DistanceSums::new(blocks.len(), blocks[0].values.len() as u64);
            sums.add(&blocks)?;
            let chosen = selector.choose(&sums.complete()?)?;
            chosen.combine(&chosen.pick(blocks))
        }
    }
}

/// One column of updates that weigh the same.
fn column(rule: AggregationRule, values: &[f32]) -> Result<f32, AggregateError> {
    let updates: Vec<_> = values.iter().map(|value| (1, vec![*value])).collect();
    combine(rule, &updates).map(|column| column[0])
}

#[test]
fn medians_are_those_computed_by_hand() {
    let median = |values: &[f32]| column(AggregationRule::Median, values).unwrap();
    assert_eq!(median(&[7.5]), 7.5);
    assert_eq!(median(&[4.0, 1.0]), 2.5);
    assert_eq!(median(&[9.0, -1.0, 2.0]), 2.0);
    assert_eq!(median(&[8.0, 1.0, 3.0, 2.0]), 2.5);
    assert_eq!(median(&[2_147_483_520.0; 2]), 2_147_483_520.0, "the sum of the two does not overflow");
    assert_eq!(median(&[-3.0, 3.0]).to_bits(), 0.0_f32.to_bits());
    assert_eq!(median(&[-0.0, -0.0, 0.0]).to_bits(), median(&[0.0, -0.0, -0.0]).to_bits());
    // Halfway between two neighbours: the even one.
    let next = |value: f32| f32::from_bits(value.to_bits() + 1);
    assert_eq!(median(&[1.0, next(1.0)]), 1.0);
    assert_eq!(median(&[next(1.0), next(next(1.0))]), next(next(1.0)));
}

#[test]
fn trimmed_means_are_those_computed_by_hand() {
    assert_eq!(column(trimmed(1), &[9.0, -100.0, 2.0, 1.0, 6.0]), Ok(3.0));
    assert_eq!(column(trimmed(2), &[9.0, -100.0, 2.0, 1.0, 6.0]), Ok(2.0));
    assert_eq!(column(trimmed(1), &[5.0, 5.0, 5.0]), Ok(5.0));
    let too_few = AggregateError::TooFew { expected: 5, found: 4 };
    assert_eq!(column(trimmed(2), &[1.0; 4]), Err(too_few));
}

/// With n = 5 and f = 1 the score is the sum of the 2 smallest squares: 7.25, 3.25, 6.25, 16.25 and far more.
#[test]
fn krum_chooses_as_computed_by_hand() {
    let values = [0.0, 1.0, 2.5, 4.5, 100.0];
    assert_eq!(column(krum(1, 1), &values), Ok(1.0));
    assert_eq!(column(krum(1, 2), &values), Ok(1.75));
    assert_eq!(column(krum(2, 1), &values), Err(AggregateError::TooFew { expected: 7, found: 5 }));
    assert_eq!(column(krum(1, 3), &values), Err(AggregateError::TooFew { expected: 6, found: 5 }));
}

#[test]
fn of_equal_scores_the_update_that_comes_first_in_the_callers_order_wins() {
    // Each of the first four has one other at its side and two at distance 2.
    let chosen = |values: &[f32]| column(krum(1, 1), values).unwrap();
    assert_eq!(chosen(&[2.0, 2.0, 4.0, 4.0, 90.0]), 2.0);
    assert_eq!(chosen(&[4.0, 4.0, 2.0, 2.0, 90.0]), 4.0);
}

#[test]
fn only_the_mean_believes_the_weights() {
    let updates: Vec<_> = [(1_000_000, 50.0), (1, 1.0), (1, 2.0), (1, 3.0), (1, 4.0)]
        .map(|(examples, value)| (examples, vec![value]))
        .into();
    let found = |rule| combine(rule, &updates).unwrap()[0];
    assert!(found(AggregationRule::Mean) > 49.9);
    assert_eq!(found(AggregationRule::Median), 3.0);
    assert_eq!(found(trimmed(1)), 3.0);
    assert_eq!(found(krum(1, 2)), 2.5);
}

/// Honest updates near each other, and fewer liars, who say anything at all, at any place among them.
fn with_liars(
    honest: RangeInclusive<usize>,
    liars: impl Fn(usize) -> usize,
) -> impl Strategy<Value = (Vec<Vec<f32>>, Vec<Vec<f32>>, u64)> {
    honest.prop_flat_map(move |honest| {
        let updates = |count, range| prop::collection::vec(prop::collection::vec(range, 6), count);
        (updates(honest, -1.0_f32..1.0), updates(liars(honest), -2e9_f32..2e9), any::<u64>())
    })
}

/// Deals the liars in among the honest, by the digits of `order`.
fn shuffled(honest: &[Vec<f32>], liars: &[Vec<f32>], mut order: u64) -> Vec<(u64, Vec<f32>)> {
    let mut all: Vec<_> = honest.iter().map(|values| (1, values.clone())).collect();
    for liar in liars {
        let place = order as usize % (all.len() + 1);
        order = order.rotate_right(7);
        all.insert(place, (1_000_000, liar.clone()));
    }
    all
}

/// How far a result is outside of what the honest say, at most, in any column.
fn outside(result: &[f32], honest: &[Vec<f32>]) -> f32 {
    let distance = |(index, value): (usize, &f32)| {
        let column = honest.iter().map(|update| update[index]);
        let (low, high) = column.fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(v), high.max(v)));
        (low - value).max(value - high).max(0.0)
    };
    result.iter().enumerate().map(distance).fold(0.0, f32::max)
}

proptest! {
    #[test]
    fn a_minority_of_liars_cannot_move_the_median_out_of_the_honest_range(
        (honest, liars, order) in with_liars(1..=12, |honest| honest - 1),
    ) {
        let updates = shuffled(&honest, &liars, order);
        prop_assert_eq!(outside(&combine(AggregationRule::Median, &updates).unwrap(), &honest), 0.0);
    }

    #[test]
    fn as_many_liars_as_are_trimmed_cannot_move_the_trimmed_mean_out_of_the_honest_range(
        (honest, liars, order) in with_liars(2..=12, |honest| honest - 1),
    ) {
        let updates = shuffled(&honest, &liars, order);
        let result = combine(trimmed(liars.len() as u32), &updates).unwrap();
        // The mean of values in a range may be rounded to one beside it.
        prop_assert!(outside(&result, &honest) <= f32::EPSILON);
    }

    #[test]
    fn krum_chooses_an_honest_update_when_the_liars_stand_together_far_away(
        (honest, liars, order) in with_liars(4..=12, |honest| (honest - 2) / 2),
        keep in 1_usize..10,
    ) {
        // f colluding liars at one point, and n = 2 f + 3 at least.
        let together = vec![vec![1e3_f32; 6]; liars.len()];
        let updates = shuffled(&honest, &together, order);
        let keep = keep.min(honest.len() - 2);
        let result = combine(krum(liars.len() as u32, keep as u32), &updates).unwrap();
        prop_assert!(outside(&result, &honest) <= f32::EPSILON);
        if keep == 1 {
            prop_assert!(honest.contains(&result));
        }
    }

    /// The bound behind Blanchard et al., Proposition 4.2: the update chosen has a score of at most that of an honest
    /// one, whose n - f - 2 nearest are within the honest diameter; and one of its own n - f - 2 nearest is honest.
    #[test]
    fn whatever_liars_say_krum_stays_near_an_honest_update(
        (honest, liars, order) in with_liars(4..=12, |honest| (honest - 2) / 2),
        shrink in 0_i32..32,
    ) {
        let liars: Vec<Vec<f32>> =
            liars.iter().map(|liar| liar.iter().map(|value| value / 2.0_f32.powi(shrink)).collect()).collect();
        let updates = shuffled(&honest, &liars, order);
        let result = combine(krum(liars.len() as u32, 1), &updates).unwrap();
        let square = |one: &[f32], other: &[f32]| -> f64 {
            one.iter().zip(other).map(|(one, other)| (f64::from(*one) - f64::from(*other)).powi(2)).sum()
        };
        let diameter = honest.iter().flat_map(|one| honest.iter().map(|other| square(one, other))).fold(0.0, f64::max);
        let nearest = honest.iter().map(|update| square(update, &result)).fold(f64::MAX, f64::min);
        prop_assert!(nearest <= (updates.len() - liars.len() - 2) as f64 * diameter * 1.000_001);
    }

    #[test]
    fn one_liar_drags_the_mean_anywhere((honest, _, order) in with_liars(3..=12, |_| 0)) {
        let updates = shuffled(&honest, &[vec![2e9; 6]], order);
        prop_assert!(outside(&combine(AggregationRule::Mean, &updates).unwrap(), &honest) > 1e6);
    }

    #[test]
    fn krum_agrees_with_floating_point(
        updates in prop::collection::vec(prop::collection::vec(-1.0_f32..1.0, 6), 7..20),
    ) {
        let score = |one: &[f32]| {
            let square = |other: &Vec<f32>| -> f64 {
                one.iter().zip(other).map(|(one, other)| (f64::from(*one) - f64::from(*other)).powi(2)).sum()
            };
            let mut squares: Vec<_> = updates.iter().map(square).collect();
            squares.sort_by(f64::total_cmp);
            // The first is the distance to itself.
            squares[1..=updates.len() - 4].iter().sum::<f64>()
        };
        let best = updates.iter().map(|update| score(update)).fold(f64::MAX, f64::min);
        let weighted: Vec<_> = updates.iter().map(|values| (1, values.clone())).collect();
        let chosen = combine(krum(2, 1), &weighted).unwrap();
        prop_assert!(score(&chosen) <= best * 1.000_001);
    }
}
