//! The one way out to a peer: a queue in front of its socket, never waited for.
//!
//! Replies from the peer's own thread, live messages from a lane and a file player's messages all go
//! through here, so that order is kept and no message is cut in two by another. What the socket does not
//! take at once stays in the queue, and the connection's lane tries again until it is gone.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::framing::{Envelope, Framing};
use super::send_queue::{Content, Queue, Slices};
use super::socket::Socket;
use crate::error::{Error, Result};
use crate::limits;
use crate::live::{Backlog, LiveMessage, PLAYER_STREAM_ID, Skip};
use crate::media::{Packet, PacketKind};
use crate::rtmp::chunk::{ChunkSize, ChunkWriter};
use crate::rtmp::message::media_headers;
use crate::session::Reply;

/// Slices of live messages handed to the socket in one call.
const SLICES: usize = 64;

/// The same of replies and files, which come in few slices. Connections' own threads send these, and each stack
/// keeps the pages that it has touched.
const OWN_SLICES: usize = 8;

/// Room for the answers to most commands at once: growing takes time, and more stack than all else here.
const ANSWERS_BYTES: usize = 512;

/// How often who waits for the socket looks whether it still has to.
const LOOK_UP: Duration = Duration::from_millis(50);

/// The outgoing side of a connection.
#[derive(Debug)]
pub(crate) struct Outgoing {
    socket: Socket,
    queue: Mutex<Queue>,
}

impl Outgoing {
    /// In front of that socket, with nothing waiting.
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket, queue: Mutex::new(Queue::new()) }
    }

    /// The socket.
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Queues replies and sends what can be sent. Says whether a lane has to be asked to flush the rest.
    pub(crate) fn reply(&self, replies: &[Reply]) -> bool {
        let messages = replies.iter().filter_map(|reply| reply.message.encode(reply.stream_id));
        self.own(Content::Reply, |writer, bytes| messages.for_each(|message| writer.write(&message, bytes)))
    }

    /// Sends packets of a file on a message stream, from where they are, and waits until the socket has taken all of them,
    /// while `go_on` says so. Whatever others send meanwhile comes behind. With `more`, the next call comes at once, and the
    /// network may get both together.
    ///
    /// # Errors
    /// [`Error::Disconnected`] when the connection has broken or `go_on` said no. What was begun still goes out then, and a lane
    /// has to be asked to [`flush`](Self::flush).
    pub(crate) fn packets(
        &self,
        stream_id: u32,
        packets: &[Packet],
        more: bool,
        go_on: impl Fn() -> bool,
    ) -> Result<()> {
        if packets.is_empty() && !more {
            self.socket.push();
        }
        let headers: Vec<_> = packets.iter().map(|packet| media_headers(packet, stream_id)).collect();
        let slices = headers.iter().zip(packets);
        let slices = slices.flat_map(|(headers, packet)| headers.slices(ChunkSize::LARGE, &packet.payload));
        let mut slices: Vec<_> = slices.map(IoSlice::new).collect();
        let mut left = &mut slices[..];
        loop {
            let mut queue = self.queue.lock();
            self.write::<OWN_SLICES>(&mut queue);
            queue.is_taken |= queue.is_idle();
            while queue.is_taken && !left.is_empty() {
                let some = &left[..left.len().min(SLICES)];
                let offered = some.iter().map(|slice| slice.len()).sum();
                let result = if more { self.socket.send_with_more(some) } else { self.socket.send(some) };
                let taken = queue.note(offered, result, Instant::now());
                IoSlice::advance_slices(&mut left, taken);
                if taken < offered {
                    break;
                }
            }
            let is_over = queue.broken || queue.finished || !go_on();
            if left.is_empty() || is_over {
                let rest: Vec<&[u8]> = left.iter().map(|slice| &slice[..]).collect();
                queue.release(rest.concat());
                self.write::<OWN_SLICES>(&mut queue);
                return if is_over { Err(Error::Disconnected) } else { Ok(()) };
            }
            drop(queue);
            self.socket.wait_for_room(LOOK_UP);
        }
    }

    /// Says yes once when something waits that a lane has to be asked to [`flush`](Self::flush).
    pub(crate) fn needs_flush(&self) -> bool {
        self.queue.lock().request_retry()
    }

    fn own(&self, kind: fn(Vec<u8>) -> Content, write: impl FnOnce(&mut ChunkWriter, &mut Vec<u8>)) -> bool {
        let mut queue = self.queue.lock();
        let mut bytes = Vec::with_capacity(ANSWERS_BYTES);
        write(&mut queue.writer, &mut bytes);
        queue.push(kind(bytes), Instant::now());
        if queue.replies > limits::REPLY_QUEUE_BYTES {
            log::debug!("a peer that asks without reading the answers is cut off");
            queue.broken = true;
        }
        self.write::<OWN_SLICES>(&mut queue);
        queue.request_retry()
    }

    /// Queues bytes that are whole by themselves, as [`reply`](Self::reply) does replies.
    pub(crate) fn bytes(&self, bytes: Vec<u8>) -> bool {
        self.own(Content::Reply, |_, out| *out = bytes)
    }

    /// Queues live messages and sends what can be sent. The second value is as in [`reply`](Self::reply).
    pub(crate) fn live(&self, framing: Framing, messages: &[Arc<LiveMessage>]) -> (Backlog, bool) {
        let mut queue = self.queue.lock();
        let now = Instant::now();
        let mut taken = 0;
        if queue.is_idle() {
            // Most often the socket takes everything, and nothing has to be queued.
            taken = match framing {
                Framing::Chunks(PLAYER_STREAM_ID) => self.offer(&mut queue, now, |slices| {
                    messages.iter().all(|message| message.slices(message.headers()).all(|slice| slices.add(slice)));
                }),
                Framing::Chunks(_) => 0,
                Framing::Http { as_tags, wrapping } => {
                    let envelope = |message: &Arc<LiveMessage>| Envelope::new(as_tags, wrapping, message);
                    let envelopes: Vec<_> = messages.iter().map(envelope).collect();
                    self.offer(&mut queue, now, |slices| {
                        let mut both = envelopes.iter().zip(messages);
                        both.all(|(envelope, message)| envelope.slices(message).all(|slice| slices.add(slice)));
                    })
                }
            };
        }
        queue.push_rest(framing, messages, taken, now);
        queue.broken |= queue.waiting > limits::PLAYER_QUEUE_CAP_BYTES;
        self.write::<SLICES>(&mut queue);
        (queue.backlog(now), queue.request_retry())
    }

    /// What waits.
    pub(crate) fn backlog(&self) -> Backlog {
        self.queue.lock().backlog(Instant::now())
    }

    /// Hands slices to the socket; says how many bytes it took.
    fn offer<'a>(&self, queue: &mut Queue, now: Instant, fill: impl FnOnce(&mut Slices<'_, 'a>)) -> usize {
        let mut room = [IoSlice::new(&[]); SLICES];
        let mut slices = Slices::new(&mut room);
        fill(&mut slices);
        let (offered, result) = (slices.bytes, self.socket.send(slices.filled()));
        queue.note(offered, result, now)
    }

    /// Throws away what waits of a live play, but for what was begun and what is essential.
    pub(crate) fn skip(&self, stream_id: u32, what: Skip) -> usize {
        let is_meant = |message: &LiveMessage| what == Skip::All || message.packet.kind == PacketKind::Video;
        let is_skipped = |message: &LiveMessage| !message.is_essential && is_meant(message);
        self.discard_where(|content| content.live_on(stream_id).is_some_and(is_skipped))
    }

    /// Throws away all that waits of a live play which is over, but for what was begun.
    pub(crate) fn discard(&self, stream_id: u32) {
        self.discard_where(|content| content.live_on(stream_id).is_some());
    }

    fn discard_where(&self, is_meant: impl Fn(&Content) -> bool) -> usize {
        let mut queue = self.queue.lock();
        let before = queue.entries.len();
        let begun = queue.begun > 0;
        let mut index = 0;
        let mut dropped_bytes = 0;
        queue.entries.retain(|entry| {
            let keep = (begun && index == 0) || !is_meant(&entry.content);
            index += 1;
            if !keep {
                dropped_bytes += entry.length;
            }
            keep
        });
        queue.waiting -= dropped_bytes;
        before - queue.entries.len()
    }

    /// Sends what can be sent; says whether anything still waits.
    pub(crate) fn flush(&self) -> bool {
        let mut queue = self.queue.lock();
        self.write::<SLICES>(&mut queue);
        queue.retried = queue.has_pending_data();
        queue.retried
    }

    /// Waits until nothing waits any more, while `go_on` says so.
    ///
    /// # Errors
    /// [`Error::Disconnected`] when the connection has broken or `go_on` said no.
    pub(crate) fn drain(&self, go_on: impl Fn() -> bool) -> Result<()> {
        loop {
            let mut queue = self.queue.lock();
            self.write::<OWN_SLICES>(&mut queue);
            if queue.broken || !go_on() {
                return Err(Error::Disconnected);
            }
            if !queue.has_pending_data() {
                return Ok(());
            }
            drop(queue);
            self.socket.wait_for_room(LOOK_UP);
        }
    }

    /// How long the socket has taken nothing of what waits.
    pub(crate) fn stalled(&self, now: Instant) -> Duration {
        let queue = self.queue.lock();
        if queue.has_pending_data() { now.saturating_duration_since(queue.progress) } else { Duration::ZERO }
    }

    /// Bytes that the socket took.
    pub(crate) fn sent(&self) -> u64 {
        self.queue.lock().sent
    }

    /// Ends this side of the connection once nothing waits; says whether it did. The peer reads what is on
    /// its way and then the end: to close the socket would take that away from it.
    pub(crate) fn finish(&self) -> bool {
        let mut queue = self.queue.lock();
        let idle = !queue.has_pending_data();
        if idle && !queue.finished {
            queue.finished = true;
            self.socket.finish();
        }
        idle
    }

    fn write<const ROOM: usize>(&self, queue: &mut Queue) {
        queue.write_to::<ROOM>(&self.socket);
        if queue.broken {
            queue.clear();
            self.socket.shutdown();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;
    use crate::media::{PacketKind, Timestamp};
    use crate::rtmp::chunk::ChunkReader;
    use crate::rtmp::message::Message;
    use crate::rtmp::user_control::UserControl;

    /// An outgoing side and its peer's end, with little room between them.
    fn pair() -> (Outgoing, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (there, _) = listener.accept().unwrap();
        let socket = Socket::new(here.try_clone().unwrap(), None).unwrap();
        rustix::net::sockopt::set_socket_send_buffer_size(&here, 4096).unwrap();
        (Outgoing::new(socket), there)
    }

    fn message(kind: PacketKind, first: [u8; 2], length: usize) -> Arc<LiveMessage> {
        let mut payload = vec![7; length];
        payload[..2].copy_from_slice(&first);
        Arc::new(LiveMessage::new(Packet { kind, timestamp: Timestamp::ZERO, payload: payload.into() }))
    }

    fn frame(length: usize) -> Arc<LiveMessage> {
        message(PacketKind::Video, [0x27, 1], length)
    }

    /// Fills the socket until something waits, and returns how many frames it took.
    fn fill(outgoing: &Outgoing) -> usize {
        (1..).find(|_| outgoing.live(Framing::Chunks(1), &[frame(50_000)]).0.bytes > 200_000).unwrap()
    }

    fn ping() -> Reply {
        Reply { stream_id: 0, message: Message::UserControl(UserControl::PingRequest(0)) }
    }

    /// Reads messages until a ping comes: their first bytes.
    fn read_to_ping(socket: TcpStream) -> Vec<u8> {
        let mut reader = ChunkReader::new(std::io::BufReader::new(socket));
        let mut first_bytes = Vec::new();
        loop {
            let message = reader.read_message().unwrap();
            match message.type_id {
                4 => return first_bytes,
                1 => {}
                _ => first_bytes.push(message.payload[0]),
            }
        }
    }

    fn chunk_size() -> Reply {
        Reply { stream_id: 0, message: Message::SetChunkSize(crate::rtmp::chunk::ChunkSize::LARGE) }
    }

    #[test]
    fn a_full_socket_never_makes_the_sender_wait_and_a_retry_is_asked_for_once() {
        let (outgoing, _there) = pair();
        let mut retries = 0;
        for _ in 0..1000 {
            retries += usize::from(outgoing.live(Framing::Chunks(1), &[frame(50_000)]).1);
        }
        assert_eq!(retries, 1);
        assert!(outgoing.flush(), "something waits still");
    }

    #[test]
    fn skipping_keeps_what_was_begun_and_what_is_essential() {
        let (outgoing, there) = pair();
        outgoing.reply(&[chunk_size()]);
        let sent = fill(&outgoing);
        outgoing.live(Framing::Chunks(1), &[message(PacketKind::Video, [0x17, 0], 60), frame(60)]);
        let skipped = outgoing.skip(1, Skip::All);
        outgoing.reply(&[ping()]);
        let reader = std::thread::spawn(move || read_to_ping(there));
        while outgoing.flush() {
            std::thread::yield_now();
        }
        let got = reader.join().unwrap();
        assert!(skipped > 3, "{skipped}");
        assert_eq!(got.len(), sent + 2 - skipped, "no message was cut");
        assert_eq!(got.last(), Some(&0x17), "the sequence header");
    }

    #[test]
    fn skipping_does_not_hide_that_the_socket_takes_nothing() {
        let (outgoing, _there) = pair();
        let (now, minute) = (Instant::now(), Duration::from_secs(60));
        let try_in_vain = |at| {
            let mut queue = outgoing.queue.lock();
            queue.note(500, Ok(0), at);
            queue.push_rest(Framing::Chunks(1), &[frame(500)], 0, at);
        };
        outgoing.queue.lock().note(500, Ok(500), now);
        try_in_vain(now);
        assert_eq!(outgoing.skip(1, Skip::All), 1);
        try_in_vain(now + minute);
        assert_eq!(outgoing.stalled(now + minute), minute);
        outgoing.queue.lock().note(500, Ok(500), now + minute);
        assert_eq!(outgoing.stalled(now + minute), Duration::ZERO);
    }

    #[test]
    fn skipping_spares_other_message_streams_and_replies() {
        let (outgoing, _there) = pair();
        fill(&outgoing);
        outgoing.live(Framing::Chunks(2), &[frame(60)]);
        outgoing.reply(&[ping()]);
        outgoing.skip(1, Skip::All);
        let left = outgoing
            .queue
            .lock()
            .entries
            .iter()
            .map(|entry| entry.content.live_on(2).is_some_and(|message| !message.is_essential))
            .collect::<Vec<_>>();
        assert_eq!(left[left.len() - 2..], [true, false]);
        assert_eq!(outgoing.skip(2, Skip::All), 1);
    }

    #[test]
    fn the_counts_come_back_to_zero() {
        let (outgoing, mut there) = pair();
        fill(&outgoing);
        outgoing.reply(&[ping()]);
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            there.read_to_end(&mut bytes).unwrap();
            bytes.len()
        });
        while outgoing.flush() {
            std::thread::yield_now();
        }
        {
            let queue = outgoing.queue.lock();
            assert_eq!((queue.waiting, queue.replies, queue.begun), (0, 0, 0));
        }
        assert_eq!(outgoing.stalled(Instant::now()), Duration::ZERO);
        outgoing.socket.shutdown();
        assert_eq!(reader.join().unwrap() as u64, outgoing.sent());
    }

    fn file_frames(count: u32) -> Vec<Packet> {
        let frame = |number| Packet {
            kind: PacketKind::Video,
            timestamp: Timestamp::new(number),
            payload: vec![number as u8 + 1; 100_000].into(),
        };
        (0..count).map(frame).collect()
    }

    #[test]
    fn answers_come_between_the_messages_of_a_file() {
        let (outgoing, there) = pair();
        outgoing.reply(&[chunk_size()]);
        let outgoing = Arc::new(outgoing);
        let frames = file_frames(40);
        let (sent, sending) = (frames.clone(), outgoing.clone());
        let playing = std::thread::spawn(move || {
            sent.chunks(4).try_for_each(|some| sending.packets(1, some, some[0].payload[0] % 3 == 0, || true))
        });
        let pinging = outgoing.clone();
        let pinging = std::thread::spawn(move || {
            for _ in 0..20 {
                pinging.reply(&[ping()]);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let mut reader = ChunkReader::new(std::io::BufReader::with_capacity(16, there));
        let (mut pings, mut got) = (0, Vec::new());
        while pings < 20 || got.len() < frames.len() {
            let message = reader.read_message().unwrap();
            match message.type_id {
                4 => pings += 1,
                9 => got.push(message.payload),
                _ => {}
            }
            while outgoing.needs_flush() && outgoing.flush() {}
        }
        assert!(got.iter().zip(&frames).all(|(got, frame)| *got == frame.payload));
        playing.join().unwrap().unwrap();
        pinging.join().unwrap();
        assert!(!outgoing.flush());
    }

    #[test]
    fn a_file_that_is_stopped_leaves_no_half_message() {
        let (outgoing, there) = pair();
        outgoing.reply(&[chunk_size()]);
        let left = std::cell::Cell::new(3);
        let go_on = || left.replace(left.get() - 1) > 0;
        assert!(outgoing.packets(1, &file_frames(40), false, go_on).unwrap_err().is_disconnect());
        assert!(outgoing.needs_flush(), "some of it waits");
        outgoing.reply(&[ping()]);
        let reading = std::thread::spawn(move || read_to_ping(there));
        while outgoing.flush() {
            std::thread::yield_now();
        }
        let expected: Vec<u8> = (1..=40).collect();
        assert_eq!(reading.join().unwrap(), expected);
    }

    #[test]
    fn who_asks_without_reading_is_cut_off_at_the_limit() {
        let (outgoing, _there) = pair();
        let answer = Reply { stream_id: 0, message: Message::UserControl(UserControl::PingResponse(7)) };
        let answers = vec![answer; 1024];
        let mut most = 0;
        while !outgoing.queue.lock().broken {
            outgoing.reply(&answers);
            most = outgoing.queue.lock().replies.max(most);
            assert!(outgoing.sent() < 16 << 20, "there is no end");
        }
        assert!(most > limits::REPLY_QUEUE_BYTES / 2, "{most}");
        assert!(outgoing.drain(|| true).is_err());
        assert_eq!(outgoing.queue.lock().waiting, 0, "nothing is kept for it");
    }

    #[test]
    fn headers_that_nobody_reads_do_not_pile_up_for_ever() {
        let (outgoing, _there) = pair();
        let header = message(PacketKind::Video, [0x17, 0], 1 << 20);
        let pushed = (1..200).find(|_| {
            outgoing.live(Framing::Chunks(1), std::slice::from_ref(&header));
            outgoing.queue.lock().broken
        });
        assert!(pushed.is_some_and(|count| count << 20 > limits::PLAYER_QUEUE_CAP_BYTES), "{pushed:?}");
    }

    #[test]
    fn a_stall_is_measured_from_the_last_byte_taken() {
        let (outgoing, _there) = pair();
        fill(&outgoing);
        let later = Instant::now() + Duration::from_secs(30);
        assert!(outgoing.stalled(later) > Duration::from_secs(29));
    }
}
