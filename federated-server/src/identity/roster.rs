use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use federated_core::ids::{Fingerprint, ParticipantName};
use serde::Deserialize;

use super::{Credential, IdentityError, PeerIdentity, Role, files};

/// What the roster knows of a participant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enrolment {
    /// The SHA-256 digest of the one certificate that counts.
    pub fingerprint: Fingerprint,
    /// The last second at which that certificate is valid.
    pub not_after: SystemTime,
    /// When the participant was enrolled with it.
    pub enrolled_at: SystemTime,
}

impl Enrolment {
    /// The enrolment that makes `credential` count from `now` on.
    #[must_use]
    pub fn of(credential: &Credential, now: SystemTime) -> Self {
        Self { fingerprint: credential.fingerprint(), not_after: credential.not_after(), enrolled_at: now }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEnrolment {
    fingerprint: String,
    not_after: String,
    enrolled_at: String,
}

impl TryFrom<RawEnrolment> for Enrolment {
    type Error = String;

    fn try_from(raw: RawEnrolment) -> Result<Self, String> {
        let moment = |key, text: &str| {
            humantime::parse_rfc3339(text).map_err(|error| format!("`{key}` is `{text}`: {error}"))
        };
        Ok(Self {
            fingerprint: raw.fingerprint.parse().map_err(|error| format!("`fingerprint`: {error}"))?,
            not_after: moment("not_after", &raw.not_after)?,
            enrolled_at: moment("enrolled_at", &raw.enrolled_at)?,
        })
    }
}

/// The text of each entry, with what it says.
type Parsed = BTreeMap<ParticipantName, (String, Enrolment)>;

/// Which participants are enrolled: a folder with one file `NAME.toml` each.
///
/// Every question is answered from the disk, so that `enroll` and `withdraw` take effect while the coordinator serves.
/// An entry is read in tens of microseconds.
#[derive(Clone, Debug)]
pub struct Roster {
    folder: PathBuf,
    /// Entries as they were read last. The file decides, every time: only a text that changed is parsed again.
    parsed: Arc<Mutex<Parsed>>,
}

impl Roster {
    /// The roster in `folder`, which must exist before the first enrolment.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), parsed: Arc::default() }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Enrolls a participant. The certificate of an earlier enrolment stops counting at once.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Write`].
    pub fn enroll(&self, name: &ParticipantName, enrolment: &Enrolment) -> Result<(), IdentityError> {
        let date = |moment| humantime::format_rfc3339_seconds(moment);
        let text = format!(
            "fingerprint = \"{}\"\nnot_after = \"{}\"\nenrolled_at = \"{}\"\n",
            enrolment.fingerprint,
            date(enrolment.not_after),
            date(enrolment.enrolled_at)
        );
        files::replace_public(&self.entry(name), &text)
    }

    /// The enrolment of a participant, `None` if it is not enrolled.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Read`] or [`IdentityError::RosterEntry`] for a file that is there and cannot be used.
    pub fn get(&self, name: &ParticipantName) -> Result<Option<Enrolment>, IdentityError> {
        let path = self.entry(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(IdentityError::Read { path, source }),
        };
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, enrolment)) = parsed.get(name).filter(|(known, _)| *known == text) {
            return Ok(Some(enrolment.clone()));
        }
        let enrolment = toml::from_str::<RawEnrolment>(&text)
            .map_err(|error| error.message().to_owned())
            .and_then(Enrolment::try_from)
            .map_err(|detail| IdentityError::RosterEntry { path, detail })?;
        parsed.insert(name.clone(), (text, enrolment.clone()));
        Ok(Some(enrolment))
    }

    /// Whether a peer may take part. An operator may whenever TLS has verified its certificate.
    ///
    /// # Errors
    ///
    /// [`IdentityError::NotEnrolled`] if the participant was never enrolled or was removed,
    /// [`IdentityError::Superseded`] if it was enrolled again since with another certificate, and those of
    /// [`Roster::get`].
    pub fn check(&self, peer: &PeerIdentity) -> Result<(), IdentityError> {
        let Role::Participant(name) = &peer.role else {
            return Ok(());
        };
        match self.get(name)? {
            None => Err(IdentityError::NotEnrolled { name: name.clone() }),
            Some(current) if current.fingerprint != peer.fingerprint => {
                Err(IdentityError::Superseded { name: name.clone() })
            }
            Some(_) => Ok(()),
        }
    }

    /// Withdraws a participant; `false` if it was not enrolled.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Write`].
    pub fn remove(&self, name: &ParticipantName) -> Result<bool, IdentityError> {
        let path = self.entry(name);
        match fs::remove_file(&path).and_then(|()| files::sync_folder(&path)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(IdentityError::Write { path, source }),
        }
    }

    /// The names of all enrolled participants, sorted.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Read`].
    pub fn names(&self) -> Result<Vec<ParticipantName>, IdentityError> {
        let failed = |source| IdentityError::Read { path: self.folder.clone(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let file = entry.map_err(failed)?.file_name();
            // Other files, such as an editor's back-up, are no entries.
            let name = file.to_str().and_then(|file| file.strip_suffix(".toml"));
            names.extend(name.and_then(|name| name.parse::<ParticipantName>().ok()));
        }
        names.sort();
        Ok(names)
    }

    fn entry(&self, name: &ParticipantName) -> PathBuf {
        self.folder.join(format!("{name}.toml"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn enrolment(certificate: &[u8]) -> Enrolment {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        Enrolment {
            fingerprint: Fingerprint::of(certificate),
            not_after: at(2_000_000_000),
            enrolled_at: at(1_900_000_000),
        }
    }

    fn peer(name: &str, certificate: &[u8]) -> PeerIdentity {
        PeerIdentity {
            role: Role::Participant(name.parse().unwrap()),
            fingerprint: Fingerprint::of(certificate),
        }
    }

    #[test]
    fn only_the_certificate_of_the_last_enrolment_counts() {
        let folder = tempfile::tempdir().unwrap();
        let roster = Roster::new(folder.path());
        let name: ParticipantName = "cleveland".parse().unwrap();
        let reason = |certificate| {
            let error = roster.check(&peer("cleveland", certificate)).unwrap_err();
            error.reason().unwrap().as_str()
        };
        assert_eq!(reason(b"one"), "PARTICIPANT_NOT_ENROLLED");
        roster.enroll(&name, &enrolment(b"one")).unwrap();
        roster.check(&peer("cleveland", b"one")).unwrap();
        assert_eq!(roster.get(&name).unwrap(), Some(enrolment(b"one")));

        roster.enroll(&name, &enrolment(b"two")).unwrap();
        assert_eq!(reason(b"one"), "CERTIFICATE_SUPERSEDED");
        roster.check(&peer("cleveland", b"two")).unwrap();

        assert!(roster.remove(&name).unwrap());
        assert!(!roster.remove(&name).unwrap());
        assert_eq!(reason(b"two"), "PARTICIPANT_NOT_ENROLLED");
    }

    #[test]
    fn operators_need_no_entry() {
        let roster = Roster::new("no-such-folder");
        let role = Role::Operator("operator".parse().unwrap());
        roster.check(&PeerIdentity { role, fingerprint: Fingerprint::of(b"") }).unwrap();
    }

    #[test]
    fn names_lists_entries_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let roster = Roster::new(folder.path());
        for name in ["va", "hungary"] {
            roster.enroll(&name.parse().unwrap(), &enrolment(b"")).unwrap();
        }
        fs::write(folder.path().join("va.toml~"), "").unwrap();
        let names = roster.names().unwrap();
        assert_eq!(names.iter().map(ParticipantName::as_str).collect::<Vec<_>>(), ["hungary", "va"]);
    }

    #[test]
    fn a_damaged_entry_is_the_machine_s_fault_and_names_its_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("va.toml"), "fingerprint = \"00\"").unwrap();
        let error = Roster::new(folder.path()).check(&peer("va", b"")).unwrap_err();
        assert!(error.to_string().contains("va.toml") && error.reason().is_none(), "{error}");
    }
}
