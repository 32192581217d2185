//! Timestamps derived from arrival times, smoothed over a second.

use std::collections::VecDeque;
use std::time::Instant;

use crate::media::{PacketKind, Timestamp};

/// The window over which arrivals are smoothed, in milliseconds.
const SMOOTHING_MS: f64 = 1_000.0;

/// The most arrivals of one track that are kept.
const MAX_ARRIVALS: usize = 256;

/// How far a timestamp may deviate from its arrival, in milliseconds.
const MAX_DEVIATION_MS: f64 = 200.0;

/// Derives timestamps from arrival, for audio and video by one clock that starts at 0 with the first frame.
#[derive(Debug, Default)]
pub(super) struct ArrivalClock {
    epoch: Option<Instant>,
    audio: Track,
    video: Track,
}

#[derive(Debug, Default)]
struct Track {
    /// Arrivals of the last second, in milliseconds.
    recent: VecDeque<f64>,
    /// The timestamp of the last frame.
    last: Option<f64>,
}

impl ArrivalClock {
    /// Returns the timestamp of a frame that arrives now; within a track, timestamps never decrease.
    pub(super) fn time(&mut self, kind: PacketKind, now: Instant) -> Timestamp {
        let epoch = *self.epoch.get_or_insert(now);
        let arrived = now.saturating_duration_since(epoch).as_secs_f64() * 1000.0;
        let kind = if kind == PacketKind::Video { &mut self.video } else { &mut self.audio };
        // Wraps as all timestamps do.
        Timestamp::new(kind.time(arrived).round() as u64 as u32)
    }
}

impl Track {
    fn time(&mut self, arrived: f64) -> f64 {
        self.recent.push_back(arrived);
        let is_old = |first: &f64| arrived - first > SMOOTHING_MS;
        while self.recent.len() > MAX_ARRIVALS || self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
        let mut time = self.smoothed().clamp((arrived - MAX_DEVIATION_MS).max(0.0), arrived + MAX_DEVIATION_MS);
        if let Some(last) = self.last {
            // Frames that arrive in a burst are spaced as closely as timestamps allow.
            time = time.max((last + 1.0).min(arrived + MAX_DEVIATION_MS)).max(last);
        }
        self.last = Some(time);
        time
    }

    /// Evaluates the least-squares line through the recent arrivals at the last of them.
    fn smoothed(&self) -> f64 {
        let count = self.recent.len() as f64;
        let last = self.recent.back().copied().unwrap_or_default();
        if self.recent.len() < 3 {
            return last;
        }
        let (center, mean) = ((count - 1.0) / 2.0, self.recent.iter().sum::<f64>() / count);
        let (mut numerator, mut denominator) = (0.0, 0.0);
        for (number, arrived) in self.recent.iter().enumerate() {
            let offset = number as f64 - center;
            numerator += offset * (arrived - mean);
            denominator += offset * offset;
        }
        mean + numerator / denominator * center
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use PacketKind::{Audio, Video};

    fn times(arrived: impl IntoIterator<Item = (PacketKind, u64)>) -> Vec<u32> {
        let (mut clock, start) = (ArrivalClock::default(), Instant::now());
        let time = |(kind, ms)| clock.time(kind, start + Duration::from_millis(ms)).milliseconds();
        arrived.into_iter().map(time).collect()
    }

    #[test]
    fn a_regular_stream_keeps_its_times() {
        let arrived: Vec<_> = (0..200).flat_map(|number| [(Video, number * 40), (Audio, number * 40 + 5)]).collect();
        let expected: Vec<_> = arrived.iter().map(|(_, ms)| *ms as u32).collect();
        assert_eq!(times(arrived), expected);
    }

    #[test]
    fn bursts_are_spread() {
        // Five frames every 200 ms.
        let got = times((0..200).map(|number| (Video, number / 5 * 200)));
        let steps: Vec<_> = got.windows(2).skip(50).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.iter().all(|step| (10..=75).contains(step)), "{steps:?}");
    }

    #[test]
    fn the_clock_jumps_with_a_stall() {
        let mut arrived: Vec<_> = (0..50).map(|number| (Video, number * 40)).collect();
        arrived.extend((0..75).map(|_| (Video, 5_000)));
        arrived.extend((1..50).map(|number| (Video, 5_000 + number * 40)));
        let got = times(arrived);
        assert_eq!(got[50], 5_000);
        assert!(got.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(got[124] <= 5_200 && got[173].abs_diff(5_000 + 49 * 40) < 20, "{got:?}");
    }

    #[test]
    fn one_frame_a_second_is_timed_by_its_arrival() {
        assert_eq!(times([(Video, 0), (Video, 1_010), (Video, 2_000)]), [0, 1_010, 2_000]);
    }
}
