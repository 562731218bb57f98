//! Masking of an update of 1,663,370 values, and taking the masks out of the sum, each beside its floor: the keystream
//! as ring makes it, and one read and write of the vector.
//!
//! Beside criterion's rows it prints the ratios of the shortest of 15 runs each, taken in turns.

use std::{
    collections::BTreeMap,
    hint::black_box,
    num::NonZero,
    slice, thread,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use federated_core::{
    aggregate::{AggregationRule, WeightedMean},
    ids::{Digest, ParticipantName, RoundNumber, TaskId},
    metrics::Metrics,
    model::{ModelLayout, TensorSpec, bytes_of},
    privacy::secagg::{
        CHUNK_BYTES, KeystreamBuffer, Mask, MaskSeed, Modulus, PreparedMask, RoundingSeed, Sign, VectorPlan,
        apply,
    },
    strategy::FedSgd,
    update::ExampleCount,
};
use federated_server::store::{Division, MaskedGroup, MaskedReduction, Store, UpdateForm};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

const VALUES: usize = 1_663_370;

fn mask(seed: u8, sign: Sign) -> PreparedMask {
    Mask { seed: MaskSeed::new([seed; 32].into()), sign }.prepare().expect("a key of 32 bytes")
}

fn examples(count: u64) -> ExampleCount {
    ExampleCount::new(count).expect("within range")
}

/// Keystream of so many bytes, a chunk at a time, and what it is to change a vector once.
fn floor(key: &LessSafeKey, keystream: usize, stream: &mut [u8], vector: &mut [u8]) {
    let mut left = keystream;
    while left > 0 {
        let chunk = &mut stream[..left.min(CHUNK_BYTES)];
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), chunk).expect("a message of 1 MiB");
        black_box(tag.as_ref().len());
        left -= chunk.len();
    }
    black_box(vector).iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
}

fn key() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[1; 32]).expect("a key of 32 bytes"))
}

fn time(run: &mut dyn FnMut()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

/// Prints how much longer the work takes than its floor.
fn ratio(name: &str, work: &mut dyn FnMut(), floor: &mut dyn FnMut()) {
    let both = (0..15).map(|_| (time(work), time(floor))).collect::<Vec<_>>();
    let (work, floor) = (both.iter().map(|pair| pair.0).min(), both.iter().map(|pair| pair.1).min());
    let (work, floor) = (work.unwrap_or_default(), floor.unwrap_or_default());
    println!("{name}: {work:.2?}, floor {floor:.2?}, ratio {:.2}", work.as_secs_f64() / floor.as_secs_f64());
}

fn masking(c: &mut Criterion) {
    let mut group = c.benchmark_group("masking of 1,663,370 values on one core");
    for modulus in [Modulus::B16, Modulus::B24, Modulus::B32] {
        for degree in [3, 15] {
            let masks: Vec<_> = (0..=degree)
                .map(|seed| mask(seed, if seed % 2 == 0 { Sign::Add } else { Sign::Subtract }))
                .collect();
            let (mut vector, mut stream) = (vec![0; VALUES * modulus.bytes()], vec![0; CHUNK_BYTES]);
            let mut keystream = KeystreamBuffer::new();
            let (key, bytes) = (key(), masks.len() * vector.len());
            let row = format!("{} bits, degree {degree}", modulus.bits());
            let mut other = vector.clone();
            let mut work =
                || keystream.apply(modulus, &masks, 0, black_box(&mut vector)).expect("whole elements");
            let mut least = || floor(&key, bytes, &mut stream, &mut other);
            ratio(&row, &mut work, &mut least);
            group.throughput(Throughput::Bytes(bytes as u64));
            group.bench_function(BenchmarkId::new("mask", &row), |b| b.iter(&mut work));
            group.bench_function(BenchmarkId::new("floor", &row), |b| b.iter(&mut least));
        }
    }
    group.finish();
}

/// What a participant makes of its update before it is masked.
fn encoding(c: &mut Criterion) {
    let mut group = c.benchmark_group("encoding of 1,663,370 values on one core");
    let values: Vec<f32> = (0..VALUES).map(|n| (n as f32 * 0.01).sin()).collect();
    let rounding = RoundingSeed::new([1; 32].into());
    for modulus in [Modulus::B16, Modulus::B24, Modulus::B32] {
        let plan = VectorPlan::new(modulus, 0.9, examples(100), 16, BTreeMap::new()).expect("a plan");
        let metrics = Metrics::new();
        let encoder = plan.encoder(examples(70), &metrics, &values, &rounding).expect("few examples");
        let mut vector = vec![0; plan.byte_len(VALUES as u64) as usize];
        group.throughput(Throughput::Elements(VALUES as u64));
        let row = format!("{} bits", modulus.bits());
        group.bench_function(BenchmarkId::new("encode", &row), |b| {
            b.iter(|| encoder.write(0, black_box(&mut vector)).expect("whole elements"));
        });
    }
    let mut copy = vec![0.0; VALUES];
    group.bench_function("floor", |b| b.iter(|| black_box(&mut copy).copy_from_slice(black_box(&values))));
    group.finish();
}

/// A round of 16 on a complete graph, of whom one dropped out: 15 self masks and 15 shared ones are left in the sum.
fn recovery(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(folder.path()).expect("a store");
    let layout = ModelLayout::new(vec![TensorSpec::new("w", [VALUES as u64])]).expect("a layout");
    let mut writer = store.new_model("job").expect("a model");
    writer.write(bytes_of(&vec![0.5_f32; VALUES])).expect("space on the disk");
    let base = writer.finish(&store).expect("space on the disk");
    let task = TaskId { job: "job".parse().expect("a name"), round: RoundNumber::FIRST, attempt: 1 };
    let plan = VectorPlan::new(Modulus::B32, 1.0, examples(100), 16, BTreeMap::new()).expect("a plan");
    let mut vector = vec![0; plan.byte_len(VALUES as u64) as usize];
    let (values, metrics, rounding) =
        (vec![0.1_f32; VALUES], Metrics::new(), RoundingSeed::new([1; 32].into()));
    let encoder = plan.encoder(examples(70), &metrics, &values, &rounding).expect("few examples");
    let mut survivors = BTreeMap::new();
    for site in 0..15 {
        encoder.write(0, &mut vector).expect("whole elements");
        let own = [mask(site, Sign::Add), mask(100 + site, Sign::Add)];
        apply(plan.modulus(), &own, 0, &mut vector).expect("whole elements");
        let name: ParticipantName = format!("site-{site}").parse().expect("a name");
        let content = Digest::of(&vector);
        let form = UpdateForm::masked(&plan, &layout);
        let mut upload = store.resume_upload(&task, &name, content, form, 0).expect("an upload");
        upload.write(&vector).expect("space on the disk");
        upload.finish(&layout).expect("what was announced");
        survivors.insert(name, content);
    }
    let masks: Vec<_> =
        (0..15).flat_map(|site| [site, 100 + site]).map(|seed| mask(seed, Sign::Subtract)).collect();
    let (updates, bytes) = (survivors.len(), masks.len() * vector.len());
    let group = MaskedGroup { survivors, masks };
    let strategy = FedSgd { learning_rate: 0.1, aggregation: AggregationRule::Mean };
    let cores = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let mut work = || {
        let (task, layout, groups, plan) = (&task, &layout, slice::from_ref(&group), &plan);
        let (strategy, rule, division) = (&strategy, &WeightedMean, Division::default());
        let reduction =
            MaskedReduction { task, layout, base, groups, rule, plan, strategy, division, verify: false };
        black_box(reduction.run(&store).expect("a sum without masks"));
    };
    let bytes = bytes / cores;
    let mut memory: Vec<_> = (0..cores.get()).map(|_| (key(), vec![0; CHUNK_BYTES])).collect();
    // Each update is read once, and the model written.
    let mut vectors: Vec<_> = (0..cores.get()).map(|_| vec![0; updates * vector.len() / cores]).collect();
    let mut least = || {
        thread::scope(|scope| {
            for ((key, stream), vector) in memory.iter_mut().zip(&mut vectors) {
                scope.spawn(move || floor(key, bytes, stream, vector));
            }
        });
    };
    ratio("recovery of 15 of 16, 32 bits", &mut work, &mut least);
    let mut group = c.benchmark_group("recovery of the sum of 15 of 16, 32 bits, on all cores");
    group.sample_size(20);
    group.bench_function("recover", |b| b.iter(&mut work));
    group.bench_function("floor", |b| b.iter(&mut least));
    group.finish();
}

criterion_group!(benches, masking, encoding, recovery);
criterion_main!(benches);
