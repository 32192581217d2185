//! One message of a live stream, shared by everyone who gets it.

use crate::media::{Packet, PacketKind};
use crate::rtmp::chunk::{ChunkHeaders, ChunkSize};
use crate::rtmp::message::chunk_stream_for;

/// The message stream that nearly every player plays on: the first it creates.
pub const PLAYER_STREAM_ID: u32 = 1;

/// A packet with its place in the stream's own time, and the headers of its chunks. Since timestamps are
/// absolute and the chunk size is the same for all players, the headers are too.
#[derive(Debug)]
pub struct LiveMessage {
    /// The message. Its timestamp is the stream's, not the publisher's.
    pub packet: Packet,
    /// A decoder can start here.
    pub is_key_frame: bool,
    /// Players can't do without it: sequence headers and metadata.
    pub is_essential: bool,
    headers: ChunkHeaders,
    wire_length: usize,
}

impl LiveMessage {
    /// Wraps a packet whose timestamp is the stream's.
    pub fn new(packet: Packet) -> Self {
        let headers = headers(&packet, PLAYER_STREAM_ID);
        Self {
            is_key_frame: packet.is_key_frame(),
            is_essential: packet.is_sequence_header(),
            headers,
            wire_length: headers.wire_length(ChunkSize::LARGE, &packet.payload),
            packet,
        }
    }

    /// Wraps metadata, which players can't do without either.
    pub fn metadata(packet: Packet) -> Self {
        Self { is_essential: true, ..Self::new(packet) }
    }

    /// Whether it is sound that may wait for the next picture, of a stream that has pictures or hasn't.
    pub(super) fn rides(&self, has_video: bool) -> bool {
        has_video && self.packet.kind == PacketKind::Audio && !self.is_essential
    }

    /// The headers of its chunks of [`ChunkSize::LARGE`] on message stream [`PLAYER_STREAM_ID`].
    pub fn headers(&self) -> &ChunkHeaders {
        &self.headers
    }

    /// The same on another message stream.
    pub fn headers_for(&self, stream_id: u32) -> ChunkHeaders {
        headers(&self.packet, stream_id)
    }

    /// What goes over the wire behind such headers, piece by piece.
    pub fn pieces<'a>(&'a self, headers: &'a ChunkHeaders) -> impl Iterator<Item = &'a [u8]> {
        headers.pieces(ChunkSize::LARGE, &self.packet.payload)
    }

    /// Bytes of all pieces together.
    pub fn wire_length(&self) -> usize {
        self.wire_length
    }
}

fn headers(packet: &Packet, stream_id: u32) -> ChunkHeaders {
    let Packet { kind, timestamp, payload } = packet;
    ChunkHeaders::new(chunk_stream_for(*kind), *timestamp, kind.type_id(), stream_id, payload.len())
}
