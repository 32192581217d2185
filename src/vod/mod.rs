//! Files on demand: which file a name means, and playing it at the pace of its viewer.

mod control;
mod control_channel;
mod file_cursor;
mod fragments;
mod library;
mod name;
mod open;
mod pacing;
mod player;
mod segments;
mod shared_file;
mod source;
mod video;

pub use control::{Control, Output, PlayRequest, PlaybackEvent, PlaybackSummary};
pub use control_channel::{ControlReceiver, ControlSender, TooMany, control_channel};
pub use file_cursor::FileCursor;
pub use fragments::Fragments;
pub use library::{Library, ListedVideo};
pub use pacing::Pacing;
pub use player::play;
pub use segments::{Cut, cut};
pub use video::Video;

use crate::Error;

/// There is no video of that name, or none that may be seen.
fn not_found(reason: &'static str) -> Error {
    Error::Refused { code: "NetStream.Play.StreamNotFound".into(), description: reason.into() }
}

/// Whether two times in milliseconds are the same place to a viewer.
fn is_local_address(one_ms: u32, other_ms: u32) -> bool {
    one_ms.abs_diff(other_ms) <= 1000
}
