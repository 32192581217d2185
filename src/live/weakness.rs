//! What the log hears of a player that can't take all of its stream.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::sink::Backlog;
use crate::guard::ClientLog;

/// Without a message missed for so long, a spell of weakness is over.
const SPELL_ENDS: Duration = Duration::from_secs(10);

/// What is said of all weak players together: one that comes anew all the time would have its own say each time.
static WEAKNESS: LazyLock<ClientLog> = LazyLock::new(ClientLog::default);

/// A player's spells of weakness, of each of which the log hears once.
#[derive(Debug, Default)]
pub(super) struct Weakness {
    /// Since when something has been waiting, and how many bytes had been sent by then.
    waiting: Option<(Instant, u64)>,
    /// When the player missed something last.
    missed: Option<Instant>,
}

impl Weakness {
    /// Nothing waits for the player.
    pub fn keeps_up(&mut self) {
        self.waiting = None;
    }

    /// Something waits for it; it was sent so many bytes so far.
    pub fn waits(&mut self, sent: u64) {
        self.waiting.get_or_insert_with(|| (Instant::now(), sent));
    }

    /// It misses messages.
    pub fn misses(&mut self, peer: &str, sent: u64, backlog: Backlog) {
        let now = Instant::now();
        let last = self.missed.replace(now);
        if last.is_some_and(|last| now.saturating_duration_since(last) < SPELL_ENDS) {
            return;
        }
        let (since, sent_before) = *self.waiting.get_or_insert((now, sent));
        let seconds = now.saturating_duration_since(since).as_secs_f64();
        let carried = match sent.saturating_sub(sent_before) {
            0 => "nothing".to_owned(),
            bytes => format!("{:.1} Mbit/s", bytes as f64 * 8.0 / 1e6 / seconds.max(0.001)),
        };
        WEAKNESS.warn(format_args!(
            "[{peer}] too slow: the link carried {carried} for {seconds:.1} s, {} KiB queued for {:.1} s; dropping video to \
             stay near the live edge",
            backlog.bytes / 1024,
            backlog.age.as_secs_f32(),
        ));
    }
}
