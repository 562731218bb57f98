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
//! Read in this order: [`Store`] is the folder, `models` and `updates` are its rooms, `content` checks what peers put
//! there, `durable` is how a file gets to disk for good, `reduce` combines updates into a model.

mod content;
mod durable;
mod error;
mod folder;
mod models;
mod reduce;
mod updates;

pub use error::StoreError;
pub use folder::Store;
pub use models::ModelWriter;
pub use reduce::Reduction;
pub use updates::PartialUpdate;
