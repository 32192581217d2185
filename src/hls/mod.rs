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
pub mod vod;

pub use layout::Layout;
pub use live_window::{LiveWindow, Unavailable};
pub use name::Name;
