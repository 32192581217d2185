//! The status codes of NetConnection and NetStream (RTMP 1.0 §7.2.1.1, §7.2.2) and the info objects
//! that carry them.

use crate::amf::Object;

/// A status, written in full on the wire: `NetStream.Publish.Start` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatusCode {
    /// `connect` is granted.
    ConnectSuccess,
    /// `connect` is refused.
    ConnectRejected,
    /// The server stops.
    ConnectAppShutdown,
    /// A command that is not known, or that can't be served now.
    CallFailed,
    /// `publish` is granted.
    PublishStart,
    /// The name is in use, or is none.
    PublishBadName,
    /// This peer may not publish here.
    PublishDenied,
    /// The publication has ended.
    UnpublishSuccess,
    /// What was played before is over; comes ahead of `PlayStart`.
    PlayReset,
    /// `play` is granted.
    PlayStart,
    /// The player has got everything.
    PlayStop,
    /// There is nothing of that name.
    PlayStreamNotFound,
    /// It is there but can't be played.
    PlayFailed,
    /// The publisher is gone for good.
    PlayUnpublishNotify,
    /// In `onPlayStatus`: the recording was sent to its end.
    PlayComplete,
    /// `pause` took effect.
    PauseNotify,
    /// The stream goes on after a pause.
    UnpauseNotify,
    /// `seek` took effect: what follows is from the new place.
    SeekNotify,
    /// `seek` can't be done.
    SeekFailed,
}

impl StatusCode {
    /// The code as it stands on the wire.
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

    /// The level that belongs to the code: `status` or `error`. Clients give up at `error`.
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

    /// The info object `{level, code, description}`.
    pub fn info(self, description: impl Into<String>) -> Object {
        Object::new().with("level", self.level()).with("code", self.as_str()).with("description", description.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_errors_and_nothing_else_is() {
        for (code, level) in [
            (StatusCode::PublishStart, "status"),
            (StatusCode::PublishBadName, "error"),
            (StatusCode::PlayUnpublishNotify, "status"),
            (StatusCode::PlayStreamNotFound, "error"),
        ] {
            let info = code.info("why");
            assert_eq!(info.get("level").and_then(|value| value.as_str()), Some(level));
            assert_eq!(info.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["level", "code", "description"]);
        }
    }
}
