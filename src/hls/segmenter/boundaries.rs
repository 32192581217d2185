//! Segment boundaries: where parts and segments end, and the next ones start.

use std::mem;
use std::time::{Duration, SystemTime};

use super::Segmenter;
use crate::fmp4::Fragment;
use crate::hls::segment::Part;
use crate::hls::segment_store::SegmentStart;
use crate::hls::segment_timing::{
    MAX_DEPENDENT_SEGMENT_MS, MAX_GOP_SECONDS, MIN_SEGMENT_MS, SEGMENT_SECONDS, SegmentTiming, max_duration_ms,
};
use crate::limits;

/// Maximum lag of video behind audio, in milliseconds, before parts continue without video.
const AUDIO_AHEAD_MS: u64 = 1_000;

impl Segmenter {
    /// Ends the part or segment that a frame doesn't belong to, and starts the segment that it belongs to.
    pub(super) fn end_segment_before(&mut self, frame: &Fragment, timing: SegmentTiming, now: SystemTime) {
        let time = frame.time_ms;
        let end = time.saturating_add(u64::from(frame.duration_ms));
        let max_end = self.max_segment_end();
        if !self.store.segments().is_empty() && (time < self.last_frame || time > max_end) {
            // A discontinuity: the time is outside any allowed segment duration.
            self.end_with_pending(now);
            self.next_is_discontinuous = true;
            self.awaits_key_frame = false;
        } else if let Some(segment) = self.store.open_segment() {
            let is_short = segment.is_independent && time.saturating_sub(self.segment_start) < MIN_SEGMENT_MS;
            if (frame.is_key_frame && !is_short) || end > max_end {
                self.end_segment(time);
            } else if end.saturating_sub(self.part_start) > timing.part_ms {
                self.end_part(time);
                self.end_full_segment(timing);
            }
        }
        if !self.store.has_open_segment() {
            let is_continuous = !self.next_is_discontinuous && !self.store.segments().is_empty();
            self.start_segment(if is_continuous { self.part_start } else { time }, frame.is_key_frame, now);
        }
    }

    /// Ends a part or segment when audio continues without video.
    pub(super) fn end_segment_without_video(&mut self, time: u64, timing: SegmentTiming, now: SystemTime) {
        let part_end = self.part_start.saturating_add(timing.part_ms);
        if self.pending.fragments.is_empty() || time <= part_end.saturating_add(AUDIO_AHEAD_MS) {
            return;
        }
        if !self.store.has_open_segment() {
            self.start_segment(self.part_start, false, now);
        }
        self.has_frame = true;
        let max_end = self.max_segment_end();
        if part_end >= max_end {
            self.end_segment(max_end);
        } else {
            self.end_part(part_end);
            self.end_full_segment(timing);
        }
    }

    /// Returns the latest end of the open segment, or else of the next one.
    pub(super) fn max_segment_end(&self) -> u64 {
        let seconds = if self.target_seconds.is_some() { SEGMENT_SECONDS } else { MAX_GOP_SECONDS };
        let start = if self.store.has_open_segment() { self.segment_start } else { self.part_start };
        let max_gop_end = self.gop_start.saturating_add(max_duration_ms(MAX_GOP_SECONDS));
        // A full GOP is followed by a segment of another GOP.
        start.saturating_add(max_duration_ms(seconds)).min(if start < max_gop_end { max_gop_end } else { u64::MAX })
    }

    /// Ends the segment after its last part if another part would exceed its limits.
    pub(super) fn end_full_segment(&mut self, timing: SegmentTiming) {
        let (max_end, part_end) = (self.max_segment_end(), self.part_start.saturating_add(timing.part_ms));
        let max_dependent_end = self.segment_start.saturating_add(MAX_DEPENDENT_SEGMENT_MS);
        let has_target = self.target_seconds.is_some();
        let single_part = self.single_part_segment;
        let Some(segment) = self.store.open_segment().filter(|segment| !segment.parts.is_empty()) else { return };
        let max_end = if has_target && !segment.is_independent { max_end.min(max_dependent_end) } else { max_end };
        // A window may start with all that the stream's GOP cache holds.
        let is_large = segment.bytes() > limits::HLS_WINDOW_BYTES / if has_target { 4 } else { 2 };
        if part_end > max_end || is_large || single_part == Some(segment.number) {
            self.end_segment_after_last_part();
        }
    }

    /// Ends the open segment after its last part.
    pub(super) fn end_segment_after_last_part(&mut self) {
        if let Some(segment) = self.store.open_segment().filter(|segment| !segment.parts.is_empty()) {
            segment.is_complete = true;
            self.continues_gop = true;
        }
    }

    /// Starts a segment for pending frames that have none.
    pub(super) fn start_pending_segment(&mut self, now: SystemTime) {
        if self.has_frame && !self.store.has_open_segment() {
            self.start_segment(self.part_start, self.pending.is_independent, now);
        }
    }

    pub(super) fn start_segment(&mut self, time: u64, is_independent: bool, now: SystemTime) {
        let is_discontinuous = mem::take(&mut self.next_is_discontinuous);
        if is_discontinuous {
            self.anchor = None;
        }
        let (anchor_ms, anchor_time) = *self.anchor.get_or_insert((time, now));
        let program_date_time = match time.checked_sub(anchor_ms) {
            Some(elapsed) => anchor_time.checked_add(Duration::from_millis(elapsed)),
            None => anchor_time.checked_sub(Duration::from_millis(anchor_ms - time)),
        };
        let part_ms = self.timing.map_or(0, |timing| timing.part_ms);
        let has_room = time.saturating_add(part_ms) <= self.gop_start.saturating_add(max_duration_ms(MAX_GOP_SECONDS));
        let continues_gop = mem::take(&mut self.continues_gop) && !is_independent && !is_discontinuous && has_room;
        if !continues_gop {
            self.gop_start = time;
        }
        self.store.start_segment(SegmentStart {
            continues_gop,
            is_independent,
            is_discontinuous,
            program_date_time: program_date_time.unwrap_or(now),
        });
        (self.segment_start, self.part_start) = (time, time);
    }

    pub(super) fn end_part(&mut self, time: u64) {
        // Audio without video belongs to the next frame's part.
        if !self.has_frame || time <= self.part_start {
            return;
        }
        let part = Part { duration_ms: time - self.part_start, ..mem::take(&mut self.pending) };
        (self.part_start, self.has_frame) = (time, false);
        if let Some(segment) = self.store.open_segment() {
            segment.parts.push(part);
        }
        self.longest_gop_ms = self.longest_gop_ms.max(time.saturating_sub(self.gop_start));
    }

    /// Ends the segment at `time`, or at the end of its last part if that is later.
    pub(super) fn end_segment(&mut self, time: u64) {
        // Every segment has a part; without video it consists of audio.
        self.has_frame |= self.store.open_segment().is_some_and(|segment| segment.parts.is_empty());
        // A part with a frame has a duration.
        self.end_part(time.max(self.part_start.saturating_add(1)));
        if let Some(segment) = self.store.open_segment() {
            segment.is_complete = true;
        }
        self.continues_gop = false;
    }

    /// Ends the segment with everything pending, including audio that waits for a video frame.
    pub(super) fn end_with_pending(&mut self, now: SystemTime) {
        self.has_frame = !self.pending.fragments.is_empty();
        if self.has_frame && !self.store.has_open_segment() {
            self.start_segment(self.part_start, false, now);
        }
        self.end_segment(self.end);
        self.awaits_key_frame = true;
    }
}
