use std::{collections::BTreeMap, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    AdvertiseKeys, Graph, Index, ParameterError, Parameters, Roster, SessionId, Terms, VerifyingPublic,
    message::append_name,
};
use crate::{
    fault::Fault,
    ids::{Fingerprint, ParticipantName},
};

/// Why a roster file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RosterError {
    /// A line is not understood.
    #[error(
        "line {line}: expected a participant's name and its public key of 64 hexadecimal digits, found `{found}`"
    )]
    Line {
        /// Which, from 1.
        line: usize,
        /// What it says, cut to 80 characters.
        found: String,
    },
    /// A name or a key is there twice.
    #[error("line {line}: expected each name and each key once, found `{name}` or its key again")]
    Twice {
        /// Which, from 1.
        line: usize,
        /// Whose.
        name: String,
    },
}

impl RosterError {
    /// Whose fault it is: the file is the caller's.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// Who may take part, by the long-lived keys that everyone has agreed on out of band.
///
/// As text: one line for each participant, its name, a space, its public key in hexadecimal digits; empty lines and what
/// follows a `#` do not count. The coordinator never delivers it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PinnedRoster(BTreeMap<ParticipantName, VerifyingPublic>);

impl PinnedRoster {
    /// Whose key it is.
    #[must_use]
    pub fn key(&self, name: &ParticipantName) -> Option<&VerifyingPublic> {
        self.0.get(name)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(ParticipantName, VerifyingPublic)> for PinnedRoster {
    fn from_iter<T: IntoIterator<Item = (ParticipantName, VerifyingPublic)>>(members: T) -> Self {
        Self(members.into_iter().collect())
    }
}

impl FromStr for PinnedRoster {
    type Err = RosterError;

    fn from_str(text: &str) -> Result<Self, RosterError> {
        let mut members = BTreeMap::new();
        for (line, whole) in (1..).zip(text.lines()) {
            let content = whole.split('#').next().unwrap_or_default();
            let words: Vec<&str> = content.split_whitespace().collect();
            let not_understood = || RosterError::Line { line, found: whole.chars().take(80).collect() };
            let (name, key) = match words.as_slice() {
                [] => continue,
                [name, key] => (name, key),
                _ => return Err(not_understood()),
            };
            let name: ParticipantName = name.parse().map_err(|_| not_understood())?;
            let key: VerifyingPublic = key.parse().map_err(|_| not_understood())?;
            if members.contains_key(&name) || members.values().any(|other| *other == key) {
                return Err(RosterError::Twice { line, name: name.to_string() });
            }
            members.insert(name, key);
        }
        Ok(Self(members))
    }
}

impl TryFrom<String> for PinnedRoster {
    type Error = RosterError;

    fn try_from(text: String) -> Result<Self, RosterError> {
        text.parse()
    }
}

impl From<PinnedRoster> for String {
    fn from(roster: PinnedRoster) -> Self {
        roster.to_string()
    }
}

impl std::fmt::Display for PinnedRoster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(name, key)| writeln!(f, "{name} {key}"))
    }
}

/// What follows from a header and a roster: the same for everyone who has the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Cohort {
    /// The session's name, on which every key depends.
    pub id: SessionId,
    /// Threshold and quorum.
    pub parameters: Parameters,
    /// Who shares secrets with whom.
    pub graph: Graph,
    members: Arc<[(ParticipantName, AdvertiseKeys)]>,
}

impl Cohort {
    /// The cohort of a roster. `header` are the header's bytes.
    ///
    /// The session's name is SHA-256 over `"flsa/v1 session\n"`, the header, and for each participant in the order of the
    /// names: name (its length as u32 in front), both keys, commitment, signature.
    ///
    /// # Errors
    /// [`ParameterError`] when so many participants cannot aggregate securely.
    pub fn new(header: &[u8], terms: &Terms, roster: &Roster) -> Result<Self, ParameterError> {
        let mut bytes = b"flsa/v1 session\n".to_vec();
        bytes.extend_from_slice(header);
        for (name, keys) in &roster.0 {
            append_name(&mut bytes, name);
            for part in [keys.seal.as_bytes(), keys.mask.as_bytes(), keys.commitment.as_bytes()] {
                bytes.extend_from_slice(part);
            }
            bytes.extend_from_slice(keys.signature.as_bytes());
        }
        let id = SessionId::from(*Fingerprint::of(&bytes).as_bytes());
        let parameters = terms.parameters(u32::try_from(roster.0.len()).unwrap_or(u32::MAX))?;
        let graph = Graph::new(&parameters, &id);
        let members = roster.0.iter().map(|(name, keys)| (name.clone(), keys.clone())).collect();
        Ok(Self { id, parameters, graph, members })
    }

    /// Everyone's keys, as they were advertised.
    #[must_use]
    pub fn roster(&self) -> Roster {
        Roster(self.members.iter().cloned().collect())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is nobody, which is never so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Somebody's place.
    #[must_use]
    pub fn index(&self, name: &ParticipantName) -> Option<Index> {
        let place = self.members.binary_search_by(|(member, _)| member.cmp(name)).ok()?;
        u32::try_from(place).ok()
    }

    /// Who has this place.
    #[must_use]
    pub fn name(&self, index: Index) -> Option<&ParticipantName> {
        self.member(index).map(|(name, _)| name)
    }

    /// The keys at this place.
    #[must_use]
    pub fn keys(&self, index: Index) -> Option<&AdvertiseKeys> {
        self.member(index).map(|(_, keys)| keys)
    }

    fn member(&self, index: Index) -> Option<&(ParticipantName, AdvertiseKeys)> {
        self.members.get(usize::try_from(index).ok()?)
    }
}
