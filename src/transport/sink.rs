//! A connection as the sink of a live stream: the one place where lanes meet sockets.

use std::sync::Arc;

use super::delivery::Delivery;
use super::managed_connection::ManagedConnection;
use crate::limits;
use crate::live::{Backlog, LiveMessage, Sink, Skip};
use crate::session::playing;

impl Sink for ManagedConnection {
    fn push(&self, stream_id: u32, messages: &[Arc<LiveMessage>]) -> Backlog {
        let mut state = self.state.lock();
        let is_ending = state.deadlines.is_ending();
        let (framing, fitting) = state.delivery.select(stream_id, messages, is_ending);
        drop(state);
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
        self.drops.record(messages, skipped);
    }

    fn ended(&self, stream_id: u32) {
        if matches!(self.state.lock().delivery, Delivery::Http { .. }) {
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
