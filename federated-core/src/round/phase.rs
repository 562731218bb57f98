use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Receipt, Session};
use crate::{
    ids::{Digest, ParticipantName, RoundNumber},
    metrics::Metrics,
    privacy::secagg::{Groups, Stage},
    time::Timestamp,
};

/// Where a run is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RoundPhase {
    /// Waits until enough participants are present, and not before `not_before`.
    Gathering {
        /// Earliest begin: after an abandoned attempt there is a pause.
        not_before: Timestamp,
    },
    /// Participants work.
    Training {
        /// When the attempt began.
        began: Timestamp,
        /// When it closes.
        deadline: Timestamp,
        /// How many updates are enough to close it early.
        target: usize,
        /// Who was asked, and where each one is.
        cohort: BTreeMap<ParticipantName, Member>,
        /// With which keys updates are masked, where they are.
        session: Option<Session>,
    },
    /// Masked updates are in, and those whose they are agree on taking the masks off their sum.
    Unmasking {
        /// When the attempt began.
        began: Timestamp,
        /// How many were asked.
        cohort_size: usize,
        /// The updates.
        contributions: BTreeMap<ParticipantName, Receipt>,
        /// How far they are.
        session: Session,
        /// Who will not answer, and why.
        out: BTreeMap<ParticipantName, OutReason>,
    },
    /// The edge combines the updates.
    Aggregating {
        /// When the attempt began.
        began: Timestamp,
        /// How many were asked.
        cohort_size: usize,
        /// The updates.
        contributions: BTreeMap<ParticipantName, Receipt>,
        /// For masked updates: what takes the masks off their sum.
        session: Option<Arc<Groups>>,
    },
    /// Over.
    Ended(RunEnd),
}

/// Why no attempt may begin at present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Hold {
    /// Others are before it.
    Queued,
    /// An operator wants it so.
    Paused {
        /// Who.
        operator: String,
    },
}

/// Where one member of the cohort is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Member {
    /// Has the task and is connected.
    Working,
    /// Has the task and is not connected since then.
    Absent {
        /// Since when.
        since: Timestamp,
    },
    /// Its update is in.
    Reported(Receipt),
    /// It will not deliver.
    Out(OutReason),
}

/// Why a member of the cohort will not deliver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum OutReason {
    /// It was disconnected for longer than the time-out `absence`.
    Absent,
    /// It declined: its policy forbids the task, or its training failed.
    Declined {
        /// Its reason code.
        code: String,
        /// Its words.
        message: String,
    },
    /// What it sent cannot be used.
    Refused {
        /// The reason code it was told.
        code: String,
        /// The words it was told.
        message: String,
    },
    /// It is connected, and did not answer within the time-out `absence`.
    Silent {
        /// What it did not answer.
        stage: Stage,
    },
    /// Its group cannot be summed: too few of the others are left.
    GroupLost {
        /// What became of the group.
        reason: String,
    },
}

impl std::fmt::Display for OutReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent => f.write_str("was disconnected for too long"),
            Self::Declined { code, message } => write!(f, "declined: {code}: {message}"),
            Self::Refused { code, message } => write!(f, "its update was refused: {code}: {message}"),
            Self::Silent { stage } => write!(f, "did not answer {stage} in time"),
            Self::GroupLost { reason } => write!(f, "is in a group that cannot be summed: {reason}"),
        }
    }
}

/// Why an attempt was abandoned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AbandonReason {
    /// Too many members are out: the quorum cannot be met any more.
    QuorumImpossible {
        /// Updates needed.
        quorum: u32,
        /// Updates that are in or may still come.
        possible: usize,
        /// Who is out, and why.
        out: BTreeMap<ParticipantName, OutReason>,
    },
    /// The deadline passed with too few updates.
    DeadlineWithoutQuorum {
        /// Updates needed.
        quorum: u32,
        /// Updates that are in.
        reported: usize,
    },
    /// The edge could not make the new model.
    Aggregation {
        /// Why.
        reason: String,
    },
    /// The participants' keys or answers were not enough for secure aggregation. Nothing was unmasked.
    SecureAggregation {
        /// Why.
        reason: String,
        /// Who is out, and why.
        out: BTreeMap<ParticipantName, OutReason>,
    },
    /// The privacy budget does not pay for the attempt: nobody was asked.
    PrivacyBudget {
        /// What is spent, and what the attempt would spend.
        reason: String,
    },
}

impl std::fmt::Display for AbandonReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::QuorumImpossible { quorum, possible, out } => {
                write!(f, "the quorum of {quorum} cannot be met: at most {possible} updates can come")?;
                out.iter().try_for_each(|(participant, reason)| write!(f, "; {participant} {reason}"))
            }
            Self::DeadlineWithoutQuorum { quorum, reported } => {
                write!(f, "the deadline passed with {reported} updates, and the quorum is {quorum}")
            }
            Self::Aggregation { reason } => write!(f, "the updates could not be combined: {reason}"),
            Self::PrivacyBudget { reason } => write!(f, "the privacy budget does not pay for it: {reason}"),
            Self::SecureAggregation { reason, out } => {
                write!(f, "nothing was unmasked: {reason}")?;
                out.iter().try_for_each(|(participant, reason)| write!(f, "; {participant} {reason}"))
            }
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunEnd {
    /// All rounds are done.
    Completed,
    /// A round was abandoned as often as the plan allows.
    Failed {
        /// Why the last attempt was abandoned.
        reason: AbandonReason,
    },
    /// An operator stopped it.
    Stopped {
        /// Who.
        operator: String,
    },
}

/// What became of one attempt at a round.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundSummary {
    /// The round.
    pub round: RoundNumber,
    /// The attempt, from 1.
    pub attempt: u32,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How many were asked.
    pub cohort_size: usize,
    /// Whose updates count; empty when abandoned.
    pub contributors: Vec<ParticipantName>,
    /// Examples behind them all.
    pub examples: u64,
    /// The metrics that every contributor reports, averaged with the example counts as weights.
    pub metrics: Metrics,
    /// The new model, or why there is none.
    pub outcome: Result<Digest, AbandonReason>,
}
