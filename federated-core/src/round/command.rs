use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{Receipt, RoundSummary, RunEnd};
use crate::{
    fault::ReasonCode,
    ids::{ParticipantName, TaskId},
    privacy::secagg::{Groups, SumResult},
    time::Timestamp,
};

/// Why a task is no longer wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WithdrawReason {
    /// Enough updates are in, or the deadline has passed.
    RoundClosed,
    /// The attempt was abandoned.
    RoundAbandoned,
    /// The run ended.
    RunEnded,
    /// The group that its update is summed with cannot be summed any more.
    GroupLost,
}

impl WithdrawReason {
    /// What the participant is told.
    #[must_use]
    pub const fn reason(self) -> ReasonCode {
        match self {
            Self::RoundClosed => ReasonCode::new("ROUND_CLOSED"),
            Self::RoundAbandoned => ReasonCode::new("ROUND_ABANDONED"),
            Self::RunEnded => ReasonCode::new("JOB_ENDED"),
            Self::GroupLost => ReasonCode::new("SECAGG_COHORT"),
        }
    }
}

/// Something the edge has to do. Commands are carried out in order, after the new state is durable.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Tell a participant to work on a task. It may be told again; the task stays one task.
    Dispatch {
        /// Who.
        participant: ParticipantName,
        /// Which task.
        task: TaskId,
        /// When the attempt closes.
        deadline: Timestamp,
    },
    /// Tell a participant to stop working on a task.
    Withdraw {
        /// Who.
        participant: ParticipantName,
        /// Which task.
        task: TaskId,
        /// Why.
        reason: WithdrawReason,
    },
    /// Combine these updates with the current model, publish the result, and report
    /// [`Event::ModelPublished`](super::Event::ModelPublished).
    Aggregate {
        /// The attempt.
        task: TaskId,
        /// Whose updates, in the order of the names.
        contributions: BTreeMap<ParticipantName, Receipt>,
        /// For masked updates: what takes the masks off their sum. Then the edge reports
        /// [`Event::SumPublished`](super::Event::SumPublished).
        session: Option<Arc<Groups>>,
    },
    /// Tell a participant what [`Run::told`](super::Run::told) says at that moment. It may be told again.
    Tell {
        /// Who.
        participant: ParticipantName,
        /// In which attempt.
        task: TaskId,
    },
    /// Tell these participants what came of the session that they were in. They may be told again.
    TellResult {
        /// Whom.
        participants: BTreeSet<ParticipantName>,
        /// What.
        result: SumResult,
    },
    /// Report [`Event::Tick`](super::Event::Tick) at this moment, or soon after. A later `WakeAt` replaces it.
    WakeAt(Timestamp),
    /// An attempt ended; its updates may be deleted.
    RoundEnded(Arc<RoundSummary>),
    /// The run is over.
    Finished(RunEnd),
}

impl Command {
    /// The same by a clock that shows so much less.
    pub(crate) fn put_back(&mut self, by: Duration) {
        match self {
            Self::WakeAt(at) | Self::Dispatch { deadline: at, .. } => *at = at.before(by),
            Self::Withdraw { .. }
            | Self::Aggregate { .. }
            | Self::Tell { .. }
            | Self::TellResult { .. }
            | Self::RoundEnded(_)
            | Self::Finished(_) => {}
        }
    }
}
