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

/// The shortest segment, in milliseconds: the first key frame from here on ends it.
pub(super) const SEGMENT_LEAST_MS: u64 = 1_000;

/// The target duration where key frames come at least so often, in seconds.
const SEGMENT_SECONDS: u64 = 4;

/// The target duration of other streams, in seconds.
const SEGMENT_MOST_SECONDS: u64 = 10;

/// The lengths of one window, and how often its frames come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rhythm {
    /// The part target: no part is longer. In milliseconds.
    pub part_ms: u64,
    /// The target duration: no segment is longer, rounded. In seconds.
    pub segment_seconds: u64,
    /// 0 when nobody knows.
    pub frames_per_second: f64,
}

impl Rhythm {
    /// What suits these frames: when each is decoded, in milliseconds, and whether a player can start at it. `None`
    /// when they are too few to tell, unless there won't be more.
    pub fn of(frames: &[(u64, bool)], are_all: bool) -> Option<Self> {
        let (first, last) = (frames.first()?.0, frames.last()?.0);
        let group = frames.iter().map(|(time, is_key)| (time.saturating_sub(first), is_key));
        let group = group.filter(|(length, is_key)| **is_key && *length >= SEGMENT_LEAST_MS).map(|(length, _)| length);
        let length = last.saturating_sub(first);
        let segment_seconds = match group.min() {
            Some(length) if length <= longest_ms(SEGMENT_SECONDS) => SEGMENT_SECONDS,
            None if length <= longest_ms(SEGMENT_SECONDS) => are_all.then_some(SEGMENT_SECONDS)?,
            _ => SEGMENT_MOST_SECONDS,
        };
        let steps: Vec<_> = frames.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0)).collect();
        let frames_per_second = if length == 0 { 0.0 } else { steps.len() as f64 * 1000.0 / length as f64 };
        Some(Self { part_ms: part_ms(&steps), segment_seconds, frames_per_second })
    }

    /// The longest segment, in milliseconds.
    pub fn segment_ms(&self) -> u64 {
        longest_ms(self.segment_seconds)
    }
}

/// What rounds to so many seconds (RFC 8216 §4.3.3.1), and a little less: sound may ride along behind it.
fn longest_ms(seconds: u64) -> u64 {
    seconds * 1000 + 490
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

    /// Frames with a key frame after each so many.
    fn frames(step: u64, count: u64, keys: u64) -> Vec<(u64, bool)> {
        (0..count).map(|number| (5_000 + number * step, number % keys == 0)).collect()
    }

    #[test]
    fn one_group_of_pictures_tells_it_all() {
        assert_eq!(Rhythm::of(&[], true), None);
        assert_eq!(Rhythm::of(&frames(40, 50, 50), false), None);
        let rhythm = Rhythm { part_ms: 210, segment_seconds: 4, frames_per_second: 25.0 };
        assert_eq!(Rhythm::of(&frames(40, 51, 50), false), Some(rhythm));
        assert_eq!(Rhythm::of(&frames(40, 50, 50), true), Some(rhythm), "there won't be more");
        assert_eq!(Rhythm::of(&frames(40, 100, 500), false), None);
        let rhythm = Rhythm { segment_seconds: 10, ..rhythm };
        assert_eq!(Rhythm::of(&frames(40, 114, 500), false), Some(rhythm), "key frames are rare");
    }

    #[test]
    fn few_pictures_a_second_make_longer_parts() {
        let part = |step| Rhythm::of(&frames(step, 30, 10), true).map(|rhythm| rhythm.part_ms);
        assert_eq!([33, 100, 200, 500, 1000, 5000].map(part), [208, 210, 210, 510, 1010, 2010].map(Some));
        assert_eq!(Rhythm::of(&[(0, true)], true).map(|rhythm| rhythm.part_ms), Some(210));
    }

    #[test]
    fn uneven_frames_make_longer_parts() {
        let steps: Vec<_> = [40, 90, 40, 130, 40].into_iter().cycle().take(60).collect();
        let target = part_ms(&steps);
        assert!(target > 210 && suits(target, &steps), "{target}");
        assert!(!suits(210, &steps));
    }
}
