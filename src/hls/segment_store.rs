//! The segments that are kept, with the initialisation segments that they need.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use super::segment::Segment;
use crate::fmp4::MuxerOutput;
use crate::guard::Share;
use crate::limits;

/// How a segment begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    /// It goes on with the GOP of the one before.
    pub goes_on: bool,
    /// A player can start with it.
    pub is_independent: bool,
    /// It does not go on where the one before ended.
    pub is_discontinuous: bool,
    /// When its first frame came.
    pub began: SystemTime,
}

/// The last segments of a stream.
#[derive(Debug)]
pub(super) struct SegmentStore {
    share: Share,
    /// Bytes of all segments, with what grows.
    bytes: usize,
    inits: VecDeque<(u64, Arc<MuxerOutput>)>,
    segments: VecDeque<Segment>,
    next_number: u64,
    next_gop: u64,
    /// Segments that are no more began anew so often.
    discontinuities: u64,
}

impl SegmentStore {
    pub(super) fn new(share: Share) -> Self {
        let (inits, segments) = (VecDeque::new(), VecDeque::new());
        Self { share, bytes: 0, inits, segments, next_number: 0, next_gop: 0, discontinuities: 0 }
    }

    /// What all segments may take, to be counted before there are any.
    pub(super) fn share(&mut self) -> &mut Share {
        &mut self.share
    }

    pub(super) fn inits(&self) -> &VecDeque<(u64, Arc<MuxerOutput>)> {
        &self.inits
    }

    /// All of them, the one that grows among them.
    pub(super) fn segments(&self) -> &VecDeque<Segment> {
        &self.segments
    }

    /// How often segments that are no more began anew.
    pub(super) fn discontinuities(&self) -> u64 {
        self.discontinuities
    }

    /// The number of the GOP that the next key frame begins.
    pub(super) fn next_gop(&self) -> u64 {
        self.next_gop
    }

    /// The segment that grows.
    pub(super) fn growing(&mut self) -> Option<&mut Segment> {
        self.segments.back_mut().filter(|segment| !segment.is_complete)
    }

    /// Whether the last segment goes on.
    pub(super) fn is_growing(&self) -> bool {
        self.segments.back().is_some_and(|segment| !segment.is_complete)
    }

    /// Which part comes next: of which segment, and its number in that.
    pub(super) fn hint(&self) -> (u64, u64) {
        match self.segments.back() {
            Some(last) if !last.is_complete => (last.number, last.parts.len() as u64),
            _ => (self.next_number, 0),
        }
    }

    /// Takes another initialisation segment; says whether there was one before.
    pub(super) fn add_init(&mut self, init: &Arc<MuxerOutput>) -> bool {
        let number = self.inits.back().map_or(0, |(number, _)| number + 1);
        self.inits.push_back((number, init.clone()));
        number > 0
    }

    /// Begins a segment without parts.
    pub(super) fn begin(&mut self, beginning: Beginning) {
        let Beginning { goes_on, is_independent, is_discontinuous, began } = beginning;
        self.next_gop += u64::from(!goes_on);
        self.segments.push_back(Segment {
            number: self.next_number,
            gop: self.next_gop.saturating_sub(1),
            begins_gop: !goes_on,
            is_independent,
            init: self.inits.back().map_or(0, |(number, _)| *number),
            is_discontinuous,
            parts: Vec::new(),
            is_complete: false,
            began,
        });
        self.next_number += 1;
    }

    /// Counts bytes of what grows.
    pub(super) fn count(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Forgets what is older than that, or too much. Says no when there is no room for the segment that grows either, nor
    /// for the bytes of its next part.
    #[must_use]
    pub(super) fn forget(&mut self, kept_ms: u64, growing_bytes: usize) -> bool {
        let mut stays = true;
        let mut length_ms: u64 = self.segments.iter().map(Segment::duration_ms).sum();
        loop {
            let fits = self.bytes <= limits::HLS_WINDOW_BYTES && self.share.resize(self.bytes);
            let Some(oldest) = self.segments.front() else {
                stays &= fits;
                break;
            };
            length_ms -= oldest.duration_ms();
            let is_old = length_ms >= kept_ms || self.segments.len() > limits::HLS_WINDOW_SEGMENTS;
            if fits && !(is_old && oldest.is_complete) {
                break;
            }
            self.bytes -= oldest.bytes();
            self.discontinuities += u64::from(oldest.is_discontinuous);
            stays &= oldest.is_complete;
            self.segments.pop_front();
        }
        if !stays {
            self.bytes -= growing_bytes;
        }
        // Less is always granted.
        let _ = self.share.resize(self.bytes);
        let oldest = self.segments.front().map(|segment| segment.init);
        let newest = self.inits.back().map(|(number, _)| *number);
        self.inits.retain(|(number, _)| oldest.is_some_and(|oldest| *number >= oldest) || Some(*number) == newest);
        stays
    }
}
