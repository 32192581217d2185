//! A client's socket, plain or within TLS, with limits to how long it waits.

use std::cell::RefCell;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::config::ClientConfig;
use super::url::StreamUrl;
use crate::error::{Error, Result};
use crate::rtmp::handshake;

/// What a client reads from and writes to.
#[derive(Debug)]
pub(super) enum Socket {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    /// Connects, which takes as long as the limit says at most, and for TLS each of its answers as long again. Looking up
    /// the host's name is the system's, with limits of its own.
    pub(super) fn connect(url: &StreamUrl, config: &ClientConfig) -> Result<Self> {
        let failed = |error| Error::io(format!("connecting to {}", url.server()), error);
        let socket = connect(url, config.connect_timeout).map_err(failed)?;
        socket.set_nodelay(true).map_err(failed)?;
        socket.set_read_timeout(Some(config.connect_timeout)).map_err(failed)?;
        socket.set_write_timeout(config.write_timeout).map_err(failed)?;
        if !url.is_secure() {
            return Ok(Self::Plain(socket));
        }
        let wrong = |error| failed(io::Error::other(error));
        let name = ServerName::try_from(url.host().to_owned()).map_err(|error| failed(io::Error::other(error)))?;
        let mut tls = ClientConnection::new(config.trust.config()?, name).map_err(wrong)?;
        let mut socket = socket;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).map_err(|error| failed(told(error)))?;
        }
        Ok(Self::Secure(Box::new(StreamOwned::new(tls, socket))))
    }

    /// Says that nothing more will be sent.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if let Self::Secure(tls) = self {
            tls.conn.send_close_notify();
            tls.flush()?;
        }
        self.tcp().shutdown(Shutdown::Write)
    }

    /// Below all.
    pub(super) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Secure(tls) => &tls.sock,
        }
    }
}

/// Tries the addresses of a host one after the other until the time is up.
fn connect(url: &StreamUrl, limit: Duration) -> io::Result<TcpStream> {
    let until = Instant::now() + limit;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (url.host(), url.port()).to_socket_addrs()? {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// A socket whose time is up says that it would block, which tells nobody what happened.
fn told(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock {
        return io::Error::new(io::ErrorKind::TimedOut, "the server took too long");
    }
    error
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = match self {
            Self::Plain(socket) => socket.read(buffer),
            // Some end TLS without its own word for it. RTMP has none either.
            Self::Secure(tls) => match tls.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                result => result,
            },
        };
        result.map_err(told)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Secure(tls) => tls.write(bytes),
        };
        result.map_err(told)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = match self {
            Self::Plain(socket) => socket.flush(),
            Self::Secure(tls) => tls.flush(),
        };
        result.map_err(told)
    }
}

/// Shakes hands, for which reading and writing are two things.
pub(super) fn shake_hands(socket: &mut BufReader<Socket>) -> Result<()> {
    let shared = RefCell::new(socket);
    let (mut reader, mut writer) = (Half(&shared), Half(&shared));
    handshake::client::connect(&mut reader, &mut writer, handshake::client::ClientKind::Simple)
}

struct Half<'a>(&'a RefCell<&'a mut BufReader<Socket>>);

impl Read for Half<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

impl Write for Half<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().get_mut().flush()
    }
}
