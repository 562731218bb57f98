//! Noise for vectors: the exact discrete Gaussian at four widths beside opendp's, Skellam, and a grid for reals; each
//! beside its floor, which is the keystream that it is made from.
//!
//! Beside criterion's rows it prints, for each width, samples a second of both in turns, bytes of keystream a sample,
//! and how long 25,000,000 samples take.

use std::{hint::black_box, time::Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dashu::rational::RBig;
use federated_core::privacy::dp::{
    ClipNorm, DiscreteGaussian, GridNoise, Keystream, NoiseMultiplier, Skellam, Variance,
};
use opendp::traits::samplers::sample_discrete_gaussian;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};

const SIGMAS: [f64; 4] = [0.5, 2.0, 50.0, 1_048_576.0];
/// Samples in a run of ours, and of opendp's.
const OURS: usize = 1_000_000;
const THEIRS: usize = 4_000;

fn keystream() -> Keystream {
    Keystream::new(ChaCha20Rng::from_seed([1; 32]))
}

fn variance(sigma: f64) -> Variance {
    Variance::of_sigma(sigma).expect("a variance")
}

fn theirs(scale: &RBig) {
    for _ in 0..THEIRS {
        black_box(sample_discrete_gaussian(scale.clone()).expect("a sample"));
    }
}

/// Samples a second of the quickest of 15 runs each, taken in turns.
fn side_by_side() {
    let mut places = vec![0; OURS];
    let mut stream = keystream();
    for sigma in SIGMAS {
        let scale = RBig::try_from(sigma).expect("a finite number");
        let noise = DiscreteGaussian::new(variance(sigma));
        let (mut ours, mut opendp) = (f64::INFINITY, f64::INFINITY);
        let before = stream.used();
        for _ in 0..15 {
            let start = Instant::now();
            noise.fill(black_box(&mut places), &mut stream);
            ours = ours.min(start.elapsed().as_secs_f64() / OURS as f64);
            let start = Instant::now();
            theirs(&scale);
            opendp = opendp.min(start.elapsed().as_secs_f64() / THEIRS as f64);
        }
        let bytes = (stream.used() - before) as f64 / (15 * OURS) as f64;
        let start = Instant::now();
        (0..25).for_each(|_| noise.fill(black_box(&mut places), &mut stream));
        println!(
            "discrete Gaussian, sigma {sigma}: {:.1} million/s, opendp {:.3} million/s, ratio {:.0}; {bytes:.1} bytes of \
             keystream a sample; 25,000,000 samples in {:.2} s",
            1e-6 / ours,
            1e-6 / opendp,
            opendp / ours,
            start.elapsed().as_secs_f64()
        );
    }
}

fn discrete(c: &mut Criterion) {
    side_by_side();
    let mut places = vec![0; OURS];
    let mut stream = keystream();
    let mut group = c.benchmark_group("noise for 1,000,000 values on one core");
    group.sample_size(20).throughput(Throughput::Elements(OURS as u64));
    for sigma in SIGMAS {
        let noise = DiscreteGaussian::new(variance(sigma));
        group.bench_function(BenchmarkId::new("discrete Gaussian", sigma), |b| {
            b.iter(|| noise.fill(black_box(&mut places), &mut stream));
        });
        let noise = Skellam::new(variance(sigma)).expect("a variance");
        group.bench_function(BenchmarkId::new("Skellam", sigma), |b| {
            b.iter(|| noise.fill(black_box(&mut places), &mut stream));
        });
    }
    let (multiplier, norm) =
        (NoiseMultiplier::new(1.0).expect("above 0"), ClipNorm::new(1.0).expect("above 0"));
    let noise = GridNoise::new(multiplier, norm, OURS as u64).expect("a grid");
    let mut values = vec![0.5_f32; OURS];
    group.bench_function("grid for reals", |b| {
        b.iter(|| noise.add(black_box(&mut values), &mut stream).expect("finite values"));
    });
    let mut generator = ChaCha20Rng::from_seed([1; 32]);
    let mut bytes = vec![0; 4_096];
    group.bench_function("floor", |b| {
        b.iter(|| (0..16 * OURS / 4_096).for_each(|_| generator.fill_bytes(black_box(&mut bytes))));
    });
    group.throughput(Throughput::Elements(THEIRS as u64));
    for sigma in SIGMAS {
        let scale = RBig::try_from(sigma).expect("a finite number");
        group.bench_function(BenchmarkId::new("opendp", sigma), |b| b.iter(|| theirs(&scale)));
    }
    group.finish();
}

criterion_group!(benches, discrete);
criterion_main!(benches);
