use std::fmt;

use federated_core::{job::ReplayError, privacy::secagg::Stage, round::RoundError};

use crate::names::Attempt;

/// What a run must never show.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Violation {
    /// The sum is not that of the contributors' vectors.
    WrongSum { attempt: Attempt, expected: Vec<u32>, found: Vec<u32> },
    /// The history says something else than was summed.
    HistoryDiffers { attempt: Attempt },
    /// A vector that counts is not in the spool, or another one is.
    SpoolDiffers { attempt: Attempt, site: usize },
    /// A participant made keys twice for one attempt.
    TwoSessions { attempt: Attempt, site: usize },
    /// A participant signed twice in one session.
    TwoSignatures { attempt: Attempt, site: usize },
    /// A participant gave two different answers in one stage.
    TwoAnswers { attempt: Attempt, site: usize, stage: Stage },
    /// The coordinator told a participant two different things in one stage.
    TwoTold { attempt: Attempt, site: usize },
    /// Participants of one attempt are in different sessions.
    TwoRosters { attempt: Attempt },
    /// Shares of both secrets of one participant are out.
    BothShares { attempt: Attempt, of: u32 },
    /// A share was revealed, and too few have signed for that.
    Unsigned { attempt: Attempt, site: usize, signed: usize },
    /// A share was revealed for a sum of too few.
    FewSurvivors { attempt: Attempt, site: usize, survivors: usize },
    /// What is out is enough to read the sum of these alone.
    Exposed { attempt: Attempt, sites: Vec<u32> },
    /// The log does not give the job that wrote it.
    LogDiffers,
    /// The log is no log.
    Replay(ReplayError),
    /// The edge contradicts the machine, or the machine the edge.
    Contradiction(RoundError),
    /// Somebody is not in the sum although nothing kept it.
    LeftOut { attempt: Attempt, summed: Vec<usize> },
    /// An attempt was abandoned for no fault that the schedule has: it began after they stopped, or they are harmless.
    Unexplained { attempt: Attempt, reason: String },
    /// An attempt was abandoned without a reason.
    NoReason { attempt: Attempt },
    /// The job ended with another history than that needs.
    WrongEnd { end: String },
    /// The faults stopped, and the job goes on for ever.
    Endless,
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
