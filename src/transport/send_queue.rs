//! The send queue in front of a socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::framing::{Framed, Framing};
use super::socket::Socket;
use crate::live::{Backlog, LiveMessage};
use crate::rtmp::chunk::ChunkWriter;

/// The capacity that an empty queue keeps.
const MIN_ENTRIES_CAPACITY: usize = 8;

#[derive(Debug)]
pub(super) struct Queue {
    pub writer: ChunkWriter,
    pub entries: VecDeque<Entry>,
    /// Bytes of the first entry that the socket has taken.
    pub front_sent: usize,
    pub queued_bytes: usize,
    /// Bytes of queued replies.
    pub reply_bytes: usize,
    pub sent: u64,
    /// When the socket last took something, or the queue was last empty.
    pub last_progress: Instant,
    /// The last send took less than it was offered.
    pub is_full: bool,
    pub is_broken: bool,
    /// Why it is, unless the socket failed.
    pub overflow: Option<Overflow>,
    /// Nothing more will be sent.
    pub is_finished: bool,
    /// A lane is going to flush.
    pub is_flush_scheduled: bool,
    /// The socket itself (TLS) holds data that is still to be sent.
    pub is_socket_pending: bool,
    /// A file is being sent past the queue, whose entries follow after it.
    pub is_bypassed: bool,
}

/// What was queued beyond its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    Replies,
    Live,
}

impl Overflow {
    /// Returns why the connection is closed.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Replies => "unread replies exceed the limit",
            Self::Live => "queued messages exceed the limit",
        }
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub content: Content,
    /// Bytes on the wire.
    pub length: usize,
    /// When it was queued.
    pub queued_at: Instant,
}

#[derive(Debug)]
pub(super) enum Content {
    /// A message of a live stream.
    Live(Framed),
    /// Replies of RTMP, or bytes over HTTP between messages of a stream.
    Reply(Vec<u8>),
    /// The remainder of a file's data, whose thread waits for the socket.
    File(Vec<u8>),
}

impl Content {
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Live(framed) => framed.length(),
            Self::Reply(bytes) | Self::File(bytes) => bytes.len(),
        }
    }

    /// Calls `with` for each slice until it returns false; returns whether it never did.
    pub(super) fn slices<'a>(&'a self, with: impl FnMut(&'a [u8]) -> bool) -> bool {
        match self {
            Self::Live(framed) => framed.slices(with),
            Self::Reply(bytes) | Self::File(bytes) => std::iter::once(&bytes[..]).all(with),
        }
    }

    /// Returns the message, if it belongs to a live play on that message stream.
    pub(super) fn live_on(&self, stream_id: u32) -> Option<&LiveMessage> {
        match self {
            Self::Live(framed) => framed.message_on(stream_id),
            _ => None,
        }
    }
}

/// The slices for one send.
pub(super) struct Slices<'r, 'a> {
    buffer: &'r mut [IoSlice<'a>],
    count: usize,
    pub bytes: usize,
}

impl<'r, 'a> Slices<'r, 'a> {
    pub(super) fn new(buffer: &'r mut [IoSlice<'a>]) -> Self {
        Self { buffer, count: 0, bytes: 0 }
    }

    /// Adds a slice; returns whether there was room.
    pub(super) fn add(&mut self, bytes: &'a [u8]) -> bool {
        let Some(slice) = self.buffer.get_mut(self.count) else { return false };
        *slice = IoSlice::new(bytes);
        self.count += 1;
        self.bytes += bytes.len();
        true
    }

    pub(super) fn filled(&self) -> &[IoSlice<'a>] {
        &self.buffer[..self.count]
    }
}

impl Queue {
    /// Creates an empty queue.
    pub(super) fn new() -> Self {
        Self {
            writer: ChunkWriter::new(),
            entries: VecDeque::new(),
            front_sent: 0,
            queued_bytes: 0,
            reply_bytes: 0,
            sent: 0,
            last_progress: Instant::now(),
            is_full: false,
            is_broken: false,
            overflow: None,
            is_finished: false,
            is_flush_scheduled: false,
            is_socket_pending: false,
            is_bypassed: false,
        }
    }

    pub(super) fn push(&mut self, content: Content, now: Instant) {
        let length = content.length();
        if length == 0 || self.is_broken || self.is_finished {
            return;
        }
        if self.entries.is_empty() && !self.is_full {
            self.last_progress = now;
        }
        self.queued_bytes += length;
        if let Content::Reply(_) = content {
            self.reply_bytes += length;
        }
        self.entries.push_back(Entry { content, length, queued_at: now });
    }

    /// Returns true once when data is left and no flush is scheduled: the caller then has to schedule it.
    pub(super) fn claim_flush(&mut self) -> bool {
        let needed = self.has_pending_data() && !self.is_flush_scheduled;
        self.is_flush_scheduled |= needed;
        needed
    }

    /// Whether anything is still to be sent.
    pub(super) fn has_pending_data(&self) -> bool {
        !self.entries.is_empty() || self.is_socket_pending || self.is_bypassed
    }

    /// Returns the queued bytes and the age of the oldest.
    pub(super) fn backlog(&self, now: Instant) -> Backlog {
        let age = self.entries.front().map_or(Duration::ZERO, |entry| now.saturating_duration_since(entry.queued_at));
        Backlog { bytes: self.queued_bytes, age }
    }

    /// Whether the next data may go straight to the socket.
    pub(super) fn is_idle(&self) -> bool {
        self.entries.is_empty() && !self.is_bypassed && !self.is_broken && !self.is_finished
    }

    /// Ends sending past the queue; the rest goes out first.
    pub(super) fn end_bypass(&mut self, rest: Vec<u8>) {
        if std::mem::take(&mut self.is_bypassed) && !rest.is_empty() && !self.is_broken {
            let length = rest.len();
            self.queued_bytes += length;
            self.entries.push_front(Entry { content: Content::File(rest), length, queued_at: Instant::now() });
        }
    }

    /// Enqueues messages, without their first `sent` bytes.
    pub(super) fn push_rest(&mut self, framing: Framing, messages: &[Arc<LiveMessage>], mut sent: usize, now: Instant) {
        for message in messages {
            let length = framing.length(message);
            if sent >= length {
                sent -= length;
                continue;
            }
            self.push(Content::Live(framing.frame(message)), now);
            self.front_sent += sent;
            self.queued_bytes -= sent;
            sent = 0;
        }
    }

    pub(super) fn flush_to<const SLICES: usize>(&mut self, socket: &Socket) {
        if self.is_bypassed {
            return;
        }
        if self.is_socket_pending && !self.is_broken {
            match socket.flush_pending() {
                Ok(true) => self.last_progress = Instant::now(),
                Ok(false) => {}
                Err(error) => self.fail(&error),
            }
        }
        while !self.entries.is_empty() && !self.is_broken {
            let mut buffer = [IoSlice::new(&[]); SLICES];
            let mut slices = Slices::new(&mut buffer);
            let mut skip = self.front_sent;
            self.entries.iter().all(|entry| {
                entry.content.slices(|slice| {
                    let rest = slice.get(skip..).unwrap_or_default();
                    skip -= slice.len() - rest.len();
                    rest.is_empty() || slices.add(rest)
                })
            });
            let (offered, result) = (slices.bytes, socket.send(slices.filled()));
            let taken = self.record_send(offered, result, Instant::now());
            self.advance(taken);
            if taken < offered {
                break;
            }
        }
        self.is_socket_pending = socket.has_pending();
    }

    /// Records the result of a send; returns the bytes sent. After an error nothing more will be sent.
    pub(super) fn record_send(&mut self, offered: usize, result: io::Result<usize>, now: Instant) -> usize {
        let taken = result.unwrap_or_else(|error| {
            self.fail(&error);
            0
        });
        if taken > 0 {
            self.last_progress = now;
        }
        self.is_full = taken < offered;
        self.sent += taken as u64;
        taken
    }

    pub(super) fn fail(&mut self, error: &io::Error) {
        log::debug!("sending: {error}");
        self.is_broken = true;
    }

    /// Gives the connection up, since more is queued than a limit allows.
    pub(super) fn fail_overflow(&mut self, overflow: Overflow) {
        self.overflow.get_or_insert(overflow);
        self.is_broken = true;
    }

    /// Removes sent bytes from the queue.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.queued_bytes -= bytes;
        self.front_sent += bytes;
        while let Some(front) = self.entries.front() {
            if self.front_sent < front.length {
                break;
            }
            self.front_sent -= front.length;
            if let Some(Entry { content: Content::Reply(bytes), .. }) = self.entries.pop_front() {
                self.reply_bytes -= bytes.len();
            }
        }
        if self.entries.is_empty() {
            // After a queued GOP, thousands of players need not keep the capacity for another.
            self.entries.shrink_to(MIN_ENTRIES_CAPACITY);
        }
    }

    pub(super) fn clear(&mut self) {
        self.is_socket_pending = false;
        self.is_bypassed = false;
        self.entries.clear();
        self.front_sent = 0;
        self.queued_bytes = 0;
        self.reply_bytes = 0;
    }
}
