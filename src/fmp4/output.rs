//! The output of a muxer.

use crate::media::PacketKind;

/// An initialization segment or a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MuxerOutput {
    /// The initialization segment for all fragments up to the next one.
    Init(Init),
    /// An audio or video fragment.
    Fragment(Fragment),
}

impl MuxerOutput {
    /// Returns the encoded boxes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Init(init) => &init.bytes,
            Self::Fragment(fragment) => &fragment.bytes,
        }
    }
}

/// An initialization segment: `ftyp` and `moov`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// The encoded boxes.
    pub bytes: Vec<u8>,
    /// The `codecs` parameter of the media type (RFC 6381), video first: `avc1.64001f,mp4a.40.2`.
    pub codecs: String,
    /// Whether there is a video track.
    pub has_video: bool,
    /// Width and height in pixels; zeros when unknown.
    pub size: (u16, u16),
}

/// A fragment of one audio or video frame: `moof` and `mdat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Audio or video.
    pub kind: PacketKind,
    /// Decode time in milliseconds, which doesn't wrap.
    pub time_ms: u64,
    /// Duration in milliseconds.
    pub duration_ms: u32,
    /// Players can start here, though the sample need not be a sync sample (a recovery point, or a stream without key
    /// frames).
    pub is_key_frame: bool,
    /// No other frame references it.
    pub is_disposable: bool,
    /// Size of the boxes in bytes.
    pub length: usize,
    /// The encoded boxes; empty in size-only mode, see [`Muxer::set_size_only`](super::Muxer::set_size_only).
    pub bytes: Vec<u8>,
}
