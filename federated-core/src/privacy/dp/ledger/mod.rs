//! The ledger: what was spent of a privacy budget, written down before it is spent.
//!
//! A ledger is text, a line for each record, only ever appended to. Each line holds the SHA-256 of the one before it and the
//! owner's signature, so that nothing in it can be changed, left out or put elsewhere without its being seen, and anyone with
//! the owner's public key can check it. Whoever keeps it makes every line durable before doing what the line says.
//!
//! Read in this order: what a line can say ([`Record`]); how lines are chained and signed (`line`), and read (`read`); the
//! [`Ledger`] (`state`), which says what comes next, refuses what would exceed the budget, and is what its lines give; what they
//! add up to (`spent`) and what became of each release ([`ReleaseStory`]); a ledger with the place where its lines are kept
//! ([`KeptLedger`]), which does the order of things right; all of it on a page ([`Summary`]); what may be wrong ([`LedgerError`], [`OverBudget`], [`KeptError`]).

mod error;
mod kept;
mod line;
mod read;
mod record;
mod release;
mod spent;
mod state;
mod summary;
#[cfg(test)]
mod tests;

pub use error::{LedgerError, OverBudget};
pub use kept::{Append, KeptError, KeptLedger, ReserveError};
pub use read::TornTail;
pub use record::{Adjacency, Budget, PrivacyUnit, Record};
pub use release::ReleaseStory;
pub use state::{Granted, Ledger, Reservation};
pub use summary::{ReleaseSummary, Summary};
