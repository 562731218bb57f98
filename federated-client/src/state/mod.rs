//! The participant's folder: what must survive a restart.
//!
//! [`StateFolder`] is the whole; `download` writes a model as it arrives, so that a broken download goes on; `update`
//! keeps a finished update until its round is over, so that a task is never answered with two different ones. `encode`
//! makes it short where the job asks for that, and `residual` keeps what it leaves out then. `masked` hides it
//! where the job has secure aggregation.
//!
//! ```text
//! lock                            held while a participant runs
//! models/<digest>                 a large model's values, complete and checked
//! models/<digest>.part            the beginning of one
//! models/spare                    the file of one that is no longer needed, to be written over
//! updates/<job>/<round>.<attempt> an update with its header, or a masked one without
//! residual/<job>/<round>.<attempt> what the updates of a top-k job left out, up to this one
//! residual/<job>/<round>.<attempt>.tentative the same, while the update has no receipt
//! sessions/<job>                  the last round and attempt with secure aggregation, and how far it came
//! results.jsonl                   what came of sessions, signed by the coordinator: a line of JSON each, kept for good
//! final/<job>.safetensors         a job's newest model after its end
//! ```

mod download;
mod encode;
mod error;
mod files;
mod folder;
mod masked;
mod residual;
mod sessions;
mod update;

pub(crate) use download::PartialModel;
pub use error::StateError;
pub use folder::StateFolder;
pub(crate) use masked::{MaskedUpdate, Masking};
pub(crate) use sessions::{Progress, SessionNote};
pub(crate) use update::{StoredUpdate, Values};
