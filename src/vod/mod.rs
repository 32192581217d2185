//! Video on demand: resolves names to files and plays them at the viewer's pace.

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

pub(crate) use control::{Control, Output, PlayRequest, PlaybackEvent, PlaybackSummary};
pub(crate) use control_channel::{ControlReceiver, ControlSender, QueueFull, control_channel};
pub(crate) use file_cursor::FileCursor;
pub(crate) use fragments::Fragments;
pub(crate) use library::{Library, ListedVideo};
pub(crate) use pacing::Pacing;
pub(crate) use player::play;
pub(crate) use segments::{SegmentBoundary, segment_boundaries};
pub(crate) use video::Video;

use crate::error::Error;

/// The error for names without a video, or with one outside the library.
fn not_found(reason: &'static str) -> Error {
    Error::Refused { code: "NetStream.Play.StreamNotFound".into(), description: reason.into() }
}

/// Whether two times in milliseconds are the same position to a viewer.
fn is_same_position(one_ms: u32, other_ms: u32) -> bool {
    one_ms.abs_diff(other_ms) <= 1000
}
