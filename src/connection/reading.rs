//! Reading from a client, which may take a while.

use std::cell::RefCell;
use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Peer;
use crate::live::Stream;

/// Sound of a stream that waits for the next picture, and until when.
pub(super) struct WaitingSound {
    pub due: Instant,
    pub stream: Arc<Stream>,
}

/// A client's socket. When a publisher sends nothing more, its sound that waits for a picture goes out
/// without one: who blocks in `read` is the one who knows, and no other thread has to wake up to look.
pub(super) struct Reading<'a> {
    pub socket: &'a TcpStream,
    pub peer: &'a Peer,
    pub waiting: &'a RefCell<Option<WaitingSound>>,
    /// What was read already and comes first.
    pub unread: Vec<u8>,
}

impl<'a> Reading<'a> {
    pub fn new(socket: &'a TcpStream, peer: &'a Peer, waiting: &'a RefCell<Option<WaitingSound>>) -> Self {
        Self { socket, peer, waiting, unread: Vec::new() }
    }
}

impl Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.unread.is_empty() {
            let length = buffer.len().min(self.unread.len());
            buffer[..length].copy_from_slice(&self.unread[..length]);
            self.unread.drain(..length);
            return Ok(length);
        }
        let mut waiting = self.waiting.borrow_mut();
        if let Some(WaitingSound { due, stream }) = &*waiting {
            if !has_something(self.socket, *due) {
                stream.release_sound(Instant::now());
                *waiting = None;
            }
        }
        drop(waiting);
        let length = (&mut &*self.socket).read(buffer)?;
        self.peer.heard(Instant::now());
        Ok(length)
    }
}

/// Waits until then for something to read, an end or an error among it.
fn has_something(socket: &TcpStream, until: Instant) -> bool {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return false,
            Err(rustix::io::Errno::INTR) => {}
            // Errors show in the read.
            Ok(_) | Err(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Duration;

    use super::*;
    use crate::live::{Gather, LanePool, Registry, ReplacePublisher};
    use crate::media::{Packet, PacketKind, Timestamp};

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, there)
    }

    fn peer(socket: &TcpStream) -> Arc<Peer> {
        let lane = LanePool::start(1, Gather::Auto).unwrap().pick();
        Peer::new("192.0.2.7:5000".to_owned(), socket.try_clone().unwrap(), lane)
    }

    #[test]
    fn what_was_read_already_comes_first() {
        let (here, mut there) = pair();
        there.write_all(b"def").unwrap();
        let (waiting, peer) = (RefCell::new(None), peer(&here));
        let mut reading = Reading { unread: b"abc".to_vec(), ..Reading::new(&here, &peer, &waiting) };
        let mut got = [0; 6];
        reading.read_exact(&mut got[..2]).unwrap();
        reading.read_exact(&mut got[2..]).unwrap();
        assert_eq!(&got, b"abcdef");
    }

    #[test]
    fn sound_does_not_wait_for_a_publisher_that_sends_nothing() {
        let (here, mut there) = pair();
        let registry = Registry::new(ReplacePublisher::Never, Duration::ZERO, 1 << 20);
        let mut publication = registry.publish("live/cam", Instant::now(), Box::new(|_| {})).unwrap();
        for (kind, payload) in [(PacketKind::Video, [0x17, 1]), (PacketKind::Audio, [0xaf, 1])] {
            let packet = Packet { kind, timestamp: Timestamp::ZERO, payload: payload.to_vec() };
            publication.send(packet, Instant::now()).unwrap();
        }
        let (due, stream) = publication.waiting_sound().unwrap();
        let waiting = RefCell::new(Some(WaitingSound { due, stream: stream.clone() }));
        let writing = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            there.write_all(b"x").unwrap();
        });
        let mut got = [0];
        Reading::new(&here, &peer(&here), &waiting).read_exact(&mut got).unwrap();
        assert!(waiting.borrow().is_none(), "it was released");
        writing.join().unwrap();
    }
}
