//! One message of a live stream, shared by all who receive it.

use std::sync::Arc;
use std::time::Instant;

use crate::fmp4::MuxerOutput;
use crate::media::{HeaderSlot, Packet, PacketKind, Timestamp};
use crate::rtmp::chunk::{ChunkHeaders, ChunkSize};
use crate::rtmp::message::media_headers;

/// The message stream that nearly every player uses: the first it creates.
pub(crate) const PLAYER_STREAM_ID: u32 = 1;

/// Stands in for a message stream over HTTP, which has none.
pub(crate) const HTTP_STREAM_ID: u32 = 0;

/// A packet with its timestamp on the stream's timeline, and its chunk headers. Since timestamps are absolute and the
/// chunk size is the same for all players, the headers are too.
#[derive(Clone, Debug)]
pub struct LiveMessage {
    /// The packet. Its timestamp is the stream's, not the publisher's.
    pub packet: Packet,
    /// In a fragment stream: what is sent instead of the packet, which has no payload.
    pub muxer_output: Option<Arc<MuxerOutput>>,
    /// A decoder can start here, though a recovery point shows artifacts at first.
    pub is_key_frame: bool,
    /// Players can't do without it: sequence headers and metadata.
    pub is_essential: bool,
    /// No other frame refers to it.
    pub is_disposable: bool,
    /// When it arrived from the publisher; kept when a header is restamped.
    pub(super) arrived: Option<Instant>,
    /// Another key frame is to be expected, for which players wait.
    pub(super) is_key_frame_expected: bool,
    /// The slot of the sequence header that it replaces.
    pub(super) slot: Option<HeaderSlot>,
    headers: ChunkHeaders,
    wire_length: usize,
}

impl LiveMessage {
    /// Wraps a packet whose timestamp is the stream's.
    pub fn new(packet: Packet) -> Self {
        let (headers, slot) = (media_headers(&packet, PLAYER_STREAM_ID), packet.header_slot());
        Self {
            is_key_frame: packet.is_starting_point(),
            is_essential: slot.is_some(),
            is_disposable: false,
            arrived: None,
            is_key_frame_expected: false,
            slot,
            muxer_output: None,
            headers,
            wire_length: headers.wire_length(ChunkSize::LARGE, &packet.payload),
            packet,
        }
    }

    /// Wraps metadata, which is essential as well.
    pub fn metadata(packet: Packet) -> Self {
        Self { is_essential: true, ..Self::new(packet) }
    }

    /// Wraps an initialization segment or a fragment, for players of fragmented MP4.
    pub fn from_muxer(output: MuxerOutput) -> Self {
        let (kind, timestamp, is_key_frame, is_disposable, slot) = match &output {
            MuxerOutput::Init(_) => (PacketKind::Data, Timestamp::ZERO, false, false, Some(HeaderSlot::INIT)),
            // RTMP timestamps have 32 bits; the boxes have the whole time.
            MuxerOutput::Fragment(fragment) => {
                let time = Timestamp::new(fragment.time_ms as u32);
                (fragment.kind, time, fragment.is_key_frame, fragment.is_disposable, None)
            }
        };
        let message = Self::new(Packet { kind, timestamp, payload: Vec::new().into() });
        Self {
            is_key_frame,
            is_disposable,
            is_essential: slot.is_some(),
            slot,
            muxer_output: Some(Arc::new(output)),
            ..message
        }
    }

    /// Returns a copy with another timestamp.
    pub(super) fn at(&self, timestamp: Timestamp) -> Self {
        let packet = Packet { timestamp, ..self.packet.clone() };
        let headers = media_headers(&packet, PLAYER_STREAM_ID);
        // A timestamp of more than 24 bits lengthens the headers.
        let wire_length = headers.wire_length(ChunkSize::LARGE, &packet.payload);
        Self { packet, headers, wire_length, muxer_output: self.muxer_output.clone(), ..*self }
    }

    /// Returns the payload, without framing.
    pub fn body(&self) -> &[u8] {
        self.muxer_output.as_ref().map_or(&self.packet.payload, |output| output.bytes())
    }

    /// Whether it is audio that may be deferred until the next video frame, given whether the stream has video.
    pub(super) fn is_deferrable(&self, has_video: bool) -> bool {
        has_video && self.packet.kind == PacketKind::Audio && !self.is_essential
    }

    /// Returns its chunk headers for [`ChunkSize::LARGE`] on message stream [`PLAYER_STREAM_ID`].
    pub fn headers(&self) -> &ChunkHeaders {
        &self.headers
    }

    /// Returns its chunk headers on another message stream.
    pub fn headers_for(&self, stream_id: u32) -> ChunkHeaders {
        media_headers(&self.packet, stream_id)
    }

    /// Iterates over the bytes on the wire with these headers, slice by slice.
    pub fn slices<'a>(&'a self, headers: &'a ChunkHeaders) -> impl Iterator<Item = &'a [u8]> {
        headers.slices(ChunkSize::LARGE, &self.packet.payload)
    }

    /// Returns the total length of all slices, in bytes.
    pub fn wire_length(&self) -> usize {
        self.wire_length
    }
}
