//! The status codes of NetConnection and NetStream (RTMP 1.0 §7.2.1.1, §7.2.2) and the info objects
//! that carry them.

use crate::amf::Object;

/// A status code, such as `NetStream.Publish.Start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatusCode {
    /// `connect` succeeded.
    ConnectSuccess,
    /// `connect` was rejected.
    ConnectRejected,
    /// The server is shutting down.
    ConnectAppShutdown,
    /// The command is unknown, or can't be served now.
    CallFailed,
    /// Publishing has started.
    PublishStart,
    /// The stream name is in use or invalid.
    PublishBadName,
    /// Access control denies publishing.
    PublishDenied,
    /// Publishing has stopped.
    UnpublishSuccess,
    /// The previous play on the message stream is over; precedes `PlayStart`.
    PlayReset,
    /// Playing has started.
    PlayStart,
    /// Playing has stopped: everything was sent.
    PlayStop,
    /// There is no stream or file of that name.
    PlayStreamNotFound,
    /// The stream or file can't be played.
    PlayFailed,
    /// The live stream has ended.
    PlayUnpublishNotify,
    /// In `onPlayStatus`: the recording was sent to its end.
    PlayComplete,
    /// `pause` took effect.
    PauseNotify,
    /// The stream resumed after a pause.
    UnpauseNotify,
    /// `seek` took effect: what follows is from the new position.
    SeekNotify,
    /// `seek` failed.
    SeekFailed,
}

impl StatusCode {
    /// Returns the code as it is on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConnectSuccess => "NetConnection.Connect.Success",
            Self::ConnectRejected => "NetConnection.Connect.Rejected",
            Self::ConnectAppShutdown => "NetConnection.Connect.AppShutdown",
            Self::CallFailed => "NetConnection.Call.Failed",
            Self::PublishStart => "NetStream.Publish.Start",
            Self::PublishBadName => "NetStream.Publish.BadName",
            Self::PublishDenied => "NetStream.Publish.Denied",
            Self::UnpublishSuccess => "NetStream.Unpublish.Success",
            Self::PlayReset => "NetStream.Play.Reset",
            Self::PlayStart => "NetStream.Play.Start",
            Self::PlayStop => "NetStream.Play.Stop",
            Self::PlayStreamNotFound => "NetStream.Play.StreamNotFound",
            Self::PlayFailed => "NetStream.Play.Failed",
            Self::PlayUnpublishNotify => "NetStream.Play.UnpublishNotify",
            Self::PlayComplete => "NetStream.Play.Complete",
            Self::PauseNotify => "NetStream.Pause.Notify",
            Self::UnpauseNotify => "NetStream.Unpause.Notify",
            Self::SeekNotify => "NetStream.Seek.Notify",
            Self::SeekFailed => "NetStream.Seek.Failed",
        }
    }

    /// Returns the level of the code: `status`, or `error`, at which clients give up.
    pub fn level(self) -> &'static str {
        match self {
            Self::ConnectRejected
            | Self::ConnectAppShutdown
            | Self::CallFailed
            | Self::PublishBadName
            | Self::PublishDenied
            | Self::PlayStreamNotFound
            | Self::PlayFailed
            | Self::SeekFailed => "error",
            _ => "status",
        }
    }

    /// Builds the info object `{level, code, description}`.
    pub fn info(self, description: impl Into<String>) -> Object {
        Object::new().with("level", self.level()).with("code", self.as_str()).with("description", description.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_have_the_level_error() {
        for (code, level) in [
            (StatusCode::PublishStart, "status"),
            (StatusCode::PublishBadName, "error"),
            (StatusCode::PlayUnpublishNotify, "status"),
            (StatusCode::PlayStreamNotFound, "error"),
        ] {
            let info = code.info("the reason");
            assert_eq!(info.get("level").and_then(|value| value.as_str()), Some(level));
            assert_eq!(info.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["level", "code", "description"]);
        }
    }
}
