//! Counters of what happens, cheap enough to be always on: each is one atomic, touched once for a batch
//! of messages and not once for each player.

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

    /// Where it stands.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The largest number seen.
#[derive(Debug, Default)]
pub struct Peak(AtomicU64);

impl Peak {
    /// Takes note of a number.
    pub fn note(&self, value: u64) {
        // Most are no new peak, and to read takes the line away from no other core.
        if value > self.0.load(Ordering::Relaxed) {
            self.0.fetch_max(value, Ordering::Relaxed);
        }
    }

    /// The largest so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many there are now.
#[derive(Debug, Default)]
pub struct Gauge(AtomicUsize);

impl Gauge {
    /// There is one more.
    pub fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// There is one less.
    pub fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Where it stands.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// What of live streams a player was too slow for.
#[derive(Debug, Default)]
pub(crate) struct DropCounters {
    /// Messages.
    pub messages: Counter,
    /// How often what waited was skipped.
    pub skips: Counter,
}

impl DropCounters {
    /// Takes note of messages that were left out, and whether it went on elsewhere.
    pub(crate) fn note(&self, messages: u64, skipped: bool) {
        self.messages.add(messages);
        self.skips.add(skipped.into());
    }
}

/// What clients asked for in vain.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// To come in: too many are there, or the machine has run out of something.
    pub connections: Counter,
    /// `connect`, with a wrong password or to an application that there is not.
    pub connects: Counter,
    /// To publish.
    pub publishes: Counter,
    /// To play, or to learn how long a file is; over HTTP without leave only.
    pub plays: Counter,
}

/// What one live stream has seen, in whatever form it went out.
#[derive(Debug, Default)]
pub struct StreamCounters {
    /// Who plays it or waits for it.
    pub viewers: Gauge,
    /// Messages that came from publishers.
    pub messages_in: Counter,
    /// Their payload, in bytes.
    pub bytes_in: Counter,
    /// Those of them that are video frames.
    pub video_frames_in: Counter,
    /// Messages handed to players, counted for each of them.
    pub messages_out: Counter,
    /// Their payload, in bytes.
    pub bytes_out: Counter,
    /// Messages that players were too slow for, counted for each of them.
    pub dropped: Counter,
    /// How often what waited for a player was skipped, counted for each of them.
    pub skips: Counter,
    /// Messages between the stream's frames that became no samples of MP4.
    pub ignored: Counter,
    /// Batches of messages handed to players, counted for each of them: one send where the socket has room.
    pub batches: Counter,
    /// The most bytes that have waited for one player.
    pub queue_peak: Peak,
}

impl StreamCounters {
    /// The numbers as they stand.
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

/// Numbers of [`StreamCounters`] at one moment, of one stream or of several together.
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
