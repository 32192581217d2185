//! User Control messages (RTMP 1.0 §7.1.7): events about message streams and the connection.
//!
//! ```text
//! event type u16 | event data: usually a message stream id u32, or a timestamp u32
//! ```

use crate::error::{Error, Result};
use crate::rtmp::numbers::EventType;

/// A user control event. Stream ids are message stream ids.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserControl {
    /// 0: the stream is ready for use.
    StreamBegin(u32),
    /// 1: playback of the stream is over.
    StreamEof(u32),
    /// 2: no data has arrived for a while.
    StreamDry(u32),
    /// 3: the player's buffer length, which may be sent before `play`.
    SetBufferLength {
        /// Message stream id; 0 before there is one.
        stream_id: u32,
        /// Milliseconds.
        buffer_ms: u32,
    },
    /// 4: the stream is a recording.
    StreamIsRecorded(u32),
    /// 6: asks for a ping response; the timestamp is the sender's own.
    PingRequest(u32),
    /// 7: answers a ping request with its timestamp.
    PingResponse(u32),
    /// 0x1a: requests SWF verification. Never sent by this crate.
    VerifyRequest,
    /// 0x1b: the SWF verification response, 42 bytes that are not checked.
    VerifyResponse(Vec<u8>),
    /// 0x1f: the server's buffer for the stream is empty.
    BufferEmpty(u32),
    /// 0x20: the server's buffer for the stream is ready.
    BufferReady(u32),
    /// Any other event, which is ignored.
    Unknown {
        /// Event type.
        event: u16,
        /// Event data.
        data: Vec<u8>,
    },
}

impl UserControl {
    /// Decodes a payload.
    ///
    /// # Errors
    /// [`Error::Message`] if it is too short for its event.
    pub fn decode(payload: &[u8]) -> Result<Self> {
        let (event, data) = payload.split_first_chunk().ok_or_else(|| too_short(payload))?;
        let number = |at: usize| {
            let bytes = data.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map(|bytes| u32::from_be_bytes(*bytes)).ok_or_else(|| too_short(payload))
        };
        Ok(match EventType::from(u16::from_be_bytes(*event)) {
            EventType::StreamBegin => Self::StreamBegin(number(0)?),
            EventType::StreamEof => Self::StreamEof(number(0)?),
            EventType::StreamDry => Self::StreamDry(number(0)?),
            EventType::SetBufferLength => Self::SetBufferLength { stream_id: number(0)?, buffer_ms: number(4)? },
            EventType::StreamIsRecorded => Self::StreamIsRecorded(number(0)?),
            EventType::PingRequest => Self::PingRequest(number(0)?),
            EventType::PingResponse => Self::PingResponse(number(0)?),
            EventType::VerifyRequest => Self::VerifyRequest,
            EventType::VerifyResponse => Self::VerifyResponse(data.to_vec()),
            EventType::BufferEmpty => Self::BufferEmpty(number(0)?),
            EventType::BufferReady => Self::BufferReady(number(0)?),
            EventType::Other(event) => Self::Unknown { event, data: data.to_vec() },
        })
    }

    /// Returns the type of the event.
    pub fn event_type(&self) -> EventType {
        match self {
            Self::StreamBegin(_) => EventType::StreamBegin,
            Self::StreamEof(_) => EventType::StreamEof,
            Self::StreamDry(_) => EventType::StreamDry,
            Self::SetBufferLength { .. } => EventType::SetBufferLength,
            Self::StreamIsRecorded(_) => EventType::StreamIsRecorded,
            Self::PingRequest(_) => EventType::PingRequest,
            Self::PingResponse(_) => EventType::PingResponse,
            Self::VerifyRequest => EventType::VerifyRequest,
            Self::VerifyResponse(_) => EventType::VerifyResponse,
            Self::BufferEmpty(_) => EventType::BufferEmpty,
            Self::BufferReady(_) => EventType::BufferReady,
            Self::Unknown { event, .. } => EventType::from(*event),
        }
    }

    /// Encodes the payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = self.event_type().number().to_be_bytes().to_vec();
        match self {
            Self::StreamBegin(number)
            | Self::StreamEof(number)
            | Self::StreamDry(number)
            | Self::StreamIsRecorded(number)
            | Self::PingRequest(number)
            | Self::PingResponse(number)
            | Self::BufferEmpty(number)
            | Self::BufferReady(number) => payload.extend_from_slice(&number.to_be_bytes()),
            Self::SetBufferLength { stream_id, buffer_ms } => {
                payload.extend_from_slice(&stream_id.to_be_bytes());
                payload.extend_from_slice(&buffer_ms.to_be_bytes());
            }
            Self::VerifyRequest => payload.push(1),
            Self::VerifyResponse(data) | Self::Unknown { data, .. } => payload.extend_from_slice(data),
        }
        payload
    }
}

fn too_short(payload: &[u8]) -> Error {
    Error::message("User Control", format!("{} bytes are too few for the event", payload.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_as_on_the_wire() {
        let cases = [
            (UserControl::StreamBegin(1), &[0, 0, 0, 0, 0, 1][..]),
            (UserControl::StreamEof(1), &[0, 1, 0, 0, 0, 1]),
            (UserControl::StreamDry(1), &[0, 2, 0, 0, 0, 1]),
            (UserControl::SetBufferLength { stream_id: 1, buffer_ms: 3000 }, &[0, 3, 0, 0, 0, 1, 0, 0, 0x0b, 0xb8]),
            (UserControl::StreamIsRecorded(1), &[0, 4, 0, 0, 0, 1]),
            (UserControl::PingRequest(0x0102_0304), &[0, 6, 1, 2, 3, 4]),
            (UserControl::PingResponse(0x0102_0304), &[0, 7, 1, 2, 3, 4]),
            (UserControl::VerifyRequest, &[0, 0x1a, 1]),
            (UserControl::VerifyResponse(vec![1, 1]), &[0, 0x1b, 1, 1]),
            (UserControl::BufferEmpty(1), &[0, 0x1f, 0, 0, 0, 1]),
            (UserControl::BufferReady(1), &[0, 0x20, 0, 0, 0, 1]),
            (UserControl::Unknown { event: 5, data: vec![9] }, &[0, 5, 9]),
        ];
        for (event, bytes) in cases {
            assert_eq!(event.encode(), bytes);
            assert_eq!(UserControl::decode(bytes).unwrap(), event);
        }
    }

    #[test]
    fn short_payloads_are_errors() {
        for short in [&[][..], &[0], &[0, 0], &[0, 0, 0, 0, 0], &[0, 3, 0, 0, 0, 1, 0, 0, 0]] {
            assert!(UserControl::decode(short).is_err(), "{short:?}");
        }
    }
}
