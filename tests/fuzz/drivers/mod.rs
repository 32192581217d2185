//! What is done with bytes from outside, one function for each kind. The fuzz targets call these, and so does the
//! test that replays the corpora; both take a panic for a finding.

mod access;
mod files;
mod flv_file;
mod fmp4;
mod handshake;
mod http;
mod input;
#[path = "../../support/junk.rs"]
mod junk;
mod live;
mod messages;
mod session;
mod shaky;
mod vod_player;
mod wire;

pub use access::names;
pub use files::{flv_reader, keyframe_index};
pub use fmp4::fmp4;
pub use handshake::handshake;
pub use http::http;
pub use live::live;
pub use session::session;
pub use vod_player::vod_player;
pub use wire::{amf0, amf3, chunk_reader, commands};

/// Does something with an input; panics when something is wrong.
pub type Driver = fn(&[u8]);

/// Every driver by the name of its corpus.
pub const ALL: &[(&str, Driver)] = &[
    ("handshake", handshake),
    ("chunk_reader", chunk_reader),
    ("amf0", amf0),
    ("amf3", amf3),
    ("commands", commands),
    ("flv_reader", flv_reader),
    ("keyframe_index", keyframe_index),
    ("session", session),
    ("names", names),
    ("vod_player", vod_player),
    ("live", live),
    ("fmp4", fmp4),
    ("http", http),
];

/// Whether the text of an error can go into the log as it is: of bounded length, and with nothing in it that a terminal
/// would obey.
fn is_fit_for_the_log(error: &gortmp::Error) {
    let text = error.to_string();
    assert!(text.len() <= 8 * 1024, "{} bytes for one line of the log", text.len());
    assert!(!text.chars().any(char::is_control), "control characters in {text:?}");
}
