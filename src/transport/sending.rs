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
    /// Sends replies of RTMP, in order with all else.
    pub(crate) fn reply(&self, replies: &[Reply]) {
        let needed = self.outgoing.reply(replies);
        self.retry_if(needed);
    }

    /// Sends bytes behind all that waits.
    pub(crate) fn enqueue(&self, bytes: Vec<u8>) {
        let needed = self.outgoing.bytes(bytes);
        self.retry_if(needed);
    }

    /// Sends packets on a message stream of RTMP and waits until the socket has taken them, while `go_on` says so. With
    /// `more`, others follow at once.
    ///
    /// # Errors
    /// [`crate::Error::Disconnected`] when the connection has broken or `go_on` said no.
    pub(crate) fn send_packets(
        &self,
        stream_id: u32,
        packets: &[Packet],
        more: bool,
        go_on: impl Fn() -> bool,
    ) -> Result<()> {
        let result = self.outgoing.packets(stream_id, packets, more, go_on);
        self.retry_if(self.outgoing.needs_flush());
        result
    }

    /// Sends bytes past the queue, which has to be empty, and waits for room for at most `timeout` at a time.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub(crate) fn send(&self, slices: &mut [IoSlice<'_>], timeout: Duration) -> Result<()> {
        self.socket().send_all(slices, timeout)
    }

    /// Discards what waits of a live play that is over.
    pub(crate) fn discard(&self, stream_id: u32) {
        self.outgoing.discard(stream_id);
    }

    /// From here on lanes send a live stream over HTTP, after these bytes.
    pub(crate) fn start_streaming(&self, framing: Framing, head: Vec<u8>) {
        let mut state = self.state.lock();
        state.deadlines.enter(Phase::Streaming, 1, Instant::now());
        state.delivery = Delivery::Http { framing, has_init: false };
        drop(state);
        self.socket().set_user_timeout(Some(limits::PING_TIMEOUT));
        self.socket().set_live(true);
        self.enqueue(head);
    }

    /// Ends a stream over HTTP in order, and the connection when all has gone out, for that reason.
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

    /// Waits until everything that it is sent has gone out, for that long at most.
    pub(crate) fn flush_for(&self, at_most: Duration) {
        let until = Instant::now() + at_most;
        // Who does not read by then does not learn why.
        let _ = self.outgoing.drain(|| Instant::now() < until);
    }

    /// Asks the connection's lane to try again where a send has left something.
    pub(super) fn retry_if(&self, needed: bool) {
        if let (true, Some(me)) = (needed, self.me.upgrade()) {
            self.lane.retry(me);
        }
    }

    /// Bytes sent of replies and live streams.
    pub(crate) fn sent(&self) -> u64 {
        self.outgoing.sent()
    }
}
