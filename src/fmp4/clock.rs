//! Times that wrap become times that don't, and audio without gaps.

use crate::media::Timestamp;

/// Audio may be this far off its timestamps, in milliseconds: those are rounded, and often a frame early or late.
const TOLERANCE_MS: u64 = 40;

/// Audio that is as far off drifts, in milliseconds.
const DRIFT_MS: u64 = 10;

/// Unwraps timestamps of 32 bits.
#[derive(Debug, Default)]
pub(super) struct Unwrapper {
    last: Option<(Timestamp, u64)>,
}

impl Unwrapper {
    /// Milliseconds since the timestamp 0 before the first.
    pub(super) fn time_ms(&mut self, timestamp: Timestamp) -> u64 {
        let (last, time) = self.last.unwrap_or((timestamp, timestamp.milliseconds().into()));
        let step = i64::from(timestamp.since(last));
        let time = time.saturating_add_signed(step);
        // What comes a moment early is no new place to count from.
        if step >= 0 {
            self.last = Some((timestamp, time));
        } else {
            self.last.get_or_insert((timestamp, time));
        }
        time
    }
}

/// Decoding times of audio, in samples.
#[derive(Debug, Default)]
pub(super) struct AudioClock {
    /// When the last frame begins, and the next if it comes right behind.
    last: Option<(u64, u64)>,
}

impl AudioClock {
    /// From here on time is counted in other units: so many a second in place of so many.
    pub(super) fn convert(&mut self, from: u32, to: u32) {
        let counted = |time: u64| (u128::from(time) * u128::from(to)).div_ceil(u128::from(from.max(1)));
        let counted = |time| u64::try_from(counted(time)).unwrap_or(u64::MAX / 2);
        self.last = self.last.map(|(last, next)| (counted(last), counted(next)));
    }

    /// A frame with that timestamp and so many samples: when it begins, and how long it lasts. Frames follow each other
    /// without gaps. Since no two clocks run alike, they are said to last a millisecond more or less when audio is
    /// [`DRIFT_MS`] off; when it is [`TOLERANCE_MS`] behind its timestamps, it jumps.
    pub(super) fn place(&mut self, time_ms: u64, rate: u32, samples: u32) -> (u64, u32) {
        let in_samples = |ms: u64| ms.saturating_mul(rate.into()) / 1000;
        let stamped = in_samples(time_ms);
        let begins = match self.last {
            Some((_, next)) if stamped <= next.saturating_add(in_samples(TOLERANCE_MS)) => next,
            _ => stamped,
        };
        let correction = (rate / 1000).min(samples / 2);
        let duration = if stamped > begins.saturating_add(in_samples(DRIFT_MS)) {
            samples.saturating_add(correction)
        } else if begins > stamped.saturating_add(in_samples(DRIFT_MS)) {
            samples - correction
        } else {
            samples
        };
        self.last = Some((begins, begins.saturating_add(duration.into())));
        (begins, duration)
    }

    /// How many frames of so many samples are missing before a time, where audio began, or should have, at `start_ms`.
    pub(super) fn missing(&self, time_ms: u64, start_ms: u64, rate: u32, samples: u32) -> u64 {
        let in_samples = |ms: u64| ms.saturating_mul(rate.into()) / 1000;
        let next = self.last.map_or(in_samples(start_ms), |(_, next)| next);
        let ahead = in_samples(time_ms).saturating_sub(next);
        if ahead > in_samples(TOLERANCE_MS) { ahead / u64::from(samples.max(1)) } else { 0 }
    }

    /// A frame right behind the last one, or at `start_ms` if there was none: when it begins.
    pub(super) fn next(&mut self, start_ms: u64, rate: u32, samples: u32) -> u64 {
        let begins = self.last.map_or(start_ms.saturating_mul(rate.into()) / 1000, |(_, next)| next);
        self.last = Some((begins, begins.saturating_add(samples.into())));
        begins
    }
}

/// When a video frame is decoded, how long it lasts, and how much later than it is decoded its own time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameTiming {
    pub begins: u64,
    pub duration: u32,
    pub late: i32,
}

/// Decoding times of video frames, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct VideoClock {
    /// The last video frame's own time, and its place.
    last: Option<(u64, FrameTiming)>,
}

impl VideoClock {
    const LONGEST_MS: u64 = 10_000;

    /// A video frame with that timestamp. It lasts as long as the one before, as the next is not there yet; `usual` stands in
    /// for the first.
    ///
    /// Browsers take a decoding time more than two durations behind the last for a new beginning, and drop all video frames up
    /// to the next key frame (Media Source Extensions §3.5.8). So decoding times go no further at once; when a video frame is
    /// shown does not depend on them.
    pub(super) fn place(&mut self, time_ms: u64, usual: u32) -> FrameTiming {
        let (begins, duration) = match self.last {
            None => (time_ms, u64::from(usual)),
            Some((last_ms, last)) => {
                let is_bridged = time_ms <= last.begins.saturating_add(Self::LONGEST_MS);
                let furthest = if is_bridged { last.begins + 2 * u64::from(last.duration) } else { time_ms };
                (time_ms.min(furthest).max(last.begins + 1), time_ms.saturating_sub(last_ms))
            }
        };
        let late = i32::try_from(i128::from(time_ms) - i128::from(begins)).unwrap_or(0);
        let place = FrameTiming { begins, duration: duration.clamp(1, Self::LONGEST_MS) as u32, late };
        self.last = Some((time_ms, place));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn time_goes_on_behind_32_bits() {
        let mut clock = Unwrapper::default();
        let times = [u32::MAX - 20, u32::MAX - 40, 19, u32::MAX, 39].map(|time| clock.time_ms(Timestamp::new(time)));
        let start = u64::from(u32::MAX);
        assert_eq!(times, [start - 20, start - 40, start + 20, start, start + 40]);
    }

    #[test]
    fn audio_has_no_gaps_from_rounding_and_follows_a_jump() {
        let mut pace = AudioClock::default();
        let begins = [0, 23, 46, 70, 93, 500].map(|time| pace.place(time, 44_100, 1024).0);
        assert_eq!(begins, [0, 1024, 2048, 3072, 4096, 22_050]);
        assert_eq!(pace.place(400, 44_100, 1024), (23_074, 1024 - 44), "it never goes back");
    }

    #[test]
    fn clocks_that_drift_are_followed_without_gaps() {
        // Frames of 21.33 ms that come every 21 or 22: far worse than any clock.
        for every_ms in [21, 22] {
            let (mut pace, mut next) = (AudioClock::default(), 0);
            for frame in 0..100_000u64 {
                let (begins, duration) = pace.place(frame * every_ms, 48_000, 1024);
                assert_eq!(begins, next, "no gap and no overlap");
                assert!(begins.abs_diff(frame * every_ms * 48) <= 20 * 48, "frame {frame}");
                next = begins + u64::from(duration);
            }
        }
    }

    fn places(times: &[u64]) -> Vec<(u64, u32, i32)> {
        let mut video_entries = VideoClock::default();
        let place = |time: &u64| video_entries.place(*time, 33);
        times.iter().map(place).map(|FrameTiming { begins, duration, late }| (begins, duration, late)).collect()
    }

    #[test]
    fn a_frame_lasts_as_long_as_the_one_before() {
        assert_eq!(places(&[0, 40, 40, 80]), [(0, 33, 0), (40, 40, 0), (41, 1, -1), (43, 40, 37)]);
        assert_eq!(places(&[0, 100_000]), [(0, 33, 0), (100_000, 10_000, 0)]);
    }

    #[test]
    fn behind_a_gap_decoding_catches_up_step_by_step() {
        let places = places(&[0, 40, 80, 500, 540, 580]);
        let steps: Vec<_> = places.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[0].1)).collect();
        assert!(steps.iter().all(|(step, duration)| *step <= u64::from(2 * duration)), "{places:?}");
        assert!(
            places
                .iter()
                .zip([0, 40, 80, 500, 540, 580])
                .all(|(place, time)| place.0 as i64 + i64::from(place.2) == time)
        );
    }

    #[test]
    fn audio_that_is_missing_is_counted_in_frames() {
        let mut pace = AudioClock::default();
        assert_eq!(pace.missing(500, 500, 44_100, 1024), 0);
        assert_eq!(pace.missing(500, 0, 44_100, 1024), 21);
        pace.place(0, 44_100, 1024);
        assert_eq!(pace.missing(60, 0, 44_100, 1024), 0, "within the tolerance");
        assert_eq!(pace.missing(500, 0, 44_100, 1024), 20);
        assert_eq!(pace.next(0, 44_100, 1024), 1024);
    }

    proptest! {
        #[test]
        fn no_time_overflows(times in proptest::collection::vec(any::<u32>(), 0..100), rate in 1u32.., samples: u32) {
            let (mut clock, mut audio, mut picture) = (Unwrapper::default(), AudioClock::default(), VideoClock::default());
            for time in times {
                let time = clock.time_ms(Timestamp::new(time));
                audio.place(time, rate, samples);
                picture.place(time, 33);
                audio.missing(time, 0, rate, samples);
            }
        }
    }
}
