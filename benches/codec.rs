//! Encoding and decoding of an update of 1,048,576 elements with every codec, beside a memory copy of its values.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use federated_core::compression::{BLOCK_ELEMENTS, BlockDecoder, BlockReader, Encoder, Encoding};

const ELEMENTS: usize = 1 << 20;

const ENCODINGS: [&str; 12] = [
    "f32",
    "bf16",
    "f16",
    "int8",
    "int4",
    "top-k:0.01",
    "f32+zstd",
    "bf16+zstd",
    "f16+zstd",
    "int8+zstd",
    "int4+zstd",
    "top-k:0.01+zstd",
];

/// Differences between weights before and after training: Gaussian, with the last bits that the weights left them.
fn update() -> Vec<f32> {
    let mut state = 1_u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f64 + 0.5) / (1_u64 << 24) as f64
    };
    let mut value = || {
        let weight = (0.1 * (uniform() - 0.5)) as f32;
        // Box and Muller, 1958.
        let normal = (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
        (weight + (1e-3 * normal) as f32) - weight
    };
    (0..ELEMENTS).map(|_| value()).collect()
}

fn encode(encoding: Encoding, values: &[f32], bytes: &mut Vec<u8>) {
    bytes.clear();
    let mut encoder = Encoder::new(encoding, values, 1).expect("zstd can be set up");
    (0..encoder.blocks()).for_each(|index| encoder.append_block(index, bytes).expect("usable values"));
}

fn decode(encoding: Encoding, mut bytes: &[u8], values: &mut [f32]) {
    let mut reader = BlockReader::new(encoding, ELEMENTS as u64);
    let mut decoder = BlockDecoder::new(encoding);
    for values in values.chunks_mut(BLOCK_ELEMENTS) {
        let block = reader.next_block(&mut bytes).expect("a valid update").expect("a complete one");
        decoder.decode(block.index, block.payload, values).expect("a valid block");
    }
}

fn codec(c: &mut Criterion) {
    let update = update();
    let (mut bytes, mut back) = (Vec::new(), vec![0.0; ELEMENTS]);
    for direction in ["encode", "decode"] {
        let mut group = c.benchmark_group(format!("{direction} 1,048,576 elements"));
        group.throughput(Throughput::Bytes(ELEMENTS as u64 * 4));
        for name in ENCODINGS {
            let encoding: Encoding = name.parse().expect("the name of an encoding");
            encode(encoding, &update, &mut bytes);
            let share = 100.0 * bytes.len() as f64 / (ELEMENTS * 4) as f64;
            let row = BenchmarkId::new(name, format_args!("{share:.1} % of the bytes"));
            if direction == "encode" {
                group.bench_function(row, |b| b.iter(|| encode(encoding, black_box(&update), &mut bytes)));
            } else {
                group.bench_function(row, |b| b.iter(|| decode(encoding, black_box(&bytes), &mut back)));
            }
        }
        group.bench_function("floor", |b| {
            b.iter(|| black_box(&mut back).copy_from_slice(black_box(&update)));
        });
        group.finish();
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
