//! Turns for tests that need much of a machine: only so many of them run at once, however many threads tests have.

use std::sync::{Condvar, Mutex};

/// Those that take turns.
pub struct Turns {
    most: usize,
    running: Mutex<usize>,
    done: Condvar,
}

/// A test's turn, which lasts as long as this.
pub struct Turn(&'static Turns);

impl Turns {
    /// For so many at once.
    pub const fn new(most: usize) -> Self {
        Self { most, running: Mutex::new(0), done: Condvar::new() }
    }

    /// Waits for a turn.
    pub fn take(&'static self) -> Turn {
        let mut running = self.running.lock().expect("nobody fails while counting");
        while *running == self.most {
            running = self.done.wait(running).expect("nobody fails while counting");
        }
        *running += 1;
        Turn(self)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.running.lock().expect("nobody fails while counting") -= 1;
        self.0.done.notify_one();
    }
}
