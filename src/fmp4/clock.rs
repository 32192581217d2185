//! Times that wrap become times that don't, and sound without gaps.

use crate::media::Timestamp;

/// Sound may be this far off its timestamps, in milliseconds: those are rounded, and often a frame early or late.
const TOLERANCE_MS: u64 = 40;

/// Unwraps timestamps of 32 bits.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last: Option<(Timestamp, u64)>,
}

impl Clock {
    /// Milliseconds since the timestamp 0 before the first.
    pub fn time_ms(&mut self, timestamp: Timestamp) -> u64 {
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

/// Decoding times of one track, in its own units.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the last frame begins, and the next if it comes right behind.
    last: Option<(u64, u64)>,
}

impl Pace {
    /// From here on time is counted in other units: so many a second in place of so many.
    pub fn recount(&mut self, from: u32, to: u32) {
        let counted = |time: u64| (u128::from(time) * u128::from(to)).div_ceil(u128::from(from.max(1)));
        let counted = |time| u64::try_from(counted(time)).unwrap_or(u64::MAX / 2);
        self.last = self.last.map(|(last, next)| (counted(last), counted(next)));
    }

    /// A frame of sound with that timestamp and so many samples: when it begins.
    pub fn sound(&mut self, time_ms: u64, rate: u32, samples: u32) -> u64 {
        let rate = u64::from(rate);
        let stamped = time_ms.saturating_mul(rate) / 1000;
        let begins = match self.last {
            Some((_, next)) if stamped.abs_diff(next) <= TOLERANCE_MS * rate / 1000 => next,
            Some((_, next)) => stamped.max(next),
            None => stamped,
        };
        self.last = Some((begins, begins.saturating_add(samples.into())));
        begins
    }

    /// A picture with that timestamp: when it is decoded, and how long it lasts, for which the distance to the one before
    /// has to stand: the next is not there yet. `usual` stands in for the first.
    pub fn picture(&mut self, time_ms: u64, usual: u32) -> (u64, u32) {
        const LONGEST_MS: u64 = 10_000;
        let Some((last, next)) = self.last else {
            self.last = Some((time_ms, time_ms + u64::from(usual)));
            return (time_ms, usual);
        };
        let begins = time_ms.max(last + 1);
        let step = begins - last;
        // A gap is no frame rate.
        let duration = if step <= LONGEST_MS { step } else { next - last };
        self.last = Some((begins, begins + duration));
        (begins, duration as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn time_goes_on_behind_32_bits() {
        let mut clock = Clock::default();
        let times = [u32::MAX - 20, u32::MAX - 40, 19, u32::MAX, 39].map(|time| clock.time_ms(Timestamp::new(time)));
        let start = u64::from(u32::MAX);
        assert_eq!(times, [start - 20, start - 40, start + 20, start, start + 40]);
    }

    #[test]
    fn sound_has_no_gaps_from_rounding_and_follows_a_jump() {
        let mut pace = Pace::default();
        let begins = [0, 23, 46, 70, 93, 500, 400].map(|time| pace.sound(time, 44_100, 1024));
        assert_eq!(begins, [0, 1024, 2048, 3072, 4096, 22_050, 23_074]);
    }

    #[test]
    fn a_clock_that_drifts_is_followed_within_the_tolerance() {
        let mut pace = Pace::default();
        for frame in 0..100_000u64 {
            // Frames of 1,024 samples that take 21 ms and not 21.33.
            let begins = pace.sound(frame * 21, 48_000, 1024);
            assert!(begins >= frame * 1024, "frames never overlap");
        }
        let mut slow = Pace::default();
        for frame in 0..100_000u64 {
            let begins = slow.sound(frame * 22, 48_000, 1024);
            assert!(begins.abs_diff(frame * 22 * 48) <= TOLERANCE_MS * 48);
        }
    }

    #[test]
    fn a_picture_lasts_as_long_as_the_one_before() {
        let mut pace = Pace::default();
        let got = [0, 40, 40, 80, 100_000].map(|time| pace.picture(time, 33));
        assert_eq!(got, [(0, 33), (40, 40), (41, 1), (80, 39), (100_000, 39)]);
    }

    proptest! {
        #[test]
        fn no_time_overflows(times in proptest::collection::vec(any::<u32>(), 0..100), rate in 1u32.., samples: u32) {
            let (mut clock, mut sound, mut picture) = (Clock::default(), Pace::default(), Pace::default());
            for time in times {
                let time = clock.time_ms(Timestamp::new(time));
                sound.sound(time, rate, samples);
                picture.picture(time, 33);
            }
        }
    }
}
