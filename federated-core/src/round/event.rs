use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Hold, OutReason};
use crate::{
    compression::Encoding,
    ids::{Digest, ParticipantName, TaskId},
    metrics::Metrics,
    privacy::secagg::{GroupSum, ParticipantMessage},
    update::ExampleCount,
};

/// Proof that an update is durable at the coordinator. The values themselves lie in its spool, under `content`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Digest of the update's values, as they came.
    pub content: Digest,
    /// How many bytes they are, as they came.
    pub bytes: u64,
    /// How they came, and what came beside them.
    pub kind: UpdateKind,
}

/// How an update travels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "either can be read or not; whoever stores one says which")]
pub enum UpdateKind {
    /// The coordinator can read it.
    Open {
        /// How the values became bytes.
        encoding: Encoding,
        /// The update's weight.
        examples: ExampleCount,
        /// What the participant reports beside it.
        metrics: Metrics,
    },
    /// Masked: only the sum over a cohort can be read. Weight and metrics are in it.
    Masked,
}

/// Something that happened. Events are what a job's log is made of: new kinds are added at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Event {
    /// A participant connected.
    Joined(ParticipantName),
    /// A participant's connection ended.
    Left(ParticipantName),
    /// A participant's update is durable and valid.
    UpdateStored {
        /// Whose.
        participant: ParticipantName,
        /// For which task.
        task: TaskId,
        /// What is stored.
        receipt: Receipt,
    },
    /// A participant will not deliver: it declined, or what it sent cannot be used.
    MemberFailed {
        /// Who.
        participant: ParticipantName,
        /// Which task.
        task: TaskId,
        /// Why.
        reason: OutReason,
    },
    /// The edge wrote the new model.
    ModelPublished {
        /// The attempt whose updates it holds.
        task: TaskId,
        /// Its content address.
        model: Digest,
    },
    /// The edge could not make the new model.
    AggregationFailed {
        /// The attempt.
        task: TaskId,
        /// Why, for the operator.
        reason: String,
    },
    /// A timer that the machine asked for has fired, or simply: time has passed.
    Tick,
    /// An operator stops the run.
    StopRequested {
        /// Who.
        operator: String,
    },
    /// No further attempt may begin; the one under way goes on to its end.
    Held(Hold),
    /// Attempts may begin again.
    Released,
    /// An operator has a run that failed or was stopped go on at the round where it ended, with all its attempts.
    RetryRequested {
        /// Who.
        operator: String,
        /// The participants that are connected at this moment: a run that has ended does not hear who comes and goes.
        present: BTreeSet<ParticipantName>,
    },
    /// A participant's message of secure aggregation, which was welcome.
    Answered {
        /// Whose.
        participant: ParticipantName,
        /// In which attempt.
        task: TaskId,
        /// What it says.
        message: ParticipantMessage,
    },
    /// The edge wrote the new model from masked updates, which it could read only together.
    SumPublished {
        /// The attempt whose updates it holds.
        task: TaskId,
        /// Its content address.
        model: Digest,
        /// Examples behind all of them.
        examples: u64,
        /// What all of them report, averaged with the example counts as weights.
        metrics: Metrics,
        /// What was unmasked: whose updates, in which session, and which sum. Whoever is in none of them does not count.
        sums: Vec<GroupSum>,
    },
    /// The privacy budget does not pay for an attempt that would have begun.
    BudgetRefused {
        /// The attempt.
        task: TaskId,
        /// Why, for the operator.
        reason: String,
    },
}
