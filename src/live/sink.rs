//! What a player of a live stream is to its lane: where messages go, which it wants, and how many may wait.

use std::sync::Arc;
use std::time::Duration;

use super::message::LiveMessage;
use crate::limits;
use crate::media::PacketKind;

/// Where a player's messages go. No method waits for the network.
pub trait Sink: Send + Sync {
    /// Queues messages of a live stream for the player's message stream `stream_id`, and sends what
    /// can be sent at once.
    fn push(&self, stream_id: u32, messages: &[Arc<LiveMessage>]) -> Backlog;

    /// Throws away what waits of the live stream, except what was begun and what is essential; returns
    /// how many messages went.
    fn skip(&self, stream_id: u32, what: Skip) -> usize;

    /// What waits now.
    fn backlog(&self) -> Backlog {
        Backlog::default()
    }

    /// Sends what can be sent now; says whether anything still waits.
    fn flush(&self) -> bool;

    /// Bytes that have gone out so far.
    fn sent(&self) -> u64 {
        0
    }

    /// The player was too slow for so many messages, which are left out, and goes on elsewhere if it has `skipped`.
    fn missed(&self, _messages: u64, _skipped: bool) {}

    /// The player has waited for a key frame for too long: the next video frame is its first, whatever it is.
    fn starts_anywhere(&self) {}

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

/// What is thrown away of what waits for a player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// Video: what else waits is a few percent of it.
    Video,
    /// Audio and data as well.
    All,
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
    /// Audio.
    pub audio: bool,
    /// Video frame.
    pub video: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { audio: true, video: true }
    }
}

impl Wanted {
    pub(super) fn all(self) -> bool {
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

/// How much may wait for a player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Bytes, on top of what it started with.
    pub queue_bytes: usize,
    /// How long the oldest may have waited when a key frame comes, at which the player could go on.
    pub max_lag: Duration,
    /// How long a player goes without video until a key frame comes; then it gets what comes.
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
