//! The framing of live messages on their way to a player.

use std::sync::Arc;

use crate::flv::TagHeader;
use crate::flv::tag::{PREVIOUS_TAG_SIZE_BYTES, TAG_HEADER_BYTES};
use crate::live::{HTTP_STREAM_ID, LiveMessage, PLAYER_STREAM_ID};
use crate::rtmp::chunk::ChunkHeaders;

/// How live messages are framed for a player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// In chunks, on that message stream.
    Chunks(u32),
    /// Over HTTP.
    Http {
        /// Each as an FLV tag; otherwise its payload alone.
        as_tags: bool,
        /// The wrapping of each.
        wrapping: Wrapping,
    },
}

/// The wrapping of messages in an unbounded HTTP response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapping {
    /// None: the end of the connection is the end of the stream.
    None,
    /// A chunk each (RFC 9112 §7.1), so that an ended stream can be told from a broken one.
    HttpChunk,
    /// A binary WebSocket message each.
    WebSocket,
}

impl Wrapping {
    /// Returns what follows the last message of a stream that has ended properly.
    pub(crate) fn end(self) -> Option<&'static [u8]> {
        (self == Self::HttpChunk).then_some(b"0\r\n\r\n")
    }

    /// Wraps bytes.
    pub(crate) fn wrap(self, bytes: &[u8]) -> Vec<u8> {
        let (mut wrapped, mut trailer) = (Envelope::default(), &b""[..]);
        if !bytes.is_empty() {
            wrapped.push_length(self, bytes.len());
            trailer = if self == Self::HttpChunk { HTTP_CHUNK_END } else { b"" };
        }
        [&wrapped.header[..wrapped.header_length], bytes, trailer].concat()
    }
}

/// What follows each chunk.
const HTTP_CHUNK_END: &[u8] = b"\r\n";

/// A live message and its framing.
#[derive(Debug)]
pub(super) enum Framed {
    /// On [`PLAYER_STREAM_ID`].
    Chunks(Arc<LiveMessage>),
    /// On another message stream, which needs headers of its own.
    ChunksOn(u32, Box<ChunkHeaders>, Arc<LiveMessage>),
    /// Over HTTP.
    Enveloped(Box<Envelope>, Arc<LiveMessage>),
}

/// The longest header of an unmasked WebSocket frame, or of a chunk of less than 4 GiB, and that of an FLV tag.
const HEADER_CAPACITY: usize = 10 + TAG_HEADER_BYTES;

/// The FLV previous tag size and the end of a chunk.
const TRAILER_CAPACITY: usize = 4 + HTTP_CHUNK_END.len();

/// What goes around a message over HTTP.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    header: [u8; HEADER_CAPACITY],
    header_length: usize,
    trailer: [u8; TRAILER_CAPACITY],
    trailer_length: usize,
}

impl Envelope {
    pub(super) fn new(as_tag: bool, wrapping: Wrapping, message: &LiveMessage) -> Self {
        let mut envelope = Self::default();
        let tag = as_tag.then(|| TagHeader::for_packet(&message.packet).ok()).flatten();
        let tag_length = tag.as_ref().map_or(0, |_| TAG_HEADER_BYTES + PREVIOUS_TAG_SIZE_BYTES);
        envelope.push_length(wrapping, message.body().len() + tag_length);
        if let Some(tag) = tag {
            envelope.push_header(&tag.encode());
            envelope.push_trailer(&tag.tag_size().to_be_bytes());
        }
        if wrapping == Wrapping::HttpChunk {
            envelope.push_trailer(HTTP_CHUNK_END);
        }
        envelope
    }

    /// Adds the header with the length of the content.
    fn push_length(&mut self, wrapping: Wrapping, length: usize) {
        match wrapping {
            Wrapping::None => {}
            Wrapping::HttpChunk => {
                let mut digits = [0; 8];
                let mut rest = length;
                let mut first = digits.len();
                // At least one digit: no chunk is empty but the last.
                while rest > 0 {
                    first -= 1;
                    digits[first] = b"0123456789abcdef"[rest % 16];
                    rest /= 16;
                }
                self.push_header(&digits[first..]);
                self.push_header(HTTP_CHUNK_END);
            }
            Wrapping::WebSocket => {
                let (header, used) = web_socket_header(length);
                self.push_header(&header[..used]);
            }
        }
    }

    fn push_trailer(&mut self, bytes: &[u8]) {
        self.trailer[self.trailer_length..][..bytes.len()].copy_from_slice(bytes);
        self.trailer_length += bytes.len();
    }

    fn push_header(&mut self, bytes: &[u8]) {
        self.header[self.header_length..][..bytes.len()].copy_from_slice(bytes);
        self.header_length += bytes.len();
    }

    /// Iterates over the bytes on the wire, slice by slice.
    pub(super) fn slices<'a>(&'a self, message: &'a LiveMessage) -> impl Iterator<Item = &'a [u8]> {
        let slices = [&self.header[..self.header_length], message.body(), &self.trailer[..self.trailer_length]];
        slices.into_iter().filter(|slice| !slice.is_empty())
    }

    pub(super) fn length(&self, message: &LiveMessage) -> usize {
        self.header_length + message.body().len() + self.trailer_length
    }
}

/// The opcode of binary messages.
const BINARY: u8 = 2;

/// Returns the header of an unfragmented, unmasked binary WebSocket message (RFC 6455 §5.2) and its length.
pub(crate) fn web_socket_header(length: usize) -> ([u8; 10], usize) {
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
    /// Returns the bytes of a message on the wire.
    pub(super) fn length(self, message: &LiveMessage) -> usize {
        match self {
            Self::Chunks(_) => message.wire_length(),
            Self::Http { as_tags, wrapping } => Envelope::new(as_tags, wrapping, message).length(message),
        }
    }

    pub(super) fn frame(self, message: &Arc<LiveMessage>) -> Framed {
        let message = message.clone();
        match self {
            Self::Chunks(PLAYER_STREAM_ID) => Framed::Chunks(message),
            Self::Chunks(stream_id) => Framed::ChunksOn(stream_id, Box::new(message.headers_for(stream_id)), message),
            Self::Http { as_tags, wrapping } => {
                Framed::Enveloped(Box::new(Envelope::new(as_tags, wrapping, &message)), message)
            }
        }
    }
}

impl Framed {
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Chunks(message) | Self::ChunksOn(_, _, message) => message.wire_length(),
            Self::Enveloped(envelope, message) => envelope.length(message),
        }
    }

    /// Calls `with` for each slice until it returns false; returns whether it never did.
    pub(super) fn slices<'a>(&'a self, with: impl FnMut(&'a [u8]) -> bool) -> bool {
        match self {
            Self::Chunks(message) => message.slices(message.headers()).all(with),
            Self::ChunksOn(_, headers, message) => message.slices(headers).all(with),
            Self::Enveloped(envelope, message) => envelope.slices(message).all(with),
        }
    }

    /// Returns the message, if it belongs to a live play on that message stream.
    pub(super) fn message_on(&self, stream_id: u32) -> Option<&LiveMessage> {
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
        let packet = Packet {
            kind: PacketKind::Video,
            timestamp: Timestamp::new(0x0102_0304),
            payload: vec![0x27; length].into(),
        };
        Arc::new(LiveMessage::new(packet))
    }

    fn sent(framing: Framing, message: &Arc<LiveMessage>) -> Vec<u8> {
        let (framed, mut bytes) = (framing.frame(message), Vec::new());
        framed.slices(|slice| {
            bytes.extend(slice);
            true
        });
        assert_eq!(bytes.len(), framed.length());
        bytes
    }

    #[test]
    fn an_flv_tag_over_http_equals_that_of_a_file() {
        let message = message(1000);
        let mut file = flv::Writer::new(Vec::new(), true, true).unwrap();
        let start = file.position() as usize;
        file.write_packet(&message.packet).unwrap();
        let tag = &file.into_inner()[start..];
        let wrapped = |wrapping| sent(Framing::Http { as_tags: true, wrapping }, &message);
        assert_eq!(wrapped(Wrapping::None), tag);
        assert_eq!(wrapped(Wrapping::WebSocket), [&[0x82, 126, 3, 0xf7], tag].concat());
        assert_eq!(wrapped(Wrapping::HttpChunk), [b"3f7\r\n", tag, b"\r\n"].concat());
        for wrapping in [Wrapping::None, Wrapping::WebSocket, Wrapping::HttpChunk] {
            assert_eq!(wrapping.wrap(tag), wrapped(wrapping));
            assert_eq!(wrapping.wrap(b""), b"");
        }
    }

    #[test]
    fn web_socket_lengths_at_the_limits() {
        for (length, header) in [
            (125, &[0x82, 125][..]),
            (126, &[0x82, 126, 0, 126]),
            (65_535, &[0x82, 126, 0xff, 0xff]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let bytes = sent(Framing::Http { as_tags: false, wrapping: Wrapping::WebSocket }, &message(length));
            assert_eq!((&bytes[..header.len()], bytes.len()), (header, header.len() + length));
        }
    }
}
