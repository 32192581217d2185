//! The program as a process: its options, its log, its exit codes and its end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod process;
mod shutdown;
