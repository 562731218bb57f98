//! The round machine: a job's rounds as a pure state machine.
//!
//! Read in this order: [`RunPlan`] (what was agreed), [`RoundPhase`] (where a run can be), [`Event`] (what can happen),
//! [`Command`] (what the edge has to do), and [`Run::handle`], which ties them together. The edge turns calls and
//! timers into events and carries the commands out; it makes no decision of its own.
//!
//! ```text
//!                 enough present            enough updates, or the deadline with a quorum
//!   Gathering ------------------> Training ---------------------------------------------> Aggregating
//!       ^  ^                         |                                                        |
//!       |  '--- next attempt --------' no quorum possible                                     |
//!       '------------------------------- next round, model published ------------------------'
//! ```
//!
//! Where updates are masked, `secure` has what goes on beside it: keys are exchanged at the beginning of Training, and
//! between Training and Aggregating comes Unmasking. `result` is what is told of a sum afterwards.

mod admission;
mod command;
mod error;
mod event;
mod history;
mod phase;
mod plan;
mod result;
mod run;
mod secure;
#[cfg(test)]
mod tests;

pub use admission::{Admission, AdmissionError};
pub use command::{Command, WithdrawReason};
pub use error::RoundError;
pub use event::{Event, Receipt, UpdateKind};
use history::History;
pub use phase::{AbandonReason, Hold, Member, OutReason, RoundPhase, RoundSummary, RunEnd};
pub use plan::{CohortPolicy, PlanError, RunPlan, SecurePlan, Timeouts};
pub use run::Run;
pub use secure::{AnswerError, Session};
