//! The ledger: what was spent of a privacy budget, written down before it is spent.
//!
//! A ledger is text, a line for each record, only ever appended to. Each line holds the SHA-256 of the one before it and the
//! owner's signature, so that nothing in it can be changed, left out or put elsewhere without its being seen, and anyone with
//! the owner's public key can check it. Whoever keeps it makes every line durable before doing what the line says.
//!
//! Read in this order: what a line can say ([`Record`]); how lines are chained and signed (`line`); the [`Ledger`], which says
//! what comes next, refuses what would exceed the budget, and is what its lines give; what may be wrong ([`LedgerError`],
//! [`OverBudget`]).

mod error;
mod line;
mod record;
mod state;
#[cfg(test)]
mod tests;

pub use error::{LedgerError, OverBudget};
pub use record::{Adjacency, Budget, PrivacyUnit, Record};
pub use state::{Granted, Ledger, Reservation, TornTail};
