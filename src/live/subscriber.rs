//! One player of a live stream, as its lane sees it.

use std::ops::AddAssign;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::message::LiveMessage;
use crate::guard::{Complaints, survive};
use crate::limits;
use crate::media::PacketKind;
use crate::stats::{Counter, StreamCounters};

/// How often the log hears of one player's slowness at most.
const COMPLAIN_EVERY: Duration = Duration::from_secs(30);

/// What is said of all slow players together: one that comes anew all the time would have its own say each time.
static SLOWNESS: LazyLock<Complaints> = LazyLock::new(Complaints::default);

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

    /// Bytes that have gone out so far.
    fn sent(&self) -> u64 {
        0
    }

    /// The player was too slow for so many messages.
    fn missed(&self, _messages: u64) {}

    /// The live stream has ended for good.
    fn ended(&self, stream_id: u32);

    /// Something went wrong that never should: ends the player's connection.
    fn abandon(&self, reason: &str);

    /// The player, for the log.
    fn peer(&self) -> &str;

    /// Whether somebody watches, or the stream goes on from here in another form.
    fn is_viewer(&self) -> bool {
        true
    }
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
    /// What may wait for it, and what may wait on top until it has caught up with its start.
    queue_bytes: usize,
    start_bytes: usize,
    /// What waited when it was given something last.
    backlog: Backlog,
    complained: Option<Instant>,
    counters: Arc<StreamCounters>,
    dropped: Arc<Counter>,
}

/// What was handed to players.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delivered {
    messages: u64,
    bytes: u64,
    batches: u64,
    queue_peak: u64,
}

impl Delivered {
    fn new(messages: &[Arc<LiveMessage>], backlog: Backlog) -> Self {
        let bytes = messages.iter().map(|message| message.body().len() as u64).sum();
        let batches = u64::from(!messages.is_empty());
        Self { messages: messages.len() as u64, bytes, batches, queue_peak: backlog.bytes as u64 }
    }

    pub fn count(self, counters: &StreamCounters) {
        counters.messages_out.add(self.messages);
        counters.bytes_out.add(self.bytes);
        counters.batches.add(self.batches);
        counters.queue_peak.note(self.queue_peak);
    }
}

impl AddAssign for Delivered {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.batches += other.batches;
        self.queue_peak = self.queue_peak.max(other.queue_peak);
    }
}

impl Subscriber {
    /// A player for which `queue_bytes` may wait. `dropped` counts the messages that it was too slow for.
    pub fn new(
        id: u64,
        sink: Arc<dyn Sink>,
        stream_id: u32,
        wanted: Wanted,
        queue_bytes: usize,
        counters: Arc<StreamCounters>,
        dropped: Arc<Counter>,
    ) -> Self {
        let (flow, backlog, start_bytes) = (Flow::AwaitingKeyFrame, Backlog::default(), 0);
        let complained = None;
        Self { id, sink, stream_id, wanted, flow, queue_bytes, start_bytes, backlog, complained, counters, dropped }
    }

    /// The counters of its stream.
    pub fn counters(&self) -> &Arc<StreamCounters> {
        &self.counters
    }

    /// What a player gets before the stream's next message; it comes on top of what may wait.
    pub fn start(&mut self, messages: &[Arc<LiveMessage>]) -> Delivered {
        self.start_bytes = messages.iter().map(|message| message.body().len()).sum();
        self.deliver(messages, true)
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
    pub fn deliver(&mut self, messages: &[Arc<LiveMessage>], has_video: bool) -> Delivered {
        let (backlog, delivered) = if self.flow == Flow::Flowing && self.wanted.all() {
            let backlog = self.push(messages);
            (backlog, Delivered::new(messages, backlog))
        } else {
            let mut passing = messages.to_vec();
            passing.retain(|message| self.passes(message));
            let backlog = self.push(&passing);
            (backlog, Delivered::new(&passing, backlog))
        };
        self.backlog = backlog;
        if self.flow == Flow::Skipping {
            // Nothing to wait for but pictures that never come.
            if !(has_video && self.wanted.video) && backlog.bytes == 0 {
                self.flow = Flow::AwaitingKeyFrame;
            }
        } else if backlog.bytes > self.queue_bytes + self.start_bytes || backlog.age > limits::PLAYER_QUEUE_AGE {
            self.skip(backlog);
        }
        delivered
    }

    /// A defect met on the way to one player shall cost no other.
    fn push(&self, messages: &[Arc<LiveMessage>]) -> Backlog {
        survive(|| self.sink.push(self.stream_id, messages)).unwrap_or_else(|| {
            self.sink.abandon("sending to it panicked");
            Backlog::default()
        })
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
            self.drop_messages(1);
        }
        flows && self.wanted.includes(message.packet.kind)
    }

    fn drop_messages(&self, count: u64) {
        self.counters.dropped.add(count);
        self.dropped.add(count);
        self.sink.missed(count);
    }

    fn skip(&mut self, backlog: Backlog) {
        let skipped = self.sink.skip(self.stream_id);
        self.drop_messages(skipped as u64);
        self.flow = Flow::Skipping;
        self.start_bytes = 0;
        if self.complained.is_some_and(|last| last.elapsed() < COMPLAIN_EVERY) {
            return;
        }
        self.complained = Some(Instant::now());
        SLOWNESS.warn(format_args!(
            "[{}] is too slow: {} KiB waited for {:.1} s; {skipped} messages dropped, it goes on at the next key frame",
            self.sink.peer(),
            backlog.bytes / 1024,
            backlog.age.as_secs_f32(),
        ));
    }
}
