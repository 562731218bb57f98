//! What a participant is asked to do.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    compression::Encoding,
    ids::{Digest, Fingerprint, ParticipantName, TaskId, derive},
    model::ModelLayout,
    privacy::{
        dp::{ledger::Adjacency, terms::PrivacyTerms},
        secagg::{Header, Terms},
    },
    strategy::{BatchSize, LocalWork},
};

/// One participant's work in one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainTask {
    /// Which job, round and attempt.
    pub id: TaskId,
    /// How many rounds the job has.
    pub rounds: u32,
    /// The tensors of the model to train.
    pub layout: ModelLayout,
    /// The content address of the model to start from: the digest of its values as little-endian `f32`.
    pub model: Digest,
    /// Epochs, batch size, learning rate.
    pub work: LocalWork,
    /// Randomness for shuffling and initialisation; differs by participant, round and attempt.
    pub seed: u64,
    /// How many participants work on this attempt: the cohort that the update is averaged with.
    pub cohort_size: u32,
    /// How the update is to travel; [`Encoding::PLAIN`] is accepted all the same.
    pub encoding: Encoding,
    /// The job's `[training]` table, passed through to the trainer.
    pub settings: BTreeMap<String, String>,
    /// How the update is to be masked; it goes as it is when `None`.
    pub secure: Option<Box<SecureTask>>,
    /// What is done for differential privacy; nothing when `None`.
    pub privacy: Option<PrivacyTerms>,
}

/// What a participant has to know to take part in secure aggregation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecureTask {
    /// What the job says about it.
    pub terms: Terms,
    /// How long the attempt may take, from its beginning.
    pub deadline: Duration,
}

impl TrainTask {
    /// The header of its session of secure aggregation, if the update is to be masked.
    #[must_use]
    pub fn header(&self) -> Option<Header> {
        let SecureTask { terms, deadline } = self.secure.as_deref()?;
        Some(Header {
            task: self.id.clone(),
            model: self.model,
            training: training_hash(
                self.rounds,
                &self.layout,
                &self.work,
                &self.settings,
                self.privacy.as_ref(),
            ),
            terms: terms.clone(),
            deadline: *deadline,
        })
    }
}

/// What participants do in every round of a job, for the header of secure aggregation.
///
/// SHA-256 over `"flsa/v1 training\n"`, rounds (u32), tensors (their number as u32; of each its name with its length as u32
/// in front, its dimensions' number as u32, each dimension as u64), epochs (u32), batch size (u32, 0 for all examples),
/// learning rate (binary32), settings (their number as u32; of each its key and its value, lengths as u32 in front).
/// With differential privacy then follow `"dp"`, the placement's and the accountant's name, 0 or 1 for add-remove or
/// replace-one (u8), steps (u32), and clip, noise multiplier, sampling rate, epsilon and delta (binary64). Integers are
/// little-endian.
#[must_use]
pub fn training_hash(
    rounds: u32,
    layout: &ModelLayout,
    work: &LocalWork,
    settings: &BTreeMap<String, String>,
    privacy: Option<&PrivacyTerms>,
) -> Fingerprint {
    let mut bytes = b"flsa/v1 training\n".to_vec();
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend_from_slice(&count(text.len()));
        bytes.extend_from_slice(text.as_bytes());
    };
    bytes.extend_from_slice(&rounds.to_le_bytes());
    bytes.extend_from_slice(&count(layout.tensors().len()));
    for tensor in layout.tensors() {
        text(&mut bytes, &tensor.name);
        bytes.extend_from_slice(&count(tensor.shape.len()));
        tensor.shape.iter().for_each(|dimension| bytes.extend_from_slice(&dimension.to_le_bytes()));
    }
    let batch = match work.batch {
        BatchSize::All => 0,
        BatchSize::Examples(size) => size.get(),
    };
    for number in [work.epochs.get(), batch, work.learning_rate.to_bits()] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&count(settings.len()));
    for (key, value) in settings {
        text(&mut bytes, key);
        text(&mut bytes, value);
    }
    if let Some(terms) = privacy {
        bytes.extend_from_slice(b"dp");
        text(&mut bytes, terms.placement().name());
        text(&mut bytes, terms.accountant().name());
        bytes.push(u8::from(terms.adjacency() == Adjacency::ReplaceOne));
        bytes.extend_from_slice(&terms.steps().get().to_le_bytes());
        let target = terms.target();
        for number in [
            terms.clip().get(),
            terms.noise_multiplier().get(),
            terms.sampling_rate().get(),
            target.epsilon.get(),
            target.delta.get(),
        ] {
            bytes.extend_from_slice(&number.to_bits().to_le_bytes());
        }
    }
    Fingerprint::of(&bytes)
}

/// The seed of one participant's task, derived from the job's seed.
///
/// The same job seed gives the same task seeds, so a run can be repeated; different participants, rounds and attempts
/// get unrelated ones.
#[must_use]
pub fn task_seed(job_seed: u64, task: &TaskId, participant: &ParticipantName) -> u64 {
    let digest = derive(b"federated.task-seed.v1\n", job_seed, task, participant);
    let (words, _) = digest.as_bytes().as_chunks::<8>();
    words.first().map_or(0, |word| u64::from_le_bytes(*word))
}
