use std::path::Path;

use federated_core::ids::ParticipantName;

use super::SetupError;
use crate::{config::CoordinatorConfig, identity::Roster};

/// Takes a participant's access away; `false` if it was not enrolled. It works while the coordinator serves.
///
/// # Errors
///
/// [`SetupError::Config`] if `dir` holds no coordinator, [`SetupError::Identity`] if the roster cannot be written.
pub fn withdraw(dir: &Path, name: &ParticipantName) -> Result<bool, SetupError> {
    let config = CoordinatorConfig::in_dir(dir)?;
    Ok(Roster::new(config.enrolled).remove(name)?)
}
