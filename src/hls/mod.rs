//! HTTP Live Streaming (RFC 8216 and its second edition, with parts for low latency): playlists of the fragments that
//! browsers get, for telephones and televisions.

mod layout;
mod live_window;
mod name;
mod opening;
mod playlist;
mod segment;
mod segment_store;
mod segment_timing;
mod segmenter;
pub mod vod;

pub use layout::Layout;
pub use live_window::{LiveWindow, NotThere};
pub use name::Name;
