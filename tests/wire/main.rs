//! RTMP, spoken by our own client or byte by byte: the wire format, and what publishers, players and viewers get.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod client;
mod format;
mod live;
mod republish;
mod slow_player;
mod vod;
