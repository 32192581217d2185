//! Messages by type (RTMP 1.0 §5.4, §6, §7.1).

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::limits;
use crate::media::{Packet, PacketKind, Timestamp};
use crate::rtmp::chunk::{ChunkHeaders, ChunkSize, ChunkStreamId, RawMessage};
use crate::rtmp::command::Command;
use crate::rtmp::numbers::{BandwidthLimit, MessageType};
use crate::rtmp::user_control::UserControl;

/// A decoded message.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Message {
    /// Type 1.
    SetChunkSize(ChunkSize),
    /// Type 2: the chunk stream id.
    Abort(u32),
    /// Type 3: bytes received, modulo 2³².
    Acknowledgement(u32),
    /// Type 4.
    UserControl(UserControl),
    /// Type 5: the window in bytes.
    WindowAckSize(u32),
    /// Type 6.
    SetPeerBandwidth {
        /// Window in bytes.
        size: u32,
        /// Limit type.
        limit: BandwidthLimit,
    },
    /// Types 8, 9, 18 and 15; the payload of the last is converted to that of type 18.
    Media(Packet),
    /// Types 20 and 17.
    Command(Command),
    /// Type 22, as its sub-messages.
    Aggregate(Vec<Packet>),
    /// Shared objects and unknown types, which are ignored.
    Other(u8),
}

impl Message {
    /// Decodes a message by its type.
    ///
    /// # Errors
    /// [`Error::Message`] and [`Error::Amf`] if the payload is malformed.
    pub fn decode(raw: RawMessage) -> Result<Self> {
        let number = |name: &'static str| {
            let bytes = raw.payload.first_chunk().ok_or_else(|| Error::message(name, "shorter than 4 bytes"))?;
            Ok::<u32, Error>(u32::from_be_bytes(*bytes))
        };
        Ok(match MessageType::from(raw.type_id) {
            MessageType::SetChunkSize => Self::SetChunkSize(ChunkSize::new(number("Set Chunk Size")?)?),
            MessageType::Abort => Self::Abort(number("Abort")?),
            MessageType::Acknowledgement => Self::Acknowledgement(number("Acknowledgement")?),
            MessageType::UserControl => Self::UserControl(UserControl::decode(&raw.payload)?),
            MessageType::WindowAckSize => Self::WindowAckSize(number("Window Acknowledgement Size")?),
            MessageType::SetPeerBandwidth => Self::SetPeerBandwidth {
                size: number("Set Peer Bandwidth")?,
                limit: raw.payload.get(4).map_or(BandwidthLimit::Dynamic, |limit| BandwidthLimit::from(*limit)),
            },
            MessageType::Audio => Self::media(PacketKind::Audio, raw.timestamp, raw.payload),
            MessageType::Video => Self::media(PacketKind::Video, raw.timestamp, raw.payload),
            MessageType::DataAmf0 => Self::media(PacketKind::Data, raw.timestamp, raw.payload),
            MessageType::DataAmf3 => {
                Self::media(PacketKind::Data, raw.timestamp, raw.payload.slice_ref(without_selector(&raw.payload)))
            }
            MessageType::CommandAmf0 => Self::Command(Command::decode(&raw.payload)?),
            MessageType::CommandAmf3 => Self::Command(Command::decode(without_selector(&raw.payload))?),
            MessageType::Aggregate => Self::Aggregate(split_aggregate(raw.timestamp, &raw.payload)?),
            MessageType::SharedObjectAmf0 | MessageType::SharedObjectAmf3 | MessageType::Other(_) => {
                Self::Other(raw.type_id)
            }
        })
    }

    fn media(kind: PacketKind, timestamp: Timestamp, payload: Bytes) -> Self {
        Self::Media(Packet { kind, timestamp, payload })
    }

    /// Encodes the message for its usual chunk stream. Media keeps its timestamp, everything else has 0. Returns `None`
    /// for what this crate only receives: aggregates and [`Message::Other`].
    pub fn encode(&self, stream_id: u32) -> Option<RawMessage> {
        let (message_type, payload) = match self {
            Self::SetChunkSize(size) => (MessageType::SetChunkSize, size.get().to_be_bytes().to_vec()),
            Self::Abort(chunk_stream_id) => (MessageType::Abort, chunk_stream_id.to_be_bytes().to_vec()),
            Self::Acknowledgement(bytes) => (MessageType::Acknowledgement, bytes.to_be_bytes().to_vec()),
            Self::UserControl(event) => (MessageType::UserControl, event.encode()),
            Self::WindowAckSize(bytes) => (MessageType::WindowAckSize, bytes.to_be_bytes().to_vec()),
            Self::SetPeerBandwidth { size, limit } => {
                (MessageType::SetPeerBandwidth, [&size.to_be_bytes()[..], &[limit.number()]].concat())
            }
            Self::Command(command) => (MessageType::CommandAmf0, command.encode()),
            Self::Media(packet) => return Some(media_message(packet.clone(), stream_id)),
            Self::Aggregate(_) | Self::Other(_) => return None,
        };
        let (chunk_stream_id, stream_id) = match (message_type, stream_id) {
            (MessageType::CommandAmf0, 0) => (ChunkStreamId::COMMAND, 0),
            (MessageType::CommandAmf0, _) => (ChunkStreamId::STREAM, stream_id),
            _ => (ChunkStreamId::CONTROL, 0),
        };
        let type_id = message_type.number();
        Some(RawMessage { chunk_stream_id, timestamp: Timestamp::ZERO, type_id, stream_id, payload: payload.into() })
    }
}

/// Converts a packet to a message on its usual chunk stream.
pub fn media_message(packet: Packet, stream_id: u32) -> RawMessage {
    RawMessage {
        chunk_stream_id: chunk_stream_for(packet.kind),
        timestamp: packet.timestamp,
        type_id: packet.kind.type_id(),
        stream_id,
        payload: packet.payload,
    }
}

/// Builds the chunk headers of a packet on a message stream.
pub(crate) fn media_headers(packet: &Packet, stream_id: u32) -> ChunkHeaders {
    let Packet { kind, timestamp, payload } = packet;
    ChunkHeaders::new(chunk_stream_for(*kind), *timestamp, kind.type_id(), stream_id, payload.len())
}

/// Returns the chunk stream on which this crate sends audio, video or data.
pub(crate) fn chunk_stream_for(kind: PacketKind) -> ChunkStreamId {
    match kind {
        PacketKind::Audio => ChunkStreamId::AUDIO,
        PacketKind::Video => ChunkStreamId::VIDEO,
        PacketKind::Data => ChunkStreamId::STREAM,
    }
}

/// Strips the zero byte that precedes the AMF0 values in messages of AMF3 type; some senders leave it out.
fn without_selector(payload: &[u8]) -> &[u8] {
    payload.strip_prefix(&[0]).unwrap_or(payload)
}

/// Splits an aggregate message into its sub-messages (RTMP 1.0 §7.1.6).
///
/// ```text
/// { type u8 | length u24 | timestamp u24, its high byte u8 | stream id u24 | data | back pointer u32 } …
/// ```
///
/// The aggregate's own timestamp is that of the first sub-message, and the others keep their offset to it. A missing
/// last back pointer is tolerated, sub-messages other than media are ignored.
fn split_aggregate(timestamp: Timestamp, mut rest: &[u8]) -> Result<Vec<Packet>> {
    let broken = || Error::message("Aggregate", "a sub-message reaches past its end");
    let mut packets = Vec::new();
    let mut first_time = None;
    let mut count = 0;
    while !rest.is_empty() {
        count += 1;
        if count > limits::AGGREGATE_MESSAGES {
            let limit = limits::AGGREGATE_MESSAGES as u64;
            return Err(Error::Limit { what: "the number of messages in an aggregate", value: count as u64, limit });
        }
        let (header, after) = rest.split_first_chunk::<11>().ok_or_else(broken)?;
        let length = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
        let time = Timestamp::new(u32::from_be_bytes([header[7], header[4], header[5], header[6]]));
        let (data, after) = after.split_at_checked(length).ok_or_else(broken)?;
        let offset = time - *first_time.get_or_insert(time);
        if let Some(kind) = PacketKind::from_type_id(header[0]) {
            packets.push(Packet { kind, timestamp: timestamp + offset, payload: Bytes::copy_from_slice(data) });
        }
        rest = after.get(4..).unwrap_or_default();
    }
    Ok(packets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(type_id: u8, payload: &[u8]) -> RawMessage {
        RawMessage {
            chunk_stream_id: ChunkStreamId::COMMAND,
            timestamp: Timestamp::new(500),
            type_id,
            stream_id: 1,
            payload: payload.to_vec().into(),
        }
    }

    #[test]
    fn control_messages_as_on_the_wire() {
        let cases = [
            (Message::SetChunkSize(ChunkSize::new(65_536).unwrap()), 1, &[0, 1, 0, 0][..]),
            (Message::Abort(6), 2, &[0, 0, 0, 6]),
            (Message::Acknowledgement(2_500_000), 3, &[0, 0x26, 0x25, 0xa0]),
            (Message::UserControl(UserControl::StreamBegin(1)), 4, &[0, 0, 0, 0, 0, 1]),
            (Message::WindowAckSize(2_500_000), 5, &[0, 0x26, 0x25, 0xa0]),
            (
                Message::SetPeerBandwidth { size: 2_500_000, limit: BandwidthLimit::Dynamic },
                6,
                &[0, 0x26, 0x25, 0xa0, 2],
            ),
        ];
        for (message, type_id, payload) in cases {
            let encoded = message.encode(0).unwrap();
            assert_eq!((encoded.type_id, &encoded.payload[..]), (type_id, payload));
            assert_eq!(encoded.chunk_stream_id, ChunkStreamId::CONTROL);
            assert_eq!(Message::decode(encoded).unwrap(), message);
            assert!(Message::decode(raw(type_id, &payload[..3])).is_err() || type_id == 4);
        }
    }

    #[test]
    fn the_message_stream_determines_the_chunk_stream_of_a_command() {
        let command = Message::Command(Command::new("onStatus", Vec::new()));
        assert_eq!(command.encode(0).unwrap().chunk_stream_id, ChunkStreamId::COMMAND);
        assert_eq!(command.encode(1).unwrap().chunk_stream_id, ChunkStreamId::STREAM);
    }

    #[test]
    fn amf3_messages_decode_with_and_without_their_first_byte() {
        let play = b"\x02\x00\x04play";
        let expected = Message::Command(Command::new("play", Vec::new()));
        assert_eq!(Message::decode(raw(17, &[b"\0", &play[..]].concat())).unwrap(), expected);
        assert_eq!(Message::decode(raw(17, play)).unwrap(), expected);
        let Message::Media(data) = Message::decode(raw(15, b"\0\x02\0\x01a")).unwrap() else { panic!() };
        assert_eq!((data.kind, &data.payload[..]), (PacketKind::Data, &b"\x02\0\x01a"[..]));
    }

    #[test]
    fn shared_objects_and_unknown_types_are_not_interpreted() {
        for type_id in [0, 7, 14, 16, 19, 21, 23, 255] {
            assert_eq!(Message::decode(raw(type_id, b"\0\x01a")).unwrap(), Message::Other(type_id));
        }
    }

    /// An audio frame `af 01 21` at 1000 ms and a video frame `27 01 00 00 00` at 1023 ms.
    const AGGREGATE: &[u8] = &[
        8, 0, 0, 3, 0, 3, 0xe8, 0, 0, 0, 0, 0xaf, 1, 0x21, 0, 0, 0, 14, //
        9, 0, 0, 5, 0, 3, 0xff, 0, 0, 0, 0, 0x27, 1, 0, 0, 0, 0, 0, 0, 16,
    ];

    #[test]
    fn an_aggregate_keeps_the_intervals_between_its_messages() {
        for bytes in [AGGREGATE, &AGGREGATE[..AGGREGATE.len() - 4]] {
            let Message::Aggregate(packets) = Message::decode(raw(22, bytes)).unwrap() else { panic!() };
            let timestamps: Vec<_> = packets.iter().map(|p| (p.kind, p.timestamp.milliseconds())).collect();
            assert_eq!(timestamps, [(PacketKind::Audio, 500), (PacketKind::Video, 523)]);
            assert_eq!(packets[1].payload[..], [0x27, 1, 0, 0, 0]);
        }
    }

    #[test]
    fn a_truncated_aggregate_is_an_error() {
        for length in [1, 10, 13, 19, AGGREGATE.len() - 5] {
            assert!(Message::decode(raw(22, &AGGREGATE[..length])).is_err(), "{length}");
        }
        assert_eq!(Message::decode(raw(22, &[])).unwrap(), Message::Aggregate(Vec::new()));
    }

    #[test]
    fn aggregate_message_count_at_the_limit_and_one_past() {
        let empty = [8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];
        assert!(Message::decode(raw(22, &empty.repeat(limits::AGGREGATE_MESSAGES))).is_ok());
        let error = Message::decode(raw(22, &empty.repeat(limits::AGGREGATE_MESSAGES + 1))).unwrap_err();
        assert!(matches!(error, Error::Limit { .. }));
    }

    #[test]
    fn timestamps_in_an_aggregate_have_their_high_byte_last() {
        let mut bytes = AGGREGATE.to_vec();
        bytes[25] = 1;
        let Message::Aggregate(packets) = Message::decode(raw(22, &bytes)).unwrap() else { panic!() };
        assert_eq!(packets[1].timestamp, Timestamp::new(500 + 23 + (1 << 24)));
    }
}
