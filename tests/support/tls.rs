use std::{io, net::SocketAddr, path::Path, sync::Arc};

use federated_server::identity::{CertificateAuthority, Credential};
use hyper_util::rt::TokioIo;
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    version::TLS13,
};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint, Uri};

use crate::within;

/// How a peer shows itself: any certificate, or none. It trusts the authority it was made with.
#[derive(Clone, Debug)]
pub struct ClientTls(Arc<ClientConfig>);

impl ClientTls {
    fn new(
        ca: CertificateDer<'static>,
        identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(ca).expect("the authority's certificate");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                builder.with_client_auth_cert(vec![certificate], key).expect("a certificate with its key")
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self(Arc::new(config))
    }

    /// A peer that trusts `ca` and shows no certificate.
    #[must_use]
    pub fn nobody(ca: &CertificateAuthority) -> Self {
        Self::new(ca.certificate().clone(), None)
    }

    /// A peer that trusts `ca` and shows `credential`, whoever issued it.
    #[must_use]
    pub fn of(credential: &Credential, ca: &CertificateAuthority) -> Self {
        let identity = (credential.certificate().clone(), credential.private_key());
        Self::new(ca.certificate().clone(), Some(identity))
    }

    /// The peer that holds these PEM files.
    #[must_use]
    pub fn from_files(ca: &Path, certificate: &Path, key: &Path) -> Self {
        let certificate_in = |path| CertificateDer::from_pem_file(path).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(key).expect("a private key");
        Self::new(certificate_in(ca), Some((certificate_in(certificate), key)))
    }

    /// The participant whose bundle lies in `folder`.
    #[must_use]
    pub fn from_bundle(folder: &Path) -> Self {
        let file = |name| folder.join(name);
        Self::from_files(&file("ca.pem"), &file("participant.pem"), &file("participant.key"))
    }

    /// Opens a TLS connection. It may be open for this side alone: the other one looks at certificates last.
    ///
    /// # Errors
    /// When there is no connection or the handshake fails.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        self.secure(TcpStream::connect(address).await?, address).await
    }

    /// Does the TLS handshake on a connection, with the same reserve.
    ///
    /// # Errors
    /// When it fails.
    pub async fn secure(&self, stream: TcpStream, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        stream.set_nodelay(true)?;
        let name = ServerName::from(address.ip());
        TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await
    }

    /// The first bytes of a handshake: a ClientHello.
    ///
    /// # Panics
    /// When there are none.
    #[must_use]
    pub fn hello(&self, address: SocketAddr) -> Vec<u8> {
        let name = ServerName::from(address.ip());
        let mut connection = ClientConnection::new(Arc::clone(&self.0), name).expect("a connection");
        let mut hello = Vec::new();
        connection.write_tls(&mut hello).expect("a greeting");
        hello
    }

    /// The alert with which the other side refuses this one's certificate.
    ///
    /// # Panics
    /// When it does not.
    pub async fn alert(&self, address: SocketAddr) -> AlertDescription {
        let mut stream = self.connect(address).await.expect("a handshake that looks complete");
        let mut bytes = Vec::new();
        let read = within("the refusal of a certificate", stream.read_to_end(&mut bytes)).await;
        let error = read.expect_err("the certificate should be refused");
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::AlertReceived(alert)) => *alert,
            _ => panic!("expected an alert, found {error}"),
        }
    }

    /// gRPC over one connection that is opened now, and again when it breaks and a call needs it.
    pub async fn channel(&self, address: SocketAddr) -> Channel {
        let tls = self.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let tls = tls.clone();
            async move { tls.connect(address).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_shared(format!("https://{address}")).expect("an address");
        let connected = within("a connection", endpoint.connect_with_connector(connector)).await;
        connected.expect("the coordinator accepts connections")
    }
}
