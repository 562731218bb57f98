#![no_main]
//! The sum of masked vectors, which any one of the participants can make say anything.

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use federated_core::{
    privacy::secagg::{Modulus, VectorPlan},
    update::ExampleCount,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Sum {
    modulus_bits: u32,
    clip: f32,
    max_examples: u32,
    max_participants: u32,
    metrics: BTreeMap<String, f64>,
    survivors: u32,
    sum: Vec<u8>,
}

fuzz_target!(|input: Sum| {
    let Sum { modulus_bits, clip, max_examples, max_participants, metrics, survivors, sum } = input;
    let (Ok(modulus), Ok(examples)) = (
        Modulus::try_from([16, 24, 32, modulus_bits][modulus_bits as usize % 4]),
        ExampleCount::new(max_examples.into()),
    ) else {
        return;
    };
    let Ok(plan) = VectorPlan::new(modulus, clip, examples, max_participants, metrics) else { return };
    let Some((prefix, values)) = sum.split_at_checked(plan.prefix_bytes()) else { return };
    let survivors = 1 + survivors % max_participants;
    let Ok(totals) = plan.decode_prefix(prefix, survivors) else { return };
    assert!(totals.examples <= u64::from(survivors) * u64::from(max_examples));
    let mut means = vec![0.0; values.len() / modulus.bytes()];
    let _ = plan.decode_values(&totals, (0, means.len() as u64), values, &mut means);
});
