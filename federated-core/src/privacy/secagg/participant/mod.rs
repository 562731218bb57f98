//! A participant's side of a session, as types: each stage consumes the one before, so that nothing is answered twice.
//!
//! Read in this order: [`Site`] is who the participant is and what it insists on; [`AdvertisedKeys::begin`] opens a
//! session; then [`SharedKeys`], [`ReadyToMask`], [`Masked`], [`Signed`] in the order of the stages. Each has one method
//! that takes what the coordinator says and gives the next, or a [`ParticipantError`], with which the session is over. A
//! [`ParticipantSession`] is any of them, for whoever holds it between two messages.
//!
//! Secrets are in memory only. Whoever loses them has dropped out.

mod error;
mod keys;
mod session;
mod unmask;

use crate::ids::ParticipantName;

use super::{PinnedRoster, SigningSecret};

pub use error::ParticipantError;
pub(super) use keys::sign;
pub use keys::{AdvertisedKeys, ReadyToMask, SharedKeys};
pub use session::{ParticipantSession, Reply};
pub use unmask::{Masked, Signed};

/// Who a participant is, and what it insists on whatever the coordinator says.
#[derive(Debug)]
pub struct Site {
    /// Its name, as in its certificate.
    pub name: ParticipantName,
    /// Its long-lived key.
    pub signing: SigningSecret,
    /// Everyone's long-lived keys, its own among them.
    pub roster: PinnedRoster,
    /// The fewest participants it takes part with.
    pub min_cohort: u32,
    /// The smallest threshold it takes part with: so many must be corrupt before its update can be unmasked.
    pub min_threshold: u8,
}
