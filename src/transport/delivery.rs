//! How live messages are delivered to a client.

use std::sync::Arc;

use super::framing::Framing;
use crate::fmp4::MuxerOutput;
use crate::live::LiveMessage;

/// How live messages are delivered to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// In chunks, on the message stream that plays them.
    Rtmp,
    /// Not at all: responses bypass the queue.
    HttpResponse,
    /// In the body of one unbounded response.
    Http {
        /// The framing of each message.
        framing: Framing,
        /// The initialization segment has been sent.
        has_init: bool,
    },
}

impl Delivery {
    /// Returns the framing of these messages, and how many of them to send: a second initialization segment needs another
    /// player.
    pub(super) fn select(&mut self, stream_id: u32, messages: &[Arc<LiveMessage>]) -> (Framing, usize) {
        match self {
            Self::Http { framing, has_init } => {
                let is_init =
                    |message: &Arc<LiveMessage>| matches!(message.muxer_output.as_deref(), Some(MuxerOutput::Init(_)));
                let is_second = |message: &Arc<LiveMessage>| is_init(message) && std::mem::replace(has_init, true);
                (*framing, messages.iter().position(is_second).unwrap_or(messages.len()))
            }
            Self::Rtmp | Self::HttpResponse => (Framing::Chunks(stream_id), messages.len()),
        }
    }
}
