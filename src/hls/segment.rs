//! Segments and the parts that they are made of.

use std::sync::Arc;
use std::time::SystemTime;

use crate::fmp4::Piece;

/// Some frames in a row: the least that a client gets at once.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub pieces: Vec<Arc<Piece>>,
    /// In milliseconds.
    pub duration_ms: u64,
    /// A player can start with it.
    pub is_independent: bool,
    /// What it takes of memory.
    pub bytes: usize,
}

/// Parts up to the next key frame.
#[derive(Debug)]
pub(super) struct Segment {
    pub number: u64,
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
    pub fn duration_ms(&self) -> u64 {
        self.parts.iter().map(|part| part.duration_ms).sum()
    }

    /// What it takes of memory.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// A player can start with it.
    pub fn is_independent(&self) -> bool {
        self.parts.first().is_none_or(|part| part.is_independent)
    }

    pub fn pieces(&self) -> Vec<Arc<Piece>> {
        self.parts.iter().flat_map(|part| part.pieces.iter().cloned()).collect()
    }
}

/// What a piece takes of memory, in bytes.
pub(super) fn weight(piece: &Piece) -> usize {
    piece.bytes().len() + size_of::<Piece>()
}
