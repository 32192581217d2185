//! What a connection's own thread sends to its client.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use super::deadlines::Phase;
use super::delivery::Delivery;
use super::framing::Framing;
use super::managed_connection::ManagedConnection;
use crate::error::Result;
use crate::limits;
use crate::live::HTTP_STREAM_ID;
use crate::media::Packet;
use crate::session::Reply;

impl ManagedConnection {
    /// Sends RTMP replies, in order with everything else.
    pub(crate) fn reply(&self, replies: &[Reply]) {
        let needed = self.outgoing.reply(replies);
        self.schedule_flush_if(needed);
    }

    /// Enqueues bytes.
    pub(crate) fn enqueue(&self, bytes: Vec<u8>) {
        let needed = self.outgoing.enqueue_bytes(bytes);
        self.schedule_flush_if(needed);
    }

    /// Sends packets on an RTMP message stream and waits until the socket has taken them, as long as `should_continue`
    /// returns true. `more` announces that others follow at once.
    ///
    /// # Errors
    /// [`crate::Error::Disconnected`] when the connection is broken or `should_continue` returned false.
    pub(crate) fn send_packets(
        &self,
        stream_id: u32,
        packets: &[Packet],
        more: bool,
        should_continue: impl Fn() -> bool,
    ) -> Result<()> {
        let result = self.outgoing.send_packets(stream_id, packets, more, should_continue);
        self.schedule_flush_if(self.outgoing.needs_flush());
        result
    }

    /// Sends bytes past the queue, which has to be empty, waiting for the socket for at most `timeout` at a time.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub(crate) fn send(&self, slices: &mut [IoSlice<'_>], timeout: Duration) -> Result<()> {
        self.socket().send_all(slices, timeout)
    }

    /// Drops what is queued of a live play that has ended.
    pub(crate) fn discard(&self, stream_id: u32) {
        self.outgoing.discard(stream_id);
    }

    /// Sends `head`, after which the lanes stream over HTTP.
    pub(crate) fn start_streaming(&self, framing: Framing, head: Vec<u8>) {
        let mut state = self.state.lock();
        state.deadlines.enter(Phase::Streaming, 1, Instant::now());
        state.delivery = Delivery::Http { framing, has_init: false };
        drop(state);
        self.socket().set_user_timeout(Some(limits::PING_TIMEOUT));
        self.socket().set_live(true);
        self.enqueue(head);
    }

    /// Ends a stream over HTTP properly, and then the connection once everything is sent, for that reason.
    pub(crate) fn end_streaming(&self, reason: &'static str) {
        let mut state = self.state.lock();
        let end = match state.delivery {
            Delivery::Http { framing: Framing::Http { wrapping, .. }, .. } if !state.deadlines.is_ending() => {
                wrapping.end()
            }
            _ => None,
        };
        state.reason.get_or_insert_with(|| reason.to_owned());
        let now = Instant::now();
        state.deadlines.stream_ended(HTTP_STREAM_ID, now, reason);
        drop(state);
        if let Some(end) = end {
            self.enqueue(end.to_vec());
        }
        self.finish(now);
    }

    /// Waits until the queue is empty, for at most that long.
    pub(crate) fn flush_for(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        // A client that does not read in time does not learn why.
        let _ = self.outgoing.flush_blocking(|| Instant::now() < until);
    }

    /// Schedules a flush on the connection's lane if data is left.
    pub(super) fn schedule_flush_if(&self, needed: bool) {
        if let (true, Some(connection)) = (needed, self.weak_self.upgrade()) {
            self.lane.retry(connection);
        }
    }

    /// Returns the bytes sent of replies and live streams.
    pub(crate) fn sent(&self) -> u64 {
        self.outgoing.sent()
    }
}
