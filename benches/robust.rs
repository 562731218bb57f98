//! The robust rules over N updates, beside a plain sort of each column and a read of the same bytes.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use federated_core::{
    aggregate::{Aggregator, DistanceSums, Median, TrimmedMean, WeightedBlock},
    update::ExampleCount,
};

const ELEMENTS: usize = 65_536;

/// Values in no order, about as large as changes of a model are.
fn updates(count: usize) -> Vec<Vec<f32>> {
    let value = |update: usize, element: usize| {
        let mixed = ((update * ELEMENTS + element) as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 40) as f32 / (1_u64 << 26) as f32 - 0.125
    };
    (0..count).map(|update| (0..ELEMENTS).map(|element| value(update, element)).collect()).collect()
}

fn blocks(updates: &[Vec<f32>]) -> Vec<WeightedBlock<'_>> {
    let examples = ExampleCount::new(100).expect("within range");
    updates.iter().map(|values| WeightedBlock { examples, values }).collect()
}

/// What `combine` is measured against: gather a column, sort it, take the middle.
fn median_by_sorting_each_column(updates: &[Vec<f32>]) -> Vec<f32> {
    let mut column = vec![0.0; updates.len()];
    let median = |element: usize| {
        column.iter_mut().zip(updates).for_each(|(value, update)| *value = update[element]);
        column.sort_unstable_by(f32::total_cmp);
        (column[(updates.len() - 1) / 2] + column[updates.len() / 2]) / 2.0
    };
    (0..ELEMENTS).map(median).collect()
}

fn column_wise(c: &mut Criterion) {
    let mut group = c.benchmark_group("sorted columns of 65,536 elements");
    for count in [4, 8, 16, 64] {
        let updates = updates(count);
        let blocks = blocks(&updates);
        group.throughput(Throughput::Bytes((count * ELEMENTS * 4) as u64));
        group.bench_with_input(BenchmarkId::new("median", count), &blocks, |b, blocks| {
            b.iter(|| Median.combine(black_box(blocks)));
        });
        let trimmed = TrimmedMean::new(1.try_into().expect("not zero"));
        group.bench_with_input(BenchmarkId::new("trimmed mean", count), &blocks, |b, blocks| {
            b.iter(|| trimmed.combine(black_box(blocks)));
        });
        group.bench_with_input(BenchmarkId::new("a sort each column", count), &updates, |b, updates| {
            b.iter(|| median_by_sorting_each_column(black_box(updates)));
        });
        group.bench_with_input(BenchmarkId::new("floor", count), &updates, |b, updates| {
            let mut copy = vec![0.0_f32; ELEMENTS];
            b.iter(|| {
                black_box(updates).iter().for_each(|update| black_box(&mut copy).copy_from_slice(update));
            });
        });
    }
    group.finish();
}

/// What the exact sums are measured against: the same pairs in `f64`, one column after the other.
fn distances_in_order(updates: &[Vec<f32>]) -> Vec<f64> {
    let square = |(one, other): (&f32, &f32)| f64::from(one - other).powi(2);
    let pair = |one: &[f32], other: &[f32]| one.iter().zip(other).map(square).sum();
    let row = |index: usize| updates[index + 1..].iter().map(move |other| pair(&updates[index], other));
    (0..updates.len()).flat_map(row).collect()
}

fn distances(c: &mut Criterion) {
    let mut group = c.benchmark_group("distances over 65,536 elements");
    for count in [4, 16, 64] {
        let updates = updates(count);
        let blocks = blocks(&updates);
        // Every pair is read: so the throughput is that of pairs.
        group.throughput(Throughput::Elements((count * (count - 1) / 2 * ELEMENTS) as u64));
        group.bench_with_input(BenchmarkId::new("exact", count), &blocks, |b, blocks| {
            b.iter(|| {
                let mut sums = DistanceSums::new(count, ELEMENTS as u64);
                sums.add(black_box(blocks)).expect("one block an update");
                sums
            });
        });
        group.bench_with_input(BenchmarkId::new("f64 in order", count), &updates, |b, updates| {
            b.iter(|| distances_in_order(black_box(updates)));
        });
        group.bench_with_input(BenchmarkId::new("floor", count), &updates, |b, updates| {
            let mut copy = vec![0.0_f32; ELEMENTS];
            b.iter(|| {
                for index in 0..count {
                    black_box(&updates[index + 1..])
                        .iter()
                        .for_each(|update| black_box(&mut copy).copy_from_slice(update));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, column_wise, distances);
criterion_main!(benches);
