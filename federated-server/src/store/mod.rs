//! What the coordinator keeps on disk.
//!
//! ```text
//! state/
//!   lock                                   held by the one coordinator that uses the folder
//!   models/DIGEST                          immutable models, by content
//!   jobs/JOB/record                        the job and its run, a checkpoint, replaced as a whole
//!   updates/JOB/ROUND-ATTEMPT/NAME.part    an upload under way
//!   updates/JOB/ROUND-ATTEMPT/NAME.update  a durable update
//! ```
//!
//! The updates may be elsewhere instead: see [`spool`].
//!
//! Read in this order: [`Store`] is the folder, `models` and `updates` are its rooms, [`spool`] keeps the updates,
//! `content` checks what peers send, `durable` is how a file gets to disk for good and `writeback` how it gets there
//! early, `positioned` reads one from many threads, `reduce` combines updates into a model.

mod content;
mod durable;
mod error;
mod folder;
mod models;
mod positioned;
mod reduce;
pub mod spool;
mod updates;
mod writeback;

pub use content::UpdateForm;
pub use error::StoreError;
pub use folder::Store;
pub use models::{ModelWriter, StoredModel};
pub use reduce::{Division, Reduction};
pub use updates::PartialUpdate;
