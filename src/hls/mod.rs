//! HTTP Live Streaming (RFC 8216 and RFC 8216bis, including Low-Latency HLS): playlists, segments and parts, made of
//! the fragments that browsers get.

mod layout;
mod live_window;
mod name;
mod playlist;
mod segment;
mod segment_store;
mod segment_timing;
mod segmenter;
mod start_buffer;
pub(crate) mod vod;

pub(crate) use layout::Layout;
pub(crate) use live_window::{LiveWindow, Unavailable};
pub(crate) use name::Name;
