//! TLS on top of a socket.
//!
//! One state machine serves both directions, so it lies behind a lock, which is never held while a thread waits for the
//! network.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use rustix::event::PollFlags;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};
use rustls::{ServerConfig, ServerConnection};

use super::readiness::wait_ready;
use crate::error::{Error, Result};
use crate::limits;

/// The server side of TLS. What it needs on the stack is kept out of the frames of connections without it: each of
/// their threads keeps the pages that it has touched once.
#[derive(Debug)]
pub(super) struct TlsStream(Mutex<ServerConnection>);

impl TlsStream {
    /// Starts TLS with that configuration.
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self> {
        let failed = |error| Error::io("starting TLS", io::Error::other(error));
        let mut tls = ServerConnection::new(config).map_err(failed)?;
        tls.set_buffer_limit(Some(limits::TLS_BUFFER_BYTES));
        Ok(Self(Mutex::new(tls)))
    }

    /// Sets how many bytes at most are encrypted ahead of what the socket takes.
    pub(super) fn set_buffer_limit(&self, bytes: usize) {
        self.0.lock().set_buffer_limit(Some(bytes));
    }

    /// Reads bytes, blocking; returns 0 at the end.
    #[inline(never)]
    pub(super) fn read(&self, socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut guard = self.0.lock();
            let result = try_read(&mut guard, socket, buffer);
            // A client may send empty records for ever: senders get the lock in between.
            MutexGuard::unlock_fair(guard);
            match result {
                Ok(Some(count)) => return Ok(count),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_ready(socket, PollFlags::IN, None);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until `until` for plaintext, an end or an error; a partial record does not count.
    #[inline(never)]
    pub(super) fn wait_plaintext(&self, socket: &TcpStream, until: Instant) -> bool {
        loop {
            let mut guard = self.0.lock();
            // This also tells whether plaintext is available.
            if guard.process_new_packets().map_or(true, |state| state.plaintext_bytes_to_read() > 0) {
                return true;
            }
            let received = guard.read_tls(&mut NonBlocking(socket));
            MutexGuard::unlock_fair(guard);
            match received {
                Ok(count) if count > 0 => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !wait_ready(socket, PollFlags::IN, Some(until)) {
                        return false;
                    }
                }
                Ok(_) | Err(_) => return true,
            }
        }
    }

    /// Sends without blocking; returns how many bytes were taken.
    #[inline(never)]
    pub(super) fn send(&self, socket: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut tls = self.0.lock();
        let (mut slices, mut taken) = (slices.to_vec(), 0);
        let mut left = &mut slices[..];
        loop {
            flush_records(&mut tls, socket)?;
            if left.is_empty() || tls.wants_write() || tls.is_handshaking() {
                return Ok(taken);
            }
            let count = tls.writer().write_vectored(left)?;
            IoSlice::advance_slices(&mut left, count);
            taken += count;
        }
    }

    /// Sends some bytes, waiting for the socket for a limited time.
    #[inline(never)]
    pub(super) fn write(&self, socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        let until = Instant::now() + limits::WRITE_STALL;
        loop {
            let taken = self.send(socket, &[IoSlice::new(bytes)])?;
            if taken > 0 || bytes.is_empty() {
                return Ok(taken);
            }
            if !wait_ready(socket, PollFlags::OUT, Some(until)) {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Whether taken data is still to be sent.
    pub(super) fn has_pending(&self) -> bool {
        self.0.lock().wants_write()
    }

    /// Sends taken data; returns whether any of it was sent.
    pub(super) fn flush(&self, socket: &TcpStream) -> io::Result<bool> {
        flush_records(&mut self.0.lock(), socket)
    }

    /// Sends the closure alert.
    pub(super) fn finish(&self, socket: &TcpStream) {
        let mut tls = self.0.lock();
        tls.send_close_notify();
        let _ = flush_records(&mut tls, socket);
    }
}

/// Reads what is available; `None` when records came, perhaps without plaintext.
fn try_read(tls: &mut ServerConnection, socket: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match tls.reader().read(buffer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        result => return result.map(Some),
    }
    if tls.read_tls(&mut NonBlocking(socket))? == 0 {
        // Without the closure alert, which hardly any client sends.
        return Ok(Some(0));
    }
    let result = tls.process_new_packets();
    // Handshake messages, or an alert that says what was wrong.
    flush_records(tls, socket)?;
    result.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("TLS: {error}")))?;
    Ok(None)
}

#[inline(never)]
fn flush_records(tls: &mut ServerConnection, socket: &TcpStream) -> io::Result<bool> {
    let mut any = false;
    while tls.wants_write() {
        match tls.write_tls(&mut NonBlocking(socket)) {
            Ok(count) => any |= count > 0,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(any)
}

/// A socket whose operations never block.
struct NonBlocking<'a>(&'a TcpStream);

impl Read for NonBlocking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (count, _) = recv(self.0, buffer, RecvFlags::DONTWAIT)?;
        Ok(count)
    }
}

impl Write for NonBlocking<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(self.0, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Ok(sendmsg(self.0, slices, &mut SendAncillaryBuffer::default(), flags)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
