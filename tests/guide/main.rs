//! What users read: README, guide, manual page and completions are true to the program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod command_line;
mod commands;
mod limits;
mod links;
mod markdown;
mod quotes;
