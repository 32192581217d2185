//! Stores the last segments and their initialization segments.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use super::segment::Segment;
use crate::fmp4::MuxerOutput;
use crate::guard::Share;
use crate::limits;

/// The properties of a new segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentStart {
    /// It continues the GOP of the previous segment.
    pub continues_gop: bool,
    /// A player can start at it.
    pub is_independent: bool,
    /// There is a discontinuity before it.
    pub is_discontinuous: bool,
    /// Arrival time of its first frame.
    pub program_date_time: SystemTime,
}

/// The last segments of a stream.
#[derive(Debug)]
pub(super) struct SegmentStore {
    share: Share,
    /// Memory of all segments including the pending part, in bytes.
    bytes: usize,
    inits: VecDeque<(u64, Arc<MuxerOutput>)>,
    segments: VecDeque<Segment>,
    next_number: u64,
    next_gop: u64,
    /// The number of evicted segments with a discontinuity before them.
    discontinuities: u64,
}

impl SegmentStore {
    pub(super) fn new(share: Share) -> Self {
        let (inits, segments) = (VecDeque::new(), VecDeque::new());
        Self { share, bytes: 0, inits, segments, next_number: 0, next_gop: 0, discontinuities: 0 }
    }

    /// Returns the memory share, to be charged before there are segments.
    pub(super) fn share(&mut self) -> &mut Share {
        &mut self.share
    }

    pub(super) fn inits(&self) -> &VecDeque<(u64, Arc<MuxerOutput>)> {
        &self.inits
    }

    /// Returns all segments, including the open one.
    pub(super) fn segments(&self) -> &VecDeque<Segment> {
        &self.segments
    }

    /// Returns the number of evicted segments with a discontinuity before them.
    pub(super) fn discontinuities(&self) -> u64 {
        self.discontinuities
    }

    /// Returns the number of the GOP that the next key frame starts.
    pub(super) fn next_gop(&self) -> u64 {
        self.next_gop
    }

    /// Returns the open segment, which may get more parts.
    pub(super) fn open_segment(&mut self) -> Option<&mut Segment> {
        self.segments.back_mut().filter(|segment| !segment.is_complete)
    }

    /// Whether the last segment is open.
    pub(super) fn has_open_segment(&self) -> bool {
        self.segments.back().is_some_and(|segment| !segment.is_complete)
    }

    /// Returns the next part: segment number and part index.
    pub(super) fn next_part(&self) -> (u64, u64) {
        match self.segments.back() {
            Some(last) if !last.is_complete => (last.number, last.parts.len() as u64),
            _ => (self.next_number, 0),
        }
    }

    /// Adds an initialization segment; returns whether there was one before.
    pub(super) fn add_init(&mut self, init: &Arc<MuxerOutput>) -> bool {
        let number = self.inits.back().map_or(0, |(number, _)| number + 1);
        self.inits.push_back((number, init.clone()));
        number > 0
    }

    /// Starts a segment without parts.
    pub(super) fn start_segment(&mut self, start: SegmentStart) {
        let SegmentStart { continues_gop, is_independent, is_discontinuous, program_date_time } = start;
        self.next_gop += u64::from(!continues_gop);
        self.segments.push_back(Segment {
            number: self.next_number,
            gop: self.next_gop.saturating_sub(1),
            starts_gop: !continues_gop,
            is_independent,
            init: self.inits.back().map_or(0, |(number, _)| *number),
            is_discontinuous,
            parts: Vec::new(),
            is_complete: false,
            program_date_time,
        });
        self.next_number += 1;
    }

    /// Charges the bytes of a fragment in the pending part.
    pub(super) fn add_bytes(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Evicts segments that are older than `kept_ms` or over the limits. Returns `false` when there is no room even for
    /// the open segment and the `pending_bytes` of its next part, which are evicted as well.
    #[must_use]
    pub(super) fn evict(&mut self, kept_ms: u64, pending_bytes: usize) -> bool {
        let mut has_room = true;
        let mut length_ms: u64 = self.segments.iter().map(Segment::duration_ms).sum();
        loop {
            let fits = self.bytes <= limits::HLS_WINDOW_BYTES && self.share.resize(self.bytes);
            let Some(oldest) = self.segments.front() else {
                has_room &= fits;
                break;
            };
            length_ms -= oldest.duration_ms();
            let is_old = length_ms >= kept_ms || self.segments.len() > limits::HLS_WINDOW_SEGMENTS;
            if fits && !(is_old && oldest.is_complete) {
                break;
            }
            self.bytes -= oldest.bytes();
            self.discontinuities += u64::from(oldest.is_discontinuous);
            has_room &= oldest.is_complete;
            self.segments.pop_front();
        }
        if !has_room {
            self.bytes -= pending_bytes;
        }
        // Shrinking always succeeds.
        let _ = self.share.resize(self.bytes);
        let oldest = self.segments.front().map(|segment| segment.init);
        let newest = self.inits.back().map(|(number, _)| *number);
        self.inits.retain(|(number, _)| oldest.is_some_and(|oldest| *number >= oldest) || Some(*number) == newest);
        has_room
    }
}
