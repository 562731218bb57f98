//! The coordinator's long-lived signing key: what it says with it can be shown to others.
//!
//! The key's text is the core's ([`SigningSecret::to_hex`]), and so a participant's key file looks the same; how a private
//! file is written is this room's.

use std::{fs, path::Path};

use federated_core::privacy::secagg::{SigningSecret, VerifyingPublic};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::{IdentityError, files, tls::warn_if_others_may_read};

/// Makes a signing key in a new file, which only its owner may read. Gives its public half, for the participants.
///
/// # Errors
/// [`IdentityError`] when there is such a file already, or it cannot be written.
pub fn make_signing_key(path: &Path) -> Result<VerifyingPublic, IdentityError> {
    let mut seed = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(&mut *seed).map_err(|_| IdentityError::Randomness)?;
    let secret = SigningSecret::from_seed(seed);
    files::write_private(path, &secret.to_hex())?;
    Ok(secret.public())
}

/// Reads a signing key.
///
/// # Errors
/// [`IdentityError`] when there is none.
pub fn load_signing_key(path: &Path) -> Result<SigningSecret, IdentityError> {
    let read = |source| IdentityError::Read { path: path.to_owned(), source };
    let text = Zeroizing::new(fs::read_to_string(path).map_err(read)?);
    warn_if_others_may_read(path);
    text.parse().map_err(|_| IdentityError::SigningKey { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_is_its_owners_alone_and_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signing.key");
        let public = make_signing_key(&path).unwrap();
        assert_eq!(load_signing_key(&path).unwrap().public(), public);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(matches!(make_signing_key(&path), Err(IdentityError::Write { .. })));
        fs::write(&path, "no key").unwrap();
        assert!(matches!(load_signing_key(&path), Err(IdentityError::SigningKey { .. })));
    }
}
