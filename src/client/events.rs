//! Messages from the server, as events.

use crate::amf::Value;
use crate::error::Error;
use crate::media::Packet;
use crate::rtmp::command::Command;
use crate::rtmp::user_control::UserControl;

/// A message from the server.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// Audio, video or data of the stream being played.
    Media(Packet),
    /// An `onStatus` command, as the properties of its info object; a missing one is empty.
    Status {
        /// `status`, `warning` or `error`.
        level: String,
        /// The code, for example `NetStream.Play.Start`.
        code: String,
        /// The description.
        description: String,
    },
    /// A User Control event other than a Ping Request, which the client answers itself.
    UserControl(UserControl),
    /// Any other command.
    Command(Command),
}

impl ClientEvent {
    /// Converts a command from the server.
    pub(super) fn from_command(command: Command) -> Self {
        if command.name != "onStatus" {
            return Self::Command(command);
        }
        let text = |key| info_text(&command, key);
        Self::Status { level: text("level"), code: text("code"), description: text("description") }
    }
}

/// Returns the error for an `_error` response.
pub(super) fn refused_error(response: &Command) -> Error {
    Error::Refused { code: info_text(response, "code").into(), description: info_text(response, "description").into() }
}

fn info_text(command: &Command, key: &str) -> String {
    let info = command.argument(0).as_object();
    info.and_then(|info| info.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned()
}
