//! The state of one chunk stream, from which the short chunk headers take what they leave out (RTMP 1.0 §5.3.1.2).

use super::{ChunkStreamId, HeaderFormat};
use crate::media::Timestamp;

/// Initial capacity of a payload buffer, in bytes; beyond this it grows as bytes arrive.
pub(super) const FIRST_RESERVE: usize = 128 * 1024;

/// Largest delta, in milliseconds, that is taken from an absolute timestamp. By the specification, a message that starts
/// with a type 3 chunk right after a type 0 chunk is that chunk's whole timestamp later. ffmpeg means that; nginx-rtmp and
/// librtmp mean "at the same time". No frames are a minute apart, so above this the second reading applies.
const LONGEST_DELTA_FROM_ABSOLUTE: u32 = 60_000;

/// State of a chunk stream between its chunks.
#[derive(Debug)]
pub(super) struct ChunkStream {
    pub id: ChunkStreamId,
    pub timestamp: Timestamp,
    delta: u32,
    /// `delta` is the absolute timestamp of a type 0 chunk.
    delta_is_absolute: bool,
    /// Extended timestamp of the last chunk that could have one.
    pub extended: Option<u32>,
    pub length: usize,
    pub type_id: u8,
    pub stream_id: u32,
    pub in_progress: bool,
    pub payload: Vec<u8>,
}

impl ChunkStream {
    pub(super) fn new(id: ChunkStreamId) -> Self {
        Self {
            id,
            timestamp: Timestamp::ZERO,
            delta: 0,
            delta_is_absolute: false,
            extended: None,
            length: 0,
            type_id: 0,
            stream_id: 0,
            in_progress: false,
            payload: Vec::new(),
        }
    }

    /// Begins a message; `time` is the absolute timestamp of a type 0 chunk, the delta of types 1 and 2.
    pub(super) fn begin_message(
        &mut self,
        format: HeaderFormat,
        time: Option<u32>,
        extended: Option<u32>,
        length: usize,
        type_id: u8,
    ) {
        match (format, time) {
            (HeaderFormat::Full, Some(time)) => {
                self.timestamp = Timestamp::new(time);
                self.delta = time;
                self.delta_is_absolute = true;
            }
            (HeaderFormat::SameStream | HeaderFormat::SameLengthAndStream, Some(delta)) => {
                self.delta = delta;
                self.delta_is_absolute = false;
                self.timestamp = self.timestamp + delta;
            }
            _ if self.delta_is_absolute && self.delta > LONGEST_DELTA_FROM_ABSOLUTE => {}
            _ => self.timestamp = self.timestamp + self.delta,
        }
        self.extended = extended;
        self.length = length;
        self.type_id = type_id;
        self.in_progress = true;
    }

    /// Reserves room for `step` more bytes of payload: never more than the message has, nor, beyond the initial capacity,
    /// more than has arrived already.
    pub(super) fn reserve(&mut self, step: usize) {
        let (received, capacity) = (self.payload.len(), self.payload.capacity());
        if capacity - received < step {
            self.payload.reserve_exact((self.length - received).min(received.max(FIRST_RESERVE)));
        }
    }
}
