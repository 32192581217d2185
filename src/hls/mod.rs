//! HTTP Live Streaming (RFC 8216 and its second edition, with parts for low latency): playlists of the fragments that
//! browsers get, for telephones and televisions.

mod cutter;
mod layout;
mod name;
mod opening;
mod playlist;
mod rhythm;
mod segment;
mod store;
pub mod vod;
mod window;

pub use layout::Layout;
pub use name::Name;
pub use window::{NotThere, Window};
