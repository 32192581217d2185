//! Real publishers and players, and what they made of a stream compared with what was sent, frame by frame.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod clocks;
mod fmp4;
mod http;
mod late;
mod late_video;
mod names;
mod nginx_codecs;
mod play;
mod publish;
mod publish_gstreamer;
mod rtmps;
mod vlc_codecs;
mod vod;
mod whole_recordings;
