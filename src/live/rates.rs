//! How much has come lately.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What counts as lately.
const LATELY: Duration = Duration::from_secs(4);

/// Counts at some moments of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Rates {
    moments: VecDeque<(Instant, u64, u64)>,
}

impl Rates {
    /// Takes note of bytes and video frames counted so far. To be called about every half second.
    pub fn note(&mut self, now: Instant, bytes: u64, pictures: u64) {
        self.moments.retain(|(at, ..)| now.saturating_duration_since(*at) <= LATELY);
        self.moments.push_back((now, bytes, pictures));
    }

    /// Bits in a second; 0 until that is known.
    pub fn bits_per_second(&self) -> f64 {
        self.rate(|(_, bytes, _)| bytes * 8)
    }

    /// Video frames in a second; 0 until that is known.
    pub fn frames_per_second(&self) -> f64 {
        self.rate(|(.., pictures)| pictures)
    }

    fn rate(&self, of: impl Fn((Instant, u64, u64)) -> u64) -> f64 {
        let (Some(&first), Some(&last)) = (self.moments.front(), self.moments.back()) else { return 0.0 };
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
            // Twice as much in the second half.
            let bytes = if half < 20 { half * 500 } else { 10_000 + (half - 20) * 1000 };
            rates.note(start + Duration::from_millis(half * 500), bytes, half * 12);
        }
        assert_eq!((rates.bits_per_second(), rates.frames_per_second()), (16_000.0, 24.0));
        assert!(rates.moments.len() < 10);
    }
}
