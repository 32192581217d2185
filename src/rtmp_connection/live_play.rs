//! A live stream being played to a client.

use std::time::Instant;

use crate::live::{Subscription, SubscriptionFilter};
use crate::transport::ManagedConnection;

/// A live stream played by a message stream.
pub(super) struct LivePlay {
    pub name: String,
    pub since: Instant,
    pub filter: SubscriptionFilter,
    /// `None` while it is paused.
    pub subscription: Option<Subscription>,
    /// Messages dropped by earlier subscriptions.
    pub dropped: u64,
    /// Bytes sent on the connection before it started.
    pub sent_before: u64,
}

impl LivePlay {
    /// Returns the stream's name, application included.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the client has paused it.
    pub(super) fn is_paused(&self) -> bool {
        self.subscription.is_none()
    }

    /// Returns duration, bytes sent and messages dropped, for the log.
    pub(super) fn figures(&self, client: &ManagedConnection) -> String {
        let dropped = self.dropped + self.subscription.as_ref().map_or(0, Subscription::dropped);
        let (seconds, kib) = (self.since.elapsed().as_secs_f32(), (client.sent() - self.sent_before) / 1024);
        format!("{seconds:.1} s, {kib} KiB sent, {dropped} messages dropped")
    }

    pub(super) fn unsubscribe(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            self.dropped += subscription.dropped();
        }
    }
}
