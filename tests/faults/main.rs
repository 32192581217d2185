//! Faults of machines, networks, files and clients, and attacks: others lose nothing, and nothing is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod dead_peers;
mod files;
mod hostile;
mod http_hostile;
mod junk;
mod machine;
mod network;
