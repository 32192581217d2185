//! Whether a publisher's timestamps tell time, and times by arrival in place of those that don't.
//!
//! Some encoders send 0 all the time, 90 kHz ticks, microseconds or seconds. Arrival alone proves nothing against a clock: links
//! stall and deliver late, files are pushed faster than they play, clocks jump. So timestamps count as wrong only when for
//! [`JUDGED_AFTER`] both hold, for audio and video alike: they run more than twice as fast as time passes, or less than half as
//! fast; and the steps between them are none that frames have.

use std::time::{Duration, Instant};

use super::arrivals::Arrivals;
use crate::media::{PacketKind, Timestamp};

/// How long timestamps and arrival have to disagree.
const JUDGED_AFTER: Duration = Duration::from_secs(2);

/// So many steps tell enough; where frames are rare, it takes longer.
const STEPS_LEAST: usize = 8;

/// More steps than this in [`JUDGED_AFTER`] is no live encoder's pace, and nothing can be said.
const STEPS_MOST: usize = 4096;

/// By how much timestamps may run faster than time passes, or slower.
const FACTOR: f64 = 2.0;

/// Frames of no codec follow each other so closely on average, in milliseconds: audio frames have 2.5 ms at least.
const SHORTEST_STEP_MS: f64 = 2.0;

/// Frames follow each other more closely than this, in milliseconds, but for cameras with three frames a second at most and no
/// audio, whose files must not be pushed faster than they play. 90 kHz ticks of frames of 4 ms are further apart.
const LONGEST_STEP_MS: i32 = 300;

/// What a link may owe after a stall, in milliseconds.
const OWED_MOST_MS: f64 = 600_000.0;

/// Which times messages get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Times {
    /// The publisher's, whatever they are.
    Publisher,
    /// Those of arrival.
    Arrival,
    /// The publisher's, unless they tell no time.
    #[default]
    Auto,
}

/// How timestamps run that tell no time: so many milliseconds in each millisecond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct WrongPace(pub f64);

/// Of one publication.
#[derive(Debug)]
pub(super) enum ClockWatch {
    /// The publisher's times hold.
    Trusting,
    Watching(Watch),
    /// Arrival counts.
    Arrival(Arrivals),
}

/// What timestamps have done since the last judgement.
#[derive(Debug, Default)]
pub(super) struct Watch {
    since: Option<Instant>,
    audio: Steps,
    video: Steps,
    /// By how much the publisher has been behind its own clock: a link that was stalled delivers that much faster.
    owed_ms: f64,
}

/// From one timestamp of a kind to the next, in milliseconds if it is a right clock.
#[derive(Debug, Default)]
struct Steps {
    last: Option<Timestamp>,
    steps: Vec<i32>,
}

/// What the steps of one kind come to.
struct Summary {
    /// The sum of all, those back left out.
    sum_ms: f64,
    mean_ms: f64,
    /// The usual step, and the sum if all were like that: a jump changes neither.
    usual_ms: i32,
    even_ms: f64,
}

impl ClockWatch {
    pub fn new(times: Times) -> Self {
        match times {
            Times::Publisher => Self::Trusting,
            Times::Arrival => Self::Arrival(Arrivals::default()),
            Times::Auto => Self::Watching(Watch::default()),
        }
    }

    /// Whether arrival counts.
    pub fn is_by_arrival(&self) -> bool {
        matches!(self, Self::Arrival(_))
    }

    /// The time of a frame, and how wrong the clock is when that shows: from this frame on, times are those of arrival, which
    /// begin anew.
    pub fn time(&mut self, kind: PacketKind, timestamp: Timestamp, now: Instant) -> (Timestamp, Option<WrongPace>) {
        let wrong = match self {
            Self::Trusting => None,
            Self::Watching(watch) => watch.note(kind, timestamp, now),
            Self::Arrival(arrivals) => return (arrivals.time(kind, now), None),
        };
        if wrong.is_none() {
            return (timestamp, None);
        }
        let mut arrivals = Arrivals::default();
        let time = arrivals.time(kind, now);
        *self = Self::Arrival(arrivals);
        (time, wrong)
    }
}

impl Watch {
    /// Takes note of a frame; says how wrong the clock is if that has shown.
    fn note(&mut self, kind: PacketKind, timestamp: Timestamp, now: Instant) -> Option<WrongPace> {
        let since = *self.since.get_or_insert(now);
        let steps = if kind == PacketKind::Video { &mut self.video } else { &mut self.audio };
        if let Some(last) = steps.last.replace(timestamp)
            && steps.steps.len() < STEPS_MOST
        {
            steps.steps.push(timestamp.since(last));
        }
        let elapsed = now.saturating_duration_since(since);
        let is_enough = self.audio.steps.len() + self.video.steps.len() >= STEPS_LEAST;
        if elapsed < JUDGED_AFTER || !is_enough {
            return None;
        }
        self.since = Some(now);
        self.judge(elapsed.as_secs_f64() * 1000.0)
    }

    fn judge(&mut self, elapsed_ms: f64) -> Option<WrongPace> {
        let is_flood = [&self.audio, &self.video].iter().any(|kind| kind.steps.len() >= STEPS_MOST);
        let kinds: Vec<_> = [&mut self.audio, &mut self.video].into_iter().filter_map(Steps::take).collect();
        let is_slow = |kind: &Summary| kind.mean_ms < SHORTEST_STEP_MS && kind.sum_ms * FACTOR < elapsed_ms;
        let is_fast =
            |kind: &Summary| kind.usual_ms > LONGEST_STEP_MS && kind.even_ms - self.owed_ms > elapsed_ms * FACTOR;
        let longest = |of: fn(&Summary) -> f64| kinds.iter().map(of).fold(0.0, f64::max);
        if !is_flood && kinds.iter().all(is_slow) {
            return Some(WrongPace(longest(|kind| kind.sum_ms) / elapsed_ms));
        }
        if !is_flood && kinds.iter().all(is_fast) {
            return Some(WrongPace(longest(|kind| kind.even_ms) / elapsed_ms));
        }
        self.owed_ms = (self.owed_ms + elapsed_ms - longest(|kind| kind.even_ms)).clamp(0.0, OWED_MOST_MS);
        None
    }
}

impl Steps {
    /// What they come to, to begin anew; `None` if there are none.
    fn take(&mut self) -> Option<Summary> {
        let count = self.steps.len();
        let middle = count / 2;
        let (_, &mut usual_ms, _) = (count > 0).then(|| self.steps.select_nth_unstable(middle))?;
        let sum_ms = self.steps.iter().map(|step| f64::from(*step).max(0.0)).sum::<f64>();
        self.steps.clear();
        let count = count as f64;
        Some(Summary { sum_ms, mean_ms: sum_ms / count, usual_ms, even_ms: f64::from(usual_ms.max(0)) * count })
    }
}

#[cfg(test)]
mod tests;
