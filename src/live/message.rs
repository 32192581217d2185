//! One message of a live stream, shared by everyone who gets it.

use std::sync::Arc;
use std::time::Instant;

use crate::fmp4::MuxerOutput;
use crate::media::{HeaderSlot, Packet, PacketKind, Timestamp};
use crate::rtmp::chunk::{ChunkHeaders, ChunkSize};
use crate::rtmp::message::media_headers;

/// The message stream that nearly every player plays on: the first it creates.
pub const PLAYER_STREAM_ID: u32 = 1;

/// In place of a message stream over HTTP, where there are none.
pub const HTTP_STREAM_ID: u32 = 0;

/// A packet with its place in the stream's own time, and the headers of its chunks. Since timestamps are
/// absolute and the chunk size is the same for all players, the headers are too.
#[derive(Clone, Debug)]
pub struct LiveMessage {
    /// The message. Its timestamp is the stream's, not the publisher's.
    pub packet: Packet,
    /// Of a stream of fragments: what goes out in the packet's place, which has no payload.
    pub muxer_output: Option<Arc<MuxerOutput>>,
    /// A decoder can start here, though a recovery point shows damage at first.
    pub is_key_frame: bool,
    /// Players can't do without it: sequence headers and metadata.
    pub is_essential: bool,
    /// No other frame refers to it.
    pub is_disposable: bool,
    /// When it came from the publisher; of headers at another time, when the first did.
    pub(super) arrived: Option<Instant>,
    /// There is a key frame to come for which players wait.
    pub(super) is_key_frame_foreseen: bool,
    /// Which earlier sequence header this one replaces.
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
            is_key_frame_foreseen: false,
            slot,
            muxer_output: None,
            headers,
            wire_length: headers.wire_length(ChunkSize::LARGE, &packet.payload),
            packet,
        }
    }

    /// Wraps metadata, which players can't do without either.
    pub fn metadata(packet: Packet) -> Self {
        Self { is_essential: true, ..Self::new(packet) }
    }

    /// Wraps an initialisation segment or a fragment, for those who get the stream as fragmented MP4.
    pub fn from_muxer(output: MuxerOutput) -> Self {
        let (kind, timestamp, is_key_frame, is_disposable, slot) = match &output {
            MuxerOutput::Init(_) => (PacketKind::Data, Timestamp::ZERO, false, false, Some(HeaderSlot::INIT)),
            // Clocks of 32 bits are the wire's; the boxes have the whole time.
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

    /// The same at another time.
    pub(super) fn at(&self, timestamp: Timestamp) -> Self {
        let packet = Packet { timestamp, ..self.packet.clone() };
        let headers = media_headers(&packet, PLAYER_STREAM_ID);
        // A time of more than 24 bits has headers of its own.
        let wire_length = headers.wire_length(ChunkSize::LARGE, &packet.payload);
        Self { packet, headers, wire_length, muxer_output: self.muxer_output.clone(), ..*self }
    }

    /// What goes out, without what the wire wants around it.
    pub fn body(&self) -> &[u8] {
        self.muxer_output.as_ref().map_or(&self.packet.payload, |output| output.bytes())
    }

    /// Whether it is audio that may wait for the next video frame, of a stream that has video frames or hasn't.
    pub(super) fn is_deferrable(&self, has_video: bool) -> bool {
        has_video && self.packet.kind == PacketKind::Audio && !self.is_essential
    }

    /// The headers of its chunks of [`ChunkSize::LARGE`] on message stream [`PLAYER_STREAM_ID`].
    pub fn headers(&self) -> &ChunkHeaders {
        &self.headers
    }

    /// The same on another message stream.
    pub fn headers_for(&self, stream_id: u32) -> ChunkHeaders {
        media_headers(&self.packet, stream_id)
    }

    /// What goes over the wire behind such headers, slice by slice.
    pub fn slices<'a>(&'a self, headers: &'a ChunkHeaders) -> impl Iterator<Item = &'a [u8]> {
        headers.slices(ChunkSize::LARGE, &self.packet.payload)
    }

    /// Bytes of all slices together.
    pub fn wire_length(&self) -> usize {
        self.wire_length
    }
}
