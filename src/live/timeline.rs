//! One time for a stream, whatever its publishers' clocks do.
//!
//! A publisher's timestamps are passed on as they come, plus an offset that changes only where they
//! break: when a stream is published again, when a clock jumps, and at 2³¹ ms, where ffmpeg and OBS
//! start again at 0. Audio and video share the offset, though one of them meets the break first.

use crate::media::{PacketKind, Timestamp};

/// A step back further than this is a break, in milliseconds. Frames don't come earlier than the last
/// one at all; encoders that interleave badly are a second off at the worst.
const LARGEST_STEP_BACK: i32 = 1_000;

/// A step ahead further than this is a break, in milliseconds: a pause in the network heals in less.
const LARGEST_STEP_AHEAD: i32 = 10_000;

/// What lies between the last frame before a break and the first one behind it, in milliseconds.
const STEP: u32 = 20;

/// Maps a publisher's time to the stream's.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// The stream's time as far as it has got.
    last: Option<Timestamp>,
    audio: Clock,
    video: Clock,
    /// The first frame decides the offset anew.
    restarted: bool,
    /// Where a new publisher's time begins; nothing of it may lie before.
    begin: Option<Timestamp>,
}

/// Of audio or video.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    /// The publisher's time as far as it has got.
    last: Option<Timestamp>,
    /// What is added to it.
    offset: u32,
}

impl Timeline {
    /// A new publisher: its time goes on behind the last one's, wherever it starts.
    pub fn restart(&mut self) {
        self.restarted = self.last.is_some();
        self.begin = None;
        self.audio.last = None;
        self.video.last = None;
    }

    /// The stream's time as far as it has got.
    pub fn now(&self) -> Timestamp {
        self.last.unwrap_or_default()
    }

    /// The stream's time of a message that is no frame: it sets nothing, and where it makes no sense it is
    /// moved to now. ffmpeg sends its sequence headers at 0 whenever its first frame is.
    pub fn header(&self, timestamp: Timestamp) -> Timestamp {
        let Some(now) = self.last else { return timestamp };
        let mapped = timestamp + self.video.offset;
        let fits = !self.restarted && mapped.since(now).unsigned_abs() <= LARGEST_STEP_AHEAD.unsigned_abs();
        if fits { mapped } else { now }
    }

    /// The stream's time of a frame.
    pub fn frame(&mut self, kind: PacketKind, timestamp: Timestamp) -> Timestamp {
        if self.restarted {
            self.restarted = false;
            let offset = (self.now() + STEP) - timestamp;
            self.audio.offset = offset;
            self.video.offset = offset;
            self.begin = Some(self.now() + STEP);
        }
        let other = if kind == PacketKind::Video { self.audio } else { self.video };
        let now = self.now();
        let clock = if kind == PacketKind::Video { &mut self.video } else { &mut self.audio };
        let breaks = match (clock.last, other.last) {
            (Some(last), _) => !(-LARGEST_STEP_BACK..=LARGEST_STEP_AHEAD).contains(&timestamp.since(last)),
            (None, Some(_)) => (timestamp + clock.offset).since(now).unsigned_abs() > LARGEST_STEP_AHEAD.unsigned_abs(),
            (None, None) => false,
        };
        if breaks {
            // The other kind may have met the break already, and 31-bit clocks say what they mean.
            let candidates = [other.offset, clock.offset.wrapping_add(1 << 31)];
            let near = candidates.into_iter().find(|offset| {
                let step = (timestamp + *offset).since(now);
                (-LARGEST_STEP_BACK..=LARGEST_STEP_AHEAD).contains(&step)
            });
            clock.offset = near.unwrap_or_else(|| (now + STEP) - timestamp);
            clock.last = None;
        }
        if clock.last.is_none_or(|last| timestamp.since(last) > 0) {
            clock.last = Some(timestamp);
        }
        let mut mapped = timestamp + clock.offset;
        if let Some(begin) = self.begin.filter(|begin| mapped.since(*begin) < 0) {
            // The kind that came second began first: both move on by as much, to stay together.
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
        frames.iter().map(|(kind, time)| timeline.frame(*kind, Timestamp::new(*time)).milliseconds()).collect()
    }

    #[test]
    fn times_pass_unchanged() {
        let mut timeline = Timeline::default();
        let frames = [(Video, 7_000_000), (Audio, 7_000_010), (Video, 7_000_040), (Audio, 7_000_033)];
        assert_eq!(map(&mut timeline, &frames), [7_000_000, 7_000_010, 7_000_040, 7_000_033]);
        assert_eq!(timeline.now(), Timestamp::new(7_000_040));
    }

    #[test]
    fn a_stream_published_again_goes_on_with_one_offset() {
        let mut timeline = Timeline::default();
        map(&mut timeline, &[(Video, 5_000), (Audio, 5_020)]);
        timeline.restart();
        assert_eq!(map(&mut timeline, &[(Audio, 0), (Video, 7), (Video, 40)]), [5_040, 5_047, 5_080]);
    }

    /// Half the circle away from each other, two times are neither before nor behind.
    #[test]
    fn times_half_the_circle_away_are_moved_to_now() {
        let mut timeline = Timeline::default();
        map(&mut timeline, &[(Video, 5_000)]);
        assert_eq!(timeline.header(Timestamp::new(5_000 + (1 << 31))), Timestamp::new(5_000));
        assert_eq!(map(&mut timeline, &[(Audio, 5_000 + (1 << 31))]), [5_000]);
    }

    #[test]
    fn headers_set_nothing() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.header(Timestamp::ZERO), Timestamp::ZERO);
        map(&mut timeline, &[(Video, 20_000_000)]);
        assert_eq!(timeline.header(Timestamp::ZERO), Timestamp::new(20_000_000));
        assert_eq!(timeline.header(Timestamp::new(20_000_040)), Timestamp::new(20_000_040));
        timeline.restart();
        assert_eq!(timeline.header(Timestamp::new(20_000_040)), Timestamp::new(20_000_000));
    }

    #[test]
    fn a_kind_that_comes_second_but_began_first_does_not_go_back() {
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
    fn a_clock_that_jumps_is_bridged_for_audio_and_frame_alike() {
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
                let mapped = timeline.frame(if video { Video } else { Audio }, Timestamp::new(time));
                if let Some(before) = before {
                    prop_assert!(mapped.since(before) >= -LARGEST_STEP_AHEAD, "{mapped} behind {before}");
                }
            }
        }
    }
}
