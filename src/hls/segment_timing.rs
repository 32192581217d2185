//! Segment timing: part target and target duration of a window. Playlists announce them and must not change them, so
//! they are chosen once, from the first frames.

/// Desired part duration, in milliseconds.
const PART_MS: u64 = 200;

/// Maximum part target for irregular frames, in milliseconds.
const MAX_PART_MS: u64 = 2_000;

/// Variation of part durations due to rounded timestamps, in milliseconds.
const ROUNDING_MS: u64 = 10;

/// Minimum duration of all but the last part of a segment, in percent of the part target (RFC 8216bis §4.4.3.7).
const MIN_PART_PERCENT: u64 = 85;

/// Duration from which the frame rate is known and with which players start, in milliseconds: VLC displays nothing with
/// less.
pub(super) const MIN_START_MS: u64 = 900;

/// Duration with which players start at any frame rate, in milliseconds.
const SUFFICIENT_START_MS: u64 = 1_300;

/// Number of frames that ffmpeg probes before it plays.
const MIN_START_FRAMES: f64 = 21.0;

/// Minimum duration of a segment that starts with a key frame, in milliseconds: the first key frame after that ends it.
pub(super) const MIN_SEGMENT_MS: u64 = 1_000;

/// Maximum segment duration rounded to seconds, and the target duration unless GOPs are listed as segments.
pub(super) const SEGMENT_SECONDS: u64 = 4;

/// Maximum duration of a segment without a key frame at its start, in milliseconds. No player can start there, but
/// players with a short buffer get it soon.
pub(super) const MAX_DEPENDENT_SEGMENT_MS: u64 = 2_100;

/// Maximum duration of a GOP listed as one segment, rounded to seconds, and the target duration in that case.
pub(super) const MAX_GOP_SECONDS: u64 = 10;

/// The timing of one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SegmentTiming {
    /// The part target in milliseconds, the maximum duration of a part.
    pub part_ms: u64,
    /// Frame rate; 0 when unknown.
    pub frames_per_second: f64,
}

impl SegmentTiming {
    /// Chooses the timing for frames with these decode times in milliseconds. `None` when they are too few, unless the
    /// stream is over (`is_final`).
    pub(super) fn of(frames: &[u64], is_final: bool) -> Option<Self> {
        let length = frames.last()?.saturating_sub(*frames.first()?);
        if length < MIN_START_MS && !is_final {
            return None;
        }
        let steps: Vec<_> = frames.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
        let frames_per_second = if length == 0 { 0.0 } else { steps.len() as f64 * 1000.0 / length as f64 };
        Some(Self { part_ms: part_ms(&steps), frames_per_second })
    }

    /// Whether players start with this duration in milliseconds.
    pub(super) fn is_sufficient(&self, length_ms: u64) -> bool {
        let has_frames = length_ms as f64 * self.frames_per_second / 1000.0 >= MIN_START_FRAMES;
        length_ms >= if has_frames { MIN_START_MS } else { SUFFICIENT_START_MS }
    }
}

/// Returns the maximum duration that rounds to `seconds` (RFC 8216 §4.3.3.1), less a margin for trailing audio.
pub(super) fn max_duration_ms(seconds: u64) -> u64 {
    seconds * 1000 + 490
}

/// Returns the target duration in seconds for a maximum segment duration.
pub(super) fn target_seconds(longest_segment_ms: u64) -> u64 {
    longest_segment_ms.saturating_add(500).checked_div(1000).unwrap_or(0).max(SEGMENT_SECONDS)
}

/// Returns the part target for frames with these intervals: close to [`PART_MS`], and longer if frames are so irregular
/// that some parts would be too short for it.
fn part_ms(steps: &[u64]) -> u64 {
    let longest = steps.iter().copied().max().unwrap_or(PART_MS).clamp(1, MAX_PART_MS);
    let frames = ((PART_MS + longest / 2) / longest).max(1);
    let default_target = frames * longest + ROUNDING_MS;
    (default_target..=MAX_PART_MS)
        .step_by(ROUNDING_MS as usize)
        .find(|target| is_valid_target(*target, steps))
        .unwrap_or(default_target)
}

fn is_valid_target(target: u64, steps: &[u64]) -> bool {
    let mut length = 0;
    steps.iter().all(|step| {
        let ends = length + step > target;
        let is_long_enough = length * 100 >= target * MIN_PART_PERCENT;
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
    fn timing_is_chosen_after_less_than_a_second() {
        assert_eq!(SegmentTiming::of(&[], true), None);
        assert_eq!(SegmentTiming::of(&frames(40, 23), false), None);
        let timing = SegmentTiming { part_ms: 210, frames_per_second: 25.0 };
        assert_eq!(SegmentTiming::of(&frames(40, 24), false), Some(timing));
        assert_eq!(SegmentTiming::of(&frames(40, 10), true), Some(timing), "the stream is over");
    }

    #[test]
    fn players_start_with_enough_frames_or_after_a_limited_wait() {
        let timing = |frames_per_second| SegmentTiming { part_ms: 210, frames_per_second };
        assert!(
            timing(25.0).is_sufficient(1_000) && !timing(25.0).is_sufficient(800) && !timing(60.0).is_sufficient(800)
        );
        assert!(timing(20.0).is_sufficient(1_200) && !timing(20.0).is_sufficient(1_000));
        assert!(timing(1.0).is_sufficient(2_000) && !timing(1.0).is_sufficient(1_000));
    }

    #[test]
    fn low_frame_rates_make_longer_parts() {
        let part = |step| SegmentTiming::of(&frames(step, 30), true).map(|timing| timing.part_ms);
        assert_eq!([33, 100, 200, 500, 1000, 5000].map(part), [208, 210, 210, 510, 1010, 2010].map(Some));
        assert_eq!(SegmentTiming::of(&[0], true).map(|timing| timing.part_ms), Some(210));
    }

    #[test]
    fn irregular_frames_make_longer_parts() {
        let steps: Vec<_> = [40, 90, 40, 130, 40].into_iter().cycle().take(60).collect();
        let target = part_ms(&steps);
        assert!(target > 210 && is_valid_target(target, &steps), "{target}");
        assert!(!is_valid_target(210, &steps));
    }

    #[test]
    fn target_durations_are_rounded_like_segment_durations() {
        assert_eq!([0, 4_490, 4_500, 6_800, 10_490].map(target_seconds), [4, 4, 5, 7, 10]);
        assert!(
            [SEGMENT_SECONDS, MAX_GOP_SECONDS]
                .iter()
                .all(|seconds| target_seconds(max_duration_ms(*seconds)) == *seconds)
        );
    }
}
