//! `publish` and its answers (RTMP 1.0 §7.2.2.6).

use super::Reply;
use crate::amf::Value;
use crate::rtmp::command::Command;
use crate::rtmp::status::StatusCode;
use crate::rtmp::user_control::UserControl;

/// What is to become of a publication beside being relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublishKind {
    /// Nothing.
    Live,
    /// Write a new file.
    Record,
    /// Go on with a file.
    Append,
}

impl PublishKind {
    /// Reads the argument behind the name, which many encoders leave out.
    pub(super) fn new(argument: &Value) -> Self {
        match argument.as_str() {
            Some("record") => Self::Record,
            Some("append") => Self::Append,
            _ => Self::Live,
        }
    }
}

pub(super) fn started(stream_id: u32, description: &str) -> Vec<Reply> {
    vec![
        Reply::event(UserControl::StreamBegin(stream_id)),
        Reply::status(stream_id, StatusCode::PublishStart, description),
    ]
}

/// The publication was ended by the server: what to tell the client before the connection is closed.
pub(crate) fn ended(stream_id: u32, reason: &str) -> Vec<Reply> {
    vec![
        Reply::status(stream_id, StatusCode::UnpublishSuccess, reason),
        Reply::status(0, StatusCode::ConnectAppShutdown, reason),
    ]
}

pub(super) fn refused(stream_id: u32, code: StatusCode, reason: &str) -> Vec<Reply> {
    vec![Reply::status(stream_id, code, reason), Reply::command(0, Command::new("close", Vec::new()))]
}
