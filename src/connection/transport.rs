//! The socket of a connection, with or without TLS between it and what is above.
//!
//! One thread reads, and waits; several send, and never wait. A TLS connection is one state machine for both ways, so
//! it lies under a lock, which is never held while something waits for the network.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};
use rustls::{ServerConfig, ServerConnection};

use crate::error::{Error, Result};
use crate::limits;
use crate::stats::Counter;

/// How often a socket whose reading was stopped is looked at while its peer has not hung up.
const DRAIN_PAUSE: Duration = Duration::from_millis(10);

/// Pieces handed to the socket in one call.
const SLICES_AT_ONCE: usize = 64;

/// A connected socket.
#[derive(Debug)]
pub struct Transport {
    socket: TcpStream,
    tls: Option<Box<Mutex<ServerConnection>>>,
    received: Counter,
    sent: Counter,
}

impl Transport {
    /// Sets an accepted socket up; with TLS if there is a configuration for it.
    ///
    /// # Errors
    /// [`Error::Io`] when the system does not want to.
    pub fn new(socket: TcpStream, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let setup = || {
            socket.set_nodelay(true)?;
            socket.set_write_timeout(Some(limits::WRITE_STALL))?;
            rustix::net::sockopt::set_socket_keepalive(&socket, true)?;
            rustix::net::sockopt::set_socket_send_buffer_size(&socket, limits::SEND_BUFFER_BYTES)?;
            io::Result::Ok(())
        };
        setup().map_err(|error| Error::io("setting up a connection", error))?;
        let start = |config| {
            let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
            tls.set_buffer_limit(Some(limits::TLS_BUFFER_BYTES));
            io::Result::Ok(Box::new(Mutex::new(tls)))
        };
        let tls = tls.map(start).transpose().map_err(|error| Error::io("starting TLS", error))?;
        Ok(Self { socket, tls, received: Counter::default(), sent: Counter::default() })
    }

    /// Whether there is TLS in it.
    pub fn is_secured(&self) -> bool {
        self.tls.is_some()
    }

    /// Bytes that came, without what TLS takes for itself.
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// Bytes that were sent, the same way.
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// Waits for bytes; none at the end.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &self.tls {
            None => (&self.socket).read(buffer),
            Some(tls) => self.read_secured(tls, buffer),
        }?;
        self.received.add(count as u64);
        Ok(count)
    }

    // What TLS needs on the stack is kept out of the frames of those who do without: each of their threads keeps the
    // pages that it has touched once.
    #[inline(never)]
    fn read_secured(&self, tls: &Mutex<ServerConnection>, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut guard = tls.lock();
            let result = self.read_step(&mut guard, buffer);
            // A client may send records without anything in them for ever: who wants to send gets the lock in between.
            MutexGuard::unlock_fair(guard);
            match result {
                Ok(Some(count)) => return Ok(count),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::IN, None);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What there is to read without waiting; `None` when some records came, and perhaps nothing in them.
    fn read_step(&self, tls: &mut ServerConnection, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match tls.reader().read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result.map(Some),
        }
        if tls.read_tls(&mut Unwaiting(&self.socket))? == 0 {
            // Without the end that TLS knows, which hardly any client sends.
            return Ok(Some(0));
        }
        let result = tls.process_new_packets();
        // Answers of the handshake, or an alert that says what was wrong.
        self.push_out(tls)?;
        result.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("TLS: {error}")))?;
        Ok(None)
    }

    /// Waits until then for something to read, an end or an error among it; says whether there is. Half a record of TLS
    /// is nothing yet.
    pub fn has_something(&self, until: Instant) -> bool {
        match &self.tls {
            None => self.wait(PollFlags::IN, Some(until)),
            Some(tls) => self.has_plaintext(tls, until),
        }
    }

    #[inline(never)]
    fn has_plaintext(&self, tls: &Mutex<ServerConnection>, until: Instant) -> bool {
        loop {
            let mut guard = tls.lock();
            // Asked for nothing, it says whether there is any.
            if guard.process_new_packets().map_or(true, |state| state.plaintext_bytes_to_read() > 0) {
                return true;
            }
            let came = guard.read_tls(&mut Unwaiting(&self.socket));
            MutexGuard::unlock_fair(guard);
            match came {
                Ok(count) if count > 0 => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.wait(PollFlags::IN, Some(until)) {
                        return false;
                    }
                }
                Ok(_) | Err(_) => return true,
            }
        }
    }

    /// How many bytes were taken, without waiting.
    pub(super) fn send(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let taken = match &self.tls {
            None => {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                unless_full(|| sendmsg(&self.socket, pieces, &mut SendAncillaryBuffer::default(), flags))
            }
            Some(tls) => self.send_secured(tls, pieces),
        }?;
        self.sent.add(taken as u64);
        Ok(taken)
    }

    #[inline(never)]
    fn send_secured(&self, tls: &Mutex<ServerConnection>, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut tls = tls.lock();
        let (mut pieces, mut taken) = (pieces.to_vec(), 0);
        let mut left = &mut pieces[..];
        loop {
            self.push_out(&mut tls)?;
            if left.is_empty() || tls.wants_write() || tls.is_handshaking() {
                return Ok(taken);
            }
            let count = tls.writer().write_vectored(left)?;
            IoSlice::advance_slices(&mut left, count);
            taken += count;
        }
    }

    /// Whether something that was taken has still to go out.
    pub(super) fn has_pending(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.lock().wants_write())
    }

    /// Sends what was taken and is still here; says whether any of it went.
    pub(super) fn flush_pending(&self) -> io::Result<bool> {
        self.tls.as_ref().map_or(Ok(false), |tls| self.push_out(&mut tls.lock()))
    }

    #[inline(never)]
    fn push_out(&self, tls: &mut ServerConnection) -> io::Result<bool> {
        let mut any = false;
        while tls.wants_write() {
            match tls.write_tls(&mut Unwaiting(&self.socket)) {
                Ok(count) => any |= count > 0,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(any)
    }

    /// Waits for room to send, for a while.
    pub(super) fn wait_for_room(&self, at_most: Duration) {
        self.wait(PollFlags::OUT, Some(Instant::now() + at_most));
    }

    fn wait(&self, what: PollFlags, until: Option<Instant>) -> bool {
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let timeout =
                left.map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() });
            match poll(&mut [PollFd::new(&self.socket, what)], timeout.as_ref()) {
                Ok(0) => return false,
                Err(Errno::INTR) => {}
                // Errors show in what is done next.
                Ok(_) | Err(_) => return true,
            }
        }
    }

    /// Sends all of it, waiting for room; gives up when the peer takes nothing for so long.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn send_all(&self, mut pieces: &mut [IoSlice<'_>], patience: Duration) -> Result<()> {
        let failed = |error| Error::io("sending", error);
        IoSlice::advance_slices(&mut pieces, 0);
        let mut until = Instant::now() + patience;
        while !pieces.is_empty() || self.has_pending() {
            let some = &pieces[..pieces.len().min(SLICES_AT_ONCE)];
            let taken = if some.is_empty() { 0 } else { self.send(some).map_err(failed)? };
            IoSlice::advance_slices(&mut pieces, taken);
            if taken > 0 || self.flush_pending().map_err(failed)? {
                until = Instant::now() + patience;
            } else if !self.wait(PollFlags::OUT, Some(until)) {
                return Err(failed(io::ErrorKind::TimedOut.into()));
            }
        }
        Ok(())
    }

    /// Whether the peer has said that it sends nothing more.
    pub fn has_hung_up(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.socket, PollFlags::RDHUP)], Some(&now)).is_ok_and(|count| count > 0)
    }

    /// Ends this side: the peer reads what is on its way and then the end.
    pub fn finish(&self) {
        if let Some(tls) = &self.tls {
            let mut tls = tls.lock();
            tls.send_close_notify();
            let _ = self.push_out(&mut tls);
        }
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Makes who reads, or will, find the end.
    pub fn stop_reading(&self) {
        let _ = self.socket.shutdown(Shutdown::Read);
    }

    /// Ends both sides; who reads wakes up.
    pub fn shutdown(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Reads and throws away until the peer hangs up, for that long at most.
    pub fn drain(&self, at_most: Duration) -> io::Result<()> {
        let until = Instant::now() + at_most;
        let mut unread = vec![0; 4096];
        while Instant::now() < until && self.wait(PollFlags::IN, Some(until)) {
            // A socket whose reading was stopped says at once that it has nothing, and so whether the peer has hung up
            // is asked of the system.
            if (&self.socket).read(&mut unread)? == 0 {
                if self.socket.peer_addr().is_err() {
                    break;
                }
                std::thread::sleep(DRAIN_PAUSE);
            }
        }
        Ok(())
    }

    /// How long sent bytes may stay unacknowledged, or unread by a peer that has no room for them, before
    /// the system ends the connection; for ever if `None`.
    pub fn set_user_timeout(&self, timeout: Option<Duration>) {
        let milliseconds = timeout.map_or(0, |timeout| timeout.as_millis() as u32);
        if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&self.socket, milliseconds) {
            log::debug!("setting a timeout: {error}");
        }
    }
}

/// For the handshake, which is over before anything else is sent: it waits.
impl Write for &Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.tls.is_some() {
            return self.write_secured(bytes);
        }
        let taken = (&self.socket).write(bytes)?;
        self.sent.add(taken as u64);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport {
    #[inline(never)]
    fn write_secured(&self, bytes: &[u8]) -> io::Result<usize> {
        let until = Instant::now() + limits::WRITE_STALL;
        loop {
            let taken = self.send(&[IoSlice::new(bytes)])?;
            if taken > 0 || bytes.is_empty() {
                return Ok(taken);
            }
            if !self.wait(PollFlags::OUT, Some(until)) {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
}

/// A socket that says "would block" where it would.
struct Unwaiting<'a>(&'a TcpStream);

impl Read for Unwaiting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (count, _) = recv(self.0, buffer, RecvFlags::DONTWAIT)?;
        Ok(count)
    }
}

impl Write for Unwaiting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(self.0, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Ok(sendmsg(self.0, pieces, &mut SendAncillaryBuffer::default(), flags)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A full socket has taken nothing.
fn unless_full(mut send: impl FnMut() -> rustix::io::Result<usize>) -> io::Result<usize> {
    loop {
        match send() {
            Err(Errno::INTR) => {}
            Err(error) if error == Errno::AGAIN => return Ok(0),
            result => return Ok(result?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn pair() -> (Transport, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Transport::new(listener.accept().unwrap().0, None).unwrap(), there)
    }

    #[test]
    fn draining_ends_when_the_peer_hangs_up_and_when_it_never_stops() {
        let most = Duration::from_millis(400);
        for stops_reading in [false, true] {
            let (transport, there) = pair();
            if stops_reading {
                transport.stop_reading();
            }
            transport.finish();
            let hanging_up = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                drop(there);
            });
            let began = Instant::now();
            transport.drain(Duration::from_secs(20)).unwrap();
            assert!(began.elapsed() < Duration::from_secs(10), "it saw the end");
            hanging_up.join().unwrap();
        }
        let (transport, there) = pair();
        transport.finish();
        let flooding = std::thread::spawn(move || while (&there).write(&[0; 8192]).is_ok() {});
        let began = Instant::now();
        transport.drain(most).unwrap();
        assert!(began.elapsed() < most + Duration::from_secs(10));
        drop(transport);
        flooding.join().unwrap();
    }
}
