//! Vectors of secure aggregation: what another implementation made, made again and compared byte for byte.
//!
//! Read in this order: `schema` (how a file looks), `session` (keys, seeds, masks, masked inputs and sums), `sharing`
//! (secrets in shares), `published` (RFC 7748, RFC 5869, RFC 8032), `difference` (what is said of the first difference).

mod difference;
mod published;
mod schema;
mod session;
mod sharing;
#[cfg(test)]
mod tests;

use std::fmt;

use anyhow::{Context, Result};

pub use difference::Difference;
pub use published::check_published;

/// A session of five modulo 2^16 and a secret of four in five shares, made with Python's `cryptography`.
pub const BUILT_IN: &str = include_str!("session.json");

/// How much was compared, all of it equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Whole sessions.
    pub sessions: usize,
    /// Participants in them.
    pub participants: usize,
    /// Masks between two participants.
    pub pairs: usize,
    /// Masks that were compared by their SHA-256.
    pub long_masks: usize,
    /// Secrets that were put together from shares.
    pub secrets: usize,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sessions, participants, pairs, long_masks, secrets } = self;
        write!(
            f,
            "{sessions} sessions with {participants} participants, {pairs} pairs and {long_masks} long masks, and \
             {secrets} shared secrets: equal byte for byte"
        )
    }
}

/// Makes everything in a file again.
///
/// # Errors
/// What the JSON lacks, or the first [`Difference`].
pub fn check(text: &str) -> Result<Checked> {
    let file: schema::File = serde_json::from_str(text).context("expected the schema of secagg.json")?;
    let mut checked = Checked::default();
    for (nth, session) in file.sessions.iter().enumerate() {
        session::check(session, &format!("sessions[{nth}]"), &mut checked)?;
    }
    for (at, shared) in schema::named("shamir", &file.shamir) {
        sharing::check_split(shared, &at)?;
        checked.secrets += 1;
    }
    for (at, shared) in schema::named("shamir_published", &file.shamir_published) {
        sharing::check_published(shared, &at)?;
        checked.secrets += 1;
    }
    Ok(checked)
}
