//! Delivery of live messages to a client: the one place where lanes meet sockets.

use std::sync::Arc;

use super::framing::Framing;
use super::managed_connection::ManagedConnection;
use crate::fmp4::MuxerOutput;
use crate::limits;
use crate::live::{Backlog, HTTP_STREAM_ID, LiveMessage, Sink, Skip};
use crate::session::playing;

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
        /// The initialisation segment has been sent.
        has_init: bool,
    },
}

impl ManagedConnection {
    /// Returns the framing of these messages, and how many of them to send: a second initialisation segment needs
    /// another player, and nothing follows the end.
    fn deliverable(&self, stream_id: u32, messages: &[Arc<LiveMessage>]) -> (Framing, usize) {
        let mut state = self.state.lock();
        let is_ending = state.deadlines.is_ending();
        match &mut state.delivery {
            Delivery::Http { framing, has_init } => {
                let is_init =
                    |message: &Arc<LiveMessage>| matches!(message.muxer_output.as_deref(), Some(MuxerOutput::Init(_)));
                let is_second = |message: &Arc<LiveMessage>| is_init(message) && std::mem::replace(has_init, true);
                let fitting = messages.iter().position(is_second).unwrap_or(messages.len());
                (*framing, if is_ending { 0 } else { fitting })
            }
            Delivery::Rtmp | Delivery::HttpResponse => (Framing::Chunks(stream_id), messages.len()),
        }
    }

    fn is_http_stream(&self) -> bool {
        matches!(self.state.lock().delivery, Delivery::Http { .. })
    }
}

impl Sink for ManagedConnection {
    fn push(&self, stream_id: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
        let (framing, fitting) = self.deliverable(stream_id, messages);
        let (backlog, needed) = self.outgoing.send_live(framing, &messages[..fitting]);
        self.schedule_flush_if(needed);
        if fitting < messages.len() {
            self.end_streaming("the tracks have changed");
        }
        backlog
    }

    fn skip(&self, stream_id: u32, what: Skip) -> usize {
        self.outgoing.skip(stream_id, what)
    }

    fn backlog(&self) -> Backlog {
        self.outgoing.backlog()
    }

    fn flush(&self) -> bool {
        self.outgoing.flush()
    }

    fn sent(&self) -> u64 {
        self.outgoing.sent()
    }

    fn record_drops(&self, messages: u64, skipped: bool) {
        self.drops.note(messages, skipped);
    }

    fn ended(&self, stream_id: u32) {
        if self.is_http_stream() {
            debug_assert_eq!(stream_id, HTTP_STREAM_ID);
            return self.end_streaming("the stream has ended");
        }
        self.reply(&playing::live_ended(stream_id));
        self.stream_ended(stream_id, limits::CLOSE_GRACE, "the stream has ended");
    }

    fn abandon(&self, reason: &str) {
        self.close(reason);
    }

    fn peer(&self) -> &str {
        self.name()
    }
}
