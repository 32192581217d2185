//! One message of a live stream, shared by everyone who gets it.

use std::sync::OnceLock;

use crate::media::Packet;
use crate::rtmp::chunk::{ChunkSize, encode_message};
use crate::rtmp::message::chunk_stream_for;

/// The message stream that nearly every player plays on: the first it creates.
pub const PLAYER_STREAM_ID: u32 = 1;

/// A packet with its place in the stream's own time, and its chunks, made when the first player needs
/// them. Since timestamps are absolute and the chunk size is the same for all, the chunks are too.
#[derive(Debug)]
pub struct LiveMessage {
    /// The message. Its timestamp is the stream's, not the publisher's.
    pub packet: Packet,
    /// A decoder can start here.
    pub is_key_frame: bool,
    /// Players can't do without it: sequence headers and metadata.
    pub is_essential: bool,
    chunks: OnceLock<Vec<u8>>,
}

impl LiveMessage {
    /// Wraps a packet whose timestamp is the stream's.
    pub fn new(packet: Packet) -> Self {
        Self {
            is_key_frame: packet.is_key_frame(),
            is_essential: packet.is_sequence_header(),
            packet,
            chunks: OnceLock::new(),
        }
    }

    /// Wraps metadata, which players can't do without either.
    pub fn metadata(packet: Packet) -> Self {
        Self { is_key_frame: false, is_essential: true, packet, chunks: OnceLock::new() }
    }

    /// The message in chunks of [`ChunkSize::LARGE`] on message stream [`PLAYER_STREAM_ID`].
    pub fn chunks(&self) -> &[u8] {
        self.chunks.get_or_init(|| self.chunks_for(PLAYER_STREAM_ID))
    }

    /// The same on another message stream, not shared.
    pub fn chunks_for(&self, stream_id: u32) -> Vec<u8> {
        let Packet { kind, timestamp, payload } = &self.packet;
        let mut out = Vec::new();
        let chunk_stream_id = chunk_stream_for(*kind);
        encode_message(ChunkSize::LARGE, chunk_stream_id, *timestamp, kind.type_id(), stream_id, payload, &mut out);
        out
    }
}
