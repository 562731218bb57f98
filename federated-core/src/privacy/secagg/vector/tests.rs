use proptest::prelude::*;

use super::{super::RoundingSeed, *};
use crate::privacy::{
    dp::{NoiseMultiplier, NoiseSeed},
    secagg::{Mask, MaskSeed, Sign, add, apply},
};

fn examples(count: u64) -> ExampleCount {
    ExampleCount::new(count).unwrap()
}

fn plan(modulus: Modulus, most: u64, participants: u32, metrics: &[(&str, f64)]) -> VectorPlan {
    let metrics = metrics.iter().map(|(name, bound)| ((*name).to_owned(), *bound)).collect();
    VectorPlan::new(modulus, 0.5, examples(most), participants, metrics).unwrap()
}

fn metrics(entries: &[(&str, f64)]) -> Metrics {
    let mut metrics = Metrics::new();
    entries.iter().for_each(|(name, value)| metrics.insert(*name, *value).unwrap());
    metrics
}

/// A participant's vector, and how much of it was clipped.
fn vector(plan: &VectorPlan, site: u8, count: u64, report: &Metrics, values: &[f32]) -> (Vec<u8>, u64) {
    let seed = RoundingSeed::new([site; 32].into());
    let encoder = plan.encoder(examples(count), report, values, &seed).unwrap();
    let mut bytes = vec![0; usize::try_from(plan.byte_len(values.len() as u64)).unwrap()];
    let clipped = encoder.write(0, &mut bytes).unwrap();
    (bytes, clipped)
}

fn sum(plan: &VectorPlan, vectors: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let add = |mut sum: Vec<u8>, vector: Vec<u8>| {
        add(plan.modulus(), &mut sum, &vector).unwrap();
        sum
    };
    vectors.into_iter().reduce(add).unwrap()
}

fn decode(plan: &VectorPlan, sum: &[u8], survivors: u32) -> Result<(Totals, Vec<f32>), VectorError> {
    let (prefix, values) = sum.split_at(plan.prefix_bytes());
    let totals = plan.decode_prefix(prefix, survivors)?;
    let mut means = vec![0.0; values.len() / plan.modulus().bytes()];
    plan.decode_values(&totals, (0, means.len() as u64), values, &mut means)?;
    Ok((totals, means))
}

#[test]
fn a_plan_whose_sum_could_wrap_or_say_nothing_is_refused() {
    let new = |modulus, clip, participants, bound| {
        let metrics = BTreeMap::from([("loss".to_owned(), bound)]);
        VectorPlan::new(modulus, clip, examples(10), participants, metrics)
    };
    assert_eq!(new(Modulus::B16, 1.0, 256, 1.0).unwrap().value_bits(), 8);
    assert_eq!(
        new(Modulus::B16, 1.0, 257, 1.0),
        Err(VectorError::ValueBits { modulus: 16, participants: 257, found: 7 })
    );
    assert!(matches!(new(Modulus::B32, 1.0, u32::MAX, 1.0), Err(VectorError::ValueBits { found: 0, .. })));
    assert_eq!(new(Modulus::B24, 1.0, 3, 1.0).unwrap().value_bits(), 22);
    assert_eq!(new(Modulus::B32, 1.0, 2, 1.0).unwrap().value_bits(), 31);
    assert_eq!(new(Modulus::B32, 1.0, 1, 1.0), Err(VectorError::Participants { found: 1 }));
    for clip in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(matches!(new(Modulus::B32, clip, 3, 1.0), Err(VectorError::Clip { .. })));
        let bound = clip.into();
        assert!(matches!(new(Modulus::B32, 1.0, 3, bound), Err(VectorError::MetricBound { .. })));
    }
    let unnamed = BTreeMap::from([("a b".to_owned(), 1.0)]);
    let refused = VectorPlan::new(Modulus::B32, 1.0, examples(10), 3, unnamed);
    assert_eq!(refused, Err(VectorError::Metrics(crate::metrics::MetricsError::Name)));
}

#[test]
fn a_plan_that_travels_is_checked_again() {
    let plan = plan(Modulus::B24, 1_000, 5, &[("loss", 10.0)]);
    let text = toml::to_string(&plan).unwrap();
    assert_eq!(toml::from_str::<VectorPlan>(&text).unwrap(), plan);
    assert!(
        toml::from_str::<VectorPlan>(&text.replace("max_participants = 5", "max_participants = 1")).is_err()
    );
}

#[test]
fn the_elements_are_the_documented_ones() {
    // 8 bits a value, so limbs of 7: 300 = 2 * 128 + 44, and 1,000 needs two of them.
    let plan = plan(Modulus::B16, 1_000, 256, &[("auc", 1.0), ("loss", 3.0)]);
    assert_eq!((plan.prefix_elements(), plan.elements(3), plan.byte_len(3)), (6, 9, 18));
    let report = metrics(&[("loss", 10.0), ("other", 1.0)]);
    let (bytes, clipped) = vector(&plan, 1, 500, &report, &[1.0, -1.0, 0.0]);
    let elements: Vec<i16> = bytes.as_chunks().0.iter().map(|element| i16::from_le_bytes(*element)).collect();
    // The weight is a half: the loss counts 5 of at most 3, the values are just at the clip.
    assert_eq!(elements, [500 % 128, 500 / 128, 0, 0, 1, 127, 127, -127, 0]);
    assert_eq!(clipped, 1);
    assert_eq!(vector(&plan, 1, 1_000, &Metrics::new(), &[0.6, -0.6, 0.4]).1, 2);
}

#[test]
fn more_examples_than_planned_are_refused() {
    let (plan, seed) = (plan(Modulus::B32, 10, 3, &[]), RoundingSeed::new([1; 32].into()));
    let refused = plan.encoder(examples(11), &Metrics::new(), &[], &seed).unwrap_err();
    assert_eq!(refused, VectorError::Examples { most: 10, found: 11 });
}

#[test]
fn nothing_wraps_at_the_extremes_with_all_participants() {
    for (modulus, participants) in [(Modulus::B16, 256), (Modulus::B24, 300), (Modulus::B32, 5)] {
        let plan = plan(modulus, ExampleCount::MAX, participants, &[("loss", 2.0)]);
        let site =
            |_| vector(&plan, 1, ExampleCount::MAX, &metrics(&[("loss", -2.0)]), &[1e9, -1e9, 0.5, -0.5]).0;
        let sum = sum(&plan, (0..participants).map(site));
        let (totals, means) = decode(&plan, &sum, participants).unwrap();
        assert_eq!(totals.examples, u64::from(participants) * ExampleCount::MAX);
        assert_eq!(totals.metrics, metrics(&[("loss", -2.0)]));
        assert_eq!(means, [0.5, -0.5, 0.5, -0.5]);
    }
}

#[test]
fn a_metric_that_one_does_not_report_is_not_averaged() {
    let plan = plan(Modulus::B32, 100, 3, &[("auc", 1.0), ("loss", 8.0)]);
    let (a, b) = (metrics(&[("auc", 0.5), ("loss", 1.0)]), metrics(&[("loss", 3.0)]));
    let sum = sum(&plan, [vector(&plan, 1, 30, &a, &[]).0, vector(&plan, 2, 10, &b, &[]).0]);
    let (totals, _) = decode(&plan, &sum, 2).unwrap();
    assert_eq!(totals.examples, 40);
    let reported: Vec<_> = totals.metrics.iter().collect();
    assert!(matches!(reported.as_slice(), [("loss", mean)] if (mean - 1.5).abs() < 1e-6), "{reported:?}");
}

#[test]
fn a_sum_with_a_mask_left_in_it_is_not_plausible() {
    for modulus in [Modulus::B16, Modulus::B24, Modulus::B32] {
        let plan = plan(modulus, 1_000, 5, &[]);
        let mut sum = sum(&plan, (1..=5).map(|site| vector(&plan, site, 10, &Metrics::new(), &[0.1; 64]).0));
        assert!(decode(&plan, &sum, 5).is_ok());
        let mask = Mask { seed: MaskSeed::new([1; 32].into()), sign: Sign::Add }.prepare().unwrap();
        apply(modulus, &[mask], 0, &mut sum).unwrap();
        assert!(decode(&plan, &sum, 5).is_err(), "in the prefix");
        let (prefix, values) = sum.split_at(plan.prefix_bytes());
        let totals = Totals { examples: 50, metrics: Metrics::new(), survivors: 5 };
        let refused = plan.decode_values(&totals, (7, 64), values, &mut [0.0; 64]).unwrap_err();
        assert!(matches!(refused, VectorError::Implausible { element, .. } if element == plan.elements(7)));
        assert!(matches!(plan.decode_prefix(&prefix[1..], 5), Err(VectorError::Length { .. })));
        assert!(matches!(plan.decode_prefix(prefix, 6), Err(VectorError::Survivors { most: 5, found: 6 })));
        let zeros = vec![0; plan.prefix_bytes()];
        assert!(matches!(plan.decode_prefix(&zeros, 1), Err(VectorError::ImplausibleExamples { .. })));
    }
}

/// Each participant's examples and values.
fn sites() -> impl Strategy<Value = Vec<(u64, Vec<f32>)>> {
    prop::collection::vec((1_u64..=10_000, prop::collection::vec(-0.5_f32..0.5, 10)), 1..=12)
}

/// Four participants, 3 of them sure to add noise, a multiplier of 2 and a clip of 1: the sum's noise has a standard deviation of
/// 2 * sqrt(4 / 3), so the mean's is 0.577. Of 20,000 values, the sample deviation is within 0.0029 of it; six of these are a
/// false alarm in 500 million, and the seeds are fixed.
#[test]
fn shares_of_noise_sum_to_what_was_planned_and_nothing_wraps() {
    let noise =
        VectorNoise { multiplier: NoiseMultiplier::new(2.0).unwrap(), contributors: 3.try_into().unwrap() };
    let plan = VectorPlan::new(Modulus::B32, 1.0, ExampleCount::ONE, 4, BTreeMap::new()).unwrap();
    let noised = plan.clone().noised(noise).unwrap();
    assert!((24..=28).contains(&noised.value_bits()), "{}", noised.value_bits());
    let values = vec![0.005_f32; 20_000];
    let site = |site: u8| {
        let (rounding, seed) = (RoundingSeed::new([site; 32].into()), NoiseSeed::new([site + 10; 32].into()));
        let encoder = noised.noised_encoder(&values, &rounding, &seed).unwrap();
        let mut bytes = vec![0; usize::try_from(noised.byte_len(20_000)).unwrap()];
        assert_eq!(encoder.write(0, &mut bytes), Ok(0));
        bytes
    };
    let (totals, means) = decode(&noised, &sum(&noised, (0..4).map(site)), 4).unwrap();
    assert_eq!((totals.examples, totals.survivors), (4, 4));
    let means: Vec<f64> = means.into_iter().map(f64::from).collect();
    let mean = means.iter().sum::<f64>() / 2e4;
    let deviation = (means.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 2e4).sqrt();
    assert!((mean - 0.005).abs() < 6.0 * 0.577 / 2e4_f64.sqrt(), "{mean}");
    // The rounding of values makes them longer by the square root of their number at most, which here is next to nothing.
    assert!((deviation - 0.57735).abs() < 6.0 * 0.0029, "{deviation}");
    let (rounding, seed) = (RoundingSeed::new([1; 32].into()), NoiseSeed::new([1; 32].into()));
    let mismatch = |planned| VectorError::NoiseMismatch { planned };
    let refused = noised.encoder(ExampleCount::ONE, &Metrics::new(), &values, &rounding).unwrap_err();
    assert_eq!(refused, mismatch(true));
    assert_eq!(plan.noised_encoder(&values, &rounding, &seed).unwrap_err(), mismatch(false));
}

#[test]
fn noise_beside_weights_or_metrics_or_in_too_small_a_modulus_is_refused() {
    let noise = |multiplier| VectorNoise {
        multiplier: NoiseMultiplier::new(multiplier).unwrap(),
        contributors: 3.try_into().unwrap(),
    };
    let weighted = plan(Modulus::B32, 10, 4, &[]);
    assert_eq!(weighted.noised(noise(1.0)), Err(VectorError::NotAlike { examples: 10, metrics: 0 }));
    let reporting = plan(Modulus::B32, 1, 4, &[("loss", 1.0)]);
    assert_eq!(reporting.noised(noise(1.0)), Err(VectorError::NotAlike { examples: 1, metrics: 1 }));
    assert!(matches!(plan(Modulus::B16, 1, 4, &[]).noised(noise(40.0)), Err(VectorError::ValueBits { .. })));
}

proptest! {
    #[test]
    fn the_sum_decodes_to_the_weighted_mean_within_a_step_each(
        modulus in prop::sample::select(vec![Modulus::B16, Modulus::B24, Modulus::B32]),
        sites in sites(),
    ) {
        let plan = plan(modulus, 10_000, 12, &[("loss", 1.0)]);
        let vectors = (1..).zip(&sites).map(|(site, (count, values))| {
            vector(&plan, site, *count, &metrics(&[("loss", values[0].into())]), values).0
        });
        let survivors = u32::try_from(sites.len()).unwrap();
        let (totals, means) = decode(&plan, &sum(&plan, vectors), survivors).unwrap();
        let all: u64 = sites.iter().map(|(count, _)| count).sum();
        prop_assert_eq!(totals.examples, all);
        let steps = f64::from(survivors) * 10_000.0 / all as f64;
        let expected = |place: usize| -> f64 {
            sites.iter().map(|(count, values)| *count as f64 * f64::from(values[place])).sum::<f64>() / all as f64
        };
        for (place, mean) in means.iter().enumerate() {
            prop_assert!((f64::from(*mean) - expected(place)).abs() <= steps * plan.step() + 1e-7);
        }
        let loss = totals.metrics.get("loss").unwrap();
        prop_assert!((loss - expected(0)).abs() <= steps * 2.0 * plan.step() + 1e-7);
    }

    #[test]
    fn a_vector_has_the_same_bits_however_it_is_cut(
        modulus in prop::sample::select(vec![Modulus::B16, Modulus::B24, Modulus::B32]),
        piece in 1_usize..700,
    ) {
        let plan = plan(modulus, 3_000, 12, &[("auc", 0.1), ("loss", 1.0)]);
        let values: Vec<f32> = (0..1_000_u16).map(|n| f32::from(n) / 700.0 - 0.6).collect();
        let report = metrics(&[("auc", 0.5), ("loss", 1.0)]);
        let (whole, clipped) = vector(&plan, 3, 2_900, &report, &values);
        let seed = RoundingSeed::new([3; 32].into());
        let encoder = plan.encoder(examples(2_900), &report, &values, &seed).unwrap();
        let mut bytes = vec![0; whole.len()];
        let mut count = 0;
        for (index, bytes) in bytes.chunks_mut(piece * modulus.bytes()).enumerate() {
            count += encoder.write((index * piece) as u64, bytes).unwrap();
        }
        prop_assert!(bytes == whole);
        prop_assert!(count == clipped && clipped > 1);
        let found = 2 * modulus.bytes();
        let beyond = encoder.write(encoder.elements() - 1, &mut bytes[..found]);
        prop_assert_eq!(beyond, Err(VectorError::Length { expected: found as u64 / 2, found: found as u64 }));
    }
}
