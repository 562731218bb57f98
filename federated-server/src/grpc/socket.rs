use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// How much the system is asked for, and given, at a time: sixteen TLS records.
pub(super) const SOCKET_BYTES: usize = 256 << 10;
/// How many buffers are kept for the next reads. As many are in use as threads read at a time, and a few that could not
/// be emptied at once.
const KEPT: usize = 8;

/// Memory to read sockets into, shared by all connections.
///
/// A connection has a buffer only while there is something in it: memory does not grow with connections that wait, and
/// the buffer used next is the one used last, which is still in the processor's cache.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<Vec<Box<[u8]>>>);

impl Buffers {
    fn take(&self) -> Box<[u8]> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| vec![0; SOCKET_BYTES].into_boxed_slice())
    }

    fn give_back(&self, buffer: Box<[u8]>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    }
}

/// A TCP connection that is read in large pieces: the TLS library asks for 4 KiB at a time.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    buffers: Arc<Buffers>,
    ahead: Option<Ahead>,
}

/// What was read from the system and not asked for yet.
#[derive(Debug)]
struct Ahead {
    buffer: Box<[u8]>,
    taken: usize,
    filled: usize,
}

impl Socket {
    pub(super) const fn new(stream: TcpStream, buffers: Arc<Buffers>) -> Self {
        Self { stream, buffers, ahead: None }
    }

    /// Asks the system for as much as there is; `None` at the end of the stream.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Ahead>>> {
        if let Some(ahead) = self.ahead.take() {
            return Poll::Ready(Ok(Some(ahead)));
        }
        let mut buffer = self.buffers.take();
        let mut space = ReadBuf::new(&mut buffer);
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut space);
        let filled = space.filled().len();
        if filled > 0 {
            return Poll::Ready(Ok(Some(Ahead { buffer, taken: 0, filled })));
        }
        self.buffers.give_back(buffer);
        read.map_ok(|()| None)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(mut ahead) = std::task::ready!(self.poll_ahead(cx))? else { return Poll::Ready(Ok(())) };
        let waiting = ahead.buffer.get(ahead.taken..ahead.filled).unwrap_or_default();
        let (now, later) = waiting.split_at(waiting.len().min(buf.remaining()));
        buf.put_slice(now);
        if later.is_empty() {
            self.buffers.give_back(ahead.buffer);
        } else {
            ahead.taken += now.len();
            self.ahead = Some(ahead);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn what_is_read_is_what_was_sent_and_a_connection_at_rest_has_no_buffer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let buffers = Arc::new(Buffers::default());
        let mut socket = Socket::new(stream, Arc::clone(&buffers));
        let content: Vec<u8> = (0..=250).cycle().take(3 * SOCKET_BYTES + 7).collect();
        let sent = content.clone();
        let sending = tokio::spawn(async move {
            sender.write_all(&sent).await.unwrap();
            sender
        });
        let mut read = vec![0; content.len()];
        for piece in read.chunks_mut(4_096) {
            socket.read_exact(piece).await.unwrap();
        }
        assert_eq!(read, content);
        assert!(socket.ahead.is_none(), "all was taken");
        assert_eq!(buffers.0.lock().unwrap().len(), 1, "one buffer served all reads");
        drop(sending.await.unwrap());
        assert_eq!(socket.read(&mut [0; 16]).await.unwrap(), 0, "the end");
        assert_eq!(buffers.0.lock().unwrap().len(), 1);
    }
}
