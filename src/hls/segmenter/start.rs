//! The start of a window: chooses timing and target duration, and provides segments at which new players can start.

use std::time::SystemTime;

use super::Segmenter;
use crate::hls::segment::Segment;
use crate::hls::segment_timing::{
    MAX_DEPENDENT_SEGMENT_MS, MAX_GOP_SECONDS, SEGMENT_SECONDS, SegmentTiming, max_duration_ms, target_seconds,
};

/// Complete segments that a player without support for parts (VLC) needs to start.
pub(in crate::hls) const MIN_COMPLETE_SEGMENTS: usize = 2;

impl Segmenter {
    /// Chooses the segment timing if possible, and processes the buffered fragments. `is_final` if no more are
    /// added to the buffer.
    pub(super) fn choose_timing(&mut self, is_final: bool, now: SystemTime) {
        let frames = self.start_buffer.frames();
        self.timing = SegmentTiming::of(&frames, is_final);
        if self.timing.is_none() {
            if is_final {
                self.start_buffer.drop_fragments();
            }
            return;
        }
        // The last frame arrives now; those before it come from the GOP cache.
        self.anchor = frames.last().map(|time| (*time, now));
        for output in self.start_buffer.take() {
            self.process(&output, now);
        }
    }

    /// Chooses the target duration for the first playlist; returns `false` while there are too few segments.
    pub(crate) fn choose_target_duration(&mut self, now: SystemTime) -> bool {
        let segments = self.store.segments();
        let length_ms = segments.iter().map(Segment::duration_ms).sum();
        if self.target_seconds.is_some() || self.timing.is_none_or(|timing| !timing.is_sufficient(length_ms)) {
            return self.target_seconds.is_some();
        }
        let complete = segments.iter().filter(|segment| segment.is_complete).count();
        let open = segments.back().filter(|segment| !segment.is_complete);
        if complete + open.map_or(0, |segment| segment.parts.len()) < MIN_COMPLETE_SEGMENTS {
            return false;
        }
        if complete < MIN_COMPLETE_SEGMENTS
            || open.is_some_and(|segment| segment.duration_ms() > MAX_DEPENDENT_SEGMENT_MS)
        {
            self.split(now);
        }
        self.set_target_duration();
        true
    }

    /// Turns the existing parts into complete segments, with the last part as a segment of its own: players without
    /// support for parts need two complete segments to start. No playlist has listed them yet.
    fn split(&mut self, now: SystemTime) {
        let last = self.store.open_segment().filter(|segment| segment.parts.len() > 1).and_then(|one| one.parts.pop());
        let part_start = self.part_start;
        self.end_segment_after_last_part();
        if let Some(last) = last {
            self.start_segment(part_start.saturating_sub(last.duration_ms), last.is_independent, now);
            if let Some(segment) = self.store.open_segment() {
                segment.parts.push(last);
            }
            self.part_start = part_start;
            self.end_segment_after_last_part();
        }
        self.start_pending_segment(now);
    }

    /// Ends the open segment after its last part, and the next one after its first, because a player is about to start.
    pub(crate) fn end_segment_for_new_player(&mut self, now: SystemTime) {
        self.end_segment_after_last_part();
        self.start_pending_segment(now);
        self.single_part_segment = Some(self.store.next_part().0);
    }

    pub(super) fn set_target_duration(&mut self) {
        let longest = self.store.segments().iter().map(Segment::duration_ms).max();
        self.target_seconds = Some(target_seconds(longest.unwrap_or(0)));
        // Segments are shorter from now on.
        self.end = self.end.min(self.max_segment_end());
    }

    /// Returns the maximum duration of the last GOP at the end of the open segment, or else of the next one, in
    /// milliseconds.
    pub(crate) fn max_gop_ms(&self) -> u64 {
        let (start, max_duration) = match self.store.segments().back() {
            Some(last) if !last.is_complete && last.is_independent => {
                (self.segment_start, max_duration_ms(SEGMENT_SECONDS))
            }
            Some(last) if !last.is_complete => (self.segment_start, MAX_DEPENDENT_SEGMENT_MS),
            _ => (self.part_start, MAX_DEPENDENT_SEGMENT_MS),
        };
        let max_duration = max_duration.max(self.timing.map_or(0, |timing| timing.part_ms));
        (start.saturating_sub(self.gop_start) + max_duration).min(max_duration_ms(MAX_GOP_SECONDS))
    }
}
