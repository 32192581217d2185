//! The wire format of RTMP 1.0: handshake, chunk stream, messages, commands.
//!
//! Everything here works on `Read` and `Write` or plain bytes, never on sockets.
//!
//! # Numbers by their names
//!
//! Programs written against the original gortmp, the Go package that this crate replaces, find its constants here; each
//! converts from and to its number:
//!
//! | there | here | number |
//! |---|---|---|
//! | `AMF0_NUMBER_MARKER` | [`Marker::Number`](crate::amf::Marker::Number) | 0x00 |
//! | `AMF0_BOOLEAN_MARKER` | [`Marker::Boolean`](crate::amf::Marker::Boolean) | 0x01 |
//! | `AMF0_STRING_MARKER` | [`Marker::String`](crate::amf::Marker::String) | 0x02 |
//! | `AMF0_OBJECT_MARKER` | [`Marker::Object`](crate::amf::Marker::Object) | 0x03 |
//! | `AMF0_MOVIECLIP_MARKER` | [`Marker::MovieClip`](crate::amf::Marker::MovieClip) | 0x04 |
//! | `AMF0_NULL_MARKER` | [`Marker::Null`](crate::amf::Marker::Null) | 0x05 |
//! | `AMF0_UNDEFINED_MARKER` | [`Marker::Undefined`](crate::amf::Marker::Undefined) | 0x06 |
//! | `AMF0_REFERENCE_MARKER` | [`Marker::Reference`](crate::amf::Marker::Reference) | 0x07 |
//! | `AMF0_ECMA_ARRAY_MARKER` | [`Marker::EcmaArray`](crate::amf::Marker::EcmaArray) | 0x08 |
//! | `AMF0_OBJECT_END_MARKER` | [`Marker::ObjectEnd`](crate::amf::Marker::ObjectEnd) | 0x09 |
//! | `AMF0_STRICT_ARRAY_MARKER` | [`Marker::StrictArray`](crate::amf::Marker::StrictArray) | 0x0a |
//! | `AMF0_DATE_MARKER` | [`Marker::Date`](crate::amf::Marker::Date) | 0x0b |
//! | `AMF0_LONG_STRING_MARKER` | [`Marker::LongString`](crate::amf::Marker::LongString) | 0x0c |
//! | `AMF0_UNSUPPORTED_MARKER` | [`Marker::Unsupported`](crate::amf::Marker::Unsupported) | 0x0d |
//! | `AMF0_RECORDSET_MARKER` | [`Marker::RecordSet`](crate::amf::Marker::RecordSet) | 0x0e |
//! | `AMF0_XML_DOCUMENT_MARKER` | [`Marker::XmlDocument`](crate::amf::Marker::XmlDocument) | 0x0f |
//! | `AMF0_TYPED_OBJECT_MARKER` | [`Marker::TypedObject`](crate::amf::Marker::TypedObject) | 0x10 |
//! | `AMF0_ACMPLUS_OBJECT_MARKER` | [`Marker::Amf3`](crate::amf::Marker::Amf3) | 0x11 |
//! | `HEADER_FMT_FULL` | [`HeaderFormat::Full`](chunk::HeaderFormat::Full) | 0 |
//! | `HEADER_FMT_SAME_STREAM` | [`HeaderFormat::SameStream`](chunk::HeaderFormat::SameStream) | 1 |
//! | `HEADER_FMT_SAME_LENGTH_AND_STREAM` | [`HeaderFormat::SameLengthAndStream`](chunk::HeaderFormat::SameLengthAndStream) | 2 |
//! | `HEADER_FMT_CONTINUATION` | [`HeaderFormat::Continuation`](chunk::HeaderFormat::Continuation) | 3 |
//! | `CS_ID_PROTOCOL_CONTROL` | [`ChunkStreamId::CONTROL`](chunk::ChunkStreamId::CONTROL) | 2 |
//! | `CS_ID_COMMAND` | [`ChunkStreamId::COMMAND`](chunk::ChunkStreamId::COMMAND) | 3 |
//! | | [`ChunkStreamId::AUDIO`](chunk::ChunkStreamId::AUDIO) | 4 |
//! | | [`ChunkStreamId::STREAM`](chunk::ChunkStreamId::STREAM) | 5 |
//! | | [`ChunkStreamId::VIDEO`](chunk::ChunkStreamId::VIDEO) | 6 |
//! | `SET_CHUNK_SIZE` | [`MessageType::SetChunkSize`] | 1 |
//! | `ABORT_MESSAGE` | [`MessageType::Abort`] | 2 |
//! | `ACKNOWLEDGEMENT` | [`MessageType::Acknowledgement`] | 3 |
//! | `USER_CONTROL_MESSAGE` | [`MessageType::UserControl`] | 4 |
//! | `WINDOW_ACKNOWLEDGEMENT_SIZE` | [`MessageType::WindowAckSize`] | 5 |
//! | `SET_PEER_BANDWIDTH` | [`MessageType::SetPeerBandwidth`] | 6 |
//! | `AUDIO_TYPE` | [`MessageType::Audio`] | 8 |
//! | `VIDEO_TYPE` | [`MessageType::Video`] | 9 |
//! | `DATA_AMF3` | [`MessageType::DataAmf3`] | 15 |
//! | `SHARED_OBJECT_AMF3` | [`MessageType::SharedObjectAmf3`] | 16 |
//! | `COMMAND_AMF3` | [`MessageType::CommandAmf3`] | 17 |
//! | `DATA_AMF0` | [`MessageType::DataAmf0`] | 18 |
//! | `SHARED_OBJECT_AMF0` | [`MessageType::SharedObjectAmf0`] | 19 |
//! | `COMMAND_AMF0` | [`MessageType::CommandAmf0`] | 20 |
//! | `AGGREGATE_MESSAGE_TYPE` | [`MessageType::Aggregate`] | 22 |
//! | `EVENT_STREAM_BEGIN` | [`EventType::StreamBegin`] | 0 |
//! | `EVENT_STREAM_EOF` | [`EventType::StreamEof`] | 1 |
//! | `EVENT_STREAM_DRY` | [`EventType::StreamDry`] | 2 |
//! | `EVENT_SET_BUFFER_LENGTH` | [`EventType::SetBufferLength`] | 3 |
//! | `EVENT_STREAM_IS_RECORDED` | [`EventType::StreamIsRecorded`] | 4 |
//! | `EVENT_PING_REQUEST` | [`EventType::PingRequest`] | 6 |
//! | `EVENT_PING_RESPONSE` | [`EventType::PingResponse`] | 7 |
//! | `EVENT_REQUEST_VERIFY` | [`EventType::VerifyRequest`] | 0x1a |
//! | `EVENT_RESPOND_VERIFY` | [`EventType::VerifyResponse`] | 0x1b |
//! | `EVENT_BUFFER_EMPTY` | [`EventType::BufferEmpty`] | 0x1f |
//! | `EVENT_BUFFER_READY` | [`EventType::BufferReady`] | 0x20 |
//! | `BANDWIDTH_LIMIT_HARD` | [`BandwidthLimit::Hard`] | 0 |
//! | `BANDWIDTH_LIMIT_SOFT` | [`BandwidthLimit::Soft`] | 1 |
//! | `BANDWIDTH_LIMIT_DYNAMIC` | [`BandwidthLimit::Dynamic`] | 2 |
//!
//! ```
//! use gortmp::amf::Marker::{self, *};
//! use gortmp::rtmp::chunk::{ChunkStreamId, HeaderFormat};
//! use gortmp::rtmp::{BandwidthLimit, EventType, MessageType};
//!
//! let markers = [
//!     Number, Boolean, String, Object, MovieClip, Null, Undefined, Reference, EcmaArray, ObjectEnd, StrictArray, Date,
//!     LongString, Unsupported, RecordSet, XmlDocument, TypedObject, Amf3,
//! ];
//! for (number, marker) in (0x00..=0x11).zip(markers) {
//!     assert_eq!((Marker::from(number), u8::from(marker)), (marker, number));
//! }
//!
//! let formats =
//!     [HeaderFormat::Full, HeaderFormat::SameStream, HeaderFormat::SameLengthAndStream, HeaderFormat::Continuation];
//! for (number, format) in (0..=3).zip(formats) {
//!     assert_eq!((HeaderFormat::try_from(number)?, u8::from(format)), (format, number));
//! }
//!
//! type Id = ChunkStreamId;
//! assert_eq!([Id::CONTROL, Id::COMMAND, Id::AUDIO, Id::STREAM, Id::VIDEO].map(u32::from), [2, 3, 4, 5, 6]);
//!
//! let types = [
//!     (1, MessageType::SetChunkSize),
//!     (2, MessageType::Abort),
//!     (3, MessageType::Acknowledgement),
//!     (4, MessageType::UserControl),
//!     (5, MessageType::WindowAckSize),
//!     (6, MessageType::SetPeerBandwidth),
//!     (7, MessageType::Other(7)),
//!     (8, MessageType::Audio),
//!     (9, MessageType::Video),
//!     (15, MessageType::DataAmf3),
//!     (16, MessageType::SharedObjectAmf3),
//!     (17, MessageType::CommandAmf3),
//!     (18, MessageType::DataAmf0),
//!     (19, MessageType::SharedObjectAmf0),
//!     (20, MessageType::CommandAmf0),
//!     (22, MessageType::Aggregate),
//! ];
//! for (number, message_type) in types {
//!     assert_eq!((MessageType::from(number), u8::from(message_type)), (message_type, number));
//! }
//!
//! let events = [
//!     (0, EventType::StreamBegin),
//!     (1, EventType::StreamEof),
//!     (2, EventType::StreamDry),
//!     (3, EventType::SetBufferLength),
//!     (4, EventType::StreamIsRecorded),
//!     (5, EventType::Other(5)),
//!     (6, EventType::PingRequest),
//!     (7, EventType::PingResponse),
//!     (0x1a, EventType::VerifyRequest),
//!     (0x1b, EventType::VerifyResponse),
//!     (0x1f, EventType::BufferEmpty),
//!     (0x20, EventType::BufferReady),
//! ];
//! for (number, event) in events {
//!     assert_eq!((EventType::from(number), u16::from(event)), (event, number));
//! }
//!
//! let limits = [BandwidthLimit::Hard, BandwidthLimit::Soft, BandwidthLimit::Dynamic, BandwidthLimit::Other(3)];
//! assert_eq!(limits.map(u8::from), [0, 1, 2, 3]);
//! assert_eq!([0, 1, 2, 3].map(BandwidthLimit::from), limits);
//! # Ok::<(), gortmp::Error>(())
//! ```

pub mod chunk;
pub mod command;
pub mod handshake;
pub mod message;
mod numbers;
pub mod status;
pub mod user_control;

pub use message::Message;
pub use numbers::{BandwidthLimit, EventType, MessageType};
pub use user_control::UserControl;
