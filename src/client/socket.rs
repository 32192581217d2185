//! A client's socket, plain or over TLS, with time limits.

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

/// The transport of a client.
#[derive(Debug)]
pub(super) enum Socket {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    /// Connects within the connect timeout; each read of the TLS handshake may take as long again. Name resolution is
    /// left to the system, which has its own time limits.
    pub(super) fn connect(url: &StreamUrl, config: &ClientConfig) -> Result<Self> {
        let failed = |error| Error::io(format!("connecting to {}", url.server()), error);
        let socket = connect(url, config.connect_timeout).map_err(failed)?;
        socket.set_nodelay(true).map_err(failed)?;
        socket.set_read_timeout(Some(config.connect_timeout)).map_err(failed)?;
        socket.set_write_timeout(config.write_timeout).map_err(failed)?;
        if !url.is_secure() {
            return Ok(Self::Plain(socket));
        }
        let tls_failed = |error| failed(io::Error::other(error));
        let name = ServerName::try_from(url.host().to_owned()).map_err(|error| failed(io::Error::other(error)))?;
        let mut tls = ClientConnection::new(config.trust.config()?, name).map_err(tls_failed)?;
        let mut socket = socket;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).map_err(|error| failed(map_timeout(error)))?;
        }
        Ok(Self::Secure(Box::new(StreamOwned::new(tls, socket))))
    }

    /// Closes the sending direction.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if let Self::Secure(tls) = self {
            tls.conn.send_close_notify();
            tls.flush()?;
        }
        self.tcp().shutdown(Shutdown::Write)
    }

    /// Returns the TCP socket below TLS, if any.
    pub(super) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Secure(tls) => &tls.sock,
        }
    }
}

/// Tries the addresses of a host in turn until the time limit.
fn connect(url: &StreamUrl, limit: Duration) -> io::Result<TcpStream> {
    let deadline = Instant::now() + limit;
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (url.host(), url.port()).to_socket_addrs()? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(socket) => return Ok(socket),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

/// Maps `WouldBlock`, which a blocking socket returns at its timeout, to an error that says so.
fn map_timeout(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock {
        return io::Error::new(io::ErrorKind::TimedOut, "the server did not respond in time");
    }
    error
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = match self {
            Self::Plain(socket) => socket.read(buffer),
            // Some servers close TLS without a close_notify. RTMP has no closing message to miss.
            Self::Secure(tls) => match tls.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                result => result,
            },
        };
        result.map_err(map_timeout)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Secure(tls) => tls.write(bytes),
        };
        result.map_err(map_timeout)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = match self {
            Self::Plain(socket) => socket.flush(),
            Self::Secure(tls) => tls.flush(),
        };
        result.map_err(map_timeout)
    }
}

/// Performs the RTMP handshake, which takes a separate reader and writer.
pub(super) fn perform_handshake(socket: &mut BufReader<Socket>) -> Result<()> {
    let shared = RefCell::new(socket);
    let (mut reader, mut writer) = (SharedSocket(&shared), SharedSocket(&shared));
    handshake::client::connect(&mut reader, &mut writer, handshake::client::ClientKind::Simple)
}

struct SharedSocket<'a>(&'a RefCell<&'a mut BufReader<Socket>>);

impl Read for SharedSocket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

impl Write for SharedSocket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().get_mut().flush()
    }
}
