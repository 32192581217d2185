//! How late things come, and how soon they begin: tests that need a calm machine, so that no others run beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod hls_start;
mod proxies;
mod weak_link;

use std::sync::{Condvar, Mutex};

/// How many of these tests run at once, however many threads there are for tests.
const AT_ONCE: usize = 6;

static RUNNING: Mutex<usize> = Mutex::new(0);
static DONE: Condvar = Condvar::new();

/// A test's turn, which lasts as long as this.
struct Turn;

/// Waits for a turn.
fn turn() -> Turn {
    let mut running = RUNNING.lock().unwrap();
    while *running == AT_ONCE {
        running = DONE.wait(running).unwrap();
    }
    *running += 1;
    Turn
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap() -= 1;
        DONE.notify_one();
    }
}
