//! Live streams over WebSockets (RFC 6455), for players in browsers that know no other way.

use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

use super::{Headers, Reader, Request};
use crate::connection::web_socket_header;
use crate::error::{Error, Result};
use crate::limits;

/// The fields that accept a request to switch; `None` when it is none.
///
/// # Errors
/// [`Error::Http`] when it can't be accepted. Browsers hold other pages back from reading what they get here, but not
/// over WebSockets, so where the page comes from is looked at: it has to be this server, or what `cors` says.
pub(super) fn accept(request: &Request, cors: Option<&str>) -> Result<Option<Headers>> {
    if !request.header_has("upgrade", "websocket") {
        return Ok(None);
    }
    let refused = |status, reason: &'static str| Error::Http { status, reason: reason.into() };
    if request.header("sec-websocket-version") != Some("13") {
        return Err(refused(426, "only version 13 of WebSocket is known here"));
    }
    let Some(key) = request.header("sec-websocket-key") else { return Err(refused(400, "the WebSocket has no key")) };
    if let Some(origin) = request.header("origin") {
        let host = origin.split_once("://").map(|(_, host)| host);
        let is_ours = host.is_some() && host == request.header("host");
        if !is_ours && !cors.is_some_and(|allowed| allowed == "*" || allowed == origin) {
            return Err(refused(403, "pages of other origins need --cors"));
        }
    }
    Ok(Some(vec![
        ("upgrade", "websocket".into()),
        ("connection", "Upgrade".into()),
        ("sec-websocket-accept", derive_accept_key(key.as_bytes()).into()),
    ]))
}

/// A binary message.
pub(super) fn binary(content: &[u8]) -> Vec<u8> {
    let (header, used) = web_socket_header(content.len());
    [&header[..used], content].concat()
}

/// A message of text.
pub(super) fn text(content: &str) -> Vec<u8> {
    let mut message = binary(content.as_bytes());
    // Opcode 1 in place of 2.
    message[0] ^= 3;
    message
}

/// Answers pings until the client hangs up.
pub(super) fn wait(reader: &mut Reader<'_>) -> Result<()> {
    let most = Some(limits::WEB_SOCKET_MESSAGE_BYTES);
    let config = WebSocketConfig::default().max_message_size(most).max_frame_size(most);
    let read_already = reader.buffer().to_vec();
    let mut socket = WebSocket::from_partially_read(reader.get_mut(), read_already, Role::Server, Some(config));
    // An error is an end as well.
    while socket.read().is_ok() {}
    Ok(())
}
