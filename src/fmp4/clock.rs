//! Timestamp unwrapping, and decode times for gapless audio and continuous video.

use crate::media::Timestamp;

/// Maximum deviation of audio from its timestamps, in milliseconds: those are rounded, and often a frame early or late.
const TOLERANCE_MS: u64 = 40;

/// Deviation of audio from which drift is corrected, in milliseconds.
const DRIFT_MS: u64 = 10;

/// Extends 32-bit timestamps to 64 bits.
#[derive(Debug, Default)]
pub(super) struct TimestampUnwrapper {
    last: Option<(Timestamp, u64)>,
}

impl TimestampUnwrapper {
    /// Returns the milliseconds since timestamp 0 of the first epoch.
    pub(super) fn time_ms(&mut self, timestamp: Timestamp) -> u64 {
        let (last, time) = self.last.unwrap_or((timestamp, timestamp.milliseconds().into()));
        let step = i64::from(timestamp.since(last));
        let time = time.saturating_add_signed(step);
        // An out-of-order timestamp is not a new reference.
        if step >= 0 {
            self.last = Some((timestamp, time));
        } else {
            self.last.get_or_insert((timestamp, time));
        }
        time
    }
}

/// Decode times of audio, in samples.
#[derive(Debug, Default)]
pub(super) struct AudioClock {
    /// Decode times of the last frame and of one that follows without a gap.
    last: Option<(u64, u64)>,
}

impl AudioClock {
    /// Converts the clock from one timescale to another.
    pub(super) fn convert(&mut self, from: u32, to: u32) {
        let converted = |time: u64| (u128::from(time) * u128::from(to)).div_ceil(u128::from(from.max(1)));
        let converted = |time| u64::try_from(converted(time)).unwrap_or(u64::MAX / 2);
        self.last = self.last.map(|(last, next)| (converted(last), converted(next)));
    }

    /// Returns the decode time and duration of a frame with this timestamp and number of samples. Frames follow each
    /// other without gaps. To compensate clock drift, durations are a millisecond longer or shorter when audio is off
    /// by [`DRIFT_MS`]; when it lags its timestamps by [`TOLERANCE_MS`], it jumps.
    pub(super) fn advance(&mut self, time_ms: u64, rate: u32, samples: u32) -> (u64, u32) {
        let in_samples = |ms: u64| ms.saturating_mul(rate.into()) / 1000;
        let timestamp = in_samples(time_ms);
        let decode_time = match self.last {
            Some((_, next)) if timestamp <= next.saturating_add(in_samples(TOLERANCE_MS)) => next,
            _ => timestamp,
        };
        let correction = (rate / 1000).min(samples / 2);
        let duration = if timestamp > decode_time.saturating_add(in_samples(DRIFT_MS)) {
            samples.saturating_add(correction)
        } else if decode_time > timestamp.saturating_add(in_samples(DRIFT_MS)) {
            samples - correction
        } else {
            samples
        };
        self.last = Some((decode_time, decode_time.saturating_add(duration.into())));
        (decode_time, duration)
    }

    /// Returns the number of frames of `samples` missing before a time, where audio began, or should have, at
    /// `start_ms`.
    pub(super) fn missing(&self, time_ms: u64, start_ms: u64, rate: u32, samples: u32) -> u64 {
        let in_samples = |ms: u64| ms.saturating_mul(rate.into()) / 1000;
        let next = self.last.map_or(in_samples(start_ms), |(_, next)| next);
        let gap = in_samples(time_ms).saturating_sub(next);
        if gap > in_samples(TOLERANCE_MS) { gap / u64::from(samples.max(1)) } else { 0 }
    }

    /// Returns the decode time of a frame right after the last one, or at `start_ms` if there was none.
    pub(super) fn next(&mut self, start_ms: u64, rate: u32, samples: u32) -> u64 {
        let decode_time = self.last.map_or(start_ms.saturating_mul(rate.into()) / 1000, |(_, next)| next);
        self.last = Some((decode_time, decode_time.saturating_add(samples.into())));
        decode_time
    }
}

/// Decode time and duration of a video frame, and the offset from the decode time to its timestamp; milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameTiming {
    pub decode_time: u64,
    pub duration: u32,
    pub timestamp_offset: i32,
}

/// Decode times of video frames, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct VideoClock {
    /// Timestamp and timing of the last frame.
    last: Option<(u64, FrameTiming)>,
}

impl VideoClock {
    const MAX_DURATION_MS: u64 = 10_000;

    /// Returns the timing of a video frame with this timestamp. Its duration is that of the previous frame, as the next
    /// is not known yet; `default_duration` is used for the first.
    ///
    /// Browsers treat a decode time more than two durations after the last as a discontinuity, and drop all video
    /// frames up to the next key frame (Media Source Extensions §3.5.8). So decode times advance by two durations at
    /// most; presentation times are unaffected.
    pub(super) fn advance(&mut self, time_ms: u64, default_duration: u32) -> FrameTiming {
        let (decode_time, duration) = match self.last {
            None => (time_ms, u64::from(default_duration)),
            Some((last_ms, last)) => {
                let is_gap_bridged = time_ms <= last.decode_time.saturating_add(Self::MAX_DURATION_MS);
                let latest = if is_gap_bridged { last.decode_time + 2 * u64::from(last.duration) } else { time_ms };
                (time_ms.min(latest).max(last.decode_time + 1), time_ms.saturating_sub(last_ms))
            }
        };
        let timestamp_offset = i32::try_from(i128::from(time_ms) - i128::from(decode_time)).unwrap_or(0);
        let timing =
            FrameTiming { decode_time, duration: duration.clamp(1, Self::MAX_DURATION_MS) as u32, timestamp_offset };
        self.last = Some((time_ms, timing));
        timing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn time_continues_past_32_bits() {
        let mut clock = TimestampUnwrapper::default();
        let times = [u32::MAX - 20, u32::MAX - 40, 19, u32::MAX, 39].map(|time| clock.time_ms(Timestamp::new(time)));
        let start = u64::from(u32::MAX);
        assert_eq!(times, [start - 20, start - 40, start + 20, start, start + 40]);
    }

    #[test]
    fn audio_is_gapless_despite_rounding_and_follows_a_jump() {
        let mut clock = AudioClock::default();
        let decode_times = [0, 23, 46, 70, 93, 500].map(|time| clock.advance(time, 44_100, 1024).0);
        assert_eq!(decode_times, [0, 1024, 2048, 3072, 4096, 22_050]);
        assert_eq!(clock.advance(400, 44_100, 1024), (23_074, 1024 - 44), "decode times never decrease");
    }

    #[test]
    fn clock_drift_is_corrected_without_gaps() {
        // Frames of 21.33 ms at intervals of 21 or 22 ms: far more drift than any real clock.
        for every_ms in [21, 22] {
            let (mut clock, mut next) = (AudioClock::default(), 0);
            for frame in 0..100_000u64 {
                let (decode_time, duration) = clock.advance(frame * every_ms, 48_000, 1024);
                assert_eq!(decode_time, next, "no gap and no overlap");
                assert!(decode_time.abs_diff(frame * every_ms * 48) <= 20 * 48, "frame {frame}");
                next = decode_time + u64::from(duration);
            }
        }
    }

    fn timings(times: &[u64]) -> Vec<(u64, u32, i32)> {
        let mut clock = VideoClock::default();
        let timing = |time: &u64| clock.advance(*time, 33);
        times
            .iter()
            .map(timing)
            .map(|FrameTiming { decode_time, duration, timestamp_offset }| (decode_time, duration, timestamp_offset))
            .collect()
    }

    #[test]
    fn a_frame_has_the_duration_of_the_previous_one() {
        assert_eq!(timings(&[0, 40, 40, 80]), [(0, 33, 0), (40, 40, 0), (41, 1, -1), (43, 40, 37)]);
        assert_eq!(timings(&[0, 100_000]), [(0, 33, 0), (100_000, 10_000, 0)]);
    }

    #[test]
    fn decode_times_catch_up_gradually_after_a_gap() {
        let timings = timings(&[0, 40, 80, 500, 540, 580]);
        let steps: Vec<_> = timings.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[0].1)).collect();
        assert!(steps.iter().all(|(step, duration)| *step <= u64::from(2 * duration)), "{timings:?}");
        assert!(
            timings
                .iter()
                .zip([0, 40, 80, 500, 540, 580])
                .all(|(timing, time)| timing.0 as i64 + i64::from(timing.2) == time)
        );
    }

    #[test]
    fn missing_audio_is_counted_in_frames() {
        let mut clock = AudioClock::default();
        assert_eq!(clock.missing(500, 500, 44_100, 1024), 0);
        assert_eq!(clock.missing(500, 0, 44_100, 1024), 21);
        clock.advance(0, 44_100, 1024);
        assert_eq!(clock.missing(60, 0, 44_100, 1024), 0, "within the tolerance");
        assert_eq!(clock.missing(500, 0, 44_100, 1024), 20);
        assert_eq!(clock.next(0, 44_100, 1024), 1024);
    }

    proptest! {
        #[test]
        fn no_time_overflows(times in proptest::collection::vec(any::<u32>(), 0..100), rate in 1u32.., samples: u32) {
            let mut clock = TimestampUnwrapper::default();
            let (mut audio, mut video) = (AudioClock::default(), VideoClock::default());
            for time in times {
                let time = clock.time_ms(Timestamp::new(time));
                audio.advance(time, rate, samples);
                video.advance(time, 33);
                audio.missing(time, 0, rate, samples);
            }
        }
    }
}
