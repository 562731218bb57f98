//! The journal: what happened to every job, written before anybody acts on it.
//!
//! Read in this order: [`Journal`] is what the coordinator writes to and reads its jobs back from; a [`MetadataStore`] is
//! where it is kept, in SQLite ([`sqlite`]) or PostgreSQL ([`postgres`]), which share their statements (`sql`) and
//! their schema (`migrations/`); a `witness` beside a SQLite file notices when that file has lost what it once held;
//! `conformance` is what every store must keep to (cargo feature `test-util`).
//!
//! A log is the entries of one job ([`federated_core::job`]), numbered from 0. The store knows of each log how long it
//! is and the link of its last entry: whatever was changed, taken out or cut off does not fit that any more.

#[cfg(any(test, feature = "test-util"))]
pub mod conformance;
mod log;
mod metadata;
pub mod postgres;
mod sql;
pub mod sqlite;
#[cfg(test)]
mod tests;
mod witness;

pub use log::Journal;
pub(crate) use log::import;
pub use metadata::{Append, Contents, Head, MetadataStore, StoredLog};
