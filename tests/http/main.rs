//! Streams, files, playlists, events and the API over HTTP, asked for byte by byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod api;
mod bodies;
mod streams;
