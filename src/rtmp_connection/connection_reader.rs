//! Reading from a client, which may take a while.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::low_water::PATIENCE;
use crate::live::Stream;
use crate::transport::ManagedConnection;

/// The most that is waited for before anything is read, in bytes: the socket's buffer has to have room for it.
const MOST_AT_ONCE: usize = 32 * 1024;

/// Audio of a stream that waits for the next video frame, and until when.
pub(super) struct DeferredAudio {
    pub due: Instant,
    pub stream: Arc<Stream>,
}

/// What is known of the bytes to come.
#[derive(Default)]
pub(super) struct ReadHints {
    pub waiting: RefCell<Option<DeferredAudio>>,
    /// Bytes of the message that is being read which are still to come.
    pub missing: Arc<AtomicUsize>,
    /// Fewer bytes than this hold no video frame, and nobody waits for them: the socket's low-water mark.
    pub mark: Cell<Option<usize>>,
    /// What was read last had waited below the mark for too long.
    pub is_overdue: Cell<bool>,
}

impl ReadHints {
    fn is_empty(&self) -> bool {
        self.mark.get().is_none() && self.missing.load(Ordering::Relaxed) == 0 && self.waiting.borrow().is_none()
    }

    fn flush_audio(&self) {
        if let Some(DeferredAudio { stream, .. }) = self.waiting.take() {
            stream.flush_deferred_audio(Instant::now());
        }
    }
}

/// A client's socket. When a publisher sends nothing more, its audio that waits for a video frame goes out
/// without one: who blocks in `read` is the one who knows, and no other thread has to wake up to look.
pub(super) struct ConnectionReader<'a> {
    client: &'a ManagedConnection,
    hints: &'a ReadHints,
    /// What was read already and comes first.
    unread: Vec<u8>,
    /// The socket's low-water mark.
    low_water: usize,
    /// How long it lets its reader wait.
    patience: Option<Duration>,
}

impl<'a> ConnectionReader<'a> {
    pub(super) fn new(client: &'a ManagedConnection, hints: &'a ReadHints) -> Self {
        Self { client, hints, unread: Vec::new(), low_water: 1, patience: None }
    }

    /// The same behind bytes that were read already.
    pub(super) fn behind(self, unread: Vec<u8>) -> Self {
        Self { unread, ..self }
    }

    /// Reads when there is enough, or nobody has the patience to wait for that.
    // Apart, for the sake of the stack of those who publish nothing.
    #[inline(never)]
    fn read_above_low_water(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (hints, socket) = (self.hints, self.client.socket());
        if hints.is_overdue.take() {
            hints.flush_audio();
        }
        let missing = hints.missing.load(Ordering::Relaxed).min(MOST_AT_ONCE);
        let read = match hints.mark.get() {
            Some(mark) if missing == 0 => self.read_above(mark, buffer)?,
            _ => {
                let due = hints.waiting.borrow().as_ref().map(|waiting| waiting.due);
                let patience = (missing > 1).then(|| Instant::now() + PATIENCE);
                match [due, patience].into_iter().flatten().min() {
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

    /// Reads when there are more bytes than audio takes, in one call; `None` when nothing came for as long as there is
    /// patience.
    ///
    /// The system goes by the bytes that come after those which it has copied already. That may be the beginning of a frame
    /// below the mark, but the rest of it is above, since the mark is below half of each frame.
    fn read_above(&mut self, mark: usize, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.set_low_water(mark);
        self.set_read_timeout(Some(PATIENCE));
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

    fn set_read_timeout(&mut self, patience: Option<Duration>) {
        if self.patience != patience {
            self.patience = patience;
            self.client.socket().set_read_timeout(patience);
        }
    }
}

impl Read for ConnectionReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.unread.is_empty() {
            let length = buffer.len().min(self.unread.len());
            buffer[..length].copy_from_slice(&self.unread[..length]);
            self.unread.drain(..length);
            return Ok(length);
        }
        let length = match self.hints.is_empty() && self.low_water == 1 {
            true => self.client.socket().read(buffer),
            false => self.read_above_low_water(buffer),
        }?;
        self.client.record_activity(Instant::now());
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
    fn what_was_read_already_comes_first() {
        let (client, mut there) = pair();
        there.write_all(b"def").unwrap();
        let hints = ReadHints::default();
        let mut reading = ConnectionReader::new(&client, &hints).behind(b"abc".to_vec());
        let mut got = [0; 6];
        reading.read_exact(&mut got[..2]).unwrap();
        reading.read_exact(&mut got[2..]).unwrap();
        assert_eq!(&got, b"abcdef");
    }

    #[test]
    fn audio_does_not_wait_for_a_publisher_that_sends_nothing() {
        let (client, mut there) = pair();
        let registry = Registry::new(Settings::default());
        let mut publication =
            registry.publish("live/cam", "[192.0.2.7:5000]", Instant::now(), Box::new(|_| {})).unwrap();
        for (kind, payload) in [(PacketKind::Video, [0x17, 1]), (PacketKind::Audio, [0xaf, 1])] {
            let packet = Packet { kind, timestamp: Timestamp::ZERO, payload: payload.to_vec().into() };
            publication.send(packet, Instant::now()).unwrap();
        }
        let (due, stream) = publication.deferred_audio().unwrap();
        let waiting = RefCell::new(Some(DeferredAudio { due, stream: stream.clone() }));
        let hints = ReadHints { waiting, ..ReadHints::default() };
        let writing = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            there.write_all(b"x").unwrap();
        });
        let mut got = [0];
        ConnectionReader::new(&client, &hints).read_exact(&mut got).unwrap();
        assert!(hints.waiting.borrow().is_none(), "it was released");
        writing.join().unwrap();
    }

    /// Writes each of these after a pause, in milliseconds.
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

    /// A busy machine may write later than there is patience for.
    fn once_in_a_while(is_right: impl Fn() -> bool) -> bool {
        (0..10).any(|_| is_right())
    }

    #[test]
    fn a_publisher_is_read_from_when_more_has_come_than_audio_and_when_it_has_waited_for_long() {
        assert!(once_in_a_while(|| {
            let (client, there) = pair();
            let hints = ReadHints { mark: Cell::new(Some(300)), ..ReadHints::default() };
            let writing = writing(there, &[(5, 120), (10, 120), (10, 700), (10, 100), (200, 50)]);
            // The last comes after a silence, when every byte counts.
            let came = reads(&client, &hints, 3) == [(940, false), (100, true), (50, false)];
            drop(writing.join().unwrap());
            assert_eq!(reads(&client, &hints, 1)[0].0, 0, "the end does not wait");
            came
        }));
    }

    #[test]
    fn the_rest_of_a_message_comes_in_one_read_unless_it_is_late() {
        assert!(once_in_a_while(|| {
            let (client, there) = pair();
            let hints = ReadHints::default();
            hints.missing.store(1000, Ordering::Relaxed);
            let writing = writing(there, &[(5, 400), (10, 400), (5, 200), (10, 400), (200, 600)]);
            let came = reads(&client, &hints, 3) == [(1000, false), (400, false), (600, false)];
            drop(writing.join().unwrap());
            came
        }));
    }
}
