//! The chunk stream (RTMP 1.0 §5.3): messages are split into chunks, so that a long video message doesn't delay a
//! short audio message.
//!
//! ```text
//! chunk  = basic header (1–3) | message header (11, 7, 3 or 0) | extended timestamp (0 or 4) | data
//! type 0 = timestamp u24 | length u24 | message type u8 | message stream id u32 little endian
//! type 1 = delta u24     | length u24 | message type u8
//! type 2 = delta u24
//! type 3 = nothing: continues the message, or begins a new one with the same header
//! ```

mod chunk_stream;
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

/// Value of the 24-bit timestamp field when the extended timestamp field is present (RTMP 1.0 §5.3.1.3).
const EXTENDED: u32 = 0x00ff_ffff;

/// A message as the chunk stream carries it, with its type and payload not yet interpreted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMessage {
    /// The chunk stream that it came in or goes out on.
    pub chunk_stream_id: ChunkStreamId,
    /// Absolute timestamp.
    pub timestamp: Timestamp,
    /// The message type (RTMP 1.0 §5.4 and §7.1).
    pub type_id: u8,
    /// The message stream id; 0 is the connection itself.
    pub stream_id: u32,
    /// At most 2²⁴ − 1 bytes.
    pub payload: Bytes,
}

/// A chunk stream id: 2 to 65,599 (RTMP 1.0 §5.3.1.1).
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
    /// Protocol control messages and user control messages.
    pub const CONTROL: Self = Self(2);
    /// Commands on message stream 0.
    pub const COMMAND: Self = Self(3);
    /// Audio.
    pub const AUDIO: Self = Self(4);
    /// Commands and data messages of a message stream.
    pub const STREAM: Self = Self(5);
    /// Video.
    pub const VIDEO: Self = Self(6);

    /// Returns the id with that number, if it is valid.
    pub fn new(id: u32) -> Option<Self> {
        (2..=65_599).contains(&id).then_some(Self(id))
    }

    /// Returns the number.
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

    /// Returns the id with that number, or [`Error::Chunk`].
    fn try_from(id: u32) -> Result<Self> {
        let refused = || Error::Chunk { chunk_stream_id: id, position: 0, reason: "no such chunk stream".into() };
        Self::new(id).ok_or_else(refused)
    }
}

/// The largest number of message bytes in one chunk: 1 to 2³¹ − 1 (RTMP 1.0 §5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSize(u32);

impl ChunkSize {
    /// The size that both sides start with.
    pub const DEFAULT: Self = Self(128);

    /// The size that this crate sends with: large, since messages are written whole and each chunk costs a header, and
    /// below 65,536, the largest size that OBS is known to accept.
    pub const LARGE: Self = Self(60_000);

    /// Returns the size of that many bytes.
    ///
    /// # Errors
    /// [`Error::Message`] for 0 and for values with the top bit set.
    pub fn new(bytes: u32) -> Result<Self> {
        match bytes {
            1..=0x7fff_ffff => Ok(Self(bytes)),
            _ => Err(Error::message("Set Chunk Size", format!("{bytes} is not a size from 1 to 2147483647"))),
        }
    }

    /// Returns the size in bytes.
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
