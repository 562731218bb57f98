use std::{fs, path::Path, sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    version::TLS13,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{dial::dial, *};
use crate::config::{CoordinatorAddress, TlsFiles};

struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        // An authority is found by its name first, then by its key.
        let name = format!("authority {:?}", &key.public_key_raw()[..8]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    /// A certificate and its key, PEM, for a name that is a URI or a host; `age` days old, valid for two.
    fn issue(&self, name: &str, age: u32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = match name.strip_prefix("urn:") {
            Some(_) => CertificateParams::default(),
            None => CertificateParams::new([name.to_owned()]).unwrap(),
        };
        if name.starts_with("urn:") {
            params.subject_alt_names = vec![SanType::URI(name.try_into().unwrap())];
        }
        let day = Duration::from_secs(24 * 60 * 60);
        params.not_before = time::OffsetDateTime::now_utc() - age * day;
        params.not_after = params.not_before + 2 * day;
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// The site `cleveland` with a certificate of `issuer`, trusting `trusted`.
fn site(folder: &Path, issuer: &Authority, trusted: &Authority, age: u32) -> SiteIdentity {
    let (certificate, key) = issuer.issue("urn:federated:participant:cleveland", age);
    let files = TlsFiles {
        ca: folder.join("ca.pem"),
        certificate: folder.join("participant.pem"),
        key: folder.join("participant.key"),
    };
    fs::write(&files.ca, &trusted.1).unwrap();
    fs::write(&files.certificate, certificate).unwrap();
    fs::write(&files.key, key).unwrap();
    SiteIdentity::load(&files, &"cleveland".parse().unwrap()).unwrap()
}

/// A TLS server for `host` on loopback that accepts clients of `authority`, greets each and echoes what it says.
async fn server(authority: &Authority, host: &str) -> CoordinatorAddress {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.1.as_bytes()).unwrap()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let (certificate, key) = authority.issue(host, 1);
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut tls) = acceptor.accept(tcp).await else { continue };
            tls.write_all(b"hello ").await.unwrap();
            let mut word = [0; 5];
            tls.read_exact(&mut word).await.unwrap();
            tls.write_all(&word).await.unwrap();
        }
    });
    address.parse().unwrap()
}

async fn refusal(address: &CoordinatorAddress, identity: &SiteIdentity) -> TransportError {
    match dial(address, identity).await {
        Err(error) => error,
        Ok(_) => panic!("the connection was accepted"),
    }
}

#[tokio::test]
async fn an_accepted_connection_carries_every_byte_in_order() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let address = server(&authority, "127.0.0.1").await;
    let identity = site(folder.path(), &authority, &authority, 0);
    let mut stream = dial(&address, &identity).await.unwrap();
    stream.write_all(b"world").await.unwrap();
    let mut text = [0; 11];
    stream.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"hello world");
}

#[tokio::test]
async fn a_refused_certificate_is_told_with_the_reason_although_the_handshake_succeeds() {
    let (folder, authority, other) = (tempfile::tempdir().unwrap(), Authority::new(), Authority::new());
    let address = server(&authority, "127.0.0.1").await;
    let cases = [
        (site(folder.path(), &authority, &authority, 9), RefusedCertificate::Expired),
        (site(folder.path(), &other, &authority, 0), RefusedCertificate::UnknownAuthority),
    ];
    for (identity, reason) in cases {
        let error = refusal(&address, &identity).await;
        let expected =
            matches!(&error, TransportError::CertificateRefused { because, .. } if *because == reason);
        assert!(expected && error.is_permanent(), "{error}");
    }
}

#[tokio::test]
async fn a_server_of_another_authority_or_for_another_host_is_not_trusted() {
    let (folder, authority, other) = (tempfile::tempdir().unwrap(), Authority::new(), Authority::new());
    let identity = site(folder.path(), &authority, &authority, 0);
    let error = refusal(&server(&other, "127.0.0.1").await, &identity).await;
    assert!(matches!(error, TransportError::UntrustedCoordinator { .. }), "{error}");
    let error = refusal(&server(&authority, "elsewhere.example").await, &identity).await;
    assert!(matches!(error, TransportError::WrongHost { .. }), "{error}");
}

#[tokio::test]
async fn nobody_there_and_somebody_else_there_are_told_apart() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let identity = site(folder.path(), &authority, &authority, 0);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: CoordinatorAddress =
        format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let web_server = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        tcp.read_to_end(&mut Vec::new()).await.ok();
    });
    let error = refusal(&address, &identity).await;
    assert!(matches!(error, TransportError::NotACoordinator { .. }), "{error}");
    web_server.await.unwrap();
    let error = refusal(&address, &identity).await;
    assert!(matches!(error, TransportError::Connect { .. }) && !error.is_permanent(), "{error}");
}
