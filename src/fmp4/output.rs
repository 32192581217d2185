//! What a muxer makes.

use crate::media::PacketKind;

/// An initialisation segment or a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MuxerOutput {
    /// What all fragments up to the next need before them.
    Init(Init),
    /// Audio or video.
    Fragment(Fragment),
}

impl MuxerOutput {
    /// The boxes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Init(init) => &init.bytes,
            Self::Fragment(fragment) => &fragment.bytes,
        }
    }
}

/// An initialisation segment: `ftyp` and `moov`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// The boxes.
    pub bytes: Vec<u8>,
    /// The tracks' codecs as the `codecs` parameter of a media type names them (RFC 6381), the video frame's first:
    /// `avc1.64001f,mp4a.40.2`.
    pub codecs: String,
    /// Whether there is a video track.
    pub has_video: bool,
    /// Width and height of the video frames, zeros when nobody knows.
    pub size: (u16, u16),
}

/// One frame of audio or video: `moof` and `mdat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Audio or video.
    pub kind: PacketKind,
    /// Decoding time in milliseconds since the muxer's start, which does not wrap.
    pub time_ms: u64,
    /// How long it lasts, in milliseconds.
    pub duration_ms: u32,
    /// A player can start here, though its sample may be none for random access (a recovery point, or where no key frame comes).
    pub is_key_frame: bool,
    /// No other frame refers to it.
    pub is_disposable: bool,
    /// Bytes of the boxes.
    pub length: usize,
    /// The boxes; empty when only lengths are of interest, see [`Muxer::leave_out_bytes`](super::Muxer::leave_out_bytes).
    pub bytes: Vec<u8>,
}
