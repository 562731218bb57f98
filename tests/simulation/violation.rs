use std::fmt;

use federated_core::{
    ids::{Digest, TaskId},
    job::ReplayError,
    round::RoundError,
};

/// What a run must never show.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Violation {
    /// A participant's update counts more than once in a round.
    CountedTwice { task: TaskId, site: usize, count: u8 },
    /// A participant has a receipt of an attempt that completed, and its update does not count.
    Lost { task: TaskId, site: usize },
    /// A participant's update counts in a round whose history does not name it, or the other way round.
    HistoryDiffers { task: TaskId, site: usize, count: u8 },
    /// A participant sent, or the coordinator took, two different updates for one task.
    TwoUpdates { task: TaskId, site: usize, first: Digest, second: Digest },
    /// An update that counts is not in the spool, or another one is.
    SpoolDiffers { task: TaskId, site: usize },
    /// A model that is needed is not in the store.
    ModelGone { job: usize },
    /// A log does not give the job that wrote it.
    LogDiffers { job: usize },
    /// A log is no log.
    Replay(ReplayError),
    /// The edge contradicts the machine, or the machine the edge.
    Contradiction(RoundError),
    /// A participant's machine starts a training while another is under way.
    TwoTrainings { site: usize },
    /// An attempt was abandoned for a reason that the schedule does not have.
    Unexplained { task: TaskId, reason: String },
    /// A job ended in a way that the schedule does not have.
    WrongEnd { job: usize, end: String },
    /// All participants contributed in all rounds, and the model is not that of the undisturbed run.
    WrongModel { job: usize },
    /// The faults stopped, and the job goes on for ever.
    Endless { job: usize },
    /// The faults stopped, and everyone waits for longer than any time-out.
    Waits { millis: u64 },
}

impl Violation {
    /// Which law is broken: a shorter schedule must break the same one.
    pub(crate) fn law(&self) -> std::mem::Discriminant<Self> {
        std::mem::discriminant(self)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
