//! Connections of players, within TLS or not.

use std::io::{Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, LazyLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::support::tls;

static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(tls::accept_any_certificate);

/// A player's end of a connection. What comes within TLS is taken out whole at each read, so that nothing is left
/// that a poll would not tell of.
#[derive(Debug)]
pub enum Socket {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    /// Connects, and waits for TLS.
    pub fn connect(server: SocketAddr, is_secure: bool) -> Result<Self> {
        let socket = TcpStream::connect(server)?;
        socket.set_nodelay(true)?;
        if !is_secure {
            return Ok(Self::Plain(socket));
        }
        let name = ServerName::from(server.ip());
        let tls = ClientConnection::new(CONFIG.clone(), name).map_err(std::io::Error::other)?;
        let mut stream = Box::new(StreamOwned::new(tls, socket));
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self::Secure(stream))
    }

    pub fn set_nonblocking(&self) -> Result<()> {
        match self {
            Self::Plain(socket) => socket.set_nonblocking(true),
            Self::Secure(stream) => stream.sock.set_nonblocking(true),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Secure(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Secure(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Secure(stream) => stream.flush(),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain(socket) => socket.as_fd(),
            Self::Secure(stream) => stream.sock.as_fd(),
        }
    }
}
