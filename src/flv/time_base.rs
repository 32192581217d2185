//! The time base of a file.

use crate::limits;
use crate::media::Timestamp;

/// Converts the timestamps of a file's tags to milliseconds since its start.
///
/// Most files start at 0, but a recording of a live stream may start anywhere and even wrap. So that `start`,
/// `duration` and `seek` are consistent, times count from the first frame unless that is within a second after 0; such
/// files keep their timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimeBase(Timestamp);

impl TimeBase {
    /// Latest timestamp of the first frame of a file that starts at 0, in milliseconds.
    const LATE_START_MS: i32 = 1000;

    /// Creates the time base of a file whose first frame has this timestamp.
    pub(crate) fn of_first_frame(first: Timestamp) -> Self {
        let after_zero = first.since(Timestamp::ZERO);
        if (0..=Self::LATE_START_MS).contains(&after_zero) { Self::default() } else { Self(first) }
    }

    /// Returns the milliseconds since the start of the file; 0 for tags before the start. Timestamps are signed (FLV
    /// 10.1 §E.4.1), so a file can last 24.8 days.
    pub(crate) fn time_ms(self, timestamp: Timestamp) -> u32 {
        u32::try_from(timestamp.since(self.0)).unwrap_or(0)
    }
}

/// Whether the step between two times, in milliseconds, is a timestamp discontinuity.
pub(crate) fn is_jump(from_ms: u32, to_ms: u32) -> bool {
    from_ms.abs_diff(to_ms) > limits::FLV_TIME_JUMP_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(first: u32, timestamps: &[u32]) -> Vec<u32> {
        let base = TimeBase::of_first_frame(Timestamp::new(first));
        timestamps.iter().map(|&timestamp| base.time_ms(Timestamp::new(timestamp))).collect()
    }

    #[test]
    fn a_file_that_starts_near_zero_keeps_its_times() {
        assert_eq!(times(0, &[0, 40]), [0, 40]);
        assert_eq!(times(1000, &[1000, 990, 20_000_000]), [1000, 990, 20_000_000]);
    }

    #[test]
    fn a_file_that_starts_elsewhere_starts_at_zero() {
        assert_eq!(times(1001, &[1001, 2001, 990]), [0, 1000, 0]);
        assert_eq!(times(u32::MAX - 9, &[u32::MAX - 9, u32::MAX, 0, 30]), [0, 9, 10, 40], "across the wrap");
    }

    #[test]
    fn limit_of_a_time_jump() {
        assert!(!is_jump(5, 5 + limits::FLV_TIME_JUMP_MS) && !is_jump(5 + limits::FLV_TIME_JUMP_MS, 5));
        assert!(is_jump(5, 6 + limits::FLV_TIME_JUMP_MS) && is_jump(6 + limits::FLV_TIME_JUMP_MS, 5));
    }
}
