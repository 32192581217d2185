//! What is done with bytes from outside, one function for each kind. The fuzz targets call these, and so does the
//! test that replays the corpora; both take a panic for a finding.

mod access;
mod files;
mod session;
mod wire;

pub use access::names;
pub use files::{flv_reader, keyframe_index};
pub use session::session;
pub use wire::{amf0, amf3, chunk_reader, commands, handshake};

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
];
