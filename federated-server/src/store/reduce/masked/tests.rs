use std::num::NonZero;

use federated_core::{
    aggregate::{AggregationRule, Median},
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
    groups: Vec<MaskedGroup>,
    /// The sum of each group's survivors' vectors, which were never masked.
    expected: Vec<Vec<u8>>,
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
            groups: Vec::new(),
            expected: Vec::new(),
        };
        bench.add_group(dropped);
        bench
    }

    /// One more group, without those who dropped out.
    fn add_group(&mut self, dropped: &[u8]) {
        self.groups.push(MaskedGroup { survivors: BTreeMap::new(), masks: Vec::new() });
        self.expected.push(Vec::new());
        for participant in (0..PARTICIPANTS).filter(|participant| !dropped.contains(participant)) {
            self.survive(participant);
            let masks = &mut self.groups.last_mut().unwrap().masks;
            masks.push(mask(participant, Sign::Subtract));
            // What the one who dropped out would have done with it is the opposite of what this one does.
            masks.extend(dropped.iter().map(|dropped| shared(*dropped, participant)));
        }
    }

    fn survive(&mut self, participant: u8) {
        let shift = f32::from(participant) + 10.0 * self.groups.len() as f32;
        let values: Vec<f32> = (0..ELEMENTS).map(|n| (n as f32 * 0.01 + shift).sin()).collect();
        let mut metrics = Metrics::new();
        metrics.insert("loss", f64::from(participant)).unwrap();
        let seed = RoundingSeed::new([participant; 32].into());
        let modulus = self.plan.modulus();
        let encoder =
            self.plan.encoder(examples(20 + u64::from(participant)), &metrics, &values, &seed).unwrap();
        let mut vector = vec![0; usize::try_from(self.plan.byte_len(ELEMENTS as u64)).unwrap()];
        encoder.write(0, &mut vector).unwrap();
        let expected = self.expected.last_mut().unwrap();
        expected.resize(vector.len(), 0);
        add(modulus, expected, &vector).unwrap();
        let mut masks: Vec<_> = (0..PARTICIPANTS)
            .filter(|other| *other != participant)
            .map(|other| shared(participant, other))
            .collect();
        masks.push(mask(participant, Sign::Add));
        apply(modulus, &masks, 0, &mut vector).unwrap();
        self.spool(&format!("site-{}-{participant}", self.groups.len()), &vector);
    }

    fn spool(&mut self, name: &str, bytes: &[u8]) {
        let (name, content): (ParticipantName, _) = (name.parse().unwrap(), Digest::of(bytes));
        let form = UpdateForm::masked(&self.plan, &self.layout);
        let mut upload = self.store.resume_upload(&self.task, &name, content, form, 0).unwrap();
        upload.write(bytes).unwrap();
        upload.finish(&self.layout).unwrap();
        self.groups.last_mut().unwrap().survivors.insert(name, content);
    }

    fn run(&self, cores: usize, verify: bool) -> Result<Unmasked, StoreError> {
        let strategy = FedSgd { learning_rate: 0.1, aggregation: AggregationRule::Mean };
        let division = Division { cores: NonZero::new(cores).unwrap(), held: 1 };
        let Self { task, layout, base, groups, plan, .. } = self;
        let (base, strategy, rule) = (*base, &strategy, &Median);
        MaskedReduction { task, layout, base, groups, rule, plan, strategy, division, verify }
            .run(&self.store)
    }

    /// The means and totals of each group, from vectors that were never masked.
    fn plain(&self) -> (Vec<Vec<f32>>, Vec<Totals>) {
        let plain = |(expected, group): (&Vec<u8>, &MaskedGroup)| {
            let (prefix, sums) = expected.split_at(self.plan.prefix_bytes());
            let survivors = u32::try_from(group.survivors.len()).unwrap();
            let totals = self.plan.decode_prefix(prefix, survivors).unwrap();
            let mut means = vec![0.0; ELEMENTS];
            self.plan.decode_values(&totals, (0, ELEMENTS as u64), sums, &mut means).unwrap();
            (means, totals)
        };
        self.expected.iter().zip(&self.groups).map(plain).unzip()
    }

    fn unmasked(&self, mean: &[f32], totals: Totals) -> Unmasked {
        let mut model = model();
        model.iter_mut().zip(mean).for_each(|(value, mean)| *value += mean);
        let sums = self.expected.iter().map(|expected| Fingerprint::of(expected)).collect();
        Unmasked { model: Digest::of(bytes_of(&model)), totals, sums }
    }
}

#[test]
fn the_new_model_is_the_one_of_vectors_that_were_never_masked_however_the_work_is_divided() {
    for (modulus, dropped) in
        [(Modulus::B16, &[3][..]), (Modulus::B24, &[0, 4]), (Modulus::B32, &[]), (Modulus::B32, &[1, 2])]
    {
        let bench = Bench::new(modulus, dropped);
        let (means, totals) = bench.plain();
        let (mean, totals) = (means[0].clone(), totals[0].clone());
        assert!(mean.iter().any(|mean| mean.abs() > 0.1) && totals.metrics.get("loss").is_some());
        let expected = bench.unmasked(&mean, totals);
        for cores in [1, 2, 7, 64] {
            assert_eq!(bench.run(cores, true).unwrap(), expected, "{modulus:?}, {dropped:?}, {cores}");
        }
    }
}

#[test]
fn of_several_groups_the_rule_combines_the_means_however_the_work_is_divided() {
    let mut bench = Bench::new(Modulus::B24, &[3]);
    bench.add_group(&[]);
    bench.add_group(&[0, 4]);
    let (means, totals) = bench.plain();
    let median = |n: usize| {
        let mut column = [means[0][n], means[1][n], means[2][n]];
        column.sort_by(f32::total_cmp);
        column[1]
    };
    let median: Vec<f32> = (0..ELEMENTS).map(median).collect();
    assert!(means.iter().all(|mean| *mean != median), "each group has a say");
    let examples: u64 = (0..u64::from(PARTICIPANTS)).map(|site| 20 + site).sum();
    let merged = Totals::merged(&totals);
    assert_eq!(merged.examples, 3 * examples - (23 + 20 + 24));
    assert_eq!(merged.survivors, 12);
    let expected = bench.unmasked(&median, merged);
    for cores in [1, 2, 7, 64] {
        assert_eq!(bench.run(cores, true).unwrap(), expected, "{cores}");
    }
}

#[test]
fn a_mask_that_is_left_in_the_sum_makes_no_model() {
    let mut bench = Bench::new(Modulus::B32, &[2]);
    bench.groups[0].masks.pop();
    assert!(matches!(bench.run(2, false), Err(StoreError::Vector(_))));
    let models = std::fs::read_dir(bench.folder.path().join("models")).unwrap().count();
    assert_eq!(models, 1, "the base only");
}

#[test]
fn an_update_that_changed_on_the_disk_is_named() {
    let bench = Bench::new(Modulus::B24, &[]);
    let path = bench.folder.path().join("updates/job/1-1/site-1-1.update");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = bench.run(2, true).unwrap_err();
    assert!(
        matches!(&error, StoreError::Damaged { .. }) && error.to_string().contains("site-1-1"),
        "{error}"
    );
}

#[test]
fn a_masked_update_of_another_length_does_not_stay() {
    let bench = Bench::new(Modulus::B16, &[]);
    let (name, bytes): (ParticipantName, _) = ("late".parse().unwrap(), vec![0; bench.expected[0].len() + 2]);
    let form = UpdateForm::masked(&bench.plan, &bench.layout);
    let mut upload = bench.store.resume_upload(&bench.task, &name, Digest::of(&bytes), form, 0).unwrap();
    upload.write(&bytes).unwrap();
    assert!(matches!(upload.finish(&bench.layout), Err(StoreError::Content(WireError::Oversized { .. }))));
}
