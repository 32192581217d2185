//! The chunk stream (RTMP 1.0 §5.3): messages cut into chunks, so that a long video frame doesn't hold up
//! a short audio.
//!
//! ```text
//! chunk  = basic header (1–3) | message header (11, 7, 3 or 0) | extended timestamp (0 or 4) | data
//! type 0 = timestamp u24 | length u24 | message type u8 | message stream id u32 little endian
//! type 1 = delta u24     | length u24 | message type u8
//! type 2 = delta u24
//! type 3 = nothing: the message goes on, or a new one repeats everything
//! ```

mod format;
mod headers;
mod reader;
mod source;
mod writer;

pub use format::HeaderFormat;
pub use headers::ChunkHeaders;
pub use reader::ChunkReader;
pub use writer::{ChunkWriter, encode_message};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::media::Timestamp;

/// The value of a 24-bit timestamp field that says: the time stands in the extended field.
const EXTENDED: u32 = 0x00ff_ffff;

/// A message as the chunk stream carries it: its type is only a number, its payload only bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMessage {
    /// The chunk stream it travelled or shall travel on.
    pub chunk_stream_id: ChunkStreamId,
    /// Absolute time.
    pub timestamp: Timestamp,
    /// The message type (RTMP 1.0 §5.4 and §7.1).
    pub type_id: u8,
    /// The message stream; 0 is the connection itself.
    pub stream_id: u32,
    /// At most 2²⁴ − 1 bytes.
    pub payload: Bytes,
}

/// Number of a chunk stream: 2 to 65,599 (RTMP 1.0 §5.3.1.1).
///
/// ```
/// use gortmp::rtmp::chunk::ChunkStreamId;
///
/// assert_eq!(ChunkStreamId::new(3), Some(ChunkStreamId::COMMAND));
/// assert_eq!(u32::from(ChunkStreamId::CONTROL), 2);
/// ```
///
/// | id | bytes on the wire |
/// |---|---|
/// | 2–63 | `ff iiiiii`: format and id |
/// | 64–319 | `ff 000000`, id − 64 |
/// | 64–65,599 | `ff 000001`, id − 64 as u16 little endian |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkStreamId(u32);

impl ChunkStreamId {
    /// The protocol's own control messages.
    pub const CONTROL: Self = Self(2);
    /// Commands about the connection.
    pub const COMMAND: Self = Self(3);
    /// Audio.
    pub const AUDIO: Self = Self(4);
    /// Statuses and data of a message stream.
    pub const STREAM: Self = Self(5);
    /// Video.
    pub const VIDEO: Self = Self(6);

    /// The id with that number, if there can be one.
    pub fn new(id: u32) -> Option<Self> {
        (2..=65_599).contains(&id).then_some(Self(id))
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl From<ChunkStreamId> for u32 {
    fn from(id: ChunkStreamId) -> Self {
        id.get()
    }
}

impl TryFrom<u32> for ChunkStreamId {
    type Error = Error;

    /// The id with that number.
    fn try_from(id: u32) -> Result<Self> {
        let refused = || Error::Chunk { chunk_stream_id: id, position: 0, reason: "no such chunk stream".into() };
        Self::new(id).ok_or_else(refused)
    }
}

/// How many bytes of a message one chunk carries at most: 1 to 2³¹ − 1 (RTMP 1.0 §5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSize(u32);

impl ChunkSize {
    /// What both sides start with.
    pub const DEFAULT: Self = Self(128);

    /// What this crate sends with. Large, since it writes messages whole and every chunk costs a header;
    /// below 65,536, which is the most that OBS's reader is known to take.
    pub const LARGE: Self = Self(60_000);

    /// The size with that many bytes, or an error for 0 and for values with the top bit set.
    pub fn new(bytes: u32) -> Result<Self> {
        match bytes {
            1..=0x7fff_ffff => Ok(Self(bytes)),
            _ => Err(Error::message("Set Chunk Size", format!("{bytes} is not a size from 1 to 2147483647"))),
        }
    }

    /// Bytes, as announced.
    pub fn get(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_sizes_at_their_limits() {
        assert!(ChunkSize::new(0).is_err());
        assert_eq!(ChunkSize::new(1).unwrap().get(), 1);
        assert_eq!(ChunkSize::new(0x7fff_ffff).unwrap().get(), 0x7fff_ffff);
        assert!(ChunkSize::new(0x8000_0000).is_err());
    }

    #[test]
    fn chunk_stream_ids_at_their_limits() {
        assert_eq!(ChunkStreamId::new(1), None);
        assert_eq!(ChunkStreamId::new(2), Some(ChunkStreamId::CONTROL));
        assert!(ChunkStreamId::new(65_599).is_some());
        assert_eq!(ChunkStreamId::new(65_600), None);
    }
}
