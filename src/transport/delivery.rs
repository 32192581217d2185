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
    /// player, and nothing follows the end of an HTTP response. An RTMP client may play on after an end.
    pub(super) fn select(
        &mut self,
        stream_id: u32,
        messages: &[Arc<LiveMessage>],
        is_ending: bool,
    ) -> (Framing, usize) {
        match self {
            Self::Http { framing, .. } if is_ending => (*framing, 0),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fmp4::Init;
    use crate::live::{HTTP_STREAM_ID, PLAYER_STREAM_ID};
    use crate::transport::Wrapping;

    fn init() -> Arc<LiveMessage> {
        let init = Init { bytes: vec![1], codecs: String::new(), has_video: true, size: (0, 0) };
        Arc::new(LiveMessage::from_muxer(MuxerOutput::Init(init)))
    }

    #[test]
    fn an_rtmp_client_is_sent_messages_after_the_end_of_a_stream() {
        let messages = [init(), init()];
        for is_ending in [false, true] {
            let selected = Delivery::Rtmp.select(PLAYER_STREAM_ID, &messages, is_ending);
            assert_eq!(selected, (Framing::Chunks(PLAYER_STREAM_ID), 2));
        }
    }

    #[test]
    fn an_http_response_has_one_initialization_segment_and_nothing_after_its_end() {
        let framing = Framing::Http { as_tags: false, wrapping: Wrapping::None };
        let mut delivery = Delivery::Http { framing, has_init: false };
        let messages = [init(), init()];
        assert_eq!(delivery.select(HTTP_STREAM_ID, &messages, true).1, 0);
        assert_eq!(delivery.select(HTTP_STREAM_ID, &messages, false).1, 1);
        assert_eq!(delivery.select(HTTP_STREAM_ID, &messages, false).1, 0);
    }
}
