use std::time::SystemTime;

use federated_core::ids::Fingerprint;
use rcgen::KeyPair;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

/// A certificate with its private key.
///
/// # Security
///
/// The private key is cleared from memory when this is dropped, and `Debug` does not show it.
pub struct Credential {
    certificate: rcgen::Certificate,
    key_pem: Zeroizing<String>,
    key_der: Zeroizing<Vec<u8>>,
    not_after: SystemTime,
}

impl Credential {
    pub(super) fn new(certificate: rcgen::Certificate, key: &KeyPair, not_after: SystemTime) -> Self {
        let key_pem = Zeroizing::new(key.serialize_pem());
        Self { certificate, key_pem, key_der: Zeroizing::new(key.serialize_der()), not_after }
    }

    /// The certificate in DER form.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        self.certificate.der()
    }

    /// The certificate in PEM form.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// The private key (PKCS #8) for rustls.
    #[must_use]
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key_der.to_vec()).into()
    }

    /// The private key (PKCS #8) in PEM form.
    #[must_use]
    pub fn private_key_pem(&self) -> &str {
        &self.key_pem
    }

    /// The SHA-256 digest of the certificate's DER form.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.certificate.der())
    }

    /// The last second at which the certificate is valid.
    #[must_use]
    pub const fn not_after(&self) -> SystemTime {
        self.not_after
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("fingerprint", &self.fingerprint())
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}
