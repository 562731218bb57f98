//! What the coordinator keeps on disk.
//!
//! ```text
//! state/
//!   lock                                   held by the one coordinator that uses the folder
//!   ledgers/JOB.jsonl                      what a job has spent of its privacy budget, for good; see [`JobLedger`]
//!   models/DIGEST                          immutable models, by content
//!   models/NAME-N.new                      one that is being written, or a file for the next one to be written over
//!   journal.sqlite                         what happened to every job, unless it is in PostgreSQL; see [`journal`]
//!   journal.witness                        how often the journal was written
//!   updates/JOB/ROUND-ATTEMPT/NAME.part    an upload under way
//!   updates/JOB/ROUND-ATTEMPT/NAME.update  a durable update
//!   updates/JOB/spare/...                  files for the next round's updates to be written over
//! ```
//!
//! The updates may be elsewhere instead: see [`spool`]. There is no third place: what is not in the journal did not
//! happen, and what is in it speaks of models and updates that are there.
//!
//! Read in this order: [`journal`] is written before anything is done; [`Store`] is the folder, `models` and `updates` are its rooms, [`spool`] keeps the updates,
//! `content` checks what peers send, [`JobLedger`] keeps what a job has spent, `durable` is how a file gets to disk for good, `group_sync` how the names of many do, and `writeback` how it gets there
//! early, `positioned` reads one from many threads, `reduce` combines updates into a model.

mod content;
pub(crate) mod durable;
mod error;
mod folder;
mod group_sync;
pub mod journal;
pub(crate) mod ledger;
mod models;
mod positioned;
mod reduce;
pub mod spool;
mod updates;
mod writeback;

pub use content::UpdateForm;
pub use error::StoreError;
pub use folder::Store;
pub use ledger::{JobLedger, JobLedgerError};
pub use models::{ModelWriter, StoredModel};
pub use reduce::{Division, MaskedGroup, MaskedReduction, MeanNoise, Reduction, Unmasked};
pub use updates::PartialUpdate;
