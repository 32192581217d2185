//! Times of frames by when they came, evened out over a second.

use std::collections::VecDeque;
use std::time::Instant;

use crate::media::{PacketKind, Timestamp};

/// Over what arrivals are evened out, in milliseconds.
const EVENED_MS: f64 = 1_000.0;

/// Arrivals of one kind that are looked at, at most.
const LOOKED_AT: usize = 256;

/// How far a time may be from the arrival, in milliseconds.
const FURTHEST_MS: f64 = 200.0;

/// Gives times by arrival, audio and video by one clock that begins at 0 with the first frame.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    began: Option<Instant>,
    audio: Kind,
    video: Kind,
}

#[derive(Debug, Default)]
struct Kind {
    /// When the frames of the last second came, in milliseconds.
    recent: VecDeque<f64>,
    /// The time that the last frame got.
    last: Option<f64>,
}

impl Arrivals {
    /// The time of a frame that comes now. Of each kind, it never goes back.
    pub fn time(&mut self, kind: PacketKind, now: Instant) -> Timestamp {
        let began = *self.began.get_or_insert(now);
        let arrived = now.saturating_duration_since(began).as_secs_f64() * 1000.0;
        let kind = if kind == PacketKind::Video { &mut self.video } else { &mut self.audio };
        // It wraps as all timestamps do.
        Timestamp::new(kind.time(arrived).round() as u64 as u32)
    }
}

impl Kind {
    fn time(&mut self, arrived: f64) -> f64 {
        self.recent.push_back(arrived);
        let is_old = |first: &f64| arrived - first > EVENED_MS;
        while self.recent.len() > LOOKED_AT || self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
        let mut time = self.even().clamp((arrived - FURTHEST_MS).max(0.0), arrived + FURTHEST_MS);
        if let Some(last) = self.last {
            // Frames that come in one lump follow each other as closely as can be told.
            time = time.max((last + 1.0).min(arrived + FURTHEST_MS)).max(last);
        }
        self.last = Some(time);
        time
    }

    /// Where the last of the recent frames lies on the straight line through all of them (least squares).
    fn even(&self) -> f64 {
        let count = self.recent.len() as f64;
        let last = self.recent.back().copied().unwrap_or_default();
        if self.recent.len() < 3 {
            return last;
        }
        let (middle, mean) = ((count - 1.0) / 2.0, self.recent.iter().sum::<f64>() / count);
        let (mut above, mut below) = (0.0, 0.0);
        for (number, arrived) in self.recent.iter().enumerate() {
            let from_middle = number as f64 - middle;
            above += from_middle * (arrived - mean);
            below += from_middle * from_middle;
        }
        mean + above / below * middle
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use PacketKind::{Audio, Video};

    fn times(arrived: impl IntoIterator<Item = (PacketKind, u64)>) -> Vec<u32> {
        let (mut arrivals, start) = (Arrivals::default(), Instant::now());
        let time = |(kind, ms)| arrivals.time(kind, start + Duration::from_millis(ms)).milliseconds();
        arrived.into_iter().map(time).collect()
    }

    #[test]
    fn an_even_stream_keeps_its_times() {
        let arrived: Vec<_> = (0..200).flat_map(|number| [(Video, number * 40), (Audio, number * 40 + 5)]).collect();
        let expected: Vec<_> = arrived.iter().map(|(_, ms)| *ms as u32).collect();
        assert_eq!(times(arrived), expected);
    }

    #[test]
    fn lumps_are_spread() {
        // Five frames each 200 ms.
        let got = times((0..200).map(|number| (Video, number / 5 * 200)));
        let steps: Vec<_> = got.windows(2).skip(50).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.iter().all(|step| (10..=75).contains(step)), "{steps:?}");
    }

    #[test]
    fn a_stall_is_followed_at_once() {
        let mut arrived: Vec<_> = (0..50).map(|number| (Video, number * 40)).collect();
        arrived.extend((0..75).map(|_| (Video, 5_000)));
        arrived.extend((1..50).map(|number| (Video, 5_000 + number * 40)));
        let got = times(arrived);
        assert_eq!(got[50], 5_000);
        assert!(got.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(got[124] <= 5_200 && got[173].abs_diff(5_000 + 49 * 40) < 20, "{got:?}");
    }

    #[test]
    fn one_frame_a_second_has_the_time_at_which_it_comes() {
        assert_eq!(times([(Video, 0), (Video, 1_010), (Video, 2_000)]), [0, 1_010, 2_000]);
    }
}
