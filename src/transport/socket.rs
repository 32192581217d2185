//! The socket of a connection, with or without TLS.
//!
//! One thread reads and blocks; several send and never block.

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::sendfile;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg};
use rustls::ServerConfig;

use super::readiness::wait_ready;
use super::socket_options;
use super::tls_stream::TlsStream;
use crate::error::{Error, Result};
use crate::limits;
use crate::stats::Counter;

/// How often a socket shut down for reading is checked for its peer's end.
const DRAIN_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The most slices per send.
const MAX_SLICES: usize = 64;

/// A connected socket.
#[derive(Debug)]
pub struct Socket {
    socket: TcpStream,
    tls: Option<Box<TlsStream>>,
    received: Counter,
    sent: Counter,
    /// The connection is to end with a reset.
    is_aborted: AtomicBool,
}

impl Socket {
    /// Sets up an accepted socket, with TLS if there is a configuration for it.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses.
    pub fn new(socket: TcpStream, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let setup = || {
            socket.set_nodelay(true)?;
            socket.set_write_timeout(Some(limits::WRITE_STALL))?;
            rustix::net::sockopt::set_socket_keepalive(&socket, true)?;
            rustix::net::sockopt::set_socket_send_buffer_size(&socket, limits::SEND_BUFFER_BYTES)?;
            io::Result::Ok(())
        };
        setup().map_err(|error| Error::io("setting up a connection", error))?;
        let tls = tls.map(|config| TlsStream::new(config).map(Box::new)).transpose()?;
        let (received, sent) = (Counter::default(), Counter::default());
        Ok(Self { socket, tls, received, sent, is_aborted: AtomicBool::new(false) })
    }

    /// Whether it uses TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Returns the local address that the peer connected to; unspecified when the connection is gone.
    pub fn local_ip(&self) -> IpAddr {
        self.socket.local_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |address| address.ip())
    }

    /// Returns the bytes received, without the overhead of TLS.
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// Returns the bytes sent, without the overhead of TLS.
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// Limits what is buffered here and in the system for a live stream, since nothing in there can be skipped any
    /// more. Files may use all the room there is.
    pub fn set_live(&self, is_live: bool) {
        // 0 stands for the system's default, which is no limit.
        let mark = if is_live { limits::LIVE_UNSENT_BYTES } else { 0 };
        if let Err(error) = socket_options::set_unsent_low_water(&self.socket, mark) {
            log::debug!("setting TCP_NOTSENT_LOWAT: {error}");
        }
        if let Some(tls) = &self.tls {
            tls.set_buffer_limit(if is_live { limits::LIVE_UNSENT_BYTES } else { limits::TLS_BUFFER_BYTES });
        }
    }

    /// Reads bytes, blocking; returns 0 at the end.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &self.tls {
            None => (&self.socket).read(buffer),
            Some(tls) => tls.read(&self.socket, buffer),
        }?;
        self.received.add(count as u64);
        Ok(count)
    }

    /// Reads what is available; `None` when nothing is, and always with TLS, which can't tell without blocking.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if self.tls.is_some() {
            return Ok(None);
        }
        let read = || recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT);
        match retry_on_intr(read) {
            Ok((count, _)) => {
                self.received.add(count as u64);
                Ok(Some(count))
            }
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets how many bytes have to be available to wake up a reader. Not for TLS.
    pub fn set_low_water(&self, bytes: usize) {
        if let Err(error) = socket_options::set_receive_low_water(&self.socket, bytes) {
            log::debug!("setting SO_RCVLOWAT: {error}");
        }
    }

    /// Sets the timeout of blocking reads, which then fail with [`io::ErrorKind::WouldBlock`]. Not for TLS.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        if let Err(error) = self.socket.set_read_timeout(timeout) {
            log::debug!("setting a timeout: {error}");
        }
    }

    /// Waits until `until` for data, an end or an error; returns whether there is any. A partial TLS record does not
    /// count.
    pub fn wait_readable(&self, until: Instant) -> bool {
        match &self.tls {
            None => wait_ready(&self.socket, PollFlags::IN, Some(until)),
            Some(tls) => tls.wait_plaintext(&self.socket, until),
        }
    }

    /// Sends without blocking; returns how many bytes were taken.
    pub(super) fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send_with(slices, SendFlags::empty())
    }

    /// Sends as [`send`](Self::send) does, announcing that more, or a call of [`uncork`](Self::uncork), follows at
    /// once.
    pub(super) fn send_with_more(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send_with(slices, SendFlags::MORE)
    }

    /// Sends what is held back for more.
    pub(super) fn uncork(&self) {
        // Setting it makes the system send what it has.
        if let Err(error) = self.socket.set_nodelay(true) {
            log::debug!("setting TCP_NODELAY: {error}");
        }
    }

    fn send_with(&self, slices: &[IoSlice<'_>], flags: SendFlags) -> io::Result<usize> {
        let taken = match &self.tls {
            None => {
                let flags = flags | SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                zero_if_full(|| sendmsg(&self.socket, slices, &mut SendAncillaryBuffer::default(), flags))
            }
            Some(tls) => tls.send(&self.socket, slices),
        }?;
        self.sent.add(taken as u64);
        Ok(taken)
    }

    /// Whether TLS holds data that is still to be sent.
    pub(super) fn has_pending(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_pending())
    }

    /// Sends what TLS holds; returns whether any of it was sent.
    pub(super) fn flush_pending(&self) -> io::Result<bool> {
        self.tls.as_ref().map_or(Ok(false), |tls| tls.flush(&self.socket))
    }

    /// Waits until the socket is writable, for at most that long.
    pub(super) fn wait_writable(&self, at_most: Duration) {
        wait_ready(&self.socket, PollFlags::OUT, Some(Instant::now() + at_most));
    }

    /// Sends everything, waiting for the socket; fails when the peer takes nothing for `timeout`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn send_all(&self, mut slices: &mut [IoSlice<'_>], timeout: Duration) -> Result<()> {
        let failed = |error| Error::io("sending", error);
        IoSlice::advance_slices(&mut slices, 0);
        let mut until = Instant::now() + timeout;
        while !slices.is_empty() || self.has_pending() {
            let some = &slices[..slices.len().min(MAX_SLICES)];
            let taken = if some.is_empty() { 0 } else { self.send(some).map_err(failed)? };
            IoSlice::advance_slices(&mut slices, taken);
            if taken > 0 || self.flush_pending().map_err(failed)? {
                until = Instant::now() + timeout;
            } else if !wait_ready(&self.socket, PollFlags::OUT, Some(until)) {
                return Err(failed(io::ErrorKind::TimedOut.into()));
            }
        }
        Ok(())
    }

    /// Sends `count` bytes of a file from `offset`, waiting as [`send_all`](Self::send_all) does. Without TLS they go
    /// straight from the page cache.
    ///
    /// # Errors
    /// [`Error::Io`], also when the file is shorter.
    pub fn send_file(&self, file: &File, offset: u64, count: usize, timeout: Duration) -> Result<()> {
        let failed = |error| Error::io("sending a file", error);
        if self.tls.is_some() {
            return self.send_copied(file, offset, count, timeout);
        }
        let (mut offset, mut left, mut until) = (offset, count, Instant::now() + timeout);
        while left > 0 {
            match sendfile(&self.socket, file, Some(&mut offset), left) {
                Ok(0) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
                Ok(taken) => {
                    self.sent.add(taken as u64);
                    (left, until) = (left - taken, Instant::now() + timeout);
                }
                // The socket has already waited for its write timeout.
                Err(Errno::AGAIN) if Instant::now() > until => return Err(failed(io::ErrorKind::TimedOut.into())),
                Err(Errno::AGAIN | Errno::INTR) => {}
                // Not all file systems support it.
                Err(Errno::INVAL | Errno::NOSYS) => return self.send_copied(file, offset, left, timeout),
                Err(error) => return Err(failed(error.into())),
            }
        }
        Ok(())
    }

    fn send_copied(&self, file: &File, offset: u64, count: usize, timeout: Duration) -> Result<()> {
        let mut bytes = vec![0; count];
        file.read_exact_at(&mut bytes, offset).map_err(|error| Error::io("reading a file", error))?;
        self.send_all(&mut [IoSlice::new(&bytes)], timeout)
    }

    /// Whether the peer has shut down its sending side.
    pub fn has_hung_up(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.socket, PollFlags::RDHUP)], Some(&now)).is_ok_and(|count| count > 0)
    }

    /// Makes the connection end with a reset, so that nobody takes an incomplete response for complete.
    pub fn abort(&self) {
        self.is_aborted.store(true, Ordering::Relaxed);
        // With a linger time of zero, closing the socket resets it.
        if let Err(error) = rustix::net::sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO)) {
            log::debug!("setting SO_LINGER: {error}");
        }
    }

    /// Ends this side: the peer reads what is in flight and then the end.
    pub fn finish(&self) {
        if self.is_aborted.load(Ordering::Relaxed) {
            return;
        }
        if let Some(tls) = &self.tls {
            tls.finish(&self.socket);
        }
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Makes current and later reads return the end.
    pub fn stop_reading(&self) {
        let _ = self.socket.shutdown(Shutdown::Read);
    }

    /// Ends both sides and wakes up a blocked read.
    pub fn shutdown(&self) {
        let how = if self.is_aborted.load(Ordering::Relaxed) { Shutdown::Read } else { Shutdown::Both };
        let _ = self.socket.shutdown(how);
    }

    /// Reads and discards until the peer hangs up, for at most that long.
    pub fn discard_input(&self, at_most: Duration) -> io::Result<()> {
        let until = Instant::now() + if self.is_aborted.load(Ordering::Relaxed) { Duration::ZERO } else { at_most };
        let mut unread = vec![0; 4096];
        while Instant::now() < until && wait_ready(&self.socket, PollFlags::IN, Some(until)) {
            // A socket shut down for reading returns 0 at once, so the system has to tell whether the peer has hung up.
            if (&self.socket).read(&mut unread)? == 0 {
                if self.socket.peer_addr().is_err() {
                    break;
                }
                std::thread::sleep(DRAIN_POLL_INTERVAL);
            }
        }
        Ok(())
    }

    /// Sets how long sent bytes may stay unacknowledged, or unread by a peer whose window is full, before the system
    /// ends the connection; for ever if `None`.
    pub fn set_user_timeout(&self, timeout: Option<Duration>) {
        let milliseconds = timeout.map_or(0, |timeout| timeout.as_millis() as u32);
        if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&self.socket, milliseconds) {
            log::debug!("setting a timeout: {error}");
        }
    }
}

/// Blocks; for the handshake, which is over before anything else is sent.
impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match &self.tls {
            None => (&self.socket).write(bytes),
            Some(tls) => tls.write(&self.socket, bytes),
        }?;
        self.sent.add(taken as u64);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns 0 where a full socket would block.
fn zero_if_full(mut send: impl FnMut() -> rustix::io::Result<usize>) -> io::Result<usize> {
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
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Socket::new(listener.accept().unwrap().0, None).unwrap(), there)
    }

    #[test]
    fn draining_ends_when_the_peer_hangs_up_or_after_its_time() {
        let limit = Duration::from_millis(400);
        for stops_reading in [false, true] {
            let (socket, there) = pair();
            if stops_reading {
                socket.stop_reading();
            }
            socket.finish();
            let hanging_up = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                drop(there);
            });
            let began = Instant::now();
            socket.discard_input(Duration::from_secs(20)).unwrap();
            assert!(began.elapsed() < Duration::from_secs(10), "it saw the end");
            hanging_up.join().unwrap();
        }
        let (socket, there) = pair();
        socket.finish();
        let flooding = std::thread::spawn(move || while (&there).write(&[0; 8192]).is_ok() {});
        let began = Instant::now();
        socket.discard_input(limit).unwrap();
        assert!(began.elapsed() < limit + Duration::from_secs(10));
        drop(socket);
        flooding.join().unwrap();
    }

    #[test]
    fn part_of_a_file_is_sent_and_a_truncated_file_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| number as u8 ^ (number >> 8) as u8).collect();
        file.write_all(&bytes).unwrap();
        let (socket, mut there) = pair();
        let timeout = Duration::from_secs(20);
        let sending = std::thread::spawn(move || {
            socket.send_file(&file, 1000, 2_500_000, timeout).unwrap();
            let sent = socket.sent();
            (sent, socket.send_file(&file, 2_999_999, 2, timeout).unwrap_err().to_string())
        });
        let mut got = Vec::new();
        there.read_to_end(&mut got).unwrap();
        let (sent, error) = sending.join().unwrap();
        assert_eq!((sent, got.len()), (2_500_000, 2_500_001));
        assert!(got[..2_500_000] == bytes[1000..2_501_000]);
        assert!(error.contains("sending a file"), "{error}");
    }
}
