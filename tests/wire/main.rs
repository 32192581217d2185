//! The program as clients of our own find it, byte by byte: RTMP, HTTP, options, log and end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod cli;
mod client;
mod format;
mod http_api;
mod http_bodies;
mod http_streams;
mod live;
mod republish;
mod slow_player;
mod vod;
