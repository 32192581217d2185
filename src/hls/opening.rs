//! What a window begins with: kept until there is enough of it to choose a rhythm.

use std::mem;
use std::sync::Arc;

use super::segment::weight;
use crate::fmp4::{Init, MuxerOutput};
use crate::media::PacketKind;

/// The last initialisation segment and what followed.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pieces: Vec<Arc<MuxerOutput>>,
    bytes: usize,
}

impl Opening {
    pub(super) fn push(&mut self, piece: &Arc<MuxerOutput>) {
        if let MuxerOutput::Init(_) = **piece {
            self.take();
        }
        self.bytes += weight(piece);
        self.pieces.push(piece.clone());
    }

    /// What it takes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The initialisation segment.
    pub(super) fn init(&self) -> Option<&Init> {
        self.pieces.iter().find_map(|piece| match &**piece {
            MuxerOutput::Init(init) => Some(init),
            MuxerOutput::Fragment(_) => None,
        })
    }

    /// When each frame is decoded, in milliseconds, from the first key frame on. Video frames if there are any, or else
    /// audio frames.
    pub(super) fn frames(&self) -> Vec<u64> {
        let has_video = self.init().is_some_and(|init| init.has_video);
        let frames = self.pieces.iter().filter_map(|piece| match &**piece {
            MuxerOutput::Fragment(one) if (one.kind == PacketKind::Video) == has_video => {
                Some((one.time_ms, one.is_key_frame))
            }
            _ => None,
        });
        frames.skip_while(|(_, is_key)| !is_key).map(|(time, _)| time).collect()
    }

    /// Keeps the initialisation segment only.
    pub(super) fn forget_frames(&mut self) {
        self.pieces.retain(|piece| matches!(**piece, MuxerOutput::Init(_)));
        self.bytes = self.pieces.iter().map(|piece| weight(piece)).sum();
    }

    /// Gives away all that it has.
    pub(super) fn take(&mut self) -> Vec<Arc<MuxerOutput>> {
        mem::take(self).pieces
    }
}
