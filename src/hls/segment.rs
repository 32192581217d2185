//! Segments and parts.

use std::sync::Arc;
use std::time::SystemTime;

use crate::fmp4::MuxerOutput;

/// A partial segment.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub fragments: Vec<Arc<MuxerOutput>>,
    /// Duration in milliseconds.
    pub duration_ms: u64,
    /// A player can start at it.
    pub is_independent: bool,
    /// Memory used, in bytes.
    pub bytes: usize,
}

/// A segment: parts up to the next key frame, or up to the maximum length.
#[derive(Debug)]
pub(super) struct Segment {
    pub number: u64,
    /// The number of its GOP.
    pub gop: u64,
    /// It is the first segment of its GOP.
    pub starts_gop: bool,
    /// A player can start at it.
    pub is_independent: bool,
    /// The number of its initialization segment.
    pub init: u64,
    /// There is a discontinuity before it.
    pub is_discontinuous: bool,
    pub parts: Vec<Part>,
    /// It has all its parts.
    pub is_complete: bool,
    /// Arrival time of its first frame.
    pub program_date_time: SystemTime,
}

impl Segment {
    /// Returns the duration up to now, in milliseconds.
    pub(super) fn duration_ms(&self) -> u64 {
        self.parts.iter().map(|part| part.duration_ms).sum()
    }

    /// Returns the memory used, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    pub(super) fn fragments(&self) -> impl Iterator<Item = Arc<MuxerOutput>> {
        self.parts.iter().flat_map(|part| part.fragments.iter().cloned())
    }
}

/// Returns the memory used by a muxer output, in bytes.
pub(super) fn memory_bytes(output: &MuxerOutput) -> usize {
    output.bytes().len() + size_of::<MuxerOutput>()
}
