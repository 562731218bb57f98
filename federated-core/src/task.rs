//! What a participant is asked to do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    compression::Encoding,
    ids::{Digest, ParticipantName, TaskId, derive},
    model::ModelLayout,
    strategy::LocalWork,
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
