//! The outgoing side of a connection: a send queue in front of its socket that never blocks its users.
//!
//! Replies from the connection's own thread, live messages from a lane and a file player's messages all pass through
//! here, so that order is kept and messages are never interleaved. What the socket does not take at once stays in the
//! queue, and the connection's lane retries until it is empty.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::framing::{Envelope, Framing};
use super::send_queue::{Content, Overflow, Queue, Slices};
use super::socket::Socket;
use crate::error::{Error, Result};
use crate::limits;
use crate::live::{Backlog, LiveMessage, PLAYER_STREAM_ID, Skip};
use crate::media::{Packet, PacketKind};
use crate::rtmp::chunk::ChunkSize;
use crate::rtmp::message::media_headers;
use crate::session::Reply;

/// The most slices of live messages per send.
const LIVE_SLICES: usize = 64;

/// The most slices of replies and files per send; they come in few. Connections' own threads send these, and each stack
/// keeps the pages that it has touched.
const THREAD_SLICES: usize = 8;

/// The capacity for the replies to most commands: growing takes time, and more stack than all else here.
const REPLY_CAPACITY: usize = 512;

/// How often a wait for the socket checks whether to continue.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The outgoing side of a connection.
#[derive(Debug)]
pub(super) struct Outgoing {
    socket: Socket,
    queue: Mutex<Queue>,
}

impl Outgoing {
    /// Creates the outgoing side with an empty queue.
    pub(super) fn new(socket: Socket) -> Self {
        Self { socket, queue: Mutex::new(Queue::new()) }
    }

    /// Returns the socket.
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Enqueues replies and sends what can be sent. Returns whether the caller has to schedule a flush on a lane.
    pub(super) fn reply(&self, replies: &[Reply]) -> bool {
        let messages = replies.iter().filter_map(|reply| reply.message.encode(reply.stream_id));
        let mut queue = self.queue.lock();
        let mut bytes = Vec::with_capacity(REPLY_CAPACITY);
        messages.for_each(|message| queue.writer.write(&message, &mut bytes));
        self.enqueue(&mut queue, bytes)
    }

    /// Sends packets of a file on a message stream, without copying them, and waits until the socket has taken all of
    /// them, as long as `should_continue` returns true. Messages enqueued meanwhile follow after them. `more` announces
    /// that the next call follows at once, so that both may share a segment.
    ///
    /// # Errors
    /// [`Error::Disconnected`] when the connection is broken or `should_continue` returned false. A partially sent
    /// message is still completed then, for which the caller has to schedule a [`flush`](Self::flush).
    pub(super) fn send_packets(
        &self,
        stream_id: u32,
        packets: &[Packet],
        more: bool,
        should_continue: impl Fn() -> bool,
    ) -> Result<()> {
        if packets.is_empty() && !more {
            self.socket.uncork();
        }
        let headers: Vec<_> = packets.iter().map(|packet| media_headers(packet, stream_id)).collect();
        let slices = headers.iter().zip(packets);
        let slices = slices.flat_map(|(headers, packet)| headers.slices(ChunkSize::LARGE, &packet.payload));
        let mut slices: Vec<_> = slices.map(IoSlice::new).collect();
        let mut left = &mut slices[..];
        loop {
            let mut queue = self.queue.lock();
            self.flush_queue::<THREAD_SLICES>(&mut queue);
            queue.is_bypassed |= queue.is_idle();
            while queue.is_bypassed && !left.is_empty() {
                let some = &left[..left.len().min(LIVE_SLICES)];
                let offered = some.iter().map(|slice| slice.len()).sum();
                let result = if more { self.socket.send_with_more(some) } else { self.socket.send(some) };
                let taken = queue.record_send(offered, result, Instant::now());
                IoSlice::advance_slices(&mut left, taken);
                if taken < offered {
                    break;
                }
            }
            let is_over = queue.is_broken || queue.is_finished || !should_continue();
            if left.is_empty() || is_over {
                let rest: Vec<&[u8]> = left.iter().map(|slice| &slice[..]).collect();
                queue.end_bypass(rest.concat());
                self.flush_queue::<THREAD_SLICES>(&mut queue);
                return if is_over { Err(Error::Disconnected) } else { Ok(()) };
            }
            drop(queue);
            self.socket.wait_writable(POLL_INTERVAL);
        }
    }

    /// Returns true once when data is left for which the caller has to schedule a [`flush`](Self::flush).
    pub(super) fn needs_flush(&self) -> bool {
        self.queue.lock().claim_flush()
    }

    /// Enqueues bytes, as [`reply`](Self::reply) does replies.
    pub(super) fn enqueue_bytes(&self, bytes: Vec<u8>) -> bool {
        self.enqueue(&mut self.queue.lock(), bytes)
    }

    fn enqueue(&self, queue: &mut Queue, bytes: Vec<u8>) -> bool {
        queue.push(Content::Reply(bytes), Instant::now());
        if queue.reply_bytes > limits::REPLY_QUEUE_BYTES {
            queue.fail_overflow(Overflow::Replies);
        }
        self.flush_queue::<THREAD_SLICES>(queue);
        queue.claim_flush()
    }

    /// Returns why the connection was given up, if the queue was.
    pub(super) fn overflow(&self) -> Option<&'static str> {
        self.queue.lock().overflow.map(Overflow::reason)
    }

    /// Enqueues live messages and sends what can be sent. The second value is as in [`reply`](Self::reply).
    pub(super) fn send_live(&self, framing: Framing, messages: &[Arc<LiveMessage>]) -> (Backlog, bool) {
        let mut queue = self.queue.lock();
        let now = Instant::now();
        let (mut taken, mut rest) = (0, messages);
        if queue.is_idle() {
            // Usually the socket takes everything, and nothing has to be queued.
            taken = match framing {
                Framing::Chunks(PLAYER_STREAM_ID) => self.try_send(&mut queue, now, |slices| {
                    messages.iter().all(|message| message.slices(message.headers()).all(|slice| slices.add(slice)));
                }),
                Framing::Chunks(_) => 0,
                Framing::Http { as_tags, wrapping } => {
                    let envelope = |message: &Arc<LiveMessage>| Envelope::new(as_tags, wrapping, message);
                    let envelopes: Vec<_> = messages.iter().map(envelope).collect();
                    let both = || envelopes.iter().zip(messages);
                    let taken = self.try_send(&mut queue, now, |slices| {
                        both().all(|(envelope, message)| envelope.slices(message).all(|slice| slices.add(slice)));
                    });
                    if taken == both().map(|(envelope, message)| envelope.length(message)).sum::<usize>() {
                        rest = &[];
                    }
                    taken
                }
            };
        }
        queue.push_rest(framing, rest, taken, now);
        if queue.queued_bytes > limits::PLAYER_QUEUE_CAP_BYTES {
            queue.fail_overflow(Overflow::Live);
        }
        self.flush_queue::<LIVE_SLICES>(&mut queue);
        (queue.backlog(now), queue.claim_flush())
    }

    /// Returns what is queued.
    pub(super) fn backlog(&self) -> Backlog {
        self.queue.lock().backlog(Instant::now())
    }

    /// Offers slices to the socket; returns how many bytes it took.
    fn try_send<'a>(&self, queue: &mut Queue, now: Instant, fill: impl FnOnce(&mut Slices<'_, 'a>)) -> usize {
        let mut room = [IoSlice::new(&[]); LIVE_SLICES];
        let mut slices = Slices::new(&mut room);
        fill(&mut slices);
        let (offered, result) = (slices.bytes, self.socket.send(slices.filled()));
        queue.record_send(offered, result, now)
    }

    /// Drops what is queued of a live play, except a partially sent message and essential ones.
    pub(super) fn skip(&self, stream_id: u32, what: Skip) -> usize {
        let is_meant = |message: &LiveMessage| what == Skip::All || message.packet.kind == PacketKind::Video;
        let is_skipped = |message: &LiveMessage| !message.is_essential && is_meant(message);
        self.discard_where(|content| content.live_on(stream_id).is_some_and(is_skipped))
    }

    /// Drops everything queued of a live play that has ended, except a partially sent message.
    pub(super) fn discard(&self, stream_id: u32) {
        self.discard_where(|content| content.live_on(stream_id).is_some());
    }

    fn discard_where(&self, is_meant: impl Fn(&Content) -> bool) -> usize {
        let mut queue = self.queue.lock();
        let before = queue.entries.len();
        let begun = queue.front_sent > 0;
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
        queue.queued_bytes -= dropped_bytes;
        before - queue.entries.len()
    }

    /// Sends what can be sent; returns whether anything is left.
    pub(super) fn flush(&self) -> bool {
        let mut queue = self.queue.lock();
        self.flush_queue::<LIVE_SLICES>(&mut queue);
        queue.is_flush_scheduled = queue.has_pending_data();
        queue.is_flush_scheduled
    }

    /// Waits until the queue is empty, as long as `should_continue` returns true.
    ///
    /// # Errors
    /// [`Error::Disconnected`] when the connection is broken or `should_continue` returned false.
    pub(super) fn flush_blocking(&self, should_continue: impl Fn() -> bool) -> Result<()> {
        loop {
            let mut queue = self.queue.lock();
            self.flush_queue::<THREAD_SLICES>(&mut queue);
            if queue.is_broken || !should_continue() {
                return Err(Error::Disconnected);
            }
            if !queue.has_pending_data() {
                return Ok(());
            }
            drop(queue);
            self.socket.wait_writable(POLL_INTERVAL);
        }
    }

    /// Returns how long the socket has taken nothing of the queue.
    pub(super) fn stalled(&self, now: Instant) -> Duration {
        let queue = self.queue.lock();
        if queue.has_pending_data() { now.saturating_duration_since(queue.last_progress) } else { Duration::ZERO }
    }

    /// Returns the bytes that the socket took.
    pub(super) fn sent(&self) -> u64 {
        self.queue.lock().sent
    }

    /// Ends this side of the connection once the queue is empty; returns whether it is. The peer reads what is in
    /// flight and then the end: closing the socket would discard that.
    pub(super) fn finish(&self) -> bool {
        let mut queue = self.queue.lock();
        let idle = !queue.has_pending_data();
        if idle && !queue.is_finished {
            queue.is_finished = true;
            self.socket.finish();
        }
        idle
    }

    fn flush_queue<const ROOM: usize>(&self, queue: &mut Queue) {
        queue.flush_to::<ROOM>(&self.socket);
        if queue.is_broken {
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

    /// Returns an outgoing side and its peer's end, with small buffers between them.
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

    /// Fills the socket until something is queued, and returns how many frames that took.
    fn fill(outgoing: &Outgoing) -> usize {
        (1..).find(|_| outgoing.send_live(Framing::Chunks(1), &[frame(50_000)]).0.bytes > 200_000).unwrap()
    }

    fn ping() -> Reply {
        Reply { stream_id: 0, message: Message::UserControl(UserControl::PingRequest(0)) }
    }

    /// Reads messages until a ping comes, and returns their first bytes.
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
    fn a_full_socket_never_blocks_and_a_flush_is_requested_once() {
        let (outgoing, _there) = pair();
        let mut retries = 0;
        for _ in 0..1000 {
            retries += usize::from(outgoing.send_live(Framing::Chunks(1), &[frame(50_000)]).1);
        }
        assert_eq!(retries, 1);
        assert!(outgoing.flush(), "something is left");
    }

    #[test]
    fn skipping_keeps_partially_sent_and_essential_messages() {
        let (outgoing, there) = pair();
        outgoing.reply(&[chunk_size()]);
        let sent = fill(&outgoing);
        outgoing.send_live(Framing::Chunks(1), &[message(PacketKind::Video, [0x17, 0], 60), frame(60)]);
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
    fn skipping_does_not_hide_a_stall() {
        let (outgoing, _there) = pair();
        let (now, minute) = (Instant::now(), Duration::from_secs(60));
        let try_in_vain = |at| {
            let mut queue = outgoing.queue.lock();
            queue.record_send(500, Ok(0), at);
            queue.push_rest(Framing::Chunks(1), &[frame(500)], 0, at);
        };
        outgoing.queue.lock().record_send(500, Ok(500), now);
        try_in_vain(now);
        assert_eq!(outgoing.skip(1, Skip::All), 1);
        try_in_vain(now + minute);
        assert_eq!(outgoing.stalled(now + minute), minute);
        outgoing.queue.lock().record_send(500, Ok(500), now + minute);
        assert_eq!(outgoing.stalled(now + minute), Duration::ZERO);
    }

    #[test]
    fn skipping_spares_other_message_streams_and_replies() {
        let (outgoing, _there) = pair();
        fill(&outgoing);
        outgoing.send_live(Framing::Chunks(2), &[frame(60)]);
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
    fn the_counters_return_to_zero() {
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
            assert_eq!((queue.queued_bytes, queue.reply_bytes, queue.front_sent), (0, 0, 0));
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
    fn replies_go_out_between_the_messages_of_a_file() {
        let (outgoing, there) = pair();
        outgoing.reply(&[chunk_size()]);
        let outgoing = Arc::new(outgoing);
        let frames = file_frames(40);
        let (sent, sending) = (frames.clone(), outgoing.clone());
        let playing = std::thread::spawn(move || {
            sent.chunks(4).try_for_each(|some| sending.send_packets(1, some, some[0].payload[0] % 3 == 0, || true))
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
    fn stopping_a_file_leaves_no_partial_message() {
        let (outgoing, there) = pair();
        outgoing.reply(&[chunk_size()]);
        let left = std::cell::Cell::new(3);
        let should_continue = || left.replace(left.get() - 1) > 0;
        assert!(outgoing.send_packets(1, &file_frames(40), false, should_continue).unwrap_err().is_disconnect());
        assert!(outgoing.needs_flush(), "some of it is left");
        outgoing.reply(&[ping()]);
        let reading = std::thread::spawn(move || read_to_ping(there));
        while outgoing.flush() {
            std::thread::yield_now();
        }
        let expected: Vec<u8> = (1..=40).collect();
        assert_eq!(reading.join().unwrap(), expected);
    }

    #[test]
    fn a_client_that_reads_no_replies_is_closed_at_the_limit() {
        let (outgoing, _there) = pair();
        let answer = Reply { stream_id: 0, message: Message::UserControl(UserControl::PingResponse(7)) };
        let answers = vec![answer; 1024];
        let mut peak = 0;
        while !outgoing.queue.lock().is_broken {
            outgoing.reply(&answers);
            peak = outgoing.queue.lock().reply_bytes.max(peak);
            assert!(outgoing.sent() < 16 << 20, "the limit does not hold");
        }
        assert!(peak > limits::REPLY_QUEUE_BYTES / 2, "{peak}");
        assert!(outgoing.flush_blocking(|| true).is_err());
        assert_eq!(outgoing.queue.lock().queued_bytes, 0, "its queue is freed");
        assert_eq!(outgoing.overflow(), Some("unread replies exceed the limit"));
    }

    #[test]
    fn unread_headers_are_limited() {
        let (outgoing, _there) = pair();
        let header = message(PacketKind::Video, [0x17, 0], 1 << 20);
        let pushed = (1..200).find(|_| {
            outgoing.send_live(Framing::Chunks(1), std::slice::from_ref(&header));
            outgoing.queue.lock().is_broken
        });
        assert!(pushed.is_some_and(|count| count << 20 > limits::PLAYER_QUEUE_CAP_BYTES), "{pushed:?}");
        assert_eq!(outgoing.overflow(), Some("queued messages exceed the limit"));
    }

    #[test]
    fn a_stall_is_measured_from_the_last_byte_taken() {
        let (outgoing, _there) = pair();
        fill(&outgoing);
        let later = Instant::now() + Duration::from_secs(30);
        assert!(outgoing.stalled(later) > Duration::from_secs(29));
    }
}
