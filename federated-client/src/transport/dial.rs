use std::{io, net::SocketAddr, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    io::AsyncReadExt,
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    SiteIdentity, Stage, TransportError,
    diagnosis::Parties,
    watched::{Socket, Watched},
};
use crate::config::CoordinatorAddress;

/// How long each step may take.
const STEP: Duration = Duration::from_secs(10);
/// How much the system is asked for, and given, at a time: sixteen TLS records.
const SOCKET_BYTES: usize = 256 << 10;
/// How long to wait for the coordinator's first bytes before speaking first.
const GREETING: Duration = Duration::from_secs(2);

/// Opens one TLS connection, on which the coordinator has accepted this participant's certificate.
///
/// Under TLS 1.3 the client's side of the handshake is over before the server has looked at the client's certificate.
/// An HTTP/2 server speaks first (its SETTINGS frame), so the first bytes mean that it accepted the certificate, and an
/// alert in their place says why not. Were this side to speak first, the refusal could be lost in a connection reset.
pub(super) async fn dial(
    coordinator: &CoordinatorAddress,
    identity: &SiteIdentity,
) -> Result<Watched, TransportError> {
    let parties = Parties { participant: identity.name().clone(), coordinator: coordinator.clone() };
    let addresses = within(&parties, Stage::Resolve, resolve(coordinator)).await?;
    let tcp = within(&parties, Stage::Connect, connect(&parties, &addresses)).await?;
    let mut tls = within(&parties, Stage::Secure, secure(&parties, identity, tcp)).await?;
    tls.get_mut().1.set_buffer_limit(Some(SOCKET_BYTES));
    let mut first = vec![0; 64];
    let length = match timeout(GREETING, tls.read(&mut first)).await {
        Ok(Ok(0)) => {
            let detail = "it was closed right after the TLS handshake".to_owned();
            return Err(TransportError::Broken { detail });
        }
        Ok(Ok(length)) => length,
        Ok(Err(error)) => return Err(parties.explain(&error)),
        // Reading is cancel-safe: nothing was taken.
        Err(_) => 0,
    };
    first.truncate(length);
    Ok(Watched::new(tls, parties, first))
}

async fn within<T>(
    parties: &Parties,
    stage: Stage,
    step: impl Future<Output = Result<T, TransportError>>,
) -> Result<T, TransportError> {
    timeout(STEP, step).await.unwrap_or_else(|_| {
        let address = parties.coordinator.authority();
        Err(TransportError::TimedOut { address, stage, after: STEP })
    })
}

async fn resolve(coordinator: &CoordinatorAddress) -> Result<Vec<SocketAddr>, TransportError> {
    let failed = |detail: String| TransportError::Resolve { host: coordinator.host().to_owned(), detail };
    let found = lookup_host((coordinator.host(), coordinator.port())).await;
    let addresses: Vec<_> = found.map_err(|error| failed(error.to_string()))?.collect();
    if addresses.is_empty() {
        return Err(failed("no address found".to_owned()));
    }
    Ok(addresses)
}

async fn connect(parties: &Parties, addresses: &[SocketAddr]) -> Result<TcpStream, TransportError> {
    let failed = |error: io::Error| TransportError::Connect {
        address: parties.coordinator.authority(),
        detail: error.to_string(),
    };
    let tcp = TcpStream::connect(addresses).await.map_err(failed)?;
    // Small frames (window updates, ends of calls) must not wait for the acknowledgement of earlier ones.
    tcp.set_nodelay(true).map_err(failed)?;
    Ok(tcp)
}

async fn secure(
    parties: &Parties,
    identity: &SiteIdentity,
    tcp: TcpStream,
) -> Result<TlsStream<Socket>, TransportError> {
    let host = parties.coordinator.host();
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| TransportError::WrongHost { host: host.to_owned(), detail: error.to_string() })?;
    let connected =
        TlsConnector::from(identity.tls()).connect(name, Socket::with_capacity(SOCKET_BYTES, tcp)).await;
    connected.map_err(|error| match parties.explain(&error) {
        TransportError::Broken { detail } => {
            TransportError::NotACoordinator { address: parties.coordinator.authority(), detail }
        }
        other => other,
    })
}
