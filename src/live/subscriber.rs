//! One player of a live stream, as its lane sees it.

use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Instant;

use super::message::LiveMessage;
use super::sink::{Backlog, QueueLimits, Sink, Skip, Wanted};
use super::weakness::Weakness;
use crate::guard::catch_panic;
use crate::limits;
use crate::media::PacketKind;
use crate::stats::{Counter, StreamCounters};

/// What of the stream reaches the player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// Everything.
    Flowing,
    /// Everything but video that needs frames it didn't get.
    AwaitingKeyFrame,
    /// The same, for it was too slow.
    SkippingVideo,
    /// Only what is essential: it was too slow for audio, too.
    SkippingAll,
}

pub(super) struct Subscriber {
    pub id: u64,
    pub sink: Arc<dyn Sink>,
    pub stream_id: u32,
    wanted: Wanted,
    flow: Flow,
    patience: QueueLimits,
    /// What it started with.
    start_bytes: usize,
    /// Since when it has gone without video for want of a key frame.
    without_video: Option<Instant>,
    /// What waited when it was given something last.
    backlog: Backlog,
    weakness: Weakness,
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
    /// A player. `dropped` counts the messages that it was too slow for.
    pub fn new(
        id: u64,
        sink: Arc<dyn Sink>,
        stream_id: u32,
        wanted: Wanted,
        patience: QueueLimits,
        counters: Arc<StreamCounters>,
        dropped: Arc<Counter>,
    ) -> Self {
        let (flow, backlog, weakness) = (Flow::AwaitingKeyFrame, Backlog::default(), Weakness::default());
        Self {
            id,
            sink,
            stream_id,
            wanted,
            flow,
            patience,
            start_bytes: 0,
            without_video: None,
            backlog,
            weakness,
            counters,
            dropped,
        }
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

    /// The publisher was replaced or came back: what follows needs a key frame.
    pub fn restart(&mut self) {
        if self.flow == Flow::Flowing {
            self.flow = Flow::AwaitingKeyFrame;
        }
        self.without_video = None;
    }

    /// Changes which kinds the player gets. Video frames that it did without are missing from the next ones.
    pub fn set_wanted(&mut self, wanted: Wanted) {
        if wanted.video && !self.wanted.video {
            self.restart();
        }
        self.wanted = wanted;
    }

    /// Hands over what the stream brought; `has_video` when it has video at all.
    pub fn deliver(&mut self, messages: &[Arc<LiveMessage>], has_video: bool) -> Delivered {
        let waits = self.backlog.bytes > 0;
        if waits {
            self.backlog = self.sink.backlog();
            self.weakness.waits(self.sink.sent());
        }
        let (backlog, delivered) = if self.flow == Flow::Flowing && self.wanted.all() && !waits {
            self.weakness.keeps_up();
            let backlog = self.push(messages);
            (backlog, Delivered::new(messages, backlog))
        } else {
            self.catch_up_if_late(messages);
            let mut passing = messages.to_vec();
            passing.retain(|message| self.passes(message));
            let backlog = self.push(&passing);
            (backlog, Delivered::new(&passing, backlog))
        };
        self.backlog = backlog;
        self.limit_waiting(has_video && self.wanted.video);
        delivered
    }

    /// A defect met on the way to one player shall cost no other.
    fn push(&self, messages: &[Arc<LiveMessage>]) -> Backlog {
        catch_panic(|| self.sink.push(self.stream_id, messages)).unwrap_or_else(|| {
            self.sink.abandon("sending to it panicked");
            Backlog::default()
        })
    }

    /// Leaves out the video that waits when it has waited for too long and a key frame comes, at which the player can go on.
    fn catch_up_if_late(&mut self, messages: &[Arc<LiveMessage>]) {
        let is_late = self.flow == Flow::Flowing && self.backlog.age > self.patience.max_lag;
        if is_late && self.wanted.video && messages.iter().any(|message| message.is_key_frame) {
            self.skip(Skip::Video);
            self.flow = Flow::SkippingVideo;
        }
    }

    /// Where no key frame comes, what waits has its limits as well.
    fn limit_waiting(&mut self, has_video: bool) {
        let Backlog { bytes, age } = self.backlog;
        let is_over = |age_limit| bytes > self.patience.queue_bytes + self.start_bytes || age > age_limit;
        match self.flow {
            Flow::Flowing | Flow::AwaitingKeyFrame if is_over(limits::PLAYER_QUEUE_AGE) => {
                self.flow = if has_video { Flow::SkippingVideo } else { Flow::SkippingAll };
                self.skip(if has_video { Skip::Video } else { Skip::All });
            }
            // What is left is audio that the player does not take.
            Flow::SkippingVideo if is_over(limits::PLAYER_AUDIO_AGE) => {
                self.flow = Flow::SkippingAll;
                self.skip(Skip::All);
            }
            // There is nothing to wait for but video that never comes.
            Flow::SkippingAll if !has_video && bytes == 0 => self.flow = Flow::AwaitingKeyFrame,
            _ => {}
        }
    }

    /// Decides about one message and takes note of what it means for the next.
    fn passes(&mut self, message: &LiveMessage) -> bool {
        if message.is_essential {
            return true;
        }
        let is_video = message.packet.kind == PacketKind::Video;
        if (is_video || message.is_key_frame) && self.wanted.video && self.flow != Flow::Flowing {
            self.start_if_possible(message);
        }
        let (flows, is_missed) = match self.flow {
            // Not long before a skip, what no other frame needs is left out.
            Flow::Flowing => {
                let is_left_out = message.is_disposable && self.backlog.age > self.patience.max_lag * 7 / 8;
                (!is_left_out, is_left_out)
            }
            Flow::AwaitingKeyFrame => (!is_video, false),
            Flow::SkippingVideo => (!is_video, is_video),
            Flow::SkippingAll => (false, true),
        };
        if is_missed && self.wanted.includes(message.packet.kind) {
            self.miss(1, false);
        }
        flows && self.wanted.includes(message.packet.kind)
    }

    /// Video goes on with a key frame. Where none is to be expected, it goes on as well when the player has gone without for
    /// long enough.
    fn start_if_possible(&mut self, message: &LiveMessage) {
        let now = Instant::now();
        let since = *self.without_video.get_or_insert(now);
        // Who takes nothing at all would only have to skip again.
        let skips = matches!(self.flow, Flow::SkippingVideo | Flow::SkippingAll);
        if skips && self.backlog.age > limits::PLAYER_QUEUE_AGE {
            return;
        }
        let has_waited = now.saturating_duration_since(since) >= self.patience.key_frame_wait;
        let gives_up = has_waited && !message.is_key_frame_foreseen && self.backlog.age <= self.patience.max_lag;
        if gives_up && !message.is_key_frame {
            self.sink.starts_anywhere();
        }
        if gives_up || message.is_key_frame {
            (self.flow, self.without_video) = (Flow::Flowing, None);
        }
    }

    fn skip(&mut self, what: Skip) {
        let messages = self.sink.skip(self.stream_id, what);
        self.start_bytes = 0;
        self.counters.skips.add(1);
        self.miss(messages as u64, true);
    }

    fn miss(&mut self, messages: u64, skipped: bool) {
        self.counters.dropped.add(messages);
        self.dropped.add(messages);
        self.sink.missed(messages, skipped);
        self.weakness.misses(self.sink.peer(), self.sink.sent(), self.backlog);
    }
}

#[cfg(test)]
mod tests;
