//! The recent bit rate and frame rate of a stream.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The window over which rates are averaged.
const WINDOW: Duration = Duration::from_secs(4);

/// Samples of the counters in the window.
#[derive(Debug, Default)]
pub(super) struct Rates {
    samples: VecDeque<(Instant, u64, u64)>,
}

impl Rates {
    /// Records the bytes and video frames so far. Called about every half second.
    pub(super) fn record(&mut self, now: Instant, bytes: u64, frames: u64) {
        self.samples.retain(|(at, ..)| now.saturating_duration_since(*at) <= WINDOW);
        self.samples.push_back((now, bytes, frames));
    }

    /// Returns bits per second; 0 until known.
    pub(super) fn bits_per_second(&self) -> f64 {
        self.rate(|(_, bytes, _)| bytes * 8)
    }

    /// Returns video frames per second; 0 until known.
    pub(super) fn frames_per_second(&self) -> f64 {
        self.rate(|(.., frames)| frames)
    }

    fn rate(&self, of: impl Fn((Instant, u64, u64)) -> u64) -> f64 {
        let (Some(&first), Some(&last)) = (self.samples.front(), self.samples.back()) else { return 0.0 };
        let seconds = last.0.saturating_duration_since(first.0).as_secs_f64();
        if seconds > 0.0 { of(last).saturating_sub(of(first)) as f64 / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_seconds_count() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        assert_eq!(rates.bits_per_second(), 0.0);
        for half in 0..40u64 {
            // The rate doubles in the second half.
            let bytes = if half < 20 { half * 500 } else { 10_000 + (half - 20) * 1000 };
            rates.record(start + Duration::from_millis(half * 500), bytes, half * 12);
        }
        assert_eq!((rates.bits_per_second(), rates.frames_per_second()), (16_000.0, 24.0));
        assert!(rates.samples.len() < 10);
    }
}
