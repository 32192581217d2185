//! Reading from a client, which may take a while.

use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Instant;

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
    pub peer: &'a Peer,
    pub waiting: &'a RefCell<Option<WaitingSound>>,
    /// What was read already and comes first.
    pub unread: Vec<u8>,
}

impl<'a> Reading<'a> {
    pub fn new(peer: &'a Peer, waiting: &'a RefCell<Option<WaitingSound>>) -> Self {
        Self { peer, waiting, unread: Vec::new() }
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
        if let Some(WaitingSound { due, stream }) = &*waiting
            && !self.peer.transport().has_something(*due)
        {
            stream.release_sound(Instant::now());
            *waiting = None;
        }
        drop(waiting);
        let length = self.peer.transport().read(buffer)?;
        self.peer.heard(Instant::now());
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::time::Duration;

    use super::super::transport::Transport;
    use super::*;
    use crate::live::{Gather, LanePool, Registry, Settings};
    use crate::media::{Packet, PacketKind, Timestamp};

    fn pair() -> (Arc<Peer>, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (here, address) = listener.accept().unwrap();
        let lane = LanePool::start(1, Gather::Auto).unwrap().pick();
        (Peer::new(address, Transport::new(here, None).unwrap(), lane, Duration::ZERO), there)
    }

    #[test]
    fn what_was_read_already_comes_first() {
        let (peer, mut there) = pair();
        there.write_all(b"def").unwrap();
        let waiting = RefCell::new(None);
        let mut reading = Reading { unread: b"abc".to_vec(), ..Reading::new(&peer, &waiting) };
        let mut got = [0; 6];
        reading.read_exact(&mut got[..2]).unwrap();
        reading.read_exact(&mut got[2..]).unwrap();
        assert_eq!(&got, b"abcdef");
    }

    #[test]
    fn sound_does_not_wait_for_a_publisher_that_sends_nothing() {
        let (peer, mut there) = pair();
        let registry = Registry::new(Settings::default());
        let mut publication =
            registry.publish("live/cam", "[192.0.2.7:5000]", Instant::now(), Box::new(|_| {})).unwrap();
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
        Reading::new(&peer, &waiting).read_exact(&mut got).unwrap();
        assert!(waiting.borrow().is_none(), "it was released");
        writing.join().unwrap();
    }
}
