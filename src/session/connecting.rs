//! `connect` and its replies (RTMP 1.0 §7.2.1.1).

use std::fmt;

use super::Reply;
use crate::amf::{Object, Value};
use crate::limits;
use crate::rtmp::chunk::ChunkSize;
use crate::rtmp::command::Command;
use crate::rtmp::status::StatusCode;
use crate::rtmp::{BandwidthLimit, Message};

/// The parameters of a `connect`.
#[derive(Clone, PartialEq)]
pub(crate) struct ConnectRequest {
    /// The application, possibly with more of the path and a query.
    pub app: String,
    /// The client's program, for example `FMLE/3.0 (compatible; Lavf59.27.100)`; empty if it isn't sent. Truncated to
    /// [`limits::NAME_BYTES`], since each publication logs it.
    pub flash_version: String,
    /// 0 for AMF0, 3 for AMF3. Replies are always AMF0, which every client reads.
    pub object_encoding: f64,
    transaction_id: f64,
}

impl ConnectRequest {
    /// Parses the command; properties that are missing or of the wrong type count as empty.
    pub(super) fn new(command: &Command) -> Self {
        let property = |key: &str| command.object.as_object().and_then(|object| object.get(key));
        let text = |key: &str| property(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut app = text("app");
        if app.is_empty() {
            // Some devices write the property in lower case, quote the URL, and send no app.
            let urls = [text("tcUrl"), text("tcurl")];
            app = urls
                .iter()
                .map(|url| url_path(url.trim_matches('"')))
                .find(|path| !path.is_empty())
                .unwrap_or_default()
                .to_owned();
        }
        if !app.contains('?') {
            // librtmp and others send a key in the URL only.
            if let Some((_, query)) = text("tcUrl").trim_matches('"').split_once('?') {
                app = format!("{app}?{query}");
            }
        }
        let mut flash_version = text("flashVer");
        let end = (0..=limits::NAME_BYTES).rev().find(|&at| flash_version.is_char_boundary(at));
        flash_version.truncate(end.unwrap_or(0));
        Self {
            app,
            flash_version,
            object_encoding: property("objectEncoding").and_then(Value::as_number).unwrap_or(0.0),
            transaction_id: command.transaction_id,
        }
    }

    pub(super) fn accept(&self) -> Vec<Reply> {
        let properties = Object::new().with("fmsVer", "FMS/3,0,1,123").with("capabilities", 31.0);
        let info = StatusCode::ConnectSuccess
            .info("Connection succeeded.")
            .with("objectEncoding", if self.object_encoding == 3.0 { 3.0 } else { 0.0 });
        let result = Command::result(self.transaction_id, properties.into(), info.into());
        let reply = |message| Reply { stream_id: 0, message };
        vec![
            reply(Message::WindowAckSize(limits::ACKNOWLEDGEMENT_WINDOW)),
            reply(Message::SetPeerBandwidth { size: limits::ACKNOWLEDGEMENT_WINDOW, limit: BandwidthLimit::Dynamic }),
            reply(Message::SetChunkSize(ChunkSize::LARGE)),
            reply(Message::Command(result)),
        ]
    }

    pub(super) fn refuse(&self, reason: &str) -> Vec<Reply> {
        let error = Command::error(self.transaction_id, StatusCode::ConnectRejected.info(reason));
        [error, Command::new("close", Vec::new())]
            .map(|command| Reply { stream_id: 0, message: Message::Command(command) })
            .into()
    }
}

/// Omits the query, which may contain a key.
impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let app = self.app.split('?').next().unwrap_or_default();
        f.debug_struct("ConnectRequest")
            .field("app", &app)
            .field("flash_version", &self.flash_version)
            .finish_non_exhaustive()
    }
}

/// Returns the path of `rtmp://host:port/path`, without the leading slash.
fn url_path(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or("", |(_, rest)| rest);
    after_scheme.split_once('/').map_or("", |(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(object: Value) -> ConnectRequest {
        ConnectRequest::new(&Command { transaction_id: 1.0, object, ..Command::new("connect", Vec::new()) })
    }

    #[test]
    fn the_application_is_found_in_non_standard_requests() {
        let object = Object::new().with("app", "live").with("tcUrl", "rtmp://host/other");
        assert_eq!(connect(object.into()).app, "live");
        let lower_case = Object::new().with("tcurl", "\"rtmp://host:1935/live/a?k=v\"");
        assert_eq!(connect(Value::EcmaArray(lower_case)).app, "live/a?k=v");
        assert_eq!(connect(Object::new().with("app", 7.0).into()).app, "");
        let key_in_url = Object::new().with("app", "live").with("tcUrl", "rtmp://host/live?key=k");
        let request = connect(key_in_url.into());
        assert_eq!(request.app, "live?key=k");
        assert!(!format!("{request:?}").contains("key"));
        assert_eq!(connect(Value::Null).app, "");
    }

    #[test]
    fn long_program_names_are_truncated() {
        let name = |length| format!("{}é", "n".repeat(length - 2));
        let read = |name: &str| connect(Object::new().with("flashVer", name).into()).flash_version;
        assert_eq!(read(&name(limits::NAME_BYTES)), name(limits::NAME_BYTES));
        assert_eq!(
            read(&name(limits::NAME_BYTES + 1)).len(),
            limits::NAME_BYTES - 1,
            "truncated at a character boundary"
        );
        assert_eq!(read(&"n".repeat(1 << 20)).len(), limits::NAME_BYTES);
    }

    #[test]
    fn the_reply_echoes_transaction_id_and_object_encoding() {
        let replies = connect(Object::new().with("objectEncoding", 3.0).into()).accept();
        let Message::Command(result) = &replies[3].message else { panic!() };
        assert_eq!((result.name.as_str(), result.transaction_id), ("_result", 1.0));
        let info = result.argument(0).as_object().unwrap();
        assert_eq!(info.get("objectEncoding"), Some(&Value::Number(3.0)));
        assert_eq!(info.get("code"), Some(&Value::from("NetConnection.Connect.Success")));
    }
}
