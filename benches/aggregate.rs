//! The weighted mean of N updates, beside a plain read of the same bytes and an addition in f64.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use federated_core::{
    aggregate::{Aggregator, WeightedBlock, WeightedMean},
    update::ExampleCount,
};

const ELEMENTS: usize = 65_536;

fn updates(count: usize) -> Vec<Vec<f32>> {
    let value = |update: usize, element: usize| ((update * 31 + element * 7) % 1_000) as f32 / 1_000.0 - 0.5;
    (0..count).map(|update| (0..ELEMENTS).map(|element| value(update, element)).collect()).collect()
}

fn weighted_mean(c: &mut Criterion) {
    let mut group = c.benchmark_group("weighted mean of 65,536 elements");
    for count in [4, 16, 64] {
        let updates = updates(count);
        let examples = ExampleCount::new(100).expect("within range");
        let blocks: Vec<_> = updates.iter().map(|values| WeightedBlock { examples, values }).collect();
        group.throughput(Throughput::Bytes((count * ELEMENTS * 4) as u64));
        group.bench_with_input(BenchmarkId::new("exact", count), &blocks, |b, blocks| {
            b.iter(|| WeightedMean.combine(black_box(blocks)));
        });
        group.bench_with_input(BenchmarkId::new("f64 in order", count), &updates, |b, updates| {
            b.iter(|| {
                let mut sum = vec![0.0_f64; ELEMENTS];
                for update in black_box(updates) {
                    sum.iter_mut().zip(update).for_each(|(sum, value)| *sum += 100.0 * f64::from(*value));
                }
                sum.iter().map(|sum| (sum / (100.0 * count as f64)) as f32).collect::<Vec<_>>()
            });
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

criterion_group!(benches, weighted_mean);
criterion_main!(benches);
