use federated_core::{
    aggregate::{AggregationRule, Krum},
    compression::{Encoding, decode, encode},
    ids::RoundNumber,
    metrics::Metrics,
    model::TensorSpec,
    privacy::dp::{CentralNoise, ClipNorm, NoiseMultiplier, NoiseSeed},
    strategy::FedSgd,
    update::ExampleCount,
};

use super::*;
use crate::store::UpdateForm;

const ELEMENTS: usize = 3 * 65_536 + 17;

/// A store with a model, and the updates of an attempt.
struct Bench {
    folder: tempfile::TempDir,
    store: Store,
    task: TaskId,
    layout: ModelLayout,
    model: Vec<f32>,
    base: Digest,
    contributions: BTreeMap<ParticipantName, Receipt>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let model: Vec<f32> = (0..ELEMENTS).map(|n| n as f32).collect();
        let mut writer = store.new_model("job").unwrap();
        writer.write(bytes_of(&model)).unwrap();
        let base = writer.finish(&store).unwrap();
        Self {
            folder,
            store,
            task: TaskId { job: "job".parse().unwrap(), round: RoundNumber::FIRST, attempt: 1 },
            layout: ModelLayout::new(vec![TensorSpec::new("w", [ELEMENTS as u64])]).unwrap(),
            model,
            base,
            contributions: BTreeMap::new(),
        }
    }

    fn add(&mut self, name: &str, examples: u64, encoding: Encoding, bytes: &[u8]) {
        self.add_in_pieces(name, examples, encoding, bytes, bytes.len());
    }

    fn add_in_pieces(&mut self, name: &str, examples: u64, encoding: Encoding, bytes: &[u8], piece: usize) {
        let participant: ParticipantName = name.parse().unwrap();
        let content = Digest::of(bytes);
        let form =
            UpdateForm { encoding: Some(encoding), elements: ELEMENTS as u64, bytes: bytes.len() as u64 };
        let mut partial = self.store.resume_upload(&self.task, &participant, content, form, 0).unwrap();
        bytes.chunks(piece).for_each(|piece| partial.write(piece).unwrap());
        partial.finish(&self.layout).unwrap();
        let (examples, metrics) = (ExampleCount::new(examples).unwrap(), Metrics::new());
        let kind = UpdateKind::Open { encoding, examples, metrics };
        let receipt = Receipt { content, bytes: form.bytes, kind };
        self.contributions.insert(participant, receipt);
    }

    fn run(&self, aggregation: AggregationRule) -> Result<Digest, StoreError> {
        self.run_divided(aggregation, Division::default())
    }

    fn run_divided(&self, aggregation: AggregationRule, division: Division) -> Result<Digest, StoreError> {
        self.run_with(aggregation, division, None)
    }

    fn run_with(
        &self,
        aggregation: AggregationRule,
        division: Division,
        noise: Option<MeanNoise<'_>>,
    ) -> Result<Digest, StoreError> {
        let strategy = FedSgd { learning_rate: 0.1, aggregation };
        let Self { task, layout, base, contributions, .. } = self;
        let (base, strategy) = (*base, &strategy);
        Reduction { task, layout, base, contributions, strategy, division, verify: true, noise }
            .run(&self.store)
    }
}

/// A sequence that looks random: a linear congruential generator modulo 2^64 (Knuth's MMIX).
fn random(state: &mut u64, below: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap() % below
}

#[test]
fn twenty_orders_chunk_sizes_and_thread_counts_give_one_digest() {
    let mut state = 7;
    let mut updates: Vec<(u64, Vec<f32>)> = (0..6)
        .map(|_| {
            let value = |_| random(&mut state, 2_000_001) as f32 / 1e6 - 1.0;
            let values = (0..ELEMENTS).map(value).collect();
            (1 + random(&mut state, 1_000) as u64, values)
        })
        .collect();
    let krum = AggregationRule::Krum(Krum::new(NonZero::<u32>::MIN, NonZero::<u32>::MIN.saturating_add(1)));
    for rule in [AggregationRule::Mean, AggregationRule::Median, krum] {
        let mut digests = std::collections::BTreeSet::new();
        for _ in 0..20 {
            for last in (1..updates.len()).rev() {
                updates.swap(last, random(&mut state, last + 1));
            }
            let mut bench = Bench::new();
            for (index, (examples, values)) in updates.iter().enumerate() {
                let (name, piece) = (format!("site-{index}"), 1 + random(&mut state, 1 << 20));
                bench.add_in_pieces(&name, *examples, Encoding::PLAIN, bytes_of(values), piece);
            }
            let cores = NonZero::new(1 + random(&mut state, 8)).unwrap();
            let division = Division { cores, held: 1 + random(&mut state, 1 << 20) };
            digests.insert(bench.run_divided(rule, division).unwrap());
        }
        assert_eq!(digests.len(), 1, "{rule:?}");
    }
}

#[test]
fn the_new_model_is_the_old_one_plus_the_weighted_mean_across_many_blocks() {
    let mut bench = Bench::new();
    for (name, examples, value) in [("a", 1, 1.0), ("b", 3, 5.0)] {
        bench.add(name, examples, Encoding::PLAIN, bytes_of(&vec![value; ELEMENTS]));
    }
    let digest = bench.run(AggregationRule::Mean).unwrap();
    let expected: Vec<f32> = bench.model.iter().map(|value| value + 4.0).collect();
    assert_eq!(digest, Digest::of(bytes_of(&expected)));
}

/// Four updates that differ in every element, and a fifth far away.
fn updates() -> Vec<Vec<f32>> {
    let update = |scale: f32| (0..ELEMENTS).map(|n| (n as f32 * scale).sin()).collect();
    [0.1, 0.11, 0.12, 0.13].map(update).into_iter().chain([vec![40.0; ELEMENTS]]).collect()
}

#[test]
fn encoded_updates_beside_a_plain_one_combine_as_what_they_decode_to() {
    let krum = AggregationRule::Krum(Krum::new(1.try_into().unwrap(), 1.try_into().unwrap()));
    for name in ["f32+zstd", "bf16", "int8", "int4+zstd", "top-k:0.01", "top-k:0.3+zstd"] {
        let encoding: Encoding = name.parse().unwrap();
        let (mut encoded, mut decoded) = (Bench::new(), Bench::new());
        for (number, values) in (1..).zip(updates()) {
            let site = format!("site-{number}");
            let bytes = encode(encoding, &values, number).unwrap();
            let values = if number == 2 { values } else { decode(encoding, ELEMENTS, &bytes).unwrap() };
            decoded.add(&site, number, Encoding::PLAIN, bytes_of(&values));
            match number {
                2 => encoded.add(&site, number, Encoding::PLAIN, bytes_of(&values)),
                _ => encoded.add(&site, number, encoding, &bytes),
            }
        }
        for rule in [AggregationRule::Mean, AggregationRule::Median, krum] {
            assert_eq!(encoded.run(rule).unwrap(), decoded.run(rule).unwrap(), "{name}");
        }
    }
}

#[test]
fn an_update_whose_blocks_changed_on_disk_is_named() {
    let mut bench = Bench::new();
    let encoding: Encoding = "f32+zstd".parse().unwrap();
    let bytes = encode(encoding, &vec![1.0; ELEMENTS], 0).unwrap();
    bench.add("a", 1, encoding, &bytes);
    let path = bench.folder.path().join("updates/job/1-1/a.update");
    // The length of the first block, then the beginning of its frame.
    for place in [0, 4] {
        let mut damaged = std::fs::read(&path).unwrap();
        let content = damaged.len() - bytes.len();
        damaged[content + place..][..4].copy_from_slice(&[0xff; 4]);
        std::fs::write(&path, &damaged).unwrap();
        let error = bench.run(AggregationRule::Mean).unwrap_err();
        damaged[content..].copy_from_slice(&bytes);
        std::fs::write(&path, &damaged).unwrap();
        assert!(matches!(&error, StoreError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(&format!("{}/a", bench.task)), "{error}");
    }
}

/// What a mean with noise made of the model's values: the change of each.
fn noised(bench: &Bench, asked: u32, multiplier: f64) -> Vec<f64> {
    let (multiplier, clip) = (NoiseMultiplier::new(multiplier).unwrap(), ClipNorm::new(1.0).unwrap());
    let mechanism = CentralNoise::new(multiplier, clip, asked, ELEMENTS as u64).unwrap();
    let seed = NoiseSeed::new([7; 32].into());
    let noise = Some(MeanNoise { mechanism: &mechanism, seed: &seed });
    let digest = bench.run_with(AggregationRule::Mean, Division::default(), noise).unwrap();
    let mut bytes = vec![0; ELEMENTS * 4];
    bench.store.open_model(digest).unwrap().read_exact_at(&mut bytes, 0).unwrap();
    let values = bytes.as_chunks().0.iter().map(|value| f64::from(f32::from_le_bytes(*value)));
    values.zip(&bench.model).map(|(value, base)| value - f64::from(*base)).collect()
}

/// A model of zeros with three updates: one within the clip of 1, one of a thousand times it, and one in the other direction;
/// they say that they come from very different numbers of examples.
fn participants() -> Bench {
    let mut bench = Bench::new();
    bench.model = vec![0.0; ELEMENTS];
    let mut writer = bench.store.new_model("job").unwrap();
    writer.write(bytes_of(&bench.model)).unwrap();
    bench.base = writer.finish(&bench.store).unwrap();
    for (name, examples, first) in [("a", 1, 0.5_f32), ("b", 1_000_000, 1_000.0), ("c", 7, -0.25)] {
        let mut values = vec![0.0; ELEMENTS];
        values[0] = first;
        bench.add(name, examples, Encoding::PLAIN, bytes_of(&values));
    }
    bench
}

#[test]
fn a_mean_with_noise_is_of_clipped_updates_that_weigh_the_same_over_all_who_were_asked() {
    let change = noised(&participants(), 4, 1e-6);
    assert!((change[0] - (0.5 + 1.0 - 0.25) / 4.0).abs() < 1e-5, "{}", change[0]);
    assert!(change[1..].iter().all(|value| value.abs() < 1e-5));
}

/// 196,625 values of standard deviation 2 * 1 / 4: the sample deviation is within 0.0008 of it, and neighbouring blocks have
/// nothing to do with each other: their correlation has a deviation of 0.0039. Six of each are a false alarm in 500 million, and the
/// seed is fixed.
#[test]
fn noise_has_the_size_that_was_agreed_on_and_is_another_in_each_block() {
    let change = noised(&participants(), 4, 2.0);
    let values = &change[1..];
    let count = values.len() as f64;
    let deviation = (values.iter().map(|value| value * value).sum::<f64>() / count).sqrt();
    assert!((deviation - 0.5).abs() < 0.0048, "{deviation}");
    let pairs = values[..65_536].iter().zip(&values[65_536..131_072]);
    let correlation = pairs.map(|(a, b)| a * b).sum::<f64>() / 65_536.0 / 0.25;
    assert!(correlation.abs() < 0.024, "{correlation}");
}

#[test]
fn noise_on_anything_but_a_mean_is_refused() {
    let bench = participants();
    let (multiplier, clip) = (NoiseMultiplier::new(1.0).unwrap(), ClipNorm::new(1.0).unwrap());
    let mechanism = CentralNoise::new(multiplier, clip, 3, ELEMENTS as u64).unwrap();
    let seed = NoiseSeed::new([7; 32].into());
    let noise = Some(MeanNoise { mechanism: &mechanism, seed: &seed });
    let refused = bench.run_with(AggregationRule::Median, Division::default(), noise).unwrap_err();
    assert!(matches!(refused, StoreError::NoiseWithout), "{refused}");
}
