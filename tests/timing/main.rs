//! How late things come, and how soon they begin: tests that need a calm machine, so that no others run beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod hls_start;
mod proxies;
mod weak_link;

use support::turns::Turns;

/// What is late on a busy machine is no news.
static TURNS: Turns = Turns::new(6);
