//! A job from its start to its end, as a pure state machine whose events are its log.
//!
//! Read in this order: [`JobTerms`] is what was agreed; a [`JobEvent`] is something that happened, and an [`Entry`] the
//! same with its moment; [`Job`] is where a job is, which its entries give in their order ([`Job::replay`]). An [`Explanation`] says the terms in words. A [`Link`]
//! chains the encoded entries of a log, so that none can be changed, taken out or put in without notice.
//!
//! A job holds a [`Run`](crate::round::Run), which decides about rounds. Around it the job keeps what an operator asks
//! for later: what travelled ([`Traffic`], with [`answer_bytes`] and [`told_bytes`]), what was refused, and who has yet to be
//! told how it ended.

mod entry;
mod error;
mod explanation;
mod link;
mod message_bytes;
mod privacy_facts;
mod replay;
mod state;
mod terms;
#[cfg(test)]
mod tests;
mod traffic;

pub use entry::{Entry, JobEvent};
pub use error::ReplayError;
pub use explanation::Explanation;
pub use link::Link;
pub use message_bytes::{answer_bytes, told_bytes};
pub use state::{Incident, Job};
pub use terms::JobTerms;
pub use traffic::Traffic;
