use std::collections::BTreeMap;

use federated_core::{
    metrics::Metrics,
    model::{ModelLayout, ModelParameters, TensorSpec},
    privacy::dp::NoiseSeed,
    privacy::secagg::{Mask, MaskSeed, Modulus, Sign, VectorError, apply},
    update::ExampleCount,
};

use super::*;

/// Of 24 or 32 bits, more than one chunk of keystream.
const ELEMENTS: u16 = 60_000;
const COPIES: usize = 6;

fn update(examples: u64) -> ClientUpdate {
    let values: Vec<f32> =
        (0..ELEMENTS).map(|n| (f32::from(n) * 0.01).sin()).collect::<Vec<_>>().repeat(COPIES);
    let layout = ModelLayout::new(vec![TensorSpec::new("w", [values.len() as u64])]).unwrap();
    let mut metrics = Metrics::new();
    metrics.insert("loss", 0.5).unwrap();
    ClientUpdate {
        delta: ModelParameters::new(layout, values).unwrap(),
        examples: ExampleCount::new(examples).unwrap(),
        metrics,
    }
}

fn plan(modulus: Modulus) -> VectorPlan {
    let metrics = BTreeMap::from([("loss".to_owned(), 1.0)]);
    VectorPlan::new(modulus, 0.5, ExampleCount::new(100).unwrap(), 5, metrics).unwrap()
}

#[test]
fn the_file_is_the_vector_under_all_masks_for_any_number_of_cores() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.1");
    let rounding = RoundingSeed::new([7; 32].into());
    let mask = |seed, sign| Mask { seed: MaskSeed::new([seed; 32].into()), sign }.prepare().unwrap();
    let masks = [mask(1, Sign::Add), mask(2, Sign::Subtract), mask(3, Sign::Add)];
    let update = update(80);
    for modulus in [Modulus::B16, Modulus::B24, Modulus::B32] {
        let plan = plan(modulus);
        let values = update.delta.values();
        let mut expected = vec![0; usize::try_from(plan.byte_len(values.len() as u64)).unwrap()];
        let encoder = plan.encoder(update.examples, &update.metrics, values, &rounding).unwrap();
        let clipped = encoder.write(0, &mut expected).unwrap();
        apply(modulus, &masks, 0, &mut expected).unwrap();
        for cores in [1, 2, 5] {
            let masking = Masking {
                plan: &plan,
                rounding: &rounding,
                masks: &masks,
                noise: &NoiseSeed::new([9; 32].into()),
            };
            let stored = MaskedUpdate::write(&path, &update, masking, NonZero::new(cores).unwrap()).unwrap();
            assert_eq!(stored.content(), Digest::of(&expected));
            assert_eq!((stored.bytes(), stored.clipped()), (expected.len() as u64, clipped));
            assert!(std::fs::read(stored.path()).unwrap() == expected, "{modulus:?}, {cores}");
        }
        assert!(clipped > 0);
    }
}

#[test]
fn an_update_of_more_examples_than_planned_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.1");
    let (plan, rounding) = (plan(Modulus::B32), RoundingSeed::new([7; 32].into()));
    let masking =
        Masking { plan: &plan, rounding: &rounding, masks: &[], noise: &NoiseSeed::new([9; 32].into()) };
    let refused = MaskedUpdate::write(&path, &update(101), masking, NonZero::<usize>::MIN).unwrap_err();
    assert!(matches!(refused, StateError::Vector(VectorError::Examples { most: 100, found: 101 })));
    assert!(!path.exists());
}
