//! One player of a live stream, as its lane sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::message::LiveMessage;
use crate::limits;
use crate::media::PacketKind;

/// How often the log hears of one player's slowness at most.
const COMPLAIN_EVERY: Duration = Duration::from_secs(1);

/// Where a player's messages go. No method waits for the network.
pub trait Sink: Send + Sync {
    /// Queues messages of a live stream for the player's message stream `stream_id`, and sends what
    /// can be sent at once.
    fn push(&self, stream_id: u32, messages: &[Arc<LiveMessage>]) -> Backlog;

    /// Throws away what waits of the live stream, except what was begun and what is essential; returns
    /// how many messages went.
    fn skip(&self, stream_id: u32) -> usize;

    /// Sends what can be sent now; says whether anything still waits.
    fn flush(&self) -> bool;

    /// The live stream has ended for good.
    fn ended(&self, stream_id: u32);

    /// The player, for the log.
    fn peer(&self) -> &str;
}

/// What waits in front of a player's socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Bytes.
    pub bytes: usize,
    /// How long the oldest of them have waited.
    pub age: Duration,
}

/// Which kinds a player wants (`receiveAudio`, `receiveVideo`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Sound.
    pub audio: bool,
    /// Picture.
    pub video: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { audio: true, video: true }
    }
}

impl Wanted {
    fn all(self) -> bool {
        self == Self::default()
    }

    fn includes(self, kind: PacketKind) -> bool {
        match kind {
            PacketKind::Audio => self.audio,
            PacketKind::Video => self.video,
            PacketKind::Data => true,
        }
    }
}

/// What of the stream reaches the player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// Everything.
    Flowing,
    /// Everything but pictures that need one it didn't get.
    AwaitingKeyFrame,
    /// Only what is essential: it was too slow.
    Skipping,
}

pub(super) struct Subscriber {
    pub id: u64,
    pub sink: Arc<dyn Sink>,
    pub stream_id: u32,
    wanted: Wanted,
    flow: Flow,
    queue_bytes: usize,
    /// What waited when it was given something last.
    backlog: Backlog,
    complained: Option<Instant>,
    dropped: Arc<AtomicU64>,
}

impl Subscriber {
    /// `dropped` counts the messages that this player was too slow for.
    pub fn new(id: u64, sink: Arc<dyn Sink>, stream_id: u32, wanted: Wanted, dropped: Arc<AtomicU64>) -> Self {
        let (flow, queue_bytes) = (Flow::AwaitingKeyFrame, limits::PLAYER_QUEUE_BYTES);
        let backlog = Backlog::default();
        Self { id, sink, stream_id, wanted, flow, queue_bytes, backlog, complained: None, dropped }
    }

    /// What a player gets before the stream's next message; it comes on top of what may wait.
    pub fn start(&mut self, messages: &[Arc<LiveMessage>]) {
        let bytes: usize = messages.iter().map(|message| message.packet.payload.len()).sum();
        self.queue_bytes = limits::PLAYER_QUEUE_BYTES + bytes;
        self.deliver(messages, true);
    }

    /// The publisher was replaced or came back: what follows needs a new key frame.
    pub fn restart(&mut self) {
        if self.flow == Flow::Flowing {
            self.flow = Flow::AwaitingKeyFrame;
        }
    }

    /// Changes which kinds the player gets. Pictures that it did without are missing from the next ones.
    pub fn set_wanted(&mut self, wanted: Wanted) {
        if wanted.video && !self.wanted.video {
            self.restart();
        }
        self.wanted = wanted;
    }

    /// Hands over what the stream brought; `has_video` when it has pictures at all.
    pub fn deliver(&mut self, messages: &[Arc<LiveMessage>], has_video: bool) {
        let backlog = if self.flow == Flow::Flowing && self.wanted.all() {
            self.sink.push(self.stream_id, messages)
        } else {
            let mut passing = messages.to_vec();
            passing.retain(|message| self.passes(message));
            self.sink.push(self.stream_id, &passing)
        };
        self.backlog = backlog;
        if self.flow == Flow::Skipping {
            // Nothing to wait for but pictures that never come.
            if !(has_video && self.wanted.video) && backlog.bytes == 0 {
                self.flow = Flow::AwaitingKeyFrame;
            }
        } else if backlog.bytes > self.queue_bytes || backlog.age > limits::PLAYER_QUEUE_AGE {
            self.skip(backlog);
        }
    }

    /// Decides about one message and takes note of what it means for the next.
    fn passes(&mut self, message: &LiveMessage) -> bool {
        if message.is_essential {
            return true;
        }
        // Who takes nothing at all would only have to skip again.
        let is_stuck = self.flow == Flow::Skipping && self.backlog.age > limits::PLAYER_QUEUE_AGE;
        if message.is_key_frame && self.wanted.video && !is_stuck {
            self.flow = Flow::Flowing;
        }
        let flows = match self.flow {
            Flow::Flowing => true,
            Flow::AwaitingKeyFrame => message.packet.kind != PacketKind::Video,
            Flow::Skipping => false,
        };
        if self.flow == Flow::Skipping {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        flows && self.wanted.includes(message.packet.kind)
    }

    fn skip(&mut self, backlog: Backlog) {
        let skipped = self.sink.skip(self.stream_id);
        self.dropped.fetch_add(skipped as u64, Ordering::Relaxed);
        self.flow = Flow::Skipping;
        self.queue_bytes = limits::PLAYER_QUEUE_BYTES;
        if self.complained.is_some_and(|last| last.elapsed() < COMPLAIN_EVERY) {
            return;
        }
        self.complained = Some(Instant::now());
        log::warn!(
            "{} is too slow: {} KiB waited for {:.1} s; {skipped} messages dropped, it goes on at the next key frame",
            self.sink.peer(),
            backlog.bytes / 1024,
            backlog.age.as_secs_f32(),
        );
    }
}
