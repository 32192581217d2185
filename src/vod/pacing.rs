//! Computes when the frames of a file are due; the caller supplies the current time.

use std::time::{Duration, Instant};

use crate::flv;
use crate::limits;

/// The playback clock of one viewer.
///
/// A frame is due when the clock, which starts with the first frame, is within the viewer's buffer of it:
///
/// ```text
/// time of the frame ≤ time of the first frame + elapsed + clamp(buffer, 1 s, 30 s) + 1 s
/// ```
///
/// So the first frames fill the buffer immediately and the rest is sent in real time. The clock stops while paused and
/// restarts with [`restart`](Self::restart) and at timestamp discontinuities. With a buffer of
/// [`limits::VOD_UNPACED_MS`] or more everything is due.
#[derive(Clone, Debug)]
pub(crate) struct Pacing {
    buffer_ms: u32,
    start: Option<Start>,
    paused_since: Option<Instant>,
}

/// When playback started, the time of the first frame, and the time of the last one.
#[derive(Clone, Copy, Debug)]
struct Start {
    at: Instant,
    time_ms: u32,
    last_ms: u32,
}

impl Pacing {
    /// Time sent beyond the buffer, in milliseconds, so that write coalescing never makes frames late.
    const LEAD_MS: u32 = 1000;

    /// Creates a clock that starts with the first frame; `buffer_ms` is the viewer's buffer length.
    pub(crate) fn new(buffer_ms: u32) -> Self {
        Self { buffer_ms, start: None, paused_since: None }
    }

    /// Sets the viewer's buffer length in milliseconds.
    pub(crate) fn set_buffer(&mut self, buffer_ms: u32) {
        self.buffer_ms = buffer_ms;
    }

    /// Restarts the clock with the next frame, after a seek.
    pub(crate) fn restart(&mut self) {
        self.start = None;
    }

    /// Stops the clock; no effect when it is stopped.
    pub(crate) fn pause(&mut self, now: Instant) {
        self.paused_since.get_or_insert(now);
    }

    /// Resumes the clock.
    pub(crate) fn resume(&mut self, now: Instant) {
        if let (Some(since), Some(start)) = (self.paused_since.take(), &mut self.start) {
            start.at += now.saturating_duration_since(since.max(start.at));
        }
    }

    /// Returns when a frame is due; `None` when it is due now. Must be called for the frames in order.
    pub(crate) fn due(&mut self, time_ms: u32, now: Instant) -> Option<Instant> {
        if self.start.is_none_or(|start| flv::is_jump(start.last_ms, time_ms)) {
            self.start = Some(Start { at: now, time_ms, last_ms: time_ms });
        }
        let start = self.start.as_mut()?;
        start.last_ms = time_ms;
        if self.buffer_ms >= limits::VOD_UNPACED_MS {
            return None;
        }
        let ahead = self.buffer_ms.clamp(limits::VOD_BUFFER_MIN_MS, limits::VOD_BUFFER_MAX_MS) + Self::LEAD_MS;
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
    fn the_buffer_is_due_immediately_and_the_rest_in_real_time() {
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
    fn lower_limit_of_the_buffer() {
        let start = Instant::now();
        for buffer in [0, limits::VOD_BUFFER_MIN_MS] {
            let mut pacing = Pacing::new(buffer);
            assert_eq!(pacing.due(0, start), None);
            assert_eq!(pacing.due(limits::VOD_BUFFER_MIN_MS + 1000, start), None);
            assert!(pacing.due(limits::VOD_BUFFER_MIN_MS + 1001, start).is_some());
        }
    }

    #[test]
    fn upper_limit_of_the_buffer() {
        let start = Instant::now();
        for buffer in [limits::VOD_BUFFER_MAX_MS, limits::VOD_BUFFER_MAX_MS + 1, limits::VOD_UNPACED_MS - 1] {
            let mut pacing = Pacing::new(buffer);
            assert_eq!(pacing.due(0, start), None);
            assert_eq!(pacing.due(limits::VOD_BUFFER_MAX_MS + 1000, start), None);
            assert!(pacing.due(limits::VOD_BUFFER_MAX_MS + 1001, start).is_some());
        }
    }

    #[test]
    fn large_buffers_disable_pacing() {
        let start = Instant::now();
        for buffer in [limits::VOD_UNPACED_MS, 36_000_000, u32::MAX] {
            let mut pacing = Pacing::new(buffer);
            assert_eq!([0, 40_000, 90_000].map(|time| pacing.due(time, start)), [None; 3]);
        }
        let mut pacing = Pacing::new(300);
        assert_eq!(pacing.due(0, start), None);
        assert!(pacing.due(50_000, start).is_some());
        pacing.set_buffer(36_000_000);
        assert_eq!(pacing.due(50_000, start), None, "also when set during playback");
    }

    #[test]
    fn the_clock_stops_while_paused() {
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
    fn the_clock_restarts_after_a_seek_even_while_paused() {
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
    fn the_clock_restarts_at_a_time_jump() {
        let start = Instant::now();
        let mut pacing = Pacing::new(1000);
        assert_eq!(pacing.due(0, start), None);
        assert!(pacing.due(limits::FLV_TIME_JUMP_MS, start).is_some(), "a gap");
        assert_eq!(pacing.due(2_000_000_000, start), None, "a jump forward");
        assert_eq!(pacing.due(1000, start), None, "and back");
        assert!(pacing.due(3001, start).is_some(), "pacing continues after it");
    }

    #[test]
    fn maximum_times_do_not_overflow() {
        let start = Instant::now();
        let mut pacing = Pacing::new(0);
        assert_eq!(pacing.due(u32::MAX - 50_000, start), None);
        assert_eq!(pacing.due(u32::MAX, start), Some(start + seconds(48)));
    }
}
