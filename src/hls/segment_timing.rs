//! How long the parts and segments of a window may be. Playlists say so, and must not say otherwise later, so it is
//! chosen once, from the first frames.

/// How long a part is to be, in milliseconds.
const PART_MS: u64 = 200;

/// The longest part that uneven frames lead to, in milliseconds.
const PART_MOST_MS: u64 = 2_000;

/// By how much parts may differ for the rounding of times, in milliseconds.
const ROUNDING_MS: u64 = 10;

/// All parts but a segment's last have at least this share of the target, in percent (RFC 8216bis §4.4.3.7).
const PART_LEAST_PERCENT: u64 = 85;

/// So much of a stream tells how its frames come, and players begin with it, in milliseconds: VLC shows nothing of less.
pub(super) const ENOUGH_MS: u64 = 900;

/// Players begin with so much, however few frames there are, in milliseconds.
const AMPLE_MS: u64 = 1_300;

/// So many frames ffmpeg wants to see before it plays.
const ENOUGH_FRAMES: f64 = 21.0;

/// The shortest segment that begins with a key frame, in milliseconds: the first key frame from here on ends it.
pub(super) const SEGMENT_LEAST_MS: u64 = 1_000;

/// The longest segment, rounded to seconds, and the target duration where GOPs are no longer.
pub(super) const SEGMENT_SECONDS: u64 = 4;

/// The longest segment that doesn't begin with a key frame, in milliseconds. Nobody can begin there, but those who have
/// begun with little in store get it soon.
pub(super) const INTER_SEGMENT_MS: u64 = 2_100;

/// The longest GOP that is listed as one segment, rounded to seconds, and the target duration where it is.
pub(super) const GOP_SECONDS: u64 = 10;

/// The lengths of one window, and how often its frames come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SegmentTiming {
    /// The part target: no part is longer. In milliseconds.
    pub part_ms: u64,
    /// 0 when nobody knows.
    pub frames_per_second: f64,
}

impl SegmentTiming {
    /// What suits frames that are decoded at these times, in milliseconds. `None` when they are too few to tell, unless
    /// there won't be more.
    pub(super) fn of(frames: &[u64], are_all: bool) -> Option<Self> {
        let length = frames.last()?.saturating_sub(*frames.first()?);
        if length < ENOUGH_MS && !are_all {
            return None;
        }
        let steps: Vec<_> = frames.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
        let frames_per_second = if length == 0 { 0.0 } else { steps.len() as f64 * 1000.0 / length as f64 };
        Some(Self { part_ms: part_ms(&steps), frames_per_second })
    }

    /// Whether players begin with so many milliseconds.
    pub(super) fn is_enough(&self, length_ms: u64) -> bool {
        let has_frames = length_ms as f64 * self.frames_per_second / 1000.0 >= ENOUGH_FRAMES;
        length_ms >= if has_frames { ENOUGH_MS } else { AMPLE_MS }
    }
}

/// What rounds to so many seconds (RFC 8216 §4.3.3.1), and a little less: audio may ride along behind it.
pub(super) fn longest_ms(seconds: u64) -> u64 {
    seconds * 1000 + 490
}

/// The target duration that segments of such a length ask for, in seconds.
pub(super) fn target_seconds(longest_ms: u64) -> u64 {
    longest_ms.saturating_add(500).checked_div(1000).unwrap_or(0).max(SEGMENT_SECONDS)
}

/// The part target for frames with these distances: next to [`PART_MS`], and longer where frames come so unevenly that
/// some parts would be too short for it.
fn part_ms(steps: &[u64]) -> u64 {
    let longest = steps.iter().copied().max().unwrap_or(PART_MS).clamp(1, PART_MOST_MS);
    let frames = ((PART_MS + longest / 2) / longest).max(1);
    let usual = frames * longest + ROUNDING_MS;
    (usual..=PART_MOST_MS).step_by(ROUNDING_MS as usize).find(|target| suits(*target, steps)).unwrap_or(usual)
}

fn suits(target: u64, steps: &[u64]) -> bool {
    let mut length = 0;
    steps.iter().all(|step| {
        let ends = length + step > target;
        let is_long_enough = length * 100 >= target * PART_LEAST_PERCENT;
        length = if ends { *step } else { length + step };
        !ends || is_long_enough
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(step: u64, count: u64) -> Vec<u64> {
        (0..count).map(|number| 5_000 + number * step).collect()
    }

    #[test]
    fn less_than_a_second_tells_enough() {
        assert_eq!(SegmentTiming::of(&[], true), None);
        assert_eq!(SegmentTiming::of(&frames(40, 23), false), None);
        let timing = SegmentTiming { part_ms: 210, frames_per_second: 25.0 };
        assert_eq!(SegmentTiming::of(&frames(40, 24), false), Some(timing));
        assert_eq!(SegmentTiming::of(&frames(40, 10), true), Some(timing), "there won't be more");
    }

    #[test]
    fn players_begin_with_frames_enough_and_do_not_wait_long_for_them() {
        let timing = |frames_per_second| SegmentTiming { part_ms: 210, frames_per_second };
        assert!(timing(25.0).is_enough(1_000) && !timing(25.0).is_enough(800) && !timing(60.0).is_enough(800));
        assert!(timing(20.0).is_enough(1_200) && !timing(20.0).is_enough(1_000));
        assert!(timing(1.0).is_enough(2_000) && !timing(1.0).is_enough(1_000));
    }

    #[test]
    fn few_frames_a_second_make_longer_parts() {
        let part = |step| SegmentTiming::of(&frames(step, 30), true).map(|timing| timing.part_ms);
        assert_eq!([33, 100, 200, 500, 1000, 5000].map(part), [208, 210, 210, 510, 1010, 2010].map(Some));
        assert_eq!(SegmentTiming::of(&[0], true).map(|timing| timing.part_ms), Some(210));
    }

    #[test]
    fn uneven_frames_make_longer_parts() {
        let steps: Vec<_> = [40, 90, 40, 130, 40].into_iter().cycle().take(60).collect();
        let target = part_ms(&steps);
        assert!(target > 210 && suits(target, &steps), "{target}");
        assert!(!suits(210, &steps));
    }

    #[test]
    fn target_durations_are_rounded_as_lengths_are() {
        assert_eq!([0, 4_490, 4_500, 6_800, 10_490].map(target_seconds), [4, 4, 5, 7, 10]);
        assert!([SEGMENT_SECONDS, GOP_SECONDS].iter().all(|seconds| target_seconds(longest_ms(*seconds)) == *seconds));
    }
}
