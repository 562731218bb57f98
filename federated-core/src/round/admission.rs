use super::{Member, Receipt, RoundPhase, Run};
use crate::{
    fault::{Fault, ReasonCode},
    ids::{Digest, ParticipantName, RoundNumber, TaskId},
    privacy::secagg::Stage,
};

/// What may happen with an update that a participant offers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Admission {
    /// It is wanted.
    Welcome,
    /// It is there already: the participant gets the same receipt again, and the update still counts once.
    Duplicate(Receipt),
}

/// Why an update is not wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// The task names another job.
    #[error("expected a task of job `{expected}`, found one of job `{found}`")]
    OtherJob {
        /// The job.
        expected: String,
        /// The job named.
        found: String,
    },
    /// The round or attempt has ended.
    #[error("{task} is over: the job is at round {round}, attempt {attempt}; wait for the next task")]
    Finished {
        /// The task named.
        task: TaskId,
        /// The current round.
        round: RoundNumber,
        /// The current attempt.
        attempt: u32,
    },
    /// The round or attempt has not begun.
    #[error(
        "{task} has not begun: the job is at round {round}, attempt {attempt}; send updates for tasks received only"
    )]
    Future {
        /// The task named.
        task: TaskId,
        /// The current round.
        round: RoundNumber,
        /// The current attempt.
        attempt: u32,
    },
    /// The round is closed, for instance because the deadline has passed.
    #[error("{task} takes no more updates; wait for the next task")]
    Closed {
        /// The task named.
        task: TaskId,
    },
    /// The participant was not asked.
    #[error("{task} was not given to this participant; send updates for tasks received only")]
    NotInCohort {
        /// The task named.
        task: TaskId,
    },
    /// The participant sent something unusable, declined, or was away for too long.
    #[error("{task} goes on without this participant, which {reason}; wait for the next task")]
    Out {
        /// The task named.
        task: TaskId,
        /// Why.
        reason: String,
    },
    /// Its update is to be masked, and the keys for it have not been exchanged.
    #[error(
        "{task} takes masked updates, and this participant has not exchanged keys; answer the stages before it"
    )]
    NoKeys {
        /// The task named.
        task: TaskId,
    },
    /// Another update of this participant counts already.
    #[error(
        "{task} already has the update {stored} of this participant, found another: {found}; a task has one update"
    )]
    Conflict {
        /// The task named.
        task: TaskId,
        /// The update that counts.
        stored: Digest,
        /// The update offered.
        found: Digest,
    },
}

impl AdmissionError {
    /// Whose fault it is: the participant's, though being late is no crime.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }

    /// What the participant is told.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::OtherJob { .. } => ReasonCode::new("JOB_UNKNOWN"),
            Self::Finished { .. } => ReasonCode::new("TASK_FINISHED"),
            Self::Future { .. } => ReasonCode::new("TASK_IN_THE_FUTURE"),
            Self::Closed { .. } => ReasonCode::new("ROUND_CLOSED"),
            Self::NotInCohort { .. } => ReasonCode::new("TASK_NOT_YOURS"),
            Self::Out { .. } => ReasonCode::new("TASK_OUT"),
            Self::NoKeys { .. } => ReasonCode::new("SECAGG_STAGE"),
            Self::Conflict { .. } => ReasonCode::new("UPDATE_CONFLICT"),
        }
    }
}

impl Run {
    /// Whether an update with this content is wanted for this task from this participant.
    ///
    /// # Errors
    /// [`AdmissionError`] when it is not, with what to do instead.
    pub fn admit(
        &self,
        participant: &ParticipantName,
        task: &TaskId,
        content: Digest,
    ) -> Result<Admission, AdmissionError> {
        self.check_current(task)?;
        let task = task.clone();
        let member = match self.phase() {
            RoundPhase::Training { session: Some(session), .. }
                if session.state.stage() != Stage::MaskedInput || !session.state.concerns(participant) =>
            {
                return Err(AdmissionError::NoKeys { task });
            }
            RoundPhase::Training { cohort, .. } => cohort.get(participant),
            RoundPhase::Unmasking { contributions, .. } | RoundPhase::Aggregating { contributions, .. } => {
                return match contributions.get(participant) {
                    Some(receipt) => repeated(task, receipt, content),
                    None => Err(AdmissionError::Closed { task }),
                };
            }
            RoundPhase::Gathering { .. } => None,
            RoundPhase::Ended(_) => return Err(AdmissionError::Closed { task }),
        };
        match member {
            Some(Member::Working | Member::Absent { .. }) => Ok(Admission::Welcome),
            Some(Member::Reported(receipt)) => repeated(task, receipt, content),
            Some(Member::Out(reason)) => Err(AdmissionError::Out { task, reason: reason.to_string() }),
            None => Err(AdmissionError::NotInCohort { task }),
        }
    }

    /// Whether this participant has this very task and has not delivered or failed yet.
    #[must_use]
    pub fn expects(&self, participant: &ParticipantName, task: &TaskId) -> bool {
        *task == self.task()
            && match self.phase() {
                RoundPhase::Training { cohort, .. } => {
                    matches!(cohort.get(participant), Some(Member::Working | Member::Absent { .. }))
                }
                // Its update is there, but it may refuse to unmask.
                RoundPhase::Unmasking { contributions, out, .. } => {
                    contributions.contains_key(participant) && !out.contains_key(participant)
                }
                _ => false,
            }
    }

    pub(super) fn check_current(&self, task: &TaskId) -> Result<(), AdmissionError> {
        let current = self.task();
        if task.job != current.job {
            let (expected, found) = (current.job.to_string(), task.job.to_string());
            return Err(AdmissionError::OtherJob { expected, found });
        }
        let (round, attempt, task) = (current.round, current.attempt, task.clone());
        match (task.round, task.attempt).cmp(&(round, attempt)) {
            std::cmp::Ordering::Less => Err(AdmissionError::Finished { task, round, attempt }),
            std::cmp::Ordering::Greater => Err(AdmissionError::Future { task, round, attempt }),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }
}

fn repeated(task: TaskId, stored: &Receipt, found: Digest) -> Result<Admission, AdmissionError> {
    if stored.content == found {
        Ok(Admission::Duplicate(stored.clone()))
    } else {
        Err(AdmissionError::Conflict { task, stored: stored.content, found })
    }
}
