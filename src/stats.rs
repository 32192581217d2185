//! Counters, cheap enough to be always on: each is an atomic, updated once per batch of messages rather than per
//! player.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Returns its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The largest value so far.
#[derive(Debug, Default)]
pub struct Peak(AtomicU64);

impl Peak {
    /// Records a value.
    pub fn record(&self, value: u64) {
        // Most values are no new peak, and a read leaves the cache line with other cores.
        if value > self.0.load(Ordering::Relaxed) {
            self.0.fetch_max(value, Ordering::Relaxed);
        }
    }

    /// Returns the largest value so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicUsize);

impl Gauge {
    /// Adds one.
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Subtracts one.
    pub fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns its value.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a player of live streams lost because it was too slow.
#[derive(Debug, Default)]
pub(crate) struct DropCounters {
    /// Messages dropped.
    pub messages: Counter,
    /// How often it skipped ahead.
    pub skips: Counter,
}

impl DropCounters {
    /// Records dropped messages, and whether the player skipped ahead.
    pub(crate) fn record(&self, messages: u64, skipped: bool) {
        self.messages.add(messages);
        self.skips.add(skipped.into());
    }
}

/// Refused requests, by kind.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// Connections: too many, or the system is out of resources.
    pub connections: Counter,
    /// `connect`, with a wrong password or to an unknown application.
    pub connects: Counter,
    /// Publishing.
    pub publishes: Counter,
    /// Playing, or the duration of a file; over HTTP only where access is denied.
    pub plays: Counter,
}

/// The counters of a live stream, in whatever form it is delivered.
#[derive(Debug, Default)]
pub struct StreamCounters {
    /// Its viewers, those that wait for a publisher included.
    pub viewers: Gauge,
    /// Messages received from publishers.
    pub messages_in: Counter,
    /// Their payload, in bytes.
    pub bytes_in: Counter,
    /// Those of them that are video frames.
    pub video_frames_in: Counter,
    /// Messages delivered, counted per player.
    pub messages_out: Counter,
    /// Their payload, in bytes.
    pub bytes_out: Counter,
    /// Messages dropped because players were too slow, counted per player.
    pub dropped: Counter,
    /// Skips of queued messages, counted per player.
    pub skips: Counter,
    /// Messages between the stream's frames that became no MP4 samples.
    pub ignored: Counter,
    /// Batches of messages delivered, counted per player: one send where the socket has room.
    pub batches: Counter,
    /// The most bytes queued for one player.
    pub queue_peak: Peak,
}

impl StreamCounters {
    /// Returns the current values.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            messages_in: self.messages_in.get(),
            bytes_in: self.bytes_in.get(),
            messages_out: self.messages_out.get(),
            bytes_out: self.bytes_out.get(),
            dropped: self.dropped.get(),
            skips: self.skips.get(),
            ignored: self.ignored.get(),
            batches: self.batches.get(),
            queue_peak: self.queue_peak.get(),
        }
    }
}

/// A snapshot of [`StreamCounters`], of one stream or of several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the counters of the same names say it")]
#[non_exhaustive]
pub struct Traffic {
    pub messages_in: u64,
    pub bytes_in: u64,
    pub messages_out: u64,
    pub bytes_out: u64,
    pub dropped: u64,
    pub skips: u64,
    pub ignored: u64,
    pub batches: u64,
    pub queue_peak: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.messages_in += other.messages_in;
        self.bytes_in += other.bytes_in;
        self.messages_out += other.messages_out;
        self.bytes_out += other.bytes_out;
        self.dropped += other.dropped;
        self.skips += other.skips;
        self.ignored += other.ignored;
        self.batches += other.batches;
        self.queue_peak = self.queue_peak.max(other.queue_peak);
    }
}
