//! Fragments in, parts and segments out, of which the last seconds are kept.
//!
//! Each part begins where the one before ended, whatever the frames' own lengths, so lengths add up to decoding times.

mod start;

use std::mem;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::opening::Opening;
use super::segment::{Part, weight};
use super::segment_store::{Beginning, SegmentStore};
use super::segment_timing::{
    GOP_SECONDS, INTER_SEGMENT_MS, SEGMENT_LEAST_MS, SEGMENT_SECONDS, SegmentTiming, longest_ms, target_seconds,
};
use crate::fmp4::{Fragment, Init, MuxerOutput};
use crate::guard::Share;
use crate::limits;
use crate::media::PacketKind;

pub(super) use start::WHOLE_LEAST;

/// How far video frames may be behind the audio, in milliseconds, before parts go on without them.
const AUDIO_AHEAD_MS: u64 = 1_000;

/// The last seconds of a stream, cut.
#[derive(Debug)]
pub(super) struct Segmenter {
    store: SegmentStore,
    opening: Opening,
    timing: Option<SegmentTiming>,
    /// The target duration of the segments as they are, in seconds, from the first playlist on.
    target_seconds: Option<u64>,
    longest_gop_ms: u64,
    /// What will be the next part of the last segment, and whether it has more than audio that rides along.
    growing: Part,
    has_frame: bool,
    /// Where the last GOP, the last segment and the growing part begin, and where the last frame ends, in milliseconds.
    gop_start: u64,
    segment_start: u64,
    part_start: u64,
    end: u64,
    last_frame: u64,
    /// A time in milliseconds, and when it was.
    anchor: Option<(u64, SystemTime)>,
    /// The next segment begins at a key frame.
    awaits_key_frame: bool,
    /// The next segment, if it begins otherwise, goes on with the last GOP: the last part is as long as the others.
    gop_goes_on: bool,
    next_is_discontinuous: bool,
    /// The number of a segment that ends behind its first part.
    single: Option<u64>,
    is_over: bool,
}

impl Segmenter {
    pub(super) fn new(share: Share) -> Self {
        Self {
            store: SegmentStore::new(share),
            opening: Opening::default(),
            timing: None,
            target_seconds: None,
            longest_gop_ms: 0,
            growing: Part::default(),
            has_frame: false,
            gop_start: 0,
            segment_start: 0,
            part_start: 0,
            end: 0,
            last_frame: 0,
            anchor: None,
            awaits_key_frame: true,
            gop_goes_on: false,
            next_is_discontinuous: false,
            single: None,
            is_over: false,
        }
    }

    /// The segments.
    pub(super) fn store(&self) -> &SegmentStore {
        &self.store
    }

    /// The lengths that hold for all parts; `None` as long as there are none.
    pub(super) fn timing(&self) -> Option<SegmentTiming> {
        self.timing
    }

    /// The target duration of the segments as they are, in seconds; `None` until it has been chosen.
    pub(super) fn target_seconds(&self) -> Option<u64> {
        self.target_seconds
    }

    /// What came before there was a rhythm.
    pub(super) fn opening(&self) -> &Opening {
        &self.opening
    }

    /// Nothing more comes.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether the last segment that there is may be followed by one of the same GOP.
    pub(super) fn gop_goes_on(&self) -> bool {
        let last = self.store.segments().back();
        last.is_some_and(|last| !last.is_complete || self.gop_goes_on)
    }

    /// Takes what came at that time.
    pub(super) fn push<'a>(&mut self, pieces: impl IntoIterator<Item = &'a Arc<MuxerOutput>>, now: SystemTime) {
        for piece in pieces {
            match self.timing {
                Some(_) => self.take(piece, now),
                None => self.opening.push(piece),
            }
        }
        if self.timing.is_none() {
            let bytes = self.opening.bytes();
            let is_much = bytes > limits::HLS_WINDOW_BYTES / 4 || !self.store.share().resize(bytes);
            self.begin(is_much, now);
        }
    }

    /// Ends the last segment: nothing more comes.
    pub(super) fn end(&mut self, now: SystemTime) {
        if self.timing.is_none() {
            self.begin(true, now);
        }
        self.end_all(now);
        self.is_over = true;
        if self.target_seconds.is_none() && self.timing.is_some() {
            self.choose_target();
        }
    }

    fn take(&mut self, piece: &Arc<MuxerOutput>, now: SystemTime) {
        match &**piece {
            MuxerOutput::Init(_) => {
                self.end_all(now);
                self.next_is_discontinuous |= self.store.add_init(piece);
                self.forget();
            }
            MuxerOutput::Fragment(fragment) => self.fragment(piece, fragment, now),
        }
    }

    fn fragment(&mut self, piece: &Arc<MuxerOutput>, fragment: &Fragment, now: SystemTime) {
        let (Some(timing), Some((_, init))) = (self.timing, self.store.inits().back()) else { return };
        let MuxerOutput::Init(Init { has_video, .. }) = **init else { return };
        let leads = (fragment.kind == PacketKind::Video) == has_video;
        if self.awaits_key_frame && !(leads && fragment.is_key_frame) {
            return;
        }
        self.awaits_key_frame = false;
        let duration = u64::from(fragment.duration_ms);
        if leads {
            self.end_segment_before(fragment, timing, now);
            if !mem::replace(&mut self.has_frame, true) {
                self.growing.is_independent = fragment.is_key_frame;
            }
            self.last_frame = fragment.time_ms;
            self.end = fragment.time_ms.saturating_add(duration).min(self.latest());
        } else {
            self.end_segment_without_video(fragment.time_ms, timing, now);
        }
        self.growing.pieces.push(piece.clone());
        self.growing.bytes += weight(piece);
        self.store.count(weight(piece));
        // The next frame would not fit any more.
        if leads && self.end.saturating_add(duration).saturating_sub(self.part_start) > timing.part_ms {
            self.end_part(self.end);
            self.end_full_segment(timing);
        }
        self.forget();
    }

    /// Ends what a frame does not belong to any more, and begins what it belongs to.
    fn end_segment_before(&mut self, frame: &Fragment, timing: SegmentTiming, now: SystemTime) {
        let time = frame.time_ms;
        let end = time.saturating_add(u64::from(frame.duration_ms));
        let latest = self.latest();
        if !self.store.segments().is_empty() && (time < self.last_frame || time > latest) {
            // Time leaps: no length that a segment may have leads there.
            self.end_all(now);
            self.next_is_discontinuous = true;
            self.awaits_key_frame = false;
        } else if let Some(segment) = self.store.growing() {
            let is_short = segment.is_independent && time.saturating_sub(self.segment_start) < SEGMENT_LEAST_MS;
            if (frame.is_key_frame && !is_short) || end > latest {
                self.end_segment(time);
            } else if end.saturating_sub(self.part_start) > timing.part_ms {
                self.end_part(time);
                self.end_full_segment(timing);
            }
        }
        if !self.store.is_growing() {
            let follows = !self.next_is_discontinuous && !self.store.segments().is_empty();
            self.begin_segment(if follows { self.part_start } else { time }, frame.is_key_frame, now);
        }
    }

    /// Lets audio go on when video frames don't.
    fn end_segment_without_video(&mut self, time: u64, timing: SegmentTiming, now: SystemTime) {
        let part_end = self.part_start.saturating_add(timing.part_ms);
        if self.growing.pieces.is_empty() || time <= part_end.saturating_add(AUDIO_AHEAD_MS) {
            return;
        }
        if !self.store.is_growing() {
            self.begin_segment(self.part_start, false, now);
        }
        self.has_frame = true;
        let latest = self.latest();
        if part_end >= latest {
            self.end_segment(latest);
        } else {
            self.end_part(part_end);
            self.end_full_segment(timing);
        }
    }

    /// Where the segment that grows has to end, or the next one if none does.
    fn latest(&self) -> u64 {
        let seconds = if self.target_seconds.is_some() { SEGMENT_SECONDS } else { GOP_SECONDS };
        let start = if self.store.is_growing() { self.segment_start } else { self.part_start };
        let gop_latest = self.gop_start.saturating_add(longest_ms(GOP_SECONDS));
        // The next one is of another GOP where this one has no room any more.
        start.saturating_add(longest_ms(seconds)).min(if start < gop_latest { gop_latest } else { u64::MAX })
    }

    /// Ends the segment behind its last part if another part would be too much for it.
    fn end_full_segment(&mut self, timing: SegmentTiming) {
        let (latest, part_end) = (self.latest(), self.part_start.saturating_add(timing.part_ms));
        let inter_latest = self.segment_start.saturating_add(INTER_SEGMENT_MS);
        let is_begun = self.target_seconds.is_some();
        let single = self.single;
        let Some(segment) = self.store.growing().filter(|segment| !segment.parts.is_empty()) else { return };
        let latest = if is_begun && !segment.is_independent { latest.min(inter_latest) } else { latest };
        // What a window begins with may be all that a stream's cache had of a GOP.
        let is_large = segment.bytes() > limits::HLS_WINDOW_BYTES / if is_begun { 4 } else { 2 };
        if part_end > latest || is_large || single == Some(segment.number) {
            self.end_early();
        }
    }

    /// Ends the segment that grows behind its last part.
    fn end_early(&mut self) {
        if let Some(segment) = self.store.growing().filter(|segment| !segment.parts.is_empty()) {
            segment.is_complete = true;
            self.gop_goes_on = true;
        }
    }

    /// Begins a segment for frames that have none.
    fn go_on(&mut self, now: SystemTime) {
        if self.has_frame && !self.store.is_growing() {
            self.begin_segment(self.part_start, self.growing.is_independent, now);
        }
    }

    fn begin_segment(&mut self, time: u64, is_independent: bool, now: SystemTime) {
        let is_discontinuous = mem::take(&mut self.next_is_discontinuous);
        if is_discontinuous {
            self.anchor = None;
        }
        let (anchored, at) = *self.anchor.get_or_insert((time, now));
        let began = match time.checked_sub(anchored) {
            Some(later) => at.checked_add(Duration::from_millis(later)),
            None => at.checked_sub(Duration::from_millis(anchored - time)),
        };
        let part_ms = self.timing.map_or(0, |timing| timing.part_ms);
        let has_room = time.saturating_add(part_ms) <= self.gop_start.saturating_add(longest_ms(GOP_SECONDS));
        let goes_on = mem::take(&mut self.gop_goes_on) && !is_independent && !is_discontinuous && has_room;
        if !goes_on {
            self.gop_start = time;
        }
        self.store.begin(Beginning { goes_on, is_independent, is_discontinuous, began: began.unwrap_or(now) });
        (self.segment_start, self.part_start) = (time, time);
    }

    fn end_part(&mut self, time: u64) {
        // Audio alone goes with the next frame.
        if !self.has_frame || time <= self.part_start {
            return;
        }
        let part = Part { duration_ms: time - self.part_start, ..mem::take(&mut self.growing) };
        (self.part_start, self.has_frame) = (time, false);
        if let Some(segment) = self.store.growing() {
            segment.parts.push(part);
        }
        self.longest_gop_ms = self.longest_gop_ms.max(time.saturating_sub(self.gop_start));
    }

    /// Ends the segment there, or where its last part ended if that is later.
    fn end_segment(&mut self, time: u64) {
        // No segment is without any part: where video frames are missing, audio is one.
        self.has_frame |= self.store.growing().is_some_and(|segment| segment.parts.is_empty());
        // What has a frame takes time.
        self.end_part(time.max(self.part_start.saturating_add(1)));
        if let Some(segment) = self.store.growing() {
            segment.is_complete = true;
        }
        self.gop_goes_on = false;
    }

    /// Ends the segment with all that there is, audio that waits for a video frame among it.
    fn end_all(&mut self, now: SystemTime) {
        self.has_frame = !self.growing.pieces.is_empty();
        if self.has_frame && !self.store.is_growing() {
            self.begin_segment(self.part_start, false, now);
        }
        self.end_segment(self.end);
        self.awaits_key_frame = true;
    }

    /// Forgets what is too old or too much.
    fn forget(&mut self) {
        let target = self.target_seconds.unwrap_or(GOP_SECONDS).max(target_seconds(self.longest_gop_ms));
        let kept_ms = limits::HLS_WINDOW_TARGETS * target * 1000;
        if !self.store.forget(kept_ms, self.growing.bytes) {
            // Not even one segment may stay: another try at the next key frame.
            self.growing = Part::default();
            (self.has_frame, self.awaits_key_frame, self.next_is_discontinuous) = (false, true, true);
        }
    }
}
