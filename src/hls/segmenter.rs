//! The segmenter: groups fragments into parts and segments, and keeps the last ones.
//!
//! Each part starts where the previous one ended, regardless of frame durations, so durations add up to decode times.

mod boundaries;
mod start;

use std::mem;
use std::sync::Arc;
use std::time::SystemTime;

use super::segment::{Part, memory_bytes};
use super::segment_store::SegmentStore;
use super::segment_timing::{MAX_GOP_SECONDS, SegmentTiming, target_seconds};
use super::start_buffer::StartBuffer;
use crate::fmp4::{Fragment, Init, MuxerOutput};
use crate::guard::Share;
use crate::limits;
use crate::media::PacketKind;

pub(super) use start::MIN_COMPLETE_SEGMENTS;

/// Groups the fragments of a stream into segments.
#[derive(Debug)]
pub(super) struct Segmenter {
    store: SegmentStore,
    start_buffer: StartBuffer,
    timing: Option<SegmentTiming>,
    /// The target duration of stored segments in seconds, chosen for the first playlist.
    target_seconds: Option<u64>,
    longest_gop_ms: u64,
    /// The next part of the open segment, and whether it has more than interleaved audio.
    pending: Part,
    has_frame: bool,
    /// Start of the last GOP, the last segment and the pending part, and end of the last frame, in milliseconds.
    gop_start: u64,
    segment_start: u64,
    part_start: u64,
    end: u64,
    last_frame: u64,
    /// A decode time in milliseconds and the wall-clock time it corresponds to.
    anchor: Option<(u64, SystemTime)>,
    /// The next segment starts at a key frame.
    awaits_key_frame: bool,
    /// The next segment, unless it starts at a key frame, continues the last GOP, whose last part has the full length.
    continues_gop: bool,
    next_is_discontinuous: bool,
    /// The number of a segment that ends after its first part.
    single_part_segment: Option<u64>,
    has_ended: bool,
}

impl Segmenter {
    pub(super) fn new(share: Share) -> Self {
        Self {
            store: SegmentStore::new(share),
            start_buffer: StartBuffer::default(),
            timing: None,
            target_seconds: None,
            longest_gop_ms: 0,
            pending: Part::default(),
            has_frame: false,
            gop_start: 0,
            segment_start: 0,
            part_start: 0,
            end: 0,
            last_frame: 0,
            anchor: None,
            awaits_key_frame: true,
            continues_gop: false,
            next_is_discontinuous: false,
            single_part_segment: None,
            has_ended: false,
        }
    }

    /// Returns the stored segments.
    pub(super) fn store(&self) -> &SegmentStore {
        &self.store
    }

    /// Returns the segment timing; `None` until it is chosen.
    pub(super) fn timing(&self) -> Option<SegmentTiming> {
        self.timing
    }

    /// Returns the target duration of stored segments in seconds; `None` until it is chosen.
    pub(super) fn target_seconds(&self) -> Option<u64> {
        self.target_seconds
    }

    /// Returns the fragments received before the timing is chosen.
    pub(super) fn start_buffer(&self) -> &StartBuffer {
        &self.start_buffer
    }

    /// Whether the stream has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether the last segment may be followed by one of the same GOP.
    pub(super) fn continues_gop(&self) -> bool {
        let last = self.store.segments().back();
        last.is_some_and(|last| !last.is_complete || self.continues_gop)
    }

    /// Adds outputs of the muxer that arrived at `now`.
    pub(super) fn push<'a>(&mut self, outputs: impl IntoIterator<Item = &'a Arc<MuxerOutput>>, now: SystemTime) {
        for output in outputs {
            match self.timing {
                Some(_) => self.process(output, now),
                None => self.start_buffer.push(output),
            }
        }
        if self.timing.is_none() {
            let bytes = self.start_buffer.bytes();
            let is_large = bytes > limits::HLS_WINDOW_BYTES / 4 || !self.store.share().resize(bytes);
            self.choose_timing(is_large, now);
        }
    }

    /// Ends the last segment and the stream.
    pub(super) fn end(&mut self, now: SystemTime) {
        if self.timing.is_none() {
            self.choose_timing(true, now);
        }
        self.end_with_pending(now);
        self.has_ended = true;
        if self.target_seconds.is_none() && self.timing.is_some() {
            self.set_target_duration();
        }
    }

    fn process(&mut self, output: &Arc<MuxerOutput>, now: SystemTime) {
        match &**output {
            MuxerOutput::Init(_) => {
                self.end_with_pending(now);
                self.next_is_discontinuous |= self.store.add_init(output);
                self.evict();
            }
            MuxerOutput::Fragment(fragment) => self.add_fragment(output, fragment, now),
        }
    }

    fn add_fragment(&mut self, output: &Arc<MuxerOutput>, fragment: &Fragment, now: SystemTime) {
        let (Some(timing), Some((_, init))) = (self.timing, self.store.inits().back()) else { return };
        let MuxerOutput::Init(Init { has_video, .. }) = **init else { return };
        let is_lead_track = (fragment.kind == PacketKind::Video) == has_video;
        if self.awaits_key_frame && !(is_lead_track && fragment.is_key_frame) {
            return;
        }
        self.awaits_key_frame = false;
        let duration = u64::from(fragment.duration_ms);
        if is_lead_track {
            self.end_segment_before(fragment, timing, now);
            if !mem::replace(&mut self.has_frame, true) {
                self.pending.is_independent = fragment.is_key_frame;
            }
            self.last_frame = fragment.time_ms;
            self.end = fragment.time_ms.saturating_add(duration).min(self.max_segment_end());
        } else {
            self.end_segment_without_video(fragment.time_ms, timing, now);
        }
        self.pending.fragments.push(output.clone());
        self.pending.bytes += memory_bytes(output);
        self.store.add_bytes(memory_bytes(output));
        // The next frame wouldn't fit.
        if is_lead_track && self.end.saturating_add(duration).saturating_sub(self.part_start) > timing.part_ms {
            self.end_part(self.end);
            self.end_full_segment(timing);
        }
        self.evict();
    }

    /// Evicts segments that are too old or over the limits.
    fn evict(&mut self) {
        let target = self.target_seconds.unwrap_or(MAX_GOP_SECONDS).max(target_seconds(self.longest_gop_ms));
        let kept_ms = limits::HLS_WINDOW_TARGETS * target * 1000;
        if !self.store.evict(kept_ms, self.pending.bytes) {
            // There is no room for a single segment: retry at the next key frame.
            self.pending = Part::default();
            (self.has_frame, self.awaits_key_frame, self.next_is_discontinuous) = (false, true, true);
        }
    }
}
