//! Limits that hold for all clients together: memory, rates, lines in the log; and the containment of panics.

mod budget;
mod client_log;
mod panics;
mod rate;
mod small_file;

pub(crate) use budget::{Budget, Share};
pub(crate) use client_log::ClientLog;
pub(crate) use panics::{catch_panic, log_panics};
pub(crate) use rate::TokenBucket;
pub(crate) use small_file::read_small_file;
