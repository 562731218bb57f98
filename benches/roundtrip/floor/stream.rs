use std::{
    io::{self, BufReader, IoSlice, Read, Write},
    net::TcpStream,
    ops::{Deref, DerefMut},
};

use anyhow::{Context, Result};
use rustls::{ConnectionCommon, SideData, StreamOwned};

/// How many bytes are taken from, and encrypted for, the socket at a time.
const AHEAD: usize = 256 << 10;

/// A TLS stream over [`Socket`].
pub(super) type Secured<C> = StreamOwned<C, Socket>;

/// A socket that is read many bytes at a time: rustls by itself asks for 4 KiB.
#[derive(Debug)]
pub(super) struct Socket(BufReader<TcpStream>);

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.get_mut().write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

/// Shakes hands; gives the stream and the cipher suite agreed on.
pub(super) fn secure<C, S>(mut connection: C, socket: TcpStream) -> Result<(Secured<C>, String)>
where
    C: DerefMut + Deref<Target = ConnectionCommon<S>>,
    S: SideData,
{
    socket.set_nodelay(true)?;
    let mut socket = Socket(BufReader::with_capacity(AHEAD, socket));
    connection.set_buffer_limit(Some(AHEAD));
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    let cipher = connection.negotiated_cipher_suite().context("a cipher suite is agreed on")?;
    Ok((StreamOwned::new(connection, socket), format!("{:?}", cipher.suite())))
}
