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
pub(crate) mod vod;

pub(crate) use layout::Layout;
pub(crate) use live_window::{LiveWindow, NotThere};
pub(crate) use name::Name;
