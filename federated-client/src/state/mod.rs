//! The participant's folder: what must survive a restart.
//!
//! [`StateFolder`] is the whole; `download` writes a model as it arrives, so that a broken download goes on; `update`
//! keeps a finished update until its round is over, so that a task is never answered with two different ones.
//!
//! ```text
//! lock                            held while a participant runs
//! models/<digest>                 a model's values, complete and checked
//! models/<digest>.part            the beginning of one
//! updates/<job>/<round>.<attempt> an update with its header
//! final/<job>.safetensors         a job's newest model after its end
//! ```

mod download;
mod error;
mod files;
mod folder;
mod update;

pub(crate) use download::PartialModel;
pub use error::StateError;
pub use folder::StateFolder;
pub(crate) use update::StoredUpdate;
