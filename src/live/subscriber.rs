//! A subscriber of a live stream, as its lane sees it.

use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Instant;

use super::congestion_log::CongestionLog;
use super::message::LiveMessage;
use super::sink::{Backlog, QueueLimits, Sink, Skip, SubscriptionFilter};
use crate::guard::catch_panic;
use crate::limits;
use crate::media::PacketKind;
use crate::stats::{Counter, StreamCounters};

/// What of the stream reaches the player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// Everything.
    Flowing,
    /// Everything but video, whose reference frames are missing.
    AwaitingKeyFrame,
    /// The same, because it was too slow.
    SkippingVideo,
    /// Only essential messages, because it was too slow for audio, too.
    SkippingAll,
}

pub(super) struct Subscriber {
    pub id: u64,
    pub sink: Arc<dyn Sink>,
    pub stream_id: u32,
    filter: SubscriptionFilter,
    flow: Flow,
    queue_limits: QueueLimits,
    /// Bytes of the initial messages.
    start_bytes: usize,
    /// Since when it has waited for a key frame.
    without_video_since: Option<Instant>,
    /// What was queued after the last push.
    backlog: Backlog,
    congestion: CongestionLog,
    counters: Arc<StreamCounters>,
    dropped: Arc<Counter>,
}

/// The messages delivered to players.
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

    pub(super) fn count(self, counters: &StreamCounters) {
        counters.messages_out.add(self.messages);
        counters.bytes_out.add(self.bytes);
        counters.batches.add(self.batches);
        counters.queue_peak.record(self.queue_peak);
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
    /// Creates a subscriber. `dropped` counts the messages that it was too slow for.
    pub(super) fn new(
        id: u64,
        sink: Arc<dyn Sink>,
        stream_id: u32,
        filter: SubscriptionFilter,
        queue_limits: QueueLimits,
        counters: Arc<StreamCounters>,
        dropped: Arc<Counter>,
    ) -> Self {
        let (flow, backlog, congestion) = (Flow::AwaitingKeyFrame, Backlog::default(), CongestionLog::default());
        Self {
            id,
            sink,
            stream_id,
            filter,
            flow,
            queue_limits,
            start_bytes: 0,
            without_video_since: None,
            backlog,
            congestion,
            counters,
            dropped,
        }
    }

    /// Returns the counters of its stream.
    pub(super) fn counters(&self) -> &Arc<StreamCounters> {
        &self.counters
    }

    /// Delivers the initial messages, which count on top of the queue limits.
    pub(super) fn start(&mut self, messages: &[Arc<LiveMessage>]) -> Delivered {
        self.start_bytes = messages.iter().map(|message| message.body().len()).sum();
        self.deliver(messages, true)
    }

    /// The publisher was replaced or has come back: video has to resume at a key frame.
    pub(super) fn restart(&mut self) {
        if self.flow == Flow::Flowing {
            self.flow = Flow::AwaitingKeyFrame;
        }
        self.without_video_since = None;
    }

    /// Changes which tracks the player receives. Video resumes at a key frame, since frames are missing.
    pub(super) fn set_filter(&mut self, filter: SubscriptionFilter) {
        if filter.video && !self.filter.video {
            self.restart();
        }
        self.filter = filter;
    }

    /// Delivers messages of the stream; `has_video` tells whether it has video at all.
    pub(super) fn deliver(&mut self, messages: &[Arc<LiveMessage>], has_video: bool) -> Delivered {
        let is_backlogged = self.backlog.bytes > 0;
        if is_backlogged {
            self.backlog = self.sink.backlog();
            self.congestion.mark_backlogged(self.sink.sent());
        }
        let (backlog, delivered) = if self.flow == Flow::Flowing && self.filter.is_everything() && !is_backlogged {
            self.congestion.mark_idle();
            let backlog = self.push(messages);
            (backlog, Delivered::new(messages, backlog))
        } else {
            self.skip_if_late(messages);
            let mut passing = messages.to_vec();
            passing.retain(|message| self.admit(message));
            let backlog = self.push(&passing);
            (backlog, Delivered::new(&passing, backlog))
        };
        self.backlog = backlog;
        self.enforce_limits(has_video && self.filter.video);
        delivered
    }

    /// A panic in one sink must not affect other players.
    fn push(&self, messages: &[Arc<LiveMessage>]) -> Backlog {
        catch_panic(|| self.sink.push(self.stream_id, messages)).unwrap_or_else(|| {
            self.sink.abandon("sending to it panicked");
            Backlog::default()
        })
    }

    /// Drops queued video when it is too old and a key frame arrives, at which the player can resume.
    fn skip_if_late(&mut self, messages: &[Arc<LiveMessage>]) {
        let is_late = self.flow == Flow::Flowing && self.backlog.age > self.queue_limits.max_lag;
        if is_late && self.filter.video && messages.iter().any(|message| message.is_key_frame) {
            self.skip(Skip::Video);
            self.flow = Flow::SkippingVideo;
        }
    }

    /// Enforces the limits of the queue where no key frame arrives.
    fn enforce_limits(&mut self, has_video: bool) {
        let Backlog { bytes, age } = self.backlog;
        let is_over = |age_limit| bytes > self.queue_limits.queue_bytes + self.start_bytes || age > age_limit;
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
            // There is no video to wait for.
            Flow::SkippingAll if !has_video && bytes == 0 => self.flow = Flow::AwaitingKeyFrame,
            _ => {}
        }
    }

    /// Decides about one message and updates the flow for the next.
    fn admit(&mut self, message: &LiveMessage) -> bool {
        if message.is_essential {
            return true;
        }
        let is_video = message.packet.kind == PacketKind::Video;
        if (is_video || message.is_key_frame) && self.filter.video && self.flow != Flow::Flowing {
            self.resume_video(message);
        }
        let (flows, is_dropped) = match self.flow {
            // Shortly before a skip, disposable frames are dropped.
            Flow::Flowing => {
                let is_skipped = message.is_disposable && self.backlog.age > self.queue_limits.max_lag * 7 / 8;
                (!is_skipped, is_skipped)
            }
            Flow::AwaitingKeyFrame => (!is_video, false),
            Flow::SkippingVideo => (!is_video, is_video),
            Flow::SkippingAll => (false, true),
        };
        if is_dropped && self.filter.includes(message.packet.kind) {
            self.record_drops(1, false);
        }
        flows && self.filter.includes(message.packet.kind)
    }

    /// Resumes video at a key frame or, where none is to be expected, at any frame once the player has waited long
    /// enough.
    fn resume_video(&mut self, message: &LiveMessage) {
        let now = Instant::now();
        let since = *self.without_video_since.get_or_insert(now);
        // A player that takes nothing at all would only have to skip again.
        let skips = matches!(self.flow, Flow::SkippingVideo | Flow::SkippingAll);
        if skips && self.backlog.age > limits::PLAYER_QUEUE_AGE {
            return;
        }
        let has_waited = now.saturating_duration_since(since) >= self.queue_limits.key_frame_wait;
        let stops_waiting =
            has_waited && !message.is_key_frame_expected && self.backlog.age <= self.queue_limits.max_lag;
        if stops_waiting && !message.is_key_frame {
            self.sink.start_without_key_frame();
        }
        if stops_waiting || message.is_key_frame {
            (self.flow, self.without_video_since) = (Flow::Flowing, None);
        }
    }

    fn skip(&mut self, what: Skip) {
        let messages = self.sink.skip(self.stream_id, what);
        self.start_bytes = 0;
        self.counters.skips.add(1);
        self.record_drops(messages as u64, true);
    }

    fn record_drops(&mut self, messages: u64, skipped: bool) {
        self.counters.dropped.add(messages);
        self.dropped.add(messages);
        self.sink.record_drops(messages, skipped);
        self.congestion.record_drop(self.sink.peer(), self.sink.sent(), self.backlog);
    }
}

#[cfg(test)]
mod tests;
