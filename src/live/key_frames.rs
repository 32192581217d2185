//! The intervals of a stream's key frames, and whether another is to be expected.

use std::time::{Duration, Instant};

use crate::limits;

/// When key frames arrived. Recovery points count as such.
#[derive(Debug, Default)]
pub(super) struct KeyFrames {
    last: Option<Instant>,
    /// The longest interval between two, among those short enough for players to wait.
    interval: Option<Duration>,
    /// Consecutive recovery points without a key frame in the codec's sense.
    recovery_points: u32,
}

/// After this many consecutive recovery points, no key frame in the codec's sense is expected.
const RECOVERY_POINTS_IN_A_ROW: u32 = 3;

impl KeyFrames {
    /// Records a key frame, or a recovery point alone.
    pub(super) fn record(&mut self, is_recovery_point_only: bool, now: Instant) {
        self.recovery_points = if is_recovery_point_only { self.recovery_points.saturating_add(1) } else { 0 };
        if let Some(last) = self.last.replace(now) {
            let interval = now.saturating_duration_since(last);
            if interval <= limits::KEY_FRAME_FORESEEN {
                self.interval = self.interval.max(Some(interval));
            }
        }
    }

    /// Whether only recovery points arrive.
    pub(super) fn are_recovery_points(&self) -> bool {
        self.recovery_points >= RECOVERY_POINTS_IN_A_ROW
    }

    /// Returns the time since the last one; `None` if there was none.
    pub(super) fn since_last(&self, now: Instant) -> Option<Duration> {
        self.last.map(|last| now.saturating_duration_since(last))
    }

    /// Returns the key frame interval if another is to be expected; one that is overdue is not.
    pub(super) fn expected_interval(&self, now: Instant) -> Option<Duration> {
        let late = |interval: &Duration| *interval + *interval / 4 + limits::KEY_FRAME_LATE;
        self.interval.filter(|interval| self.since_last(now).is_some_and(|since| since <= late(interval)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_is_expected_after_regular_ones() {
        let (mut key_frames, start) = (KeyFrames::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(key_frames.expected_interval(start), None);
        key_frames.record(false, start);
        assert_eq!(key_frames.expected_interval(at(1)), None, "one key frame tells no interval");
        key_frames.record(false, at(10));
        assert_eq!(key_frames.expected_interval(at(19)), Some(Duration::from_secs(10)));
        assert_eq!(key_frames.expected_interval(at(30)), None, "it is overdue");
        key_frames.record(false, at(32));
        assert_eq!(key_frames.expected_interval(at(40)), Some(Duration::from_secs(10)), "22 s are too long to wait");
        key_frames.record(false, at(34));
        assert_eq!(
            key_frames.expected_interval(at(40)),
            Some(Duration::from_secs(10)),
            "a scene cut does not shorten it"
        );
    }

    #[test]
    fn consecutive_recovery_points_mean_no_key_frames() {
        let (mut key_frames, now) = (KeyFrames::default(), Instant::now());
        for (is_mere, are) in
            [(false, false), (true, false), (true, false), (true, true), (false, false), (true, false)]
        {
            key_frames.record(is_mere, now);
            assert_eq!(key_frames.are_recovery_points(), are);
        }
    }
}
