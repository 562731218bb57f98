//! Names and numbers that identify things: participants, jobs, rounds, tasks, contents.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::fault::Fault;

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
    /// The text is not a SHA-256 digest.
    #[error("`{found}` is not a SHA-256 digest: expected 64 hexadecimal characters")]
    Digest {
        /// The text found, cut to 80 characters.
        found: String,
    },
    /// The bytes are not a SHA-256 digest.
    #[error("a SHA-256 digest has 32 bytes, found {found}")]
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

fn parse_name(kind: &'static str, text: &str) -> Result<String, IdError> {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let valid = bytes.len() <= MAX_NAME_BYTES
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-');
    if valid { Ok(text.to_owned()) } else { Err(IdError::Name { kind, found: cut(text) }) }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

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
                name.0
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

/// A SHA-256 digest (FIPS 180-4): the address of a content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = DigestBuilder::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<&[u8]> for Digest {
    type Error = IdError;

    fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
        <[u8; 32]>::try_from(bytes).map(Self).map_err(|_| IdError::DigestLength { found: bytes.len() })
    }
}

impl FromStr for Digest {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let invalid = || IdError::Digest { found: cut(text) };
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| invalid())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Computes a [`Digest`] over bytes that arrive in pieces.
#[derive(Clone)]
pub struct DigestBuilder(ring::digest::Context);

impl DigestBuilder {
    /// Nothing digested yet.
    #[must_use]
    pub fn new() -> Self {
        Self(ring::digest::Context::new(&ring::digest::SHA256))
    }

    /// Adds the next bytes. How the bytes are cut into pieces does not matter.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything added.
    #[must_use]
    pub fn finish(self) -> Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.finish().as_ref());
        Digest(bytes)
    }
}

impl Default for DigestBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DigestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestBuilder(SHA-256)")
    }
}

/// A pseudo-random value that seed, task and participant determine: SHA-256 over `purpose`, the seed (u64), job name
/// length (u32), job name, round (u32), attempt (u32) and participant name; integers little-endian.
pub(crate) fn derive(purpose: &[u8], seed: u64, task: &TaskId, participant: &ParticipantName) -> Digest {
    let mut hasher = DigestBuilder::new();
    hasher.update(purpose);
    hasher.update(&seed.to_le_bytes());
    hasher.update(&u32::try_from(task.job.as_str().len()).unwrap_or(u32::MAX).to_le_bytes());
    hasher.update(task.job.as_str().as_bytes());
    hasher.update(&task.round.get().to_le_bytes());
    hasher.update(&task.attempt.to_le_bytes());
    hasher.update(participant.as_str().as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_match_fips_180_4_examples() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), abc);
        assert_eq!(abc.parse::<Digest>().unwrap(), Digest::of(b"abc"));
    }

    #[test]
    fn names_that_could_escape_a_path_or_a_log_line_are_refused() {
        for bad in ["", "-a", "a-", "A", "a/b", "..", "a b", "a\n", &"a".repeat(64)] {
            assert!(bad.parse::<ParticipantName>().is_err(), "{bad:?} was accepted");
        }
        for good in ["a", "va-long-beach", "site-07", &"a".repeat(63)] {
            assert_eq!(good.parse::<ParticipantName>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn a_digest_of_the_wrong_form_is_refused() {
        assert!("zz".parse::<Digest>().is_err());
        assert!("+f".repeat(32).parse::<Digest>().is_err());
        assert!(Digest::try_from(&[0_u8; 31][..]).is_err());
    }
}
