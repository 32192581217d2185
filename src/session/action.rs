//! What comes out of a session: messages for the client, and wishes for others to decide.

use super::{ConnectRequest, PlayRequest, PublishKind, StreamPath};
#[cfg(doc)]
use super::{Session, playing};
use crate::media::{Packet, PacketKind};
use crate::rtmp::command::Command;
use crate::rtmp::message::Message;
use crate::rtmp::status::StatusCode;
use crate::rtmp::user_control::UserControl;

/// A message for the client, on one of its message streams or on the connection (0).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    /// The message stream.
    pub stream_id: u32,
    /// The message.
    pub message: Message,
}

impl Reply {
    pub(super) fn command(stream_id: u32, command: Command) -> Self {
        Self { stream_id, message: Message::Command(command) }
    }

    pub(super) fn status(stream_id: u32, code: StatusCode, description: impl Into<String>) -> Self {
        Self::command(stream_id, Command::status(code, description))
    }

    pub(super) fn event(event: UserControl) -> Self {
        Self { stream_id: 0, message: Message::UserControl(event) }
    }
}

/// What a message from the client asks for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub(crate) enum Action {
    /// Tell the client.
    Reply(Reply),
    /// Nothing: it sent this, which is not known here. For the log.
    Unknown(String),
    /// It wants in: answer by [`Session::accept_connect`] or [`Session::refuse_connect`].
    Connect(ConnectRequest),
    /// It wants to publish: answer by [`Session::accept_publish`] or [`Session::refuse_publish`].
    Publish {
        /// On this message stream.
        stream_id: u32,
        /// Under this name.
        path: StreamPath,
        /// To be recorded or not.
        kind: PublishKind,
    },
    /// It wants to play: answer by [`playing::started`] or [`Session::refuse_play`].
    Play {
        /// On this message stream.
        stream_id: u32,
        /// This.
        request: PlayRequest,
    },
    /// Whatever the message stream published or played is over.
    Stop {
        /// The message stream.
        stream_id: u32,
    },
    /// Stop sending, or go on.
    Pause {
        /// The message stream.
        stream_id: u32,
        /// Stop, or go on.
        paused: bool,
        /// Where the player is, in milliseconds.
        position_ms: u32,
    },
    /// Go on from another place.
    Seek {
        /// The message stream.
        stream_id: u32,
        /// The place, in milliseconds.
        position_ms: u32,
    },
    /// Send audio or video, or don't.
    Receive {
        /// The message stream.
        stream_id: u32,
        /// Audio or video.
        kind: PacketKind,
        /// Do, or don't.
        wanted: bool,
    },
    /// The player wants so much buffered.
    BufferLength {
        /// The message stream.
        stream_id: u32,
        /// Milliseconds.
        buffer_ms: u32,
    },
    /// It asks how long something is: answer by [`playing::stream_length`], or not at all.
    StreamLength {
        /// For the answer.
        transaction_id: f64,
        /// Of what.
        path: StreamPath,
    },
    /// Audio, video or data of a publication.
    Media {
        /// The publishing message stream.
        stream_id: u32,
        /// The message.
        packet: Packet,
    },
}
