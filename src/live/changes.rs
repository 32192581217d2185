//! Whether something has changed at the live streams, for those who wait for it.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Counts changes: who publishes, who plays, and how it is coded.
#[derive(Debug, Default)]
pub struct Changes {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Changes {
    pub(super) fn note(&self) {
        *self.count.lock() += 1;
        self.changed.notify_all();
    }

    /// How many there have been.
    pub fn count(&self) -> u64 {
        *self.count.lock()
    }

    /// Waits until there are others than `seen`, for that long at most; says whether there are.
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
    fn who_waits_learns_of_the_next_change() {
        let changes = Changes::default();
        assert!(!changes.wait(0, Duration::from_millis(1)));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| changes.wait(0, Duration::from_secs(20)));
            changes.note();
            assert!(waiting.join().unwrap());
        });
        assert!(changes.wait(0, Duration::ZERO), "one that was missed counts as well");
        assert_eq!(changes.count(), 1);
    }
}
