//! The first fragments of a window, buffered until they suffice to choose the segment timing.

use std::mem;
use std::sync::Arc;

use super::segment::memory_bytes;
use crate::fmp4::{Init, MuxerOutput};
use crate::media::PacketKind;

/// The last initialization segment and the fragments after it.
#[derive(Debug, Default)]
pub(super) struct StartBuffer {
    outputs: Vec<Arc<MuxerOutput>>,
    bytes: usize,
}

impl StartBuffer {
    pub(super) fn push(&mut self, output: &Arc<MuxerOutput>) {
        if let MuxerOutput::Init(_) = **output {
            self.take();
        }
        self.bytes += memory_bytes(output);
        self.outputs.push(output.clone());
    }

    /// Returns the memory used, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the initialization segment.
    pub(super) fn init(&self) -> Option<&Init> {
        self.outputs.iter().find_map(|output| match &**output {
            MuxerOutput::Init(init) => Some(init),
            MuxerOutput::Fragment(_) => None,
        })
    }

    /// Returns the decode times of the frames from the first key frame on, in milliseconds: of video, or of audio if
    /// there is no video.
    pub(super) fn frames(&self) -> Vec<u64> {
        let has_video = self.init().is_some_and(|init| init.has_video);
        let frames = self.outputs.iter().filter_map(|output| match &**output {
            MuxerOutput::Fragment(one) if (one.kind == PacketKind::Video) == has_video => {
                Some((one.time_ms, one.is_key_frame))
            }
            _ => None,
        });
        frames.skip_while(|(_, is_key)| !is_key).map(|(time, _)| time).collect()
    }

    /// Drops all fragments, keeping the initialization segment.
    pub(super) fn drop_fragments(&mut self) {
        self.outputs.retain(|output| matches!(**output, MuxerOutput::Init(_)));
        self.bytes = self.outputs.iter().map(|output| memory_bytes(output)).sum();
    }

    /// Removes and returns the contents.
    pub(super) fn take(&mut self) -> Vec<Arc<MuxerOutput>> {
        mem::take(self).outputs
    }
}
