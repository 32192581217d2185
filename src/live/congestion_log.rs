//! Log lines about players that can't keep up with their stream.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::sink::Backlog;
use crate::guard::ClientLog;

/// After this long without a dropped message, an episode of congestion is over.
const EPISODE_GAP: Duration = Duration::from_secs(10);

/// Shared by all players, since a player that keeps reconnecting would have a rate limit of its own each time.
static CONGESTION_LOG: LazyLock<ClientLog> = LazyLock::new(ClientLog::default);

/// Logs a player's episodes of congestion, once each.
#[derive(Debug, Default)]
pub(super) struct CongestionLog {
    /// Since when messages have been queued, and how many bytes had been sent by then.
    backlogged: Option<(Instant, u64)>,
    /// When a message was last dropped.
    last_drop: Option<Instant>,
}

impl CongestionLog {
    /// Records that nothing is queued for the player.
    pub(super) fn mark_idle(&mut self) {
        self.backlogged = None;
    }

    /// Records that something is queued, with the bytes sent so far.
    pub(super) fn mark_backlogged(&mut self, sent: u64) {
        self.backlogged.get_or_insert_with(|| (Instant::now(), sent));
    }

    /// Records dropped messages.
    pub(super) fn record_drop(&mut self, peer: &str, sent: u64, backlog: Backlog) {
        let now = Instant::now();
        let last = self.last_drop.replace(now);
        if last.is_some_and(|last| now.saturating_duration_since(last) < EPISODE_GAP) {
            return;
        }
        let (since, sent_before) = *self.backlogged.get_or_insert((now, sent));
        let seconds = now.saturating_duration_since(since).as_secs_f64();
        let carried = match sent.saturating_sub(sent_before) {
            0 => "nothing".to_owned(),
            bytes => format!("{:.1} Mbit/s", bytes as f64 * 8.0 / 1e6 / seconds.max(0.001)),
        };
        CONGESTION_LOG.warn(format_args!(
            "[{peer}] too slow: the link carried {carried} for {seconds:.1} s, {} KiB queued for {:.1} s; dropping video to \
             stay near the live edge",
            backlog.bytes / 1024,
            backlog.age.as_secs_f32(),
        ));
    }
}
