use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use federated_core::fault::Fault;
use rustls::{CertificateError, ClientConnection, Error, ServerConnection, pki_types::ServerName};

use super::*;
use crate::identity::{CertificateAuthority, Credential, PeerIdentity, Validity};

const DAY: Duration = Duration::from_secs(86_400);

/// An authority with a server on loopback, and a folder for their files.
struct Scene {
    folder: tempfile::TempDir,
    authority: CertificateAuthority,
    now: SystemTime,
}

impl Scene {
    fn new() -> Self {
        let now = SystemTime::now();
        let authority = CertificateAuthority::create(Validity::days(now, 3650).unwrap()).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), authority, now }
    }

    fn days(&self, days: u32) -> Validity {
        Validity::days(self.now, days).unwrap()
    }

    /// One side's files; the other side must come from `authority`.
    fn files(&self, side: &str, authority: &CertificateAuthority, credential: &Credential) -> TlsFiles {
        let path = |name: &str| -> PathBuf { self.folder.path().join(format!("{side}-{name}")) };
        let files = TlsFiles { ca: path("ca.pem"), certificate: path("cert.pem"), key: path("cert.key") };
        fs::write(&files.ca, authority.certificate_pem()).unwrap();
        fs::write(&files.certificate, credential.certificate_pem()).unwrap();
        fs::write(&files.key, credential.private_key_pem()).unwrap();
        files
    }

    fn server_files(&self) -> TlsFiles {
        let credential = self.authority.issue_server(&["localhost".to_owned()], self.days(365)).unwrap();
        self.files("server", &self.authority, &credential)
    }

    fn server(&self) -> Arc<ServerConfig> {
        server_config(&self.server_files(), self.now).unwrap()
    }

    fn participant(&self, authority: &CertificateAuthority, validity: Validity) -> Credential {
        authority.issue_participant(&"cleveland".parse().unwrap(), validity).unwrap()
    }

    /// A client of a hospital that does not check its own certificate's dates, as ours does.
    fn client(&self, credential: Option<&Credential>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match credential {
            Some(credential) => builder
                .with_client_auth_cert(vec![credential.certificate().clone()], credential.private_key())
                .unwrap(),
            None => builder.with_no_client_auth(),
        })
    }
}

/// Runs a handshake in memory; gives the server's side, or the first refusal of either.
fn handshake(
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    host: &str,
) -> Result<ServerConnection, Error> {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut client = ClientConnection::new(client, name).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    while server.is_handshaking() || client.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        while !unread.is_empty() {
            server.read_tls(&mut unread).unwrap();
            server.process_new_packets()?;
        }
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        while !unread.is_empty() {
            client.read_tls(&mut unread).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(server)
}

#[test]
fn a_participant_of_the_authority_is_let_in_and_known() {
    let scene = Scene::new();
    let credential = scene.participant(&scene.authority, scene.days(365));
    let client = client_config(&scene.files("client", &scene.authority, &credential), scene.now).unwrap();
    let server = handshake(scene.server(), client, "localhost").unwrap();
    assert_eq!(server.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(server.alpn_protocol(), Some(ALPN));
    let [certificate] = server.peer_certificates().unwrap() else { panic!("one certificate was sent") };
    let peer = PeerIdentity::from_certificate(certificate).unwrap();
    assert_eq!(peer.fingerprint, credential.fingerprint());
    assert_eq!(peer.role.to_string(), "participant cleveland");
}

#[test]
fn a_peer_without_a_certificate_is_refused() {
    let scene = Scene::new();
    let refusal = handshake(scene.server(), scene.client(None), "localhost").unwrap_err();
    assert_eq!(refusal, Error::NoCertificatesPresented);
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let scene = Scene::new();
    let other = CertificateAuthority::create(scene.days(3650)).unwrap();
    let credential = scene.participant(&other, scene.days(365));
    let refusal = handshake(scene.server(), scene.client(Some(&credential)), "localhost").unwrap_err();
    assert_eq!(refusal, Error::InvalidCertificate(CertificateError::UnknownIssuer));
}

#[test]
fn an_expired_certificate_is_refused() {
    let scene = Scene::new();
    let expired = Validity::new(scene.now - 2 * DAY, scene.now - DAY).unwrap();
    let credential = scene.participant(&scene.authority, expired);
    let refusal = handshake(scene.server(), scene.client(Some(&credential)), "localhost").unwrap_err();
    assert!(
        matches!(refusal, Error::InvalidCertificate(CertificateError::ExpiredContext { .. })),
        "{refusal}"
    );
}

#[test]
fn a_server_s_certificate_opens_no_connection_and_a_participant_s_accepts_none() {
    let scene = Scene::new();
    let server = scene.authority.issue_server(&["localhost".to_owned()], scene.days(1)).unwrap();
    let refusal = handshake(scene.server(), scene.client(Some(&server)), "localhost").unwrap_err();
    assert!(matches!(refusal, Error::InvalidCertificate(_)), "{refusal}");

    let participant = scene.participant(&scene.authority, scene.days(1));
    let impostor =
        server_config(&scene.files("impostor", &scene.authority, &participant), scene.now).unwrap();
    let refusal = handshake(impostor, scene.client(Some(&participant)), "localhost").unwrap_err();
    assert!(matches!(refusal, Error::InvalidCertificate(_)), "{refusal}");
}

#[test]
fn a_server_is_refused_under_a_host_that_it_does_not_name() {
    let scene = Scene::new();
    let client = scene.client(Some(&scene.participant(&scene.authority, scene.days(1))));
    let refusal = handshake(scene.server(), client, "elsewhere.example").unwrap_err();
    assert!(matches!(refusal, Error::InvalidCertificate(_)), "{refusal}");
}

#[test]
fn files_that_cannot_be_used_are_named_with_a_remedy() {
    let scene = Scene::new();
    let files = scene.server_files();
    let refusal = |files: &TlsFiles, now| {
        let error = server_config(files, now).unwrap_err();
        assert_ne!(error.fault(), Fault::Bug, "{error}");
        error.to_string()
    };
    let missing = TlsFiles { key: scene.folder.path().join("absent.key"), ..files.clone() };
    assert!(refusal(&missing, scene.now).contains("absent.key"));

    let swapped = TlsFiles { certificate: files.key.clone(), ..files.clone() };
    let text = refusal(&swapped, scene.now);
    assert!(text.contains("server-cert.key: expected a certificate in PEM form, found none"), "{text}");

    let other = scene.files("other", &scene.authority, &scene.participant(&scene.authority, scene.days(1)));
    let text = refusal(&TlsFiles { key: other.key, ..files.clone() }, scene.now);
    assert!(text.contains("other-cert.key cannot be used together"), "{text}");

    let text = refusal(&files, scene.now + 366 * DAY);
    assert!(text.contains("server-cert.pem is valid from") && text.contains("renew"), "{text}");
}

#[test]
fn a_certificate_that_expires_soon_still_serves() {
    let scene = Scene::new();
    server_config(&scene.server_files(), scene.now + 350 * DAY).unwrap();
}
