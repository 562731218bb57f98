//! What every received byte goes through, beside a memory copy: digest, parse and check, chunking.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use federated_core::{
    ids::Digest,
    model::{ModelLayout, ModelParameters, TensorSpec},
};
use federated_proto::chunk::{DEFAULT_CHUNK_BYTES, split};

const ELEMENTS: usize = 1_663_370;

fn received_bytes(c: &mut Criterion) {
    let layout = ModelLayout::new(vec![TensorSpec::new("w", [ELEMENTS as u64])]).expect("a valid layout");
    let values = (0..ELEMENTS).map(|element| (element % 997) as f32).collect();
    let bytes =
        Bytes::from(ModelParameters::new(layout.clone(), values).expect("finite values").to_le_bytes());
    let mut group = c.benchmark_group("1,663,370 parameters");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("BLAKE3", |b| b.iter(|| Digest::of(black_box(&bytes))));
    group.bench_function("parse and check", |b| {
        b.iter(|| ModelParameters::from_le_bytes(layout.clone(), black_box(&bytes)));
    });
    group.bench_function("cut into chunks", |b| {
        b.iter(|| {
            split(black_box(bytes.clone()), 0, DEFAULT_CHUNK_BYTES)
                .map(|chunk| chunk.data.len())
                .sum::<usize>()
        });
    });
    let mut copy = vec![0; bytes.len()];
    group.bench_function("floor", |b| b.iter(|| black_box(&mut copy).copy_from_slice(black_box(&bytes))));
    group.finish();
}

criterion_group!(benches, received_bytes);
criterion_main!(benches);
