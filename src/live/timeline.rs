//! One timeline for a stream, whatever its publishers' clocks do.
//!
//! A publisher's timestamps are relayed as they are, plus an offset that changes only at discontinuities: when a stream
//! is published again, when a clock jumps, and at 2³¹ ms, where ffmpeg and OBS wrap to 0. Audio and video share the
//! offset, though one of them meets the discontinuity first.

use crate::media::{PacketKind, Timestamp};

/// A larger step back is a discontinuity, in milliseconds. Frames normally never go back; encoders that interleave
/// badly are a second off at the worst.
const MAX_STEP_BACK: i32 = 1_000;

/// A larger step ahead is a discontinuity, in milliseconds: network outages are shorter.
const MAX_STEP_AHEAD: i32 = 10_000;

/// The gap between the last frame before a discontinuity and the first after it, in milliseconds.
const GAP: u32 = 20;

/// Maps a publisher's timestamps to the stream's.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// The latest timestamp of the stream.
    last: Option<Timestamp>,
    audio: Clock,
    video: Clock,
    /// The first frame determines a new offset.
    restarted: bool,
    /// Where a new publisher's time begins; nothing of it may be mapped before.
    begin: Option<Timestamp>,
}

/// The clock of audio or video.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    /// The publisher's latest timestamp.
    last: Option<Timestamp>,
    /// Added to it.
    offset: u32,
}

impl Timeline {
    /// Restarts for a new publisher: its time continues after the last one's, wherever it starts.
    pub(super) fn restart(&mut self) {
        self.restarted = self.last.is_some();
        self.begin = None;
        self.audio.last = None;
        self.video.last = None;
    }

    /// Returns the latest timestamp of the stream.
    pub(super) fn now(&self) -> Timestamp {
        self.last.unwrap_or_default()
    }

    /// Maps the timestamp of a message that is no frame: it changes no offset, and an implausible one becomes the
    /// current time. ffmpeg sends its sequence headers at 0 whenever its first frame is.
    pub(super) fn map_header(&self, timestamp: Timestamp) -> Timestamp {
        let Some(now) = self.last else { return timestamp };
        let mapped = timestamp + self.video.offset;
        let fits = !self.restarted && mapped.since(now).unsigned_abs() <= MAX_STEP_AHEAD.unsigned_abs();
        if fits { mapped } else { now }
    }

    /// Maps a frame's timestamp.
    pub(super) fn map_frame(&mut self, kind: PacketKind, timestamp: Timestamp) -> Timestamp {
        if self.restarted {
            self.restarted = false;
            let offset = (self.now() + GAP) - timestamp;
            self.audio.offset = offset;
            self.video.offset = offset;
            self.begin = Some(self.now() + GAP);
        }
        let other = if kind == PacketKind::Video { self.audio } else { self.video };
        let now = self.now();
        let clock = if kind == PacketKind::Video { &mut self.video } else { &mut self.audio };
        let is_discontinuity = match (clock.last, other.last) {
            (Some(last), _) => !(-MAX_STEP_BACK..=MAX_STEP_AHEAD).contains(&timestamp.since(last)),
            (None, Some(_)) => (timestamp + clock.offset).since(now).unsigned_abs() > MAX_STEP_AHEAD.unsigned_abs(),
            (None, None) => false,
        };
        if is_discontinuity {
            // The other track may have met the discontinuity already, and 31-bit clocks simply wrap.
            let candidates = [other.offset, clock.offset.wrapping_add(1 << 31)];
            let near = candidates.into_iter().find(|offset| {
                let step = (timestamp + *offset).since(now);
                (-MAX_STEP_BACK..=MAX_STEP_AHEAD).contains(&step)
            });
            clock.offset = near.unwrap_or_else(|| (now + GAP) - timestamp);
            clock.last = None;
        }
        if clock.last.is_none_or(|last| timestamp.since(last) > 0) {
            clock.last = Some(timestamp);
        }
        let mut mapped = timestamp + clock.offset;
        if let Some(begin) = self.begin.filter(|begin| mapped.since(*begin) < 0) {
            // The track that came second began first: both are moved by the same amount, to stay in sync.
            let missing = begin - mapped;
            self.audio.offset = self.audio.offset.wrapping_add(missing);
            self.video.offset = self.video.offset.wrapping_add(missing);
            mapped = begin;
        }
        if self.last.is_none_or(|last| mapped.since(last) > 0) {
            self.last = Some(mapped);
        }
        mapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PacketKind::{Audio, Video};
    use proptest::prelude::*;

    fn map(timeline: &mut Timeline, frames: &[(PacketKind, u32)]) -> Vec<u32> {
        frames.iter().map(|(kind, time)| timeline.map_frame(*kind, Timestamp::new(*time)).milliseconds()).collect()
    }

    #[test]
    fn timestamps_pass_unchanged() {
        let mut timeline = Timeline::default();
        let frames = [(Video, 7_000_000), (Audio, 7_000_010), (Video, 7_000_040), (Audio, 7_000_033)];
        assert_eq!(map(&mut timeline, &frames), [7_000_000, 7_000_010, 7_000_040, 7_000_033]);
        assert_eq!(timeline.now(), Timestamp::new(7_000_040));
    }

    #[test]
    fn a_republished_stream_continues_with_one_offset() {
        let mut timeline = Timeline::default();
        map(&mut timeline, &[(Video, 5_000), (Audio, 5_020)]);
        timeline.restart();
        assert_eq!(map(&mut timeline, &[(Audio, 0), (Video, 7), (Video, 40)]), [5_040, 5_047, 5_080]);
    }

    /// Two timestamps half the circle apart are neither before nor after each other.
    #[test]
    fn timestamps_half_the_circle_away_become_the_current_time() {
        let mut timeline = Timeline::default();
        map(&mut timeline, &[(Video, 5_000)]);
        assert_eq!(timeline.map_header(Timestamp::new(5_000 + (1 << 31))), Timestamp::new(5_000));
        assert_eq!(map(&mut timeline, &[(Audio, 5_000 + (1 << 31))]), [5_000]);
    }

    #[test]
    fn headers_change_no_offset() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.map_header(Timestamp::ZERO), Timestamp::ZERO);
        map(&mut timeline, &[(Video, 20_000_000)]);
        assert_eq!(timeline.map_header(Timestamp::ZERO), Timestamp::new(20_000_000));
        assert_eq!(timeline.map_header(Timestamp::new(20_000_040)), Timestamp::new(20_000_040));
        timeline.restart();
        assert_eq!(timeline.map_header(Timestamp::new(20_000_040)), Timestamp::new(20_000_000));
    }

    #[test]
    fn a_track_that_came_second_but_began_first_does_not_go_back() {
        let mut timeline = Timeline::default();
        map(&mut timeline, &[(Video, 5_000)]);
        timeline.restart();
        let frames = [(Video, 500), (Audio, 0), (Audio, 23), (Video, 540)];
        assert_eq!(map(&mut timeline, &frames), [5_020, 5_020, 5_043, 5_560]);
    }

    #[test]
    fn the_offset_holds_for_a_publisher_that_starts_late() {
        let mut timeline = Timeline::default();
        map(&mut timeline, &[(Video, 100)]);
        timeline.restart();
        assert_eq!(map(&mut timeline, &[(Video, 3_000_000_000), (Audio, 3_000_000_005)]), [120, 125]);
    }

    #[test]
    fn a_clock_jump_is_bridged_for_audio_and_video_alike() {
        for jump in [0u32, 500_000] {
            let mut timeline = Timeline::default();
            map(&mut timeline, &[(Video, 100_000), (Audio, 100_010)]);
            let after = [(Video, jump), (Audio, jump + 15), (Video, jump + 40)];
            assert_eq!(map(&mut timeline, &after), [100_030, 100_045, 100_070]);
        }
    }

    #[test]
    fn the_31_bit_wrap_of_ffmpeg_and_obs() {
        let wrap = 1 << 31;
        let mut timeline = Timeline::default();
        let frames = [(Video, wrap - 20), (Audio, 3), (Video, wrap - 1), (Video, 32), (Audio, 26)];
        map(&mut timeline, &[(Audio, wrap - 10)]);
        assert_eq!(map(&mut timeline, &frames), [wrap - 20, wrap + 3, wrap - 1, wrap + 32, wrap + 26]);
    }

    #[test]
    fn the_32_bit_wrap_passes_unchanged() {
        let mut timeline = Timeline::default();
        assert_eq!(map(&mut timeline, &[(Video, u32::MAX - 10), (Audio, 5), (Video, 22)]), [u32::MAX - 10, 5, 22]);
    }

    proptest! {
        #[test]
        fn time_never_goes_back_far(frames in proptest::collection::vec((any::<bool>(), any::<u32>()), 1..50)) {
            let mut timeline = Timeline::default();
            for (video, time) in frames {
                let before = timeline.last;
                let mapped = timeline.map_frame(if video { Video } else { Audio }, Timestamp::new(time));
                if let Some(before) = before {
                    prop_assert!(mapped.since(before) >= -MAX_STEP_AHEAD, "{mapped} behind {before}");
                }
            }
        }
    }
}
