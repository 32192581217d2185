//! The reading side of a connection, which blocks.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::low_water::MAX_READ_DELAY;
use crate::live::Stream;
use crate::transport::ManagedConnection;

/// The highest low-water mark, in bytes: the socket's buffer has to have room for it.
const MAX_LOW_WATER: usize = 32 * 1024;

/// Deferred audio of a stream, and when it is due.
pub(super) struct DeferredAudio {
    pub due: Instant,
    pub stream: Arc<Stream>,
}

/// What is known of the bytes to come.
#[derive(Default)]
pub(super) struct ReadHints {
    pub deferred_audio: RefCell<Option<DeferredAudio>>,
    /// Missing bytes of the message being read.
    pub missing: Arc<AtomicUsize>,
    /// The socket's low-water mark: fewer bytes hold no video frame, and nobody waits for them.
    pub mark: Cell<Option<usize>>,
    /// The last read had been below the mark for too long.
    pub is_overdue: Cell<bool>,
}

impl ReadHints {
    fn is_empty(&self) -> bool {
        self.mark.get().is_none() && self.missing.load(Ordering::Relaxed) == 0 && self.deferred_audio.borrow().is_none()
    }

    fn flush_audio(&self) {
        if let Some(DeferredAudio { stream, .. }) = self.deferred_audio.take() {
            stream.flush_deferred_audio(Instant::now());
        }
    }
}

/// A reader of a client's socket. When a publisher sends nothing more, its deferred audio goes out without a video
/// frame: the thread that blocks in `read` is the one that knows, and no other has to wake up to check.
pub(super) struct ConnectionReader<'a> {
    client: &'a ManagedConnection,
    hints: &'a ReadHints,
    /// Bytes that were read before and come first.
    buffered: Vec<u8>,
    /// The socket's current low-water mark.
    low_water: usize,
    /// The socket's current read timeout.
    read_timeout: Option<Duration>,
}

impl<'a> ConnectionReader<'a> {
    pub(super) fn new(client: &'a ManagedConnection, hints: &'a ReadHints) -> Self {
        Self { client, hints, buffered: Vec::new(), low_water: 1, read_timeout: None }
    }

    /// Puts bytes in front that were read before.
    pub(super) fn with_buffered(self, buffered: Vec<u8>) -> Self {
        Self { buffered, ..self }
    }

    /// Reads when enough is available, or has been awaited for long enough.
    // Apart, for the sake of the stack of connections that don't publish.
    #[inline(never)]
    fn read_above_low_water(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (hints, socket) = (self.hints, self.client.socket());
        if hints.is_overdue.take() {
            hints.flush_audio();
        }
        let missing = hints.missing.load(Ordering::Relaxed).min(MAX_LOW_WATER);
        let read = match hints.mark.get() {
            Some(mark) if missing == 0 => self.read_above(mark, buffer)?,
            _ => {
                let due = hints.deferred_audio.borrow().as_ref().map(|audio| audio.due);
                let read_timeout = (missing > 1).then(|| Instant::now() + MAX_READ_DELAY);
                match [due, read_timeout].into_iter().flatten().min() {
                    Some(until) => {
                        self.set_low_water(missing.max(1));
                        if !socket.wait_readable(until) {
                            hints.flush_audio();
                        }
                        socket.try_read(buffer)?
                    }
                    None => None,
                }
            }
        };
        if let Some(count) = read {
            return Ok(count);
        }
        self.set_low_water(1);
        self.set_read_timeout(None);
        socket.read(buffer)
    }

    /// Reads in one call when more bytes than audio takes are available; `None` when nothing came within the read
    /// timeout.
    ///
    /// The system counts the bytes after those that it has already copied. They may start with a frame's beginning
    /// below the mark, but the rest of the frame is above, since the mark is below half of each frame.
    fn read_above(&mut self, mark: usize, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.set_low_water(mark);
        self.set_read_timeout(Some(MAX_READ_DELAY));
        match self.client.socket().read(buffer) {
            Ok(count) => {
                self.hints.is_overdue.set(count < mark);
                Ok(Some(count))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.hints.flush_audio();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn set_low_water(&mut self, bytes: usize) {
        if self.low_water != bytes {
            self.low_water = bytes;
            self.client.socket().set_low_water(bytes);
        }
    }

    fn set_read_timeout(&mut self, read_timeout: Option<Duration>) {
        if self.read_timeout != read_timeout {
            self.read_timeout = read_timeout;
            self.client.socket().set_read_timeout(read_timeout);
        }
    }
}

impl Read for ConnectionReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.buffered.is_empty() {
            let length = buffer.len().min(self.buffered.len());
            buffer[..length].copy_from_slice(&self.buffered[..length]);
            self.buffered.drain(..length);
            return Ok(length);
        }
        let length = match self.hints.is_empty() && self.low_water == 1 {
            true => self.client.socket().read(buffer),
            false => self.read_above_low_water(buffer),
        }?;
        self.client.record_received(Instant::now());
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;
    use crate::live::{LanePool, MergeWindow, Registry, Settings};
    use crate::media::{Packet, PacketKind, Timestamp};
    use crate::transport::{Protocol, Socket};

    fn pair() -> (Arc<ManagedConnection>, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (here, address) = listener.accept().unwrap();
        let lane = LanePool::start(1, MergeWindow::Auto).unwrap().pick();
        (ManagedConnection::new(Protocol::Rtmp, address, Socket::new(here, None).unwrap(), lane, Duration::ZERO), there)
    }

    #[test]
    fn buffered_bytes_come_first() {
        let (client, mut there) = pair();
        there.write_all(b"def").unwrap();
        let hints = ReadHints::default();
        let mut reading = ConnectionReader::new(&client, &hints).with_buffered(b"abc".to_vec());
        let mut got = [0; 6];
        reading.read_exact(&mut got[..2]).unwrap();
        reading.read_exact(&mut got[2..]).unwrap();
        assert_eq!(&got, b"abcdef");
    }

    #[test]
    fn deferred_audio_is_flushed_when_the_publisher_is_silent() {
        let (client, mut there) = pair();
        let registry = Registry::new(Settings::default());
        let mut publication =
            registry.publish("live/cam", "[192.0.2.7:5000]", Instant::now(), Box::new(|_| {})).unwrap();
        for (kind, payload) in [(PacketKind::Video, [0x17, 1]), (PacketKind::Audio, [0xaf, 1])] {
            let packet = Packet { kind, timestamp: Timestamp::ZERO, payload: payload.to_vec().into() };
            publication.send(packet, Instant::now()).unwrap();
        }
        let (due, stream) = publication.deferred_audio().unwrap();
        let deferred_audio = RefCell::new(Some(DeferredAudio { due, stream: stream.clone() }));
        let hints = ReadHints { deferred_audio, ..ReadHints::default() };
        let writing = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            there.write_all(b"x").unwrap();
        });
        let mut got = [0];
        ConnectionReader::new(&client, &hints).read_exact(&mut got).unwrap();
        assert!(hints.deferred_audio.borrow().is_none(), "it was flushed");
        writing.join().unwrap();
    }

    /// Writes bytes of these lengths, each after a pause in milliseconds.
    fn writing(mut there: TcpStream, pieces: &'static [(u64, usize)]) -> std::thread::JoinHandle<TcpStream> {
        std::thread::spawn(move || {
            for (pause, length) in pieces {
                std::thread::sleep(Duration::from_millis(*pause));
                there.write_all(&vec![7; *length]).unwrap();
            }
            there
        })
    }

    fn reads(client: &ManagedConnection, hints: &ReadHints, count: usize) -> Vec<(usize, bool)> {
        let (mut reading, mut buffer) = (ConnectionReader::new(client, hints), [0; 8192]);
        let mut read = || (reading.read(&mut buffer).unwrap(), hints.is_overdue.get());
        std::iter::repeat_with(&mut read).take(count).collect()
    }

    /// A busy machine may write later than the read timeout.
    fn within_ten_attempts(is_right: impl Fn() -> bool) -> bool {
        (0..10).any(|_| is_right())
    }

    #[test]
    fn a_publisher_is_read_above_the_mark_or_after_the_timeout() {
        assert!(within_ten_attempts(|| {
            let (client, there) = pair();
            let hints = ReadHints { mark: Cell::new(Some(300)), ..ReadHints::default() };
            let writing = writing(there, &[(5, 120), (10, 120), (10, 700), (10, 100), (200, 50)]);
            // The last comes after a silence, when every byte counts.
            let is_right = reads(&client, &hints, 3) == [(940, false), (100, true), (50, false)];
            drop(writing.join().unwrap());
            assert_eq!(reads(&client, &hints, 1)[0].0, 0, "the end is read at once");
            is_right
        }));
    }

    #[test]
    fn the_rest_of_a_message_is_read_at_once_unless_it_is_late() {
        assert!(within_ten_attempts(|| {
            let (client, there) = pair();
            let hints = ReadHints::default();
            hints.missing.store(1000, Ordering::Relaxed);
            let writing = writing(there, &[(5, 400), (10, 400), (5, 200), (10, 400), (200, 600)]);
            let is_right = reads(&client, &hints, 3) == [(1000, false), (400, false), (600, false)];
            drop(writing.join().unwrap());
            is_right
        }));
    }
}
