//! What a server sends to a client.

use crate::amf::Value;
use crate::error::Error;
use crate::media::Packet;
use crate::rtmp::command::Command;
use crate::rtmp::user_control::UserControl;

/// What a server sent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// Audio, video or data of the stream that is played.
    Media(Packet),
    /// `onStatus`: what the info object says.
    Status {
        /// `status`, `warning` or `error`.
        level: String,
        /// The code, for example `NetStream.Play.Start`.
        code: String,
        /// The description.
        description: String,
    },
    /// A User Control event other than a ping, which is answered here.
    Event(UserControl),
    /// Any other command.
    Command(Command),
}

impl ClientEvent {
    /// What a command of the server is.
    pub(super) fn of(command: Command) -> Self {
        if command.name != "onStatus" {
            return Self::Command(command);
        }
        let text = |key| info(&command, key);
        Self::Status { level: text("level"), code: text("code"), description: text("description") }
    }
}

/// The error that a refusal is.
pub(super) fn refusal(answer: &Command) -> Error {
    Error::Refused { code: info(answer, "code").into(), description: info(answer, "description").into() }
}

fn info(command: &Command, key: &str) -> String {
    let info = command.argument(0).as_object();
    info.and_then(|info| info.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned()
}
