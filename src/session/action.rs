//! The output of a session: replies to the client, and requests for its owner to carry out.

use super::{ConnectRequest, PlayRequest, PublishKind, StreamPath};
#[cfg(doc)]
use super::{Session, playing};
use crate::media::{Packet, PacketKind};
use crate::rtmp::command::Command;
use crate::rtmp::message::Message;
use crate::rtmp::status::StatusCode;
use crate::rtmp::user_control::UserControl;

/// A message to the client, on one of its message streams or on 0.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    /// The message stream ID.
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

/// An action that a message from the client requires.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub(crate) enum Action {
    /// Send a reply to the client.
    Reply(Reply),
    /// The client sent this unknown message or command, which is ignored. For the log.
    Unknown(String),
    /// The client connects: answer with [`Session::accept_connect`] or [`Session::refuse_connect`].
    Connect(ConnectRequest),
    /// The client publishes: answer with [`Session::accept_publish`] or [`Session::refuse_publish`].
    Publish {
        /// The message stream ID.
        stream_id: u32,
        /// The stream's path.
        path: StreamPath,
        /// Whether to record.
        kind: PublishKind,
    },
    /// The client plays: answer with [`playing::started`] or [`Session::refuse_play`].
    Play {
        /// The message stream ID.
        stream_id: u32,
        /// What to play.
        request: PlayRequest,
    },
    /// Stop what the message stream publishes or plays.
    Stop {
        /// The message stream ID.
        stream_id: u32,
    },
    /// Pause or resume a play.
    Pause {
        /// The message stream ID.
        stream_id: u32,
        /// `true` to pause, `false` to resume.
        paused: bool,
        /// The player's position in milliseconds.
        position_ms: u32,
    },
    /// Seek in a play.
    Seek {
        /// The message stream ID.
        stream_id: u32,
        /// The target position in milliseconds.
        position_ms: u32,
    },
    /// Turn audio or video of a play on or off.
    Receive {
        /// The message stream ID.
        stream_id: u32,
        /// Audio or video.
        kind: PacketKind,
        /// `true` for on.
        enabled: bool,
    },
    /// The player's buffer length changed.
    BufferLength {
        /// The message stream ID.
        stream_id: u32,
        /// The buffer length in milliseconds.
        buffer_ms: u32,
    },
    /// The client requests a stream's length: answer with [`playing::stream_length`], or not at all.
    StreamLength {
        /// For the response.
        transaction_id: f64,
        /// The stream's path.
        path: StreamPath,
    },
    /// A media message of a publication.
    Media {
        /// The publishing message stream's ID.
        stream_id: u32,
        /// The message.
        packet: Packet,
    },
}
