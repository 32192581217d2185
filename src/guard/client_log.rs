//! Warnings about clients, of which a flood of clients shall not make a flood of lines.

use std::fmt;
use std::time::Instant;

use parking_lot::Mutex;

use super::rate::TokenBucket;
use crate::limits;

/// Logs warnings up to [`limits::WARNINGS`] and [`limits::WARNINGS_PER_SECOND`], and counts the rest.
#[derive(Debug, Default)]
pub(crate) struct ClientLog {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bucket: TokenBucket,
    left_out: u64,
}

impl Default for State {
    fn default() -> Self {
        Self { bucket: TokenBucket::new(limits::WARNINGS, limits::WARNINGS_PER_SECOND), left_out: 0 }
    }
}

impl ClientLog {
    /// Logs a warning, or counts it.
    pub(crate) fn warn(&self, text: fmt::Arguments<'_>) {
        let mut state = self.state.lock();
        if !state.bucket.take(Instant::now()) {
            state.left_out += 1;
            return;
        }
        state.tell();
        drop(state);
        log::warn!("{text}");
    }

    /// Says how many were left out, once there are some and it has become quieter. To be called now and then.
    pub(crate) fn tick(&self, now: Instant) {
        let mut state = self.state.lock();
        if state.left_out > 0 && state.bucket.take(now) {
            state.tell();
        }
    }
}

impl State {
    fn tell(&mut self) {
        if self.left_out > 0 {
            log::warn!("{} more warnings about clients were left out", self.left_out);
            self.left_out = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_is_counted_and_told_once() {
        let client_log = ClientLog::default();
        for number in 0..limits::WARNINGS + 30 {
            client_log.warn(format_args!("client {number}"));
        }
        let left_out = || client_log.state.lock().left_out;
        assert!((25..=30).contains(&left_out()), "{}", left_out());
        client_log.tick(Instant::now() + Duration::from_secs(10));
        assert_eq!(left_out(), 0);
    }
}
