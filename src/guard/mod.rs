//! Limits that hold for all clients together: memory, rates, lines in the log; and the containment of panics.

mod budget;
mod client_log;
mod panics;
mod rate;
mod small_file;

pub use budget::{Budget, Share};
pub use client_log::ClientLog;
pub use panics::{catch_panic, log_panics};
pub use rate::TokenBucket;
pub(crate) use small_file::read_small_file;
