//! A player of a live stream as its lane sees it: where messages go, which of them it gets, and how many may queue.

use std::sync::Arc;
use std::time::Duration;

use super::message::LiveMessage;
use crate::limits;
use crate::media::PacketKind;

/// The destination of a player's messages. No method blocks on the network.
pub trait Sink: Send + Sync {
    /// Enqueues messages of a live stream for the player's message stream `stream_id`, and sends what can be sent at
    /// once.
    fn push(&self, stream_id: u32, messages: &[Arc<LiveMessage>]) -> Backlog;

    /// Drops queued messages of the live stream, except a partially sent one and essential ones; returns how many.
    fn skip(&self, stream_id: u32, what: Skip) -> usize;

    /// Returns what is queued now.
    fn backlog(&self) -> Backlog {
        Backlog::default()
    }

    /// Sends what can be sent now; returns whether anything is left.
    fn flush(&self) -> bool;

    /// Returns the bytes sent so far.
    fn sent(&self) -> u64 {
        0
    }

    /// Records messages dropped because the player was too slow, and whether it skipped ahead.
    fn record_drops(&self, _messages: u64, _skipped: bool) {}

    /// Called when the player has waited too long for a key frame: it starts with the next video frame, whatever it is.
    fn start_without_key_frame(&self) {}

    /// Called when the live stream has ended for good.
    fn ended(&self, stream_id: u32);

    /// Closes the player's connection after an internal error.
    fn abandon(&self, reason: &str);

    /// Returns the player's address, for the log.
    fn peer(&self) -> &str;

    /// Whether this is a viewer; otherwise the stream continues from here in another form.
    fn is_viewer(&self) -> bool {
        true
    }
}

/// What is dropped from a player's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// Video: the rest is a few percent of it.
    Video,
    /// Audio and data as well.
    All,
}

/// What is queued in front of a player's socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Bytes.
    pub bytes: usize,
    /// The age of the oldest of them.
    pub age: Duration,
}

/// Which tracks a player receives (`receiveAudio`, `receiveVideo`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionFilter {
    /// Audio.
    pub audio: bool,
    /// Video.
    pub video: bool,
}

impl Default for SubscriptionFilter {
    fn default() -> Self {
        Self { audio: true, video: true }
    }
}

impl SubscriptionFilter {
    pub(super) fn is_everything(self) -> bool {
        self == Self::default()
    }

    pub(super) fn includes(self, kind: PacketKind) -> bool {
        match kind {
            PacketKind::Audio => self.audio,
            PacketKind::Video => self.video,
            PacketKind::Data => true,
        }
    }
}

/// The limits of a player's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Bytes, on top of what the player started with.
    pub queue_bytes: usize,
    /// The age of the oldest message beyond which the player skips to a key frame when one arrives.
    pub max_lag: Duration,
    /// How long a player waits for a key frame; then its video starts at any frame.
    pub key_frame_wait: Duration,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            queue_bytes: limits::PLAYER_QUEUE_BYTES,
            max_lag: limits::MAX_LAG,
            key_frame_wait: limits::KEY_FRAME_WAIT,
        }
    }
}
