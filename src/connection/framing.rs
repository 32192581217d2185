//! What stands before and behind a live message on its way to a player.

use std::sync::Arc;

use crate::flv::TagHeader;
use crate::flv::tag::TAG_HEADER_BYTES;
use crate::live::{LiveMessage, PLAYER_STREAM_ID};
use crate::rtmp::chunk::ChunkHeaders;

/// In place of a message stream over HTTP, where there are none.
pub const HTTP_STREAM_ID: u32 = 0;

/// How a player gets live messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// In chunks, on that message stream.
    Chunks(u32),
    /// Over HTTP.
    Http {
        /// Each as an FLV tag; otherwise as it is.
        as_tags: bool,
        /// Each a binary message of a WebSocket.
        in_web_socket: bool,
    },
}

/// A live message and what goes around it.
#[derive(Debug)]
pub(super) enum Framed {
    /// On [`PLAYER_STREAM_ID`].
    Chunks(Arc<LiveMessage>),
    /// On another message stream, which needs headers of its own.
    ChunksOn(u32, Box<ChunkHeaders>, Arc<LiveMessage>),
    /// Over HTTP.
    Enveloped(Box<Envelope>, Arc<LiveMessage>),
}

/// The longest header of a WebSocket frame without a mask, and that of an FLV tag.
const BEFORE: usize = 10 + TAG_HEADER_BYTES;

/// What goes around a message over HTTP.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    before: [u8; BEFORE],
    before_length: usize,
    /// The tag's size, once more.
    behind: [u8; 4],
    behind_length: usize,
}

impl Envelope {
    pub fn new(as_tag: bool, in_web_socket: bool, message: &LiveMessage) -> Self {
        let mut envelope = Self::default();
        let tag = as_tag.then(|| TagHeader::for_packet(&message.packet).ok()).flatten();
        let tag_length = tag.as_ref().map_or(0, |_| TAG_HEADER_BYTES + envelope.behind.len());
        if in_web_socket {
            let (header, length) = web_socket_header(message.body().len() + tag_length);
            envelope.put(&header[..length]);
        }
        if let Some(tag) = tag {
            envelope.put(&tag.encode());
            envelope.behind = tag.tag_size().to_be_bytes();
            envelope.behind_length = envelope.behind.len();
        }
        envelope
    }

    fn put(&mut self, bytes: &[u8]) {
        self.before[self.before_length..][..bytes.len()].copy_from_slice(bytes);
        self.before_length += bytes.len();
    }

    /// What goes over the wire, piece by piece.
    pub fn pieces<'a>(&'a self, message: &'a LiveMessage) -> impl Iterator<Item = &'a [u8]> {
        let pieces = [&self.before[..self.before_length], message.body(), &self.behind[..self.behind_length]];
        pieces.into_iter().filter(|piece| !piece.is_empty())
    }

    fn length(&self, message: &LiveMessage) -> usize {
        self.before_length + message.body().len() + self.behind_length
    }
}

/// The opcode of binary messages.
const BINARY: u8 = 2;

/// The header of a whole, unmasked, binary message of a WebSocket (RFC 6455 §5.2), and how long it is.
pub fn web_socket_header(length: usize) -> ([u8; 10], usize) {
    let mut header = [0; 10];
    header[0] = 0x80 | BINARY;
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..=125), _) => {
            header[1] = length;
            (header, 2)
        }
        (_, Ok(length)) => {
            header[1] = 126;
            header[2..4].copy_from_slice(&length.to_be_bytes());
            (header, 4)
        }
        _ => {
            header[1] = 127;
            header[2..].copy_from_slice(&(length as u64).to_be_bytes());
            (header, 10)
        }
    }
}

impl Framing {
    /// Bytes of a message on the wire.
    pub(super) fn length(self, message: &LiveMessage) -> usize {
        match self {
            Self::Chunks(_) => message.wire_length(),
            Self::Http { as_tags, in_web_socket } => Envelope::new(as_tags, in_web_socket, message).length(message),
        }
    }

    pub(super) fn frame(self, message: &Arc<LiveMessage>) -> Framed {
        let message = message.clone();
        match self {
            Self::Chunks(PLAYER_STREAM_ID) => Framed::Chunks(message),
            Self::Chunks(stream_id) => Framed::ChunksOn(stream_id, Box::new(message.headers_for(stream_id)), message),
            Self::Http { as_tags, in_web_socket } => {
                Framed::Enveloped(Box::new(Envelope::new(as_tags, in_web_socket, &message)), message)
            }
        }
    }
}

impl Framed {
    pub fn length(&self) -> usize {
        match self {
            Self::Chunks(message) | Self::ChunksOn(_, _, message) => message.wire_length(),
            Self::Enveloped(envelope, message) => envelope.length(message),
        }
    }

    /// Calls `with` for each piece until it says no.
    pub fn pieces<'a>(&'a self, with: impl FnMut(&'a [u8]) -> bool) -> bool {
        match self {
            Self::Chunks(message) => message.pieces(message.headers()).all(with),
            Self::ChunksOn(_, headers, message) => message.pieces(headers).all(with),
            Self::Enveloped(envelope, message) => envelope.pieces(message).all(with),
        }
    }

    /// The message, if it is part of a live play on that message stream.
    pub fn on(&self, stream_id: u32) -> Option<&LiveMessage> {
        match self {
            Self::Chunks(message) => (stream_id == PLAYER_STREAM_ID).then_some(message),
            Self::ChunksOn(id, _, message) => (stream_id == *id).then_some(message),
            Self::Enveloped(_, message) => (stream_id == HTTP_STREAM_ID).then_some(message),
        }
        .map(|message| &**message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv;
    use crate::media::{Packet, PacketKind, Timestamp};

    fn message(length: usize) -> Arc<LiveMessage> {
        let packet =
            Packet { kind: PacketKind::Video, timestamp: Timestamp::new(0x0102_0304), payload: vec![0x27; length] };
        Arc::new(LiveMessage::new(packet))
    }

    fn sent(framing: Framing, message: &Arc<LiveMessage>) -> Vec<u8> {
        let (framed, mut bytes) = (framing.frame(message), Vec::new());
        framed.pieces(|piece| {
            bytes.extend(piece);
            true
        });
        assert_eq!(bytes.len(), framed.length());
        bytes
    }

    #[test]
    fn over_http_a_message_is_what_a_file_has() {
        let message = message(1000);
        let mut file = flv::Writer::new(Vec::new(), true, true).unwrap();
        let start = file.position() as usize;
        file.write_packet(&message.packet).unwrap();
        let tag = &file.into_inner()[start..];
        assert_eq!(sent(Framing::Http { as_tags: true, in_web_socket: false }, &message), tag);
        let in_web_socket = sent(Framing::Http { as_tags: true, in_web_socket: true }, &message);
        assert_eq!(in_web_socket, [&[0x82, 126, 3, 0xf7], tag].concat());
    }

    #[test]
    fn web_socket_lengths_at_their_limits() {
        for (length, header) in [
            (125, &[0x82, 125][..]),
            (126, &[0x82, 126, 0, 126]),
            (65_535, &[0x82, 126, 0xff, 0xff]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let bytes = sent(Framing::Http { as_tags: false, in_web_socket: true }, &message(length));
            assert_eq!((&bytes[..header.len()], bytes.len()), (header, header.len() + length));
        }
    }
}
