//! When a stream can be listed, and how players that come then find segments to begin with.

use std::time::SystemTime;

use super::Segmenter;
use crate::hls::segment::Segment;
use crate::hls::segment_timing::{
    GOP_SECONDS, INTER_SEGMENT_MS, SEGMENT_SECONDS, SegmentTiming, longest_ms, target_seconds,
};

/// Players that know no parts begin only where so many segments are whole: VLC.
pub(in crate::hls) const WHOLE_LEAST: usize = 2;

impl Segmenter {
    /// Chooses a rhythm if that can be done, and takes what waited for it.
    pub(super) fn begin(&mut self, are_all: bool, now: SystemTime) {
        let frames = self.opening.frames();
        self.timing = SegmentTiming::of(&frames, are_all);
        if self.timing.is_none() {
            if are_all {
                self.opening.forget_frames();
            }
            return;
        }
        // Not the first frame comes now, but the last: those before come from a cache.
        self.anchor = frames.last().map(|time| (*time, now));
        for piece in self.opening.take() {
            self.take(&piece, now);
        }
    }

    /// Chooses the target duration, as playlists are to begin; says no as long as there is too little for that.
    pub(crate) fn start(&mut self, now: SystemTime) -> bool {
        let segments = self.store.segments();
        let length_ms = segments.iter().map(Segment::duration_ms).sum();
        if self.target_seconds.is_some() || self.timing.is_none_or(|timing| !timing.is_enough(length_ms)) {
            return self.target_seconds.is_some();
        }
        let whole = segments.iter().filter(|segment| segment.is_complete).count();
        let growing = segments.back().filter(|segment| !segment.is_complete);
        if whole + growing.map_or(0, |segment| segment.parts.len()) < WHOLE_LEAST {
            return false;
        }
        if whole < WHOLE_LEAST || growing.is_some_and(|segment| segment.duration_ms() > INTER_SEGMENT_MS) {
            self.split(now);
        }
        self.choose_target();
        true
    }

    /// Makes the parts that there are whole segments, the last part one of its own: players that know no parts begin only
    /// where two segments are whole. Nobody has been told of them yet.
    fn split(&mut self, now: SystemTime) {
        let last = self.store.growing().filter(|segment| segment.parts.len() > 1).and_then(|one| one.parts.pop());
        let part_start = self.part_start;
        self.end_early();
        if let Some(last) = last {
            self.begin_segment(part_start.saturating_sub(last.duration_ms), last.is_independent, now);
            if let Some(segment) = self.store.growing() {
                segment.parts.push(last);
            }
            self.part_start = part_start;
            self.end_early();
        }
        self.go_on(now);
    }

    /// Ends the segment that grows behind its last part, and the next one behind its first: a player is about to begin.
    pub(crate) fn make_way(&mut self, now: SystemTime) {
        self.end_early();
        self.go_on(now);
        self.single = Some(self.store.hint().0);
    }

    pub(super) fn choose_target(&mut self) {
        let longest = self.store.segments().iter().map(Segment::duration_ms).max();
        self.target_seconds = Some(target_seconds(longest.unwrap_or(0)));
        // From now on segments are shorter.
        self.end = self.end.min(self.latest());
    }

    /// How long the last GOP may be when the segment that grows, or the next one, has ended, in milliseconds.
    pub(crate) fn gop_most_ms(&self) -> u64 {
        let (start, most) = match self.store.segments().back() {
            Some(last) if !last.is_complete && last.is_independent => (self.segment_start, longest_ms(SEGMENT_SECONDS)),
            Some(last) if !last.is_complete => (self.segment_start, INTER_SEGMENT_MS),
            _ => (self.part_start, INTER_SEGMENT_MS),
        };
        let most = most.max(self.timing.map_or(0, |timing| timing.part_ms));
        (start.saturating_sub(self.gop_start) + most).min(longest_ms(GOP_SECONDS))
    }
}
