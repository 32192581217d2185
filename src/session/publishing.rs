//! `publish` and its replies (RTMP 1.0 §7.2.2.6).

use super::Reply;
use crate::amf::Value;
use crate::rtmp::command::Command;
use crate::rtmp::status::StatusCode;
use crate::rtmp::user_control::UserControl;

/// The publishing type: what to do with a publication besides relaying it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublishKind {
    /// Nothing.
    Live,
    /// Record to a new file.
    Record,
    /// Append to an existing file.
    Append,
}

impl PublishKind {
    /// Parses the argument after the name, which many encoders omit.
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

/// Returns the replies for a publication ended by the server, to send before closing the connection.
pub(crate) fn ended(stream_id: u32, reason: &str) -> Vec<Reply> {
    vec![
        Reply::status(stream_id, StatusCode::UnpublishSuccess, reason),
        Reply::status(0, StatusCode::ConnectAppShutdown, reason),
    ]
}

pub(super) fn refused(stream_id: u32, code: StatusCode, reason: &str) -> Vec<Reply> {
    vec![Reply::status(stream_id, code, reason), Reply::command(0, Command::new("close", Vec::new()))]
}
