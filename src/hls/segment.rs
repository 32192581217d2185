//! Segments and the parts that they are made of.

use std::sync::Arc;
use std::time::SystemTime;

use crate::fmp4::MuxerOutput;

/// Some frames in a row: the least that a client gets at once.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub pieces: Vec<Arc<MuxerOutput>>,
    /// In milliseconds.
    pub duration_ms: u64,
    /// A player can start with it.
    pub is_independent: bool,
    /// What it takes of memory.
    pub bytes: usize,
}

/// Parts up to the next key frame, or as many of them as a segment may have.
#[derive(Debug)]
pub(super) struct Segment {
    pub number: u64,
    /// Which GOP it belongs to.
    pub gop: u64,
    /// It is the first of its GOP.
    pub begins_gop: bool,
    /// A player can start with it.
    pub is_independent: bool,
    /// Which initialisation segment it needs.
    pub init: u64,
    /// It does not go on where the one before ended.
    pub is_discontinuous: bool,
    pub parts: Vec<Part>,
    /// There won't be more parts.
    pub is_complete: bool,
    /// When its first frame came.
    pub began: SystemTime,
}

impl Segment {
    /// In milliseconds, up to now.
    pub(super) fn duration_ms(&self) -> u64 {
        self.parts.iter().map(|part| part.duration_ms).sum()
    }

    /// What it takes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = Arc<MuxerOutput>> {
        self.parts.iter().flat_map(|part| part.pieces.iter().cloned())
    }
}

/// What a piece takes of memory, in bytes.
pub(super) fn weight(piece: &MuxerOutput) -> usize {
    piece.bytes().len() + size_of::<MuxerOutput>()
}
