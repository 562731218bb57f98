//! Names and numbers that identify things: participants, jobs, rounds, tasks; `digest` has contents and certificates.

mod digest;

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::fault::Fault;

pub use digest::{Digest, DigestBuilder, Fingerprint};

/// Longest participant or job name, in bytes.
pub const MAX_NAME_BYTES: usize = 63;

/// Why a text is not a valid identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The name does not follow the rule for names.
    #[error(
        "{kind} `{found}` is not a valid name: expected 1 to 63 characters from a-z, 0-9 and '-', \
         starting and ending with a letter or digit"
    )]
    Name {
        /// What was being named.
        kind: &'static str,
        /// The text found, cut to 80 characters.
        found: String,
    },
    /// The text is not a digest.
    #[error("`{found}` is not a digest: expected 64 hexadecimal characters")]
    Digest {
        /// The text found, cut to 80 characters.
        found: String,
    },
    /// The bytes are not a digest.
    #[error("a digest has 32 bytes, found {found}")]
    DigestLength {
        /// How many bytes were found.
        found: usize,
    },
}

impl IdError {
    /// Whose fault it is: identifiers come from the caller's configuration or arguments.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Caller
    }
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

fn parse_name(kind: &'static str, text: &str) -> Result<Arc<str>, IdError> {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let valid = bytes.len() <= MAX_NAME_BYTES
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-');
    if valid { Ok(text.into()) } else { Err(IdError::Name { kind, found: cut(text) }) }
}

/// A name is copied with every event and every record: the copies share one text.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_name($kind, text).map(Self)
            }
        }

        impl TryFrom<String> for $type {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.as_str().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a participating institution: 1 to 63 of `a-z`, `0-9`, `-`.
    ///
    /// It is the name in the participant's certificate. No message carries it.
    ParticipantName,
    "participant"
);
name!(
    /// The name of a job, unique at its coordinator: 1 to 63 of `a-z`, `0-9`, `-`.
    JobName,
    "job"
);

/// The number of a round within its job. The first round is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoundNumber(u32);

impl RoundNumber {
    /// The first round.
    pub const FIRST: Self = Self(1);

    /// A round by its number, counted from 1; `None` for 0.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    /// The number, at least 1.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The round after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for RoundNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which task a participant works on: a job, a round, and which attempt at that round.
///
/// A participant has at most one task per attempt, so the task together with the participant's certificate identifies
/// one update.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskId {
    /// The job.
    pub job: JobName,
    /// The round of the job.
    pub round: RoundNumber,
    /// The attempt at the round, counted from 1: an abandoned round is tried again under the next number.
    pub attempt: u32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/round {}/attempt {}", self.job, self.round, self.attempt)
    }
}

/// A pseudo-random value that seed, task and participant determine: SHA-256 over `purpose`, the seed (u64), job name
/// length (u32), job name, round (u32), attempt (u32) and participant name; integers little-endian.
pub(crate) fn derive(purpose: &[u8], seed: u64, task: &TaskId, participant: &ParticipantName) -> Fingerprint {
    let length = u32::try_from(task.job.as_str().len()).unwrap_or(u32::MAX);
    let parts: [&[u8]; 7] = [
        purpose,
        &seed.to_le_bytes(),
        &length.to_le_bytes(),
        task.job.as_str().as_bytes(),
        &task.round.get().to_le_bytes(),
        &task.attempt.to_le_bytes(),
        participant.as_str().as_bytes(),
    ];
    Fingerprint::of(&parts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_escape_a_path_or_a_log_line_are_refused() {
        for bad in ["", "-a", "a-", "A", "a/b", "..", "a b", "a\n", &"a".repeat(64)] {
            assert!(bad.parse::<ParticipantName>().is_err(), "{bad:?} was accepted");
        }
        for good in ["a", "va-long-beach", "site-07", &"a".repeat(63)] {
            assert_eq!(good.parse::<ParticipantName>().unwrap().as_str(), good);
        }
    }
}
