//! The rate-limited client log: warnings about clients, which a flood of clients must not turn into a flood of lines.

use std::fmt;
use std::time::Instant;

use parking_lot::Mutex;

use super::rate::TokenBucket;
use crate::limits;

/// Logs warnings up to [`limits::WARNINGS`] and [`limits::WARNINGS_PER_SECOND`], and counts the others.
#[derive(Debug, Default)]
pub(crate) struct ClientLog {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bucket: TokenBucket,
    suppressed: u64,
}

impl Default for State {
    fn default() -> Self {
        Self { bucket: TokenBucket::new(limits::WARNINGS, limits::WARNINGS_PER_SECOND), suppressed: 0 }
    }
}

impl ClientLog {
    /// Logs a warning, or counts it as suppressed.
    pub(crate) fn warn(&self, text: fmt::Arguments<'_>) {
        let mut state = self.state.lock();
        if !state.bucket.take(Instant::now()) {
            state.suppressed += 1;
            return;
        }
        state.log_suppressed();
        drop(state);
        log::warn!("{text}");
    }

    /// Logs the number of suppressed warnings once the rate has dropped. To be called regularly.
    pub(crate) fn tick(&self, now: Instant) {
        let mut state = self.state.lock();
        if state.suppressed > 0 && state.bucket.take(now) {
            state.log_suppressed();
        }
    }
}

impl State {
    fn log_suppressed(&mut self) {
        if self.suppressed > 0 {
            log::warn!("{} more warnings about clients were suppressed", self.suppressed);
            self.suppressed = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_is_counted_and_logged_once() {
        let client_log = ClientLog::default();
        for number in 0..limits::WARNINGS + 30 {
            client_log.warn(format_args!("client {number}"));
        }
        let suppressed = || client_log.state.lock().suppressed;
        assert!((25..=30).contains(&suppressed()), "{}", suppressed());
        client_log.tick(Instant::now() + Duration::from_secs(10));
        assert_eq!(suppressed(), 0);
    }
}
