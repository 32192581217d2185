//! Detects publishers whose timestamps don't advance in real time, and replaces those by arrival times.
//!
//! Some encoders send 0 all the time, 90 kHz ticks, microseconds or seconds. Arrival alone proves nothing against a
//! clock: links stall and deliver late, files are pushed faster than real time, clocks jump. So timestamps count as
//! wrong only when both conditions hold for [`OBSERVATION_PERIOD`], for audio and video alike: they run more than twice
//! as fast as time passes, or less than half as fast; and their deltas match no frame rate.

use std::time::{Duration, Instant};

use super::arrival_clock::ArrivalClock;
use crate::media::{PacketKind, Timestamp};

/// How long timestamps and arrival have to disagree.
const OBSERVATION_PERIOD: Duration = Duration::from_secs(2);

/// The fewest deltas to evaluate; where frames are rare, that takes longer.
const MIN_DELTAS: usize = 8;

/// More deltas than this in [`OBSERVATION_PERIOD`] is no live encoder's rate, and proves nothing.
const MAX_DELTAS: usize = 4096;

/// By what factor timestamps may run faster or slower than time passes.
const RATE_TOLERANCE: f64 = 2.0;

/// The shortest mean frame interval of any codec, in milliseconds: audio frames have 2.5 ms at least.
const MIN_FRAME_INTERVAL_MS: f64 = 2.0;

/// The longest frame interval, in milliseconds, except for cameras with three frames a second at most and no audio,
/// whose files must not be pushed faster than real time. 90 kHz ticks of frames of 4 ms are further apart.
const MAX_FRAME_INTERVAL_MS: i32 = 300;

/// The longest delay after a stall that a link may catch up on, in milliseconds.
const MAX_DELAY_MS: f64 = 600_000.0;

/// The source of timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Times {
    /// The publisher, whatever it sends.
    Publisher,
    /// Arrival.
    Arrival,
    /// The publisher, unless its timestamps don't advance in real time.
    #[default]
    Auto,
}

/// The rate of a wrong clock: its milliseconds per millisecond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct WrongRate(pub f64);

/// The source of timestamps of one publication.
#[derive(Debug)]
pub(super) enum TimestampSource {
    /// The publisher, unconditionally.
    Publisher,
    Monitored(ClockMonitor),
    /// Arrival.
    Arrival(ArrivalClock),
}

/// The timestamps since the last evaluation.
#[derive(Debug, Default)]
pub(super) struct ClockMonitor {
    since: Option<Instant>,
    audio: Deltas,
    video: Deltas,
    /// How far the publisher is behind its own clock: a stalled link catches up by that much.
    delayed_ms: f64,
}

/// The deltas between timestamps of one track, in milliseconds if the clock is right.
#[derive(Debug, Default)]
struct Deltas {
    last: Option<Timestamp>,
    values: Vec<i32>,
}

/// A summary of one track's deltas.
struct Summary {
    /// The sum of the non-negative ones.
    sum_ms: f64,
    mean_ms: f64,
    /// The median, and the sum if all were like that: a jump changes neither.
    median_ms: i32,
    median_sum_ms: f64,
}

impl TimestampSource {
    pub(super) fn new(times: Times) -> Self {
        match times {
            Times::Publisher => Self::Publisher,
            Times::Arrival => Self::Arrival(ArrivalClock::default()),
            Times::Auto => Self::Monitored(ClockMonitor::default()),
        }
    }

    /// Whether timestamps are derived from arrival.
    pub(super) fn is_by_arrival(&self) -> bool {
        matches!(self, Self::Arrival(_))
    }

    /// Returns a frame's timestamp, and the rate of the clock once it has proved wrong: from that frame on, timestamps
    /// are derived from arrival, starting anew.
    pub(super) fn time(
        &mut self,
        kind: PacketKind,
        timestamp: Timestamp,
        now: Instant,
    ) -> (Timestamp, Option<WrongRate>) {
        let wrong_rate = match self {
            Self::Publisher => None,
            Self::Monitored(monitor) => monitor.record(kind, timestamp, now),
            Self::Arrival(clock) => return (clock.time(kind, now), None),
        };
        if wrong_rate.is_none() {
            return (timestamp, None);
        }
        let mut clock = ArrivalClock::default();
        let time = clock.time(kind, now);
        *self = Self::Arrival(clock);
        (time, wrong_rate)
    }
}

impl ClockMonitor {
    /// Records a frame; returns the rate of the clock if it has proved wrong.
    fn record(&mut self, kind: PacketKind, timestamp: Timestamp, now: Instant) -> Option<WrongRate> {
        let since = *self.since.get_or_insert(now);
        let deltas = if kind == PacketKind::Video { &mut self.video } else { &mut self.audio };
        if let Some(last) = deltas.last.replace(timestamp)
            && deltas.values.len() < MAX_DELTAS
        {
            deltas.values.push(timestamp.since(last));
        }
        let elapsed = now.saturating_duration_since(since);
        let is_enough = self.audio.values.len() + self.video.values.len() >= MIN_DELTAS;
        if elapsed < OBSERVATION_PERIOD || !is_enough {
            return None;
        }
        self.since = Some(now);
        self.evaluate(elapsed.as_secs_f64() * 1000.0)
    }

    fn evaluate(&mut self, elapsed_ms: f64) -> Option<WrongRate> {
        let is_overflow = [&self.audio, &self.video].iter().any(|kind| kind.values.len() >= MAX_DELTAS);
        let kinds: Vec<_> = [&mut self.audio, &mut self.video].into_iter().filter_map(Deltas::take).collect();
        let is_slow =
            |kind: &Summary| kind.mean_ms < MIN_FRAME_INTERVAL_MS && kind.sum_ms * RATE_TOLERANCE < elapsed_ms;
        let is_fast = |kind: &Summary| {
            kind.median_ms > MAX_FRAME_INTERVAL_MS && kind.median_sum_ms - self.delayed_ms > elapsed_ms * RATE_TOLERANCE
        };
        let longest = |of: fn(&Summary) -> f64| kinds.iter().map(of).fold(0.0, f64::max);
        if !is_overflow && kinds.iter().all(is_slow) {
            return Some(WrongRate(longest(|kind| kind.sum_ms) / elapsed_ms));
        }
        if !is_overflow && kinds.iter().all(is_fast) {
            return Some(WrongRate(longest(|kind| kind.median_sum_ms) / elapsed_ms));
        }
        self.delayed_ms = (self.delayed_ms + elapsed_ms - longest(|kind| kind.median_sum_ms)).clamp(0.0, MAX_DELAY_MS);
        None
    }
}

impl Deltas {
    /// Summarizes and clears the deltas; `None` if there are none.
    fn take(&mut self) -> Option<Summary> {
        let count = self.values.len();
        let middle = count / 2;
        let (_, &mut median_ms, _) = (count > 0).then(|| self.values.select_nth_unstable(middle))?;
        let sum_ms = self.values.iter().map(|step| f64::from(*step).max(0.0)).sum::<f64>();
        self.values.clear();
        let count = count as f64;
        Some(Summary { sum_ms, mean_ms: sum_ms / count, median_ms, median_sum_ms: f64::from(median_ms.max(0)) * count })
    }
}

#[cfg(test)]
mod tests;
