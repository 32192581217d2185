//! The page in a real browser, and its scripts under Node.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod chromium;
mod page;

use std::sync::{Mutex, MutexGuard};

/// One test at a time: a browser wants more than two cores, and it is latencies that are measured here.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
