use crate::{fault::Fault, ids::TaskId};

/// Why an event makes no sense in the present state. The machine never gets there by a peer's doing: peers' messages
/// pass [`Run::admit`](super::Run::admit) first, and late ones are ignored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoundError {
    /// The edge reports the end of an aggregation that was not asked for.
    #[error("an aggregation of {task} ended, but none was under way")]
    NotAggregating {
        /// The attempt reported.
        task: TaskId,
    },
}

impl RoundError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Bug
    }
}
