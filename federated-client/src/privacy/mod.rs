//! The site's own books of privacy: what was ever released from its records, over all jobs, against a limit of its own.
//!
//! Read in this order: what the site allows ([`SiteBudget`](crate::config::SiteBudget)); [`SiteLedger`], which is asked before
//! anything is computed from the records; [`LedgerCopy`], for whoever only looks; [`public_examples`], the
//! first thing that is released; `folder`, how the files are made, locked
//! and written; what may be wrong ([`SiteLedgerError`]).
//!
//! ```text
//! privacy/lock          held while a participant may write
//! privacy/ledger.jsonl  the ledger, a line for each record, only ever appended to
//! privacy/ledger.key    the key that signs its lines
//! privacy/count         how many records the site says that it has, once it has said so
//! ```
//!
//! They are not in the state folder: that one may be deleted, and with it the budget would begin anew.

mod copy;
mod count;
mod error;
mod folder;
mod ledger;
#[cfg(test)]
mod tests;

pub use copy::LedgerCopy;
pub use count::{count_noise, public_examples};
pub use error::{NoiseError, SiteLedgerError, WriteError};
pub use ledger::SiteLedger;
