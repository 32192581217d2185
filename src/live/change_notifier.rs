//! Notification of changes to the live streams.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Counts changes: publishers, players and codec configurations.
#[derive(Debug, Default)]
pub struct ChangeNotifier {
    count: Mutex<u64>,
    changed: Condvar,
}

impl ChangeNotifier {
    pub(super) fn notify(&self) {
        *self.count.lock() += 1;
        self.changed.notify_all();
    }

    /// Returns the number of changes so far.
    pub fn count(&self) -> u64 {
        *self.count.lock()
    }

    /// Waits up to `at_most` for the count to differ from `seen`; returns whether it does.
    pub fn wait(&self, seen: u64, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        let mut count = self.count.lock();
        while *count == seen && !self.changed.wait_until(&mut count, until).timed_out() {}
        *count != seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiter_wakes_on_the_next_change() {
        let notifier = ChangeNotifier::default();
        assert!(!notifier.wait(0, Duration::from_millis(1)));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| notifier.wait(0, Duration::from_secs(20)));
            notifier.notify();
            assert!(waiting.join().unwrap());
        });
        assert!(notifier.wait(0, Duration::ZERO), "a change before the wait counts as well");
        assert_eq!(notifier.count(), 1);
    }
}
