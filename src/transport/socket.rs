//! The socket of a connection, with or without TLS between it and what is above.
//!
//! One thread reads, and waits; several send, and never wait.

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

use super::socket_options;
use super::tls_stream::TlsStream;
use crate::error::{Error, Result};
use crate::limits;
use crate::stats::Counter;

/// How often a socket whose reading was stopped is looked at while its peer has not hung up.
const DRAIN_PAUSE: Duration = Duration::from_millis(10);

/// Slices handed to the socket in one call.
const SLICES_AT_ONCE: usize = 64;

/// A connected socket.
#[derive(Debug)]
pub struct Socket {
    socket: TcpStream,
    tls: Option<Box<TlsStream>>,
    received: Counter,
    sent: Counter,
    /// It shall end with a reset.
    is_aborted: AtomicBool,
}

impl Socket {
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
        let tls = tls.map(|config| TlsStream::new(config).map(Box::new)).transpose()?;
        let (received, sent) = (Counter::default(), Counter::default());
        Ok(Self { socket, tls, received, sent, is_aborted: AtomicBool::new(false) })
    }

    /// Whether there is TLS in it.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The address of this machine that the peer has reached; unspecified when the connection is no more.
    pub fn local_ip(&self) -> IpAddr {
        self.socket.local_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |address| address.ip())
    }

    /// Bytes that came, without what TLS takes for itself.
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// Bytes that were sent, the same way.
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// For a live stream, little is kept here and in the system's queue: nothing in there can be skipped any more. For files
    /// as much as there is room for.
    pub fn set_live(&self, is_live: bool) {
        // 0 stands for the system's own mark, which is none.
        let mark = if is_live { limits::LIVE_UNSENT_BYTES } else { 0 };
        if let Err(error) = socket_options::set_unsent_low_water(&self.socket, mark) {
            log::debug!("setting a mark for what is unsent: {error}");
        }
        if let Some(tls) = &self.tls {
            tls.set_buffer_limit(if is_live { limits::LIVE_UNSENT_BYTES } else { limits::TLS_BUFFER_BYTES });
        }
    }

    /// Waits for bytes; none at the end.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &self.tls {
            None => (&self.socket).read(buffer),
            Some(tls) => tls.read(&self.socket, buffer),
        }?;
        self.received.add(count as u64);
        Ok(count)
    }

    /// Reads what is there; `None` when nothing is, or TLS is between, which knows that only together with waiting.
    pub fn read_now(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
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

    /// So many bytes have to be there from now on before who waits for something to read wakes up. Not for TLS.
    pub fn set_low_water(&self, bytes: usize) {
        if let Err(error) = socket_options::set_receive_low_water(&self.socket, bytes) {
            log::debug!("setting a low-water mark: {error}");
        }
    }

    /// Who reads waits for so long at most from now on, and gets [`io::ErrorKind::WouldBlock`] then. Not for TLS.
    pub fn set_read_timeout(&self, patience: Option<Duration>) {
        if let Err(error) = self.socket.set_read_timeout(patience) {
            log::debug!("setting a timeout: {error}");
        }
    }

    /// Waits until then for something to read, an end or an error among it; says whether there is. Half a record of TLS
    /// is nothing yet.
    pub fn has_pending_data(&self, until: Instant) -> bool {
        match &self.tls {
            None => wait(&self.socket, PollFlags::IN, Some(until)),
            Some(tls) => tls.has_plaintext(&self.socket, until),
        }
    }

    /// How many bytes were taken, without waiting.
    pub(super) fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send_with(slices, SendFlags::empty())
    }

    /// The same when others follow at once, or a [`push`](Self::push): these may wait for them.
    pub(super) fn send_with_more(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send_with(slices, SendFlags::MORE)
    }

    /// What waits for more goes out by itself.
    pub(super) fn push(&self) {
        // Each time that it is set, the system sends what it has.
        if let Err(error) = self.socket.set_nodelay(true) {
            log::debug!("pushing: {error}");
        }
    }

    fn send_with(&self, slices: &[IoSlice<'_>], flags: SendFlags) -> io::Result<usize> {
        let taken = match &self.tls {
            None => {
                let flags = flags | SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                unless_full(|| sendmsg(&self.socket, slices, &mut SendAncillaryBuffer::default(), flags))
            }
            Some(tls) => tls.send(&self.socket, slices),
        }?;
        self.sent.add(taken as u64);
        Ok(taken)
    }

    /// Whether something that was taken has still to go out.
    pub(super) fn has_pending(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_pending())
    }

    /// Sends what was taken and is still here; says whether any of it went.
    pub(super) fn flush_pending(&self) -> io::Result<bool> {
        self.tls.as_ref().map_or(Ok(false), |tls| tls.flush(&self.socket))
    }

    /// Waits for room to send, for a while.
    pub(super) fn wait_for_room(&self, at_most: Duration) {
        wait(&self.socket, PollFlags::OUT, Some(Instant::now() + at_most));
    }

    /// Sends all of it, waiting for room; gives up when the peer takes nothing for so long.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn send_all(&self, mut slices: &mut [IoSlice<'_>], patience: Duration) -> Result<()> {
        let failed = |error| Error::io("sending", error);
        IoSlice::advance_slices(&mut slices, 0);
        let mut until = Instant::now() + patience;
        while !slices.is_empty() || self.has_pending() {
            let some = &slices[..slices.len().min(SLICES_AT_ONCE)];
            let taken = if some.is_empty() { 0 } else { self.send(some).map_err(failed)? };
            IoSlice::advance_slices(&mut slices, taken);
            if taken > 0 || self.flush_pending().map_err(failed)? {
                until = Instant::now() + patience;
            } else if !wait(&self.socket, PollFlags::OUT, Some(until)) {
                return Err(failed(io::ErrorKind::TimedOut.into()));
            }
        }
        Ok(())
    }

    /// Sends so many bytes of a file from that place on, waiting as [`send_all`](Self::send_all) does. Without TLS they go
    /// from the system's cache without coming by here.
    ///
    /// # Errors
    /// [`Error::Io`], also when the file ends before.
    pub fn send_file(&self, file: &File, place: u64, count: usize, patience: Duration) -> Result<()> {
        let failed = |error| Error::io("sending a file", error);
        if self.tls.is_some() {
            return self.send_copied(file, place, count, patience);
        }
        let (mut place, mut left, mut until) = (place, count, Instant::now() + patience);
        while left > 0 {
            match sendfile(&self.socket, file, Some(&mut place), left) {
                Ok(0) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
                Ok(taken) => {
                    self.sent.add(taken as u64);
                    (left, until) = (left - taken, Instant::now() + patience);
                }
                // The socket has waited by itself, for the timeout of its writes.
                Err(Errno::AGAIN) if Instant::now() > until => return Err(failed(io::ErrorKind::TimedOut.into())),
                Err(Errno::AGAIN | Errno::INTR) => {}
                // Not all file systems can.
                Err(Errno::INVAL | Errno::NOSYS) => return self.send_copied(file, place, left, patience),
                Err(error) => return Err(failed(error.into())),
            }
        }
        Ok(())
    }

    fn send_copied(&self, file: &File, place: u64, count: usize, patience: Duration) -> Result<()> {
        let mut bytes = vec![0; count];
        file.read_exact_at(&mut bytes, place).map_err(|error| Error::io("reading a file", error))?;
        self.send_all(&mut [IoSlice::new(&bytes)], patience)
    }

    /// Whether the peer has said that it sends nothing more.
    pub fn has_hung_up(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.socket, PollFlags::RDHUP)], Some(&now)).is_ok_and(|count| count > 0)
    }

    /// Lets the connection end with a reset, so that nobody takes what was sent for all there is.
    pub fn abort(&self) {
        self.is_aborted.store(true, Ordering::Relaxed);
        // Without time to send what waits, closing the socket resets it.
        if let Err(error) = rustix::net::sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO)) {
            log::debug!("breaking a connection off: {error}");
        }
    }

    /// Ends this side: the peer reads what is on its way and then the end.
    pub fn finish(&self) {
        if self.is_aborted.load(Ordering::Relaxed) {
            return;
        }
        if let Some(tls) = &self.tls {
            tls.finish(&self.socket);
        }
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Makes who reads, or will, find the end.
    pub fn stop_reading(&self) {
        let _ = self.socket.shutdown(Shutdown::Read);
    }

    /// Ends both sides; who reads wakes up.
    pub fn shutdown(&self) {
        let how = if self.is_aborted.load(Ordering::Relaxed) { Shutdown::Read } else { Shutdown::Both };
        let _ = self.socket.shutdown(how);
    }

    /// Reads and throws away until the peer hangs up, for that long at most.
    pub fn drain(&self, at_most: Duration) -> io::Result<()> {
        let until = Instant::now() + if self.is_aborted.load(Ordering::Relaxed) { Duration::ZERO } else { at_most };
        let mut unread = vec![0; 4096];
        while Instant::now() < until && wait(&self.socket, PollFlags::IN, Some(until)) {
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

/// Waits for that, until then; says whether it came.
pub(super) fn wait(socket: &TcpStream, what: PollFlags, until: Option<Instant>) -> bool {
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = left.map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() });
        match poll(&mut [PollFd::new(socket, what)], timeout.as_ref()) {
            Ok(0) => return false,
            Err(Errno::INTR) => {}
            // Errors show in what is done next.
            Ok(_) | Err(_) => return true,
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
    fn draining_ends_when_the_peer_hangs_up_and_when_it_never_stops() {
        let most = Duration::from_millis(400);
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
            socket.drain(Duration::from_secs(20)).unwrap();
            assert!(began.elapsed() < Duration::from_secs(10), "it saw the end");
            hanging_up.join().unwrap();
        }
        let (socket, there) = pair();
        socket.finish();
        let flooding = std::thread::spawn(move || while (&there).write(&[0; 8192]).is_ok() {});
        let began = Instant::now();
        socket.drain(most).unwrap();
        assert!(began.elapsed() < most + Duration::from_secs(10));
        drop(socket);
        flooding.join().unwrap();
    }

    #[test]
    fn a_part_of_a_file_is_sent_and_one_that_has_shrunk_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| number as u8 ^ (number >> 8) as u8).collect();
        file.write_all(&bytes).unwrap();
        let (socket, mut there) = pair();
        let patience = Duration::from_secs(20);
        let sending = std::thread::spawn(move || {
            socket.send_file(&file, 1000, 2_500_000, patience).unwrap();
            let sent = socket.sent();
            (sent, socket.send_file(&file, 2_999_999, 2, patience).unwrap_err().to_string())
        });
        let mut got = Vec::new();
        there.read_to_end(&mut got).unwrap();
        let (sent, error) = sending.join().unwrap();
        assert_eq!((sent, got.len()), (2_500_000, 2_500_001));
        assert!(got[..2_500_000] == bytes[1000..2_501_000]);
        assert!(error.contains("sending a file"), "{error}");
    }
}
