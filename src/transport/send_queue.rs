//! What waits in front of a socket, and how it gets into it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::framing::{Framed, Framing};
use super::socket::Socket;
use crate::live::{Backlog, LiveMessage};
use crate::rtmp::chunk::ChunkWriter;

/// Room for entries that an empty queue keeps.
const ENTRIES_KEPT: usize = 8;

#[derive(Debug)]
pub(super) struct Queue {
    pub writer: ChunkWriter,
    pub entries: VecDeque<Entry>,
    /// Bytes of the first entry that the socket has taken.
    pub begun: usize,
    pub waiting: usize,
    /// Those of them that are answers.
    pub replies: usize,
    pub sent: u64,
    /// When the socket last took something, or had nothing to take.
    pub progress: Instant,
    /// It did not take all of what it was offered last.
    pub is_full: bool,
    pub broken: bool,
    /// Nothing more will be sent.
    pub finished: bool,
    /// A lane has promised to flush.
    pub retried: bool,
    /// The transport holds something that it could not send yet.
    pub pending: bool,
    /// A file is being sent from elsewhere: what is in the queue comes behind.
    pub is_taken: bool,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub content: Content,
    /// Bytes on the wire.
    pub length: usize,
    /// When it was queued.
    pub since: Instant,
}

#[derive(Debug)]
pub(super) enum Content {
    /// A message of a live stream.
    Live(Framed),
    /// An answer.
    Reply(Vec<u8>),
    /// Of a file, whose thread waits for room.
    File(Vec<u8>),
}

impl Content {
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Live(framed) => framed.length(),
            Self::Reply(bytes) | Self::File(bytes) => bytes.len(),
        }
    }

    /// Calls `with` for each slice until it says no.
    pub(super) fn slices<'a>(&'a self, with: impl FnMut(&'a [u8]) -> bool) -> bool {
        match self {
            Self::Live(framed) => framed.slices(with),
            Self::Reply(bytes) | Self::File(bytes) => std::iter::once(&bytes[..]).all(with),
        }
    }

    /// The message, if it is part of a live play on that message stream.
    pub(super) fn live_on(&self, stream_id: u32) -> Option<&LiveMessage> {
        match self {
            Self::Live(framed) => framed.on(stream_id),
            _ => None,
        }
    }
}

/// What is handed to the socket in one call.
pub(super) struct Slices<'r, 'a> {
    room: &'r mut [IoSlice<'a>],
    count: usize,
    pub bytes: usize,
}

impl<'r, 'a> Slices<'r, 'a> {
    pub(super) fn new(room: &'r mut [IoSlice<'a>]) -> Self {
        Self { room, count: 0, bytes: 0 }
    }

    /// Says whether there was room.
    pub(super) fn add(&mut self, bytes: &'a [u8]) -> bool {
        let Some(slice) = self.room.get_mut(self.count) else { return false };
        *slice = IoSlice::new(bytes);
        self.count += 1;
        self.bytes += bytes.len();
        true
    }

    pub(super) fn filled(&self) -> &[IoSlice<'a>] {
        &self.room[..self.count]
    }
}

impl Queue {
    /// An empty queue.
    pub(super) fn new() -> Self {
        Self {
            writer: ChunkWriter::new(),
            entries: VecDeque::new(),
            begun: 0,
            waiting: 0,
            replies: 0,
            sent: 0,
            progress: Instant::now(),
            is_full: false,
            broken: false,
            finished: false,
            retried: false,
            pending: false,
            is_taken: false,
        }
    }

    pub(super) fn push(&mut self, content: Content, since: Instant) {
        let length = content.length();
        if length == 0 || self.broken || self.finished {
            return;
        }
        if self.entries.is_empty() && !self.is_full {
            self.progress = since;
        }
        self.waiting += length;
        if let Content::Reply(_) = content {
            self.replies += length;
        }
        self.entries.push_back(Entry { content, length, since });
    }

    /// Says yes once, when something waits and nobody has promised to flush it.
    pub(super) fn request_retry(&mut self) -> bool {
        let needed = self.has_pending_data() && !self.retried;
        self.retried |= needed;
        needed
    }

    /// Whether anything has still to go out.
    pub(super) fn has_pending_data(&self) -> bool {
        !self.entries.is_empty() || self.pending || self.is_taken
    }

    /// What waits, and for how long.
    pub(super) fn backlog(&self, now: Instant) -> Backlog {
        let age = self.entries.front().map_or(Duration::ZERO, |entry| now.saturating_duration_since(entry.since));
        Backlog { bytes: self.waiting, age }
    }

    /// Whether what comes now may go straight to the socket.
    pub(super) fn is_idle(&self) -> bool {
        self.entries.is_empty() && !self.is_taken && !self.broken && !self.finished
    }

    /// Ends what was sent from elsewhere; the rest of it goes out first.
    pub(super) fn release(&mut self, rest: Vec<u8>) {
        if std::mem::take(&mut self.is_taken) && !rest.is_empty() && !self.broken {
            let length = rest.len();
            self.waiting += length;
            self.entries.push_front(Entry { content: Content::File(rest), length, since: Instant::now() });
        }
    }

    /// Queues messages except for the first bytes of them, which were sent.
    pub(super) fn push_rest(&mut self, framing: Framing, messages: &[Arc<LiveMessage>], mut sent: usize, now: Instant) {
        for message in messages {
            let length = framing.length(message);
            if sent >= length {
                sent -= length;
                continue;
            }
            self.push(Content::Live(framing.frame(message)), now);
            self.begun += sent;
            self.waiting -= sent;
            sent = 0;
        }
    }

    pub(super) fn write_to<const ROOM: usize>(&mut self, socket: &Socket) {
        if self.is_taken {
            return;
        }
        if self.pending && !self.broken {
            match socket.flush_pending() {
                Ok(true) => self.progress = Instant::now(),
                Ok(false) => {}
                Err(error) => self.broken_by(&error),
            }
        }
        while !self.entries.is_empty() && !self.broken {
            let mut room = [IoSlice::new(&[]); ROOM];
            let mut slices = Slices::new(&mut room);
            let mut skip = self.begun;
            self.entries.iter().all(|entry| {
                entry.content.slices(|slice| {
                    let rest = slice.get(skip..).unwrap_or_default();
                    skip -= slice.len() - rest.len();
                    rest.is_empty() || slices.add(rest)
                })
            });
            let (offered, result) = (slices.bytes, socket.send(slices.filled()));
            let taken = self.note(offered, result, Instant::now());
            self.forget(taken);
            if taken < offered {
                break;
            }
        }
        self.pending = socket.has_pending();
    }

    /// Takes note of what a send came to: the number of bytes sent. After an error nothing more will be.
    pub(super) fn note(&mut self, offered: usize, result: io::Result<usize>, now: Instant) -> usize {
        let taken = result.unwrap_or_else(|error| {
            self.broken_by(&error);
            0
        });
        if taken > 0 {
            self.progress = now;
        }
        self.is_full = taken < offered;
        self.sent += taken as u64;
        taken
    }

    pub(super) fn broken_by(&mut self, error: &io::Error) {
        log::debug!("sending: {error}");
        self.broken = true;
    }

    /// Takes from the queue what was sent.
    pub(super) fn forget(&mut self, bytes: usize) {
        self.waiting -= bytes;
        self.begun += bytes;
        while let Some(front) = self.entries.front() {
            if self.begun < front.length {
                break;
            }
            self.begun -= front.length;
            if let Some(Entry { content: Content::Reply(bytes), .. }) = self.entries.pop_front() {
                self.replies -= bytes.len();
            }
        }
        if self.entries.is_empty() {
            // A GOP waited once; thousands of players need not keep room for another.
            self.entries.shrink_to(ENTRIES_KEPT);
        }
    }

    pub(super) fn clear(&mut self) {
        self.pending = false;
        self.is_taken = false;
        self.entries.clear();
        self.begun = 0;
        self.waiting = 0;
        self.replies = 0;
    }
}
