//! What a window begins with: kept until there is enough of it to choose a rhythm.

use std::mem;
use std::sync::Arc;

use super::segment::weight;
use crate::fmp4::Piece;
use crate::media::PacketKind;

/// The last initialisation segment and what followed.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pieces: Vec<Arc<Piece>>,
    bytes: usize,
}

impl Opening {
    pub fn push(&mut self, piece: &Arc<Piece>) {
        if let Piece::Init(_) = **piece {
            self.take();
        }
        self.bytes += weight(piece);
        self.pieces.push(piece.clone());
    }

    /// What it takes of memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// When each frame is decoded, in milliseconds, and whether a player can start at it, from the first such on.
    /// Pictures if there are any, or else sound.
    pub fn frames(&self) -> Vec<(u64, bool)> {
        let has_video = self.pieces.iter().any(|piece| matches!(&**piece, Piece::Init(init) if init.has_video));
        let frames = self.pieces.iter().filter_map(|piece| match &**piece {
            Piece::Fragment(one) if (one.kind == PacketKind::Video) == has_video => {
                Some((one.time_ms, one.is_key_frame))
            }
            _ => None,
        });
        frames.skip_while(|(_, is_key)| !is_key).collect()
    }

    /// Keeps the initialisation segment only.
    pub fn forget_frames(&mut self) {
        self.pieces.retain(|piece| matches!(**piece, Piece::Init(_)));
        self.bytes = self.pieces.iter().map(|piece| weight(piece)).sum();
    }

    /// Gives away all that it has.
    pub fn take(&mut self) -> Vec<Arc<Piece>> {
        mem::take(self).pieces
    }
}
