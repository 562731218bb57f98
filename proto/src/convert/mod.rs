//! The one parser between the wire and the core: `TryFrom` on the way in, `From` on the way out.
//!
//! `model` has names, digests and layouts; `encoding` how updates travel; `task` what goes to a participant; `update` what comes back;
//! `secagg` what both say to aggregate securely, and `result` what came of it.

mod encoding;
mod model;
mod privacy;
mod result;
mod secagg;
mod task;
mod update;

pub use model::{ModelContent, digest};
pub use update::UpdateHeader;

use crate::WireError;

/// A required message field.
fn required<T>(field: &'static str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or(WireError::Missing { field })
}

fn range(field: &'static str, expected: impl Into<String>, found: impl ToString) -> WireError {
    WireError::Range { field, expected: expected.into(), found: found.to_string() }
}
