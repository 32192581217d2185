//! Splits messages into chunks.

use super::{ChunkHeaders, ChunkSize, ChunkStreamId, RawMessage};
use crate::media::Timestamp;
use crate::rtmp::numbers::MessageType;

/// Splits messages into chunks of the size announced last.
#[derive(Debug)]
pub struct ChunkWriter {
    chunk_size: ChunkSize,
}

impl ChunkWriter {
    /// Creates a writer with the default chunk size, as at the start of a connection.
    pub fn new() -> Self {
        Self { chunk_size: ChunkSize::DEFAULT }
    }

    /// Appends `message` to `out`. A Set Chunk Size message takes effect for the next one.
    pub fn write(&mut self, message: &RawMessage, out: &mut Vec<u8>) {
        encode_message(
            self.chunk_size,
            message.chunk_stream_id,
            message.timestamp,
            message.type_id,
            message.stream_id,
            &message.payload,
            out,
        );
        if MessageType::from(message.type_id) == MessageType::SetChunkSize {
            let announced = message.payload.first_chunk().map(|bytes| ChunkSize::new(u32::from_be_bytes(*bytes)));
            if let Some(Ok(size)) = announced {
                self.chunk_size = size;
            }
        }
    }
}

impl Default for ChunkWriter {
    fn default() -> Self {
        Self::new()
    }
}

/// Appends one message to `out` as a type 0 chunk followed by type 3 chunks.
///
/// Bytes of `payload` beyond 2²⁴ − 1, which the length field can't express, are not written.
pub fn encode_message(
    chunk_size: ChunkSize,
    chunk_stream_id: ChunkStreamId,
    timestamp: Timestamp,
    type_id: u8,
    stream_id: u32,
    payload: &[u8],
    out: &mut Vec<u8>,
) {
    let headers = ChunkHeaders::new(chunk_stream_id, timestamp, type_id, stream_id, payload.len());
    out.reserve(headers.wire_length(chunk_size, payload));
    headers.slices(chunk_size, payload).for_each(|slice| out.extend_from_slice(slice));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(chunk_size: u32, id: u32, timestamp: u32, type_id: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let id = ChunkStreamId::new(id).unwrap();
        encode_message(
            ChunkSize::new(chunk_size).unwrap(),
            id,
            Timestamp::new(timestamp),
            type_id,
            1,
            payload,
            &mut out,
        );
        out
    }

    #[test]
    fn the_extended_timestamp_is_on_every_chunk() {
        let mut payload = vec![0x27, 1, 0, 0, 0];
        payload.extend(0..=0x86u8);
        let bytes = encode(128, 6, 20_000_000, 9, &payload);
        assert_eq!(bytes.len(), 161);
        assert_eq!(bytes[..16], [6, 0xff, 0xff, 0xff, 0, 0, 0x8c, 9, 1, 0, 0, 0, 0x01, 0x31, 0x2d, 0]);
        assert_eq!(bytes[143], 0x7a);
        assert_eq!(bytes[144..150], [0xc6, 0x01, 0x31, 0x2d, 0x00, 0x7b]);
    }

    #[test]
    fn timestamps_around_the_extension_threshold() {
        assert_eq!(encode(128, 6, 0xff_fffe, 9, &[])[..12], [6, 0xff, 0xff, 0xfe, 0, 0, 0, 9, 1, 0, 0, 0]);
        assert_eq!(
            encode(128, 6, 0xff_ffff, 9, &[]),
            [6, 0xff, 0xff, 0xff, 0, 0, 0, 9, 1, 0, 0, 0, 0x00, 0xff, 0xff, 0xff]
        );
    }

    #[test]
    fn a_payload_of_one_chunk_size_takes_a_single_chunk() {
        assert_eq!(encode(4, 6, 0, 9, &[1, 2, 3, 4]).len(), 12 + 4);
        assert_eq!(encode(4, 6, 0, 9, &[1, 2, 3, 4, 5]).len(), 12 + 4 + 1 + 1);
    }

    #[test]
    fn set_chunk_size_applies_from_the_next_message() {
        let mut writer = ChunkWriter::new();
        let mut message = RawMessage {
            chunk_stream_id: ChunkStreamId::CONTROL,
            timestamp: Timestamp::ZERO,
            type_id: 1,
            stream_id: 0,
            payload: vec![0, 1, 0, 0].into(),
        };
        let mut out = Vec::new();
        writer.write(&message, &mut out);
        assert_eq!(out, [2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 1, 0, 0]);
        out.clear();
        message.type_id = 9;
        message.payload = vec![0; 60_000].into();
        writer.write(&message, &mut out);
        assert_eq!(out.len(), 12 + 60_000);
    }
}
