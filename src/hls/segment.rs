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
    /// In milliseconds; known when it is complete.
    pub duration_ms: Option<u64>,
    /// When its first frame came.
    pub began: SystemTime,
    pub bytes: usize,
}

impl Segment {
    pub fn pieces(&self) -> Vec<Arc<Piece>> {
        self.parts.iter().flat_map(|part| part.pieces.iter().cloned()).collect()
    }
}
