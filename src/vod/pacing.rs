//! When a frame of a file is due: pure arithmetic, the caller brings the time of day.

use std::time::{Duration, Instant};

use crate::{flv, limits};

/// The clock of one viewer of a file.
///
/// A frame is due when the viewer's clock, which runs from the frame that playing started with, comes
/// within the viewer's buffer of it:
///
/// ```text
/// time of the frame ≤ time of the first frame + elapsed + clamp(buffer, 1 s, 30 s) + 1 s
/// ```
///
/// So the buffer's worth is due at once and the rest in real time. The clock stands while paused and
/// starts again with [`restart`](Self::restart) and where the file's times jump. A buffer of
/// [`limits::VOD_UNPACED_MS`] or more makes everything due.
#[derive(Clone, Debug)]
pub(crate) struct Pacing {
    buffer_ms: u32,
    start: Option<Start>,
    paused_since: Option<Instant>,
}

/// When playing started, with the frame of which time, and how far it came.
#[derive(Clone, Copy, Debug)]
struct Start {
    at: Instant,
    time_ms: u32,
    last_ms: u32,
}

impl Pacing {
    /// How much more than the buffer is sent, in milliseconds: frames are never late for gathering.
    const MORE_MS: u32 = 1000;

    /// A clock that starts with the first frame asked about; the viewer's buffer is in milliseconds.
    pub(crate) fn new(buffer_ms: u32) -> Self {
        Self { buffer_ms, start: None, paused_since: None }
    }

    /// The viewer has another buffer now, in milliseconds.
    pub(crate) fn set_buffer(&mut self, buffer_ms: u32) {
        self.buffer_ms = buffer_ms;
    }

    /// The next frame starts the clock anew: after a seek.
    pub(crate) fn restart(&mut self) {
        self.start = None;
    }

    /// Stops the clock. Nothing new when it stands already.
    pub(crate) fn pause(&mut self, now: Instant) {
        self.paused_since.get_or_insert(now);
    }

    /// Lets the clock run on from where it stood.
    pub(crate) fn resume(&mut self, now: Instant) {
        if let (Some(since), Some(start)) = (self.paused_since.take(), &mut self.start) {
            start.at += now.saturating_duration_since(since.max(start.at));
        }
    }

    /// When a frame will be due: `None` when it is now. To be asked about the frames in order.
    pub(crate) fn due(&mut self, time_ms: u32, now: Instant) -> Option<Instant> {
        if self.start.is_none_or(|start| flv::is_jump(start.last_ms, time_ms)) {
            self.start = Some(Start { at: now, time_ms, last_ms: time_ms });
        }
        let start = self.start.as_mut()?;
        start.last_ms = time_ms;
        if self.buffer_ms >= limits::VOD_UNPACED_MS {
            return None;
        }
        let ahead = self.buffer_ms.clamp(limits::VOD_BUFFER_MIN_MS, limits::VOD_BUFFER_MAX_MS) + Self::MORE_MS;
        let after_start = time_ms.saturating_sub(start.time_ms).saturating_sub(ahead);
        let due = start.at + Duration::from_millis(after_start.into());
        (due > now).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn the_buffer_is_due_at_once_and_the_rest_in_real_time() {
        let start = Instant::now();
        let mut pacing = Pacing::new(3000);
        assert_eq!(pacing.due(10_000, start), None);
        assert_eq!(pacing.due(14_000, start), None);
        assert_eq!(pacing.due(14_500, start), Some(start + Duration::from_millis(500)));
        assert_eq!(pacing.due(14_500, start + Duration::from_millis(499)), Some(start + Duration::from_millis(500)));
        assert_eq!(pacing.due(14_500, start + Duration::from_millis(500)), None);
        assert_eq!(pacing.due(9_000, start), None, "from before the start");
    }

    #[test]
    fn limit_of_the_buffer_below() {
        let start = Instant::now();
        for buffer in [0, limits::VOD_BUFFER_MIN_MS] {
            let mut pacing = Pacing::new(buffer);
            assert_eq!(pacing.due(0, start), None);
            assert_eq!(pacing.due(limits::VOD_BUFFER_MIN_MS + 1000, start), None);
            assert!(pacing.due(limits::VOD_BUFFER_MIN_MS + 1001, start).is_some());
        }
    }

    #[test]
    fn limit_of_the_buffer_above() {
        let start = Instant::now();
        for buffer in [limits::VOD_BUFFER_MAX_MS, limits::VOD_BUFFER_MAX_MS + 1, limits::VOD_UNPACED_MS - 1] {
            let mut pacing = Pacing::new(buffer);
            assert_eq!(pacing.due(0, start), None);
            assert_eq!(pacing.due(limits::VOD_BUFFER_MAX_MS + 1000, start), None);
            assert!(pacing.due(limits::VOD_BUFFER_MAX_MS + 1001, start).is_some());
        }
    }

    #[test]
    fn a_viewer_that_wants_the_file_gets_it() {
        let start = Instant::now();
        for buffer in [limits::VOD_UNPACED_MS, 36_000_000, u32::MAX] {
            let mut pacing = Pacing::new(buffer);
            assert_eq!([0, 40_000, 90_000].map(|time| pacing.due(time, start)), [None; 3]);
        }
        let mut pacing = Pacing::new(300);
        assert_eq!(pacing.due(0, start), None);
        assert!(pacing.due(50_000, start).is_some());
        pacing.set_buffer(36_000_000);
        assert_eq!(pacing.due(50_000, start), None, "and at once when it says so later");
    }

    #[test]
    fn the_clock_stands_while_paused() {
        let start = Instant::now();
        let mut pacing = Pacing::new(1000);
        assert_eq!(pacing.due(0, start), None);
        pacing.pause(start + seconds(1));
        pacing.pause(start + seconds(5));
        pacing.resume(start + seconds(11));
        pacing.resume(start + seconds(20));
        assert_eq!(pacing.due(5000, start + seconds(11)), Some(start + seconds(13)));
    }

    #[test]
    fn the_clock_starts_anew_after_a_seek_even_while_paused() {
        let start = Instant::now();
        let mut pacing = Pacing::new(1000);
        assert_eq!(pacing.due(0, start), None);
        pacing.pause(start);
        pacing.restart();
        assert_eq!(pacing.due(30_000, start + seconds(3)), None);
        pacing.resume(start + seconds(7));
        assert_eq!(pacing.due(34_000, start + seconds(7)), Some(start + seconds(9)));
    }

    #[test]
    fn a_jump_in_time_is_not_waited_for_and_not_rushed_after() {
        let start = Instant::now();
        let mut pacing = Pacing::new(1000);
        assert_eq!(pacing.due(0, start), None);
        assert!(pacing.due(limits::FLV_TIME_JUMP_MS, start).is_some(), "a silence");
        assert_eq!(pacing.due(2_000_000_000, start), None, "a jump forward");
        assert_eq!(pacing.due(1000, start), None, "and back");
        assert!(pacing.due(3001, start).is_some(), "the pace is kept after it");
    }

    #[test]
    fn the_largest_times_do_not_overflow() {
        let start = Instant::now();
        let mut pacing = Pacing::new(0);
        assert_eq!(pacing.due(u32::MAX - 50_000, start), None);
        assert_eq!(pacing.due(u32::MAX, start), Some(start + seconds(48)));
    }
}
