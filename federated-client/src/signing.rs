//! Who this participant is to the other participants: its long-lived key, and theirs as they were agreed on.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use federated_core::{
    fault::Fault,
    ids::ParticipantName,
    privacy::secagg::{PinnedRoster, RosterError, SigningSecret, Site, VerifyingPublic},
};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::config::SecureFiles;

/// Why the files of the `[secure_aggregation]` table cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// A file cannot be read.
    #[error("{key}: cannot read {path}: {source}; {hint}", path = .path.display())]
    Read {
        /// The key in the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// A key cannot be written.
    #[error("cannot write {path}: {source}; a key that is there is never written over", path = .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds no key.
    #[error(
        "secure_aggregation.signing_key: expected {path} to hold 64 hexadecimal digits, found something else; it is the \
         file that `federated-client secagg-key` makes",
        path = .path.display()
    )]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The roster cannot be used.
    #[error(
        "secure_aggregation.pinned_roster: {path}: {source}; mend it as it was agreed on out of band",
        path = .path.display()
    )]
    Roster {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: RosterError,
    },
    /// The roster has another key for this participant.
    #[error(
        "secure_aggregation.pinned_roster: {path}: expected the key {expected} for `{name}`, found {found}; everyone's \
         roster needs the line that `federated-client secagg-key` printed with this key",
        path = .path.display()
    )]
    NotMine {
        /// The file.
        path: PathBuf,
        /// Who this is.
        name: ParticipantName,
        /// The public half of the signing key.
        expected: VerifyingPublic,
        /// What is there.
        found: String,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness for a key")]
    Randomness,
}

impl SigningError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Read { .. } | Self::Write { .. } | Self::Randomness => Fault::Environment,
            Self::Key { .. } | Self::Roster { .. } | Self::NotMine { .. } => Fault::Caller,
        }
    }
}

/// 32 bytes of the system's randomness.
pub(crate) fn random() -> Result<Zeroizing<[u8; 32]>, SigningError> {
    let mut bytes = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(&mut *bytes).map_err(|_| SigningError::Randomness)?;
    Ok(bytes)
}

/// Makes a long-lived key and keeps it in a new file, which only its owner may read. Gives its public half, for everyone's
/// roster.
///
/// # Errors
/// [`SigningError`] when there is such a file already, or it cannot be written.
pub fn make_key(path: &Path) -> Result<VerifyingPublic, SigningError> {
    use io::Write;
    let secret = SigningSecret::from_seed(random()?);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || {
        let mut file = options.open(path)?;
        writeln!(file, "{}", *secret.to_hex())?;
        file.sync_all()
    };
    write().map_err(|source| SigningError::Write { path: path.to_owned(), source })?;
    Ok(secret.public())
}

/// Reads a long-lived key.
///
/// # Errors
/// [`SigningError`] when there is none.
pub fn load_key(path: &Path) -> Result<SigningSecret, SigningError> {
    let hint = "`federated-client secagg-key` makes it";
    let key = "secure_aggregation.signing_key";
    let read = |source| SigningError::Read { key, path: path.to_owned(), source, hint };
    let text = Zeroizing::new(fs::read_to_string(path).map_err(read)?);
    text.parse().map_err(|_| SigningError::Key { path: path.to_owned() })
}

/// Who a participant is in secure aggregation, from its files.
pub(crate) fn load_site(files: &SecureFiles, name: &ParticipantName) -> Result<Site, SigningError> {
    let signing = load_key(&files.signing_key)?;
    let roster = load_roster(&files.pinned_roster)?;
    check_own(files, &roster, name, &signing.public())?;
    let (min_cohort, min_threshold) = (files.min_cohort, files.min_threshold);
    Ok(Site { name: name.clone(), signing, roster, min_cohort, min_threshold })
}

/// Reads everyone's public keys.
pub(crate) fn load_roster(path: &Path) -> Result<PinnedRoster, SigningError> {
    let read = |source| SigningError::Read {
        key: "secure_aggregation.pinned_roster",
        path: path.to_owned(),
        source,
        hint: "a line for each participant with its name and its public key, agreed on out of band",
    };
    let text = fs::read_to_string(path).map_err(read)?;
    text.parse().map_err(|source| SigningError::Roster { path: path.to_owned(), source })
}

/// Whether the roster has this participant's own key.
pub(crate) fn check_own(
    files: &SecureFiles,
    roster: &PinnedRoster,
    name: &ParticipantName,
    expected: &VerifyingPublic,
) -> Result<(), SigningError> {
    let found = roster.key(name);
    if found == Some(expected) {
        return Ok(());
    }
    let (path, name, expected) = (files.pinned_roster.clone(), name.clone(), *expected);
    let found = found.map_or("none".to_owned(), ToString::to_string);
    Err(SigningError::NotMine { path, name, expected, found })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> SecureFiles {
        SecureFiles {
            signing_key: folder.join("signing.key"),
            pinned_roster: folder.join("roster"),
            min_cohort: 3,
            min_threshold: 2,
            coordinator_key: None,
            require_signed_result: false,
        }
    }

    #[test]
    fn a_key_is_read_back_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let public = make_key(&files.signing_key).unwrap();
        assert_eq!(load_key(&files.signing_key).unwrap().public(), public);
        assert!(matches!(make_key(&files.signing_key), Err(SigningError::Write { .. })));
        for wrong in ["", "00", &"x".repeat(64), &"0".repeat(66)] {
            fs::write(&files.signing_key, wrong).unwrap();
            assert!(matches!(load_key(&files.signing_key), Err(SigningError::Key { .. })), "{wrong:?}");
        }
    }

    #[test]
    fn a_roster_must_have_this_participants_own_key() {
        let folder = tempfile::tempdir().unwrap();
        let (files, name) = (files(folder.path()), "cleveland".parse().unwrap());
        let public = make_key(&files.signing_key).unwrap();
        fs::write(&files.pinned_roster, format!("# agreed on 2026-11-02\n{name} {public}\n")).unwrap();
        assert_eq!(load_site(&files, &name).unwrap().roster.len(), 1);
        let found = load_site(&files, &"hungary".parse().unwrap()).unwrap_err().to_string();
        assert!(found.contains("expected the key") && found.contains("found none"), "{found}");
        fs::write(&files.pinned_roster, "cleveland").unwrap();
        assert!(matches!(load_site(&files, &name), Err(SigningError::Roster { .. })));
    }
}
