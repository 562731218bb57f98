use std::num::NonZero;

use federated_core::{
    aggregate::AggregationRule,
    ids::RoundNumber,
    metrics::Metrics,
    model::TensorSpec,
    privacy::secagg::{Mask, MaskSeed, Modulus, RoundingSeed, Sign, apply},
    strategy::FedSgd,
    update::ExampleCount,
};

use super::*;
use crate::store::UpdateForm;

/// Of 24 or 32 bits, more than one chunk of keystream.
const ELEMENTS: usize = 360_001;
const PARTICIPANTS: u8 = 5;

fn mask(seed: u8, sign: Sign) -> PreparedMask {
    Mask { seed: MaskSeed::new([seed; 32].into()), sign }.prepare().unwrap()
}

/// The mask that two participants share, as the first of them applies it.
fn shared(one: u8, other: u8) -> PreparedMask {
    let (low, high) = (one.min(other), one.max(other));
    mask(100 + 10 * low + high, if one < other { Sign::Add } else { Sign::Subtract })
}

/// A store with a model, and the masked updates of those who did not drop out.
struct Bench {
    folder: tempfile::TempDir,
    store: Store,
    task: TaskId,
    layout: ModelLayout,
    base: Digest,
    plan: VectorPlan,
    survivors: BTreeMap<ParticipantName, Digest>,
    masks: Vec<PreparedMask>,
    /// The sum of the survivors' vectors, which were never masked.
    expected: Vec<u8>,
}

fn examples(count: u64) -> ExampleCount {
    ExampleCount::new(count).unwrap()
}

fn model() -> Vec<f32> {
    (0..ELEMENTS).map(|n| (n % 1_000) as f32).collect()
}

impl Bench {
    fn new(modulus: Modulus, dropped: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut writer = store.new_model("job").unwrap();
        writer.write(bytes_of(&model())).unwrap();
        let metrics = BTreeMap::from([("loss".to_owned(), 10.0)]);
        let mut bench = Self {
            base: writer.finish(&store).unwrap(),
            folder,
            store,
            task: TaskId { job: "job".parse().unwrap(), round: RoundNumber::FIRST, attempt: 1 },
            layout: ModelLayout::new(vec![TensorSpec::new("w", [ELEMENTS as u64])]).unwrap(),
            plan: VectorPlan::new(modulus, 1.0, examples(100), PARTICIPANTS.into(), metrics).unwrap(),
            survivors: BTreeMap::new(),
            masks: Vec::new(),
            expected: Vec::new(),
        };
        for participant in (0..PARTICIPANTS).filter(|participant| !dropped.contains(participant)) {
            bench.survive(participant);
            bench.masks.push(mask(participant, Sign::Subtract));
            // What the one who dropped out would have done with it is the opposite of what this one does.
            bench.masks.extend(dropped.iter().map(|dropped| shared(*dropped, participant)));
        }
        bench
    }

    fn survive(&mut self, participant: u8) {
        let values: Vec<f32> =
            (0..ELEMENTS).map(|n| (n as f32 * 0.01 + f32::from(participant)).sin()).collect();
        let mut metrics = Metrics::new();
        metrics.insert("loss", f64::from(participant)).unwrap();
        let seed = RoundingSeed::new([participant; 32].into());
        let modulus = self.plan.modulus();
        let encoder =
            self.plan.encoder(examples(20 + u64::from(participant)), &metrics, &values, &seed).unwrap();
        let mut vector = vec![0; usize::try_from(self.plan.byte_len(ELEMENTS as u64)).unwrap()];
        encoder.write(0, &mut vector).unwrap();
        self.expected.resize(vector.len(), 0);
        add(modulus, &mut self.expected, &vector).unwrap();
        let mut masks: Vec<_> = (0..PARTICIPANTS)
            .filter(|other| *other != participant)
            .map(|other| shared(participant, other))
            .collect();
        masks.push(mask(participant, Sign::Add));
        apply(modulus, &masks, 0, &mut vector).unwrap();
        self.spool(&format!("site-{participant}"), &vector);
    }

    fn spool(&mut self, name: &str, bytes: &[u8]) {
        let (name, content): (ParticipantName, _) = (name.parse().unwrap(), Digest::of(bytes));
        let form = UpdateForm::masked(&self.plan, &self.layout);
        let mut upload = self.store.resume_upload(&self.task, &name, content, form, 0).unwrap();
        upload.write(bytes).unwrap();
        upload.finish(&self.layout).unwrap();
        self.survivors.insert(name, content);
    }

    fn run(&self, cores: usize, verify: bool) -> Result<Unmasked, StoreError> {
        let strategy = FedSgd { learning_rate: 0.1, aggregation: AggregationRule::Mean };
        let division = Division { cores: NonZero::new(cores).unwrap(), held: 1 };
        let Self { task, layout, base, survivors, masks, plan, .. } = self;
        let (base, strategy) = (*base, &strategy);
        MaskedReduction { task, layout, base, survivors, masks, plan, strategy, division, verify }
            .run(&self.store)
    }
}

#[test]
fn the_new_model_is_the_one_of_vectors_that_were_never_masked_however_the_work_is_divided() {
    for (modulus, dropped) in
        [(Modulus::B16, &[3][..]), (Modulus::B24, &[0, 4]), (Modulus::B32, &[]), (Modulus::B32, &[1, 2])]
    {
        let bench = Bench::new(modulus, dropped);
        let (prefix, sums) = bench.expected.split_at(bench.plan.prefix_bytes());
        let survivors = u32::try_from(bench.survivors.len()).unwrap();
        let totals = bench.plan.decode_prefix(prefix, survivors).unwrap();
        let (mut means, mut model) = (vec![0.0; ELEMENTS], model());
        bench.plan.decode_values(&totals, 0, sums, &mut means).unwrap();
        model.iter_mut().zip(&means).for_each(|(value, mean)| *value += mean);
        assert!(means.iter().any(|mean| mean.abs() > 0.1) && totals.metrics.get("loss").is_some());
        let expected =
            Unmasked { model: Digest::of(bytes_of(&model)), totals, sum: Fingerprint::of(&bench.expected) };
        for cores in [1, 2, 7, 64] {
            assert_eq!(bench.run(cores, true).unwrap(), expected, "{modulus:?}, {dropped:?}, {cores}");
        }
    }
}

#[test]
fn a_mask_that_is_left_in_the_sum_makes_no_model() {
    let mut bench = Bench::new(Modulus::B32, &[2]);
    bench.masks.pop();
    assert!(matches!(bench.run(2, false), Err(StoreError::Vector(_))));
    let models = std::fs::read_dir(bench.folder.path().join("models")).unwrap().count();
    assert_eq!(models, 1, "the base only");
}

#[test]
fn an_update_that_changed_on_the_disk_is_named() {
    let bench = Bench::new(Modulus::B24, &[]);
    let path = bench.folder.path().join("updates/job/1-1/site-1.update");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = bench.run(2, true).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { .. }) && error.to_string().contains("site-1"), "{error}");
}

#[test]
fn a_masked_update_of_another_length_does_not_stay() {
    let bench = Bench::new(Modulus::B16, &[]);
    let (name, bytes): (ParticipantName, _) = ("late".parse().unwrap(), vec![0; bench.expected.len() + 2]);
    let form = UpdateForm::masked(&bench.plan, &bench.layout);
    let mut upload = bench.store.resume_upload(&bench.task, &name, Digest::of(&bytes), form, 0).unwrap();
    upload.write(&bytes).unwrap();
    assert!(matches!(upload.finish(&bench.layout), Err(StoreError::Content(WireError::Oversized { .. }))));
}
