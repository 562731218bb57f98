//! A TLS stream that remembers why it broke.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{TransportError, diagnosis::Parties};

/// The TLS library reads 4 KiB at a time; the system is asked for more at once.
pub(super) type Socket = BufReader<TcpStream>;

/// Why a connection broke, once it has.
///
/// HTTP/2 keeps only the kind and the text of an I/O error, so the reason is kept here.
pub(super) type Failure = Arc<OnceLock<TransportError>>;

/// The stream, with bytes in front that were read to see whether the coordinator accepts us.
pub(super) struct Watched {
    inner: TlsStream<Socket>,
    parties: Parties,
    first: Vec<u8>,
    failure: Failure,
}

impl Watched {
    pub(super) fn new(inner: TlsStream<Socket>, parties: Parties, first: Vec<u8>) -> Self {
        let failure = Failure::default();
        Self { inner, parties, first, failure }
    }

    pub(super) fn failure(&self) -> Failure {
        Arc::clone(&self.failure)
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() && buf.remaining() > 0 {
            let amount = self.first.len().min(buf.remaining());
            let rest = self.first.split_off(amount);
            buf.put_slice(&std::mem::replace(&mut self.first, rest));
            return Poll::Ready(Ok(()));
        }
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Poll::Ready(Err(error)) = &result {
            // Only reading sees the alert in which the other side says why it closes; a failed write does not.
            self.failure.get_or_init(|| self.parties.explain(error));
        }
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
