//! How a stream's key frames have come, and whether the next is to be expected.

use std::time::{Duration, Instant};

use crate::limits;

/// When key frames came. Recovery points count as such.
#[derive(Debug, Default)]
pub(super) struct KeyFrames {
    last: Option<Instant>,
    /// The longest time between two, of those that players would wait for.
    interval: Option<Duration>,
    /// Recovery points in a row without a key frame in the codec's sense.
    recovery_points: u32,
}

/// After so many recovery points in a row no key frame in the codec's sense is expected.
const MERE_RECOVERY_POINTS: u32 = 3;

impl KeyFrames {
    /// One comes, which may be no more than a recovery point.
    pub fn note(&mut self, is_recovery_point_only: bool, now: Instant) {
        self.recovery_points = if is_recovery_point_only { self.recovery_points.saturating_add(1) } else { 0 };
        if let Some(last) = self.last.replace(now) {
            let interval = now.saturating_duration_since(last);
            if interval <= limits::KEY_FRAME_FORESEEN {
                self.interval = self.interval.max(Some(interval));
            }
        }
    }

    /// Whether they are all recovery points.
    pub fn are_recovery_points(&self) -> bool {
        self.recovery_points >= MERE_RECOVERY_POINTS
    }

    /// How long ago the last one came; `None` if there was none.
    pub fn since_last(&self, now: Instant) -> Option<Duration> {
        self.last.map(|last| now.saturating_duration_since(last))
    }

    /// The time between two, if another is to be expected soon: one that is late does not come any more.
    pub fn foreseen(&self, now: Instant) -> Option<Duration> {
        let late = |interval: &Duration| *interval + *interval / 4 + limits::KEY_FRAME_LATE;
        self.interval.filter(|interval| self.since_last(now).is_some_and(|since| since <= late(interval)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_is_expected_where_they_have_come_regularly() {
        let (mut key_frames, start) = (KeyFrames::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(key_frames.foreseen(start), None);
        key_frames.note(false, start);
        assert_eq!(key_frames.foreseen(at(1)), None, "nobody knows when another comes");
        key_frames.note(false, at(10));
        assert_eq!(key_frames.foreseen(at(19)), Some(Duration::from_secs(10)));
        assert_eq!(key_frames.foreseen(at(30)), None, "it is late");
        key_frames.note(false, at(32));
        assert_eq!(key_frames.foreseen(at(40)), Some(Duration::from_secs(10)), "nobody waits for 22 s");
        key_frames.note(false, at(34));
        assert_eq!(key_frames.foreseen(at(40)), Some(Duration::from_secs(10)), "scene cuts come earlier");
    }

    #[test]
    fn some_recovery_points_in_a_row_are_all_that_comes() {
        let (mut key_frames, now) = (KeyFrames::default(), Instant::now());
        for (is_mere, are) in
            [(false, false), (true, false), (true, false), (true, true), (false, false), (true, false)]
        {
            key_frames.note(is_mere, now);
            assert_eq!(key_frames.are_recovery_points(), are);
        }
    }
}
