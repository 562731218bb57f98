//! What the unit tests of several modules work with.

use std::{num::NonZeroU32, time::Duration};

use federated_core::{
    compression::Encoding,
    ids::{Digest, RoundNumber, TaskId},
    model::{ModelLayout, TensorSpec},
    privacy::{
        dp::{
            Accountant, ClipNorm, Delta, Epsilon, NoiseMultiplier, SamplingRate,
            ledger::Adjacency,
            terms::{Placement, PrivacyTerms, Proposal},
        },
        secagg::{Fraction, Modulus, Terms, VectorPlan},
    },
    strategy::{BatchSize, LocalWork},
    task::{SecureTask, TrainTask},
    update::ExampleCount,
};

/// The bytes of the model of every [`task`].
pub(crate) fn model_bytes() -> Vec<u8> {
    [0.5_f32, -0.5].iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Secure aggregation of three to four participants.
pub(crate) fn secure_task() -> SecureTask {
    let examples = ExampleCount::new(1_000).unwrap();
    let vector = VectorPlan::new(Modulus::B32, 1.0, examples, 4, Default::default()).unwrap();
    let fraction = |millionths| Fraction::from_millionths(millionths).unwrap();
    let terms = Terms::new(fraction(333_333), fraction(100_000), (3, 4), None, vector).unwrap();
    SecureTask { terms, deadline: Duration::from_secs(60) }
}

/// Noise of one clip norm of 1 on one sum a round.
pub(crate) fn privacy(placement: Placement) -> PrivacyTerms {
    let proposal = Proposal {
        placement,
        adjacency: Adjacency::AddRemove,
        clip: ClipNorm::new(1.0).unwrap(),
        noise_multiplier: NoiseMultiplier::new(1.0).unwrap(),
        sampling_rate: SamplingRate::FULL,
        steps: NonZeroU32::MIN,
        epsilon: Epsilon::new(8.0).unwrap(),
        delta: Delta::new(1e-5).unwrap(),
        accountant: Accountant::Rdp,
    };
    proposal.check().unwrap()
}

/// The first attempt at a round of a job, in a cohort of four, with two local epochs.
pub(crate) fn task(job: &str, round: u32) -> TrainTask {
    TrainTask {
        id: TaskId { job: job.parse().unwrap(), round: RoundNumber::new(round).unwrap(), attempt: 1 },
        rounds: 3,
        layout: ModelLayout::new(vec![TensorSpec::new("w", [2])]).unwrap(),
        model: Digest::of(&model_bytes()),
        work: LocalWork { epochs: NonZeroU32::new(2).unwrap(), batch: BatchSize::All, learning_rate: 0.1 },
        seed: u64::from(round),
        cohort_size: 4,
        encoding: Encoding::PLAIN,
        settings: Default::default(),
        secure: None,
        privacy: None,
    }
}
