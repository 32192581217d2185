//! Live streams over WebSockets (RFC 6455), for players in browsers that know no other way.

use std::io::{self, Read, Write};

use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

use super::{Headers, Reader, Request};
use crate::error::{Error, Result};
use crate::limits;
use crate::transport::web_socket_header;

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

/// Answers pings until the client hangs up. Returns the answer to its end, for which the time has come when nothing else is
/// sent any more (RFC 6455 §5.5.1).
pub(super) fn wait(reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>> {
    let most = Some(limits::WEB_SOCKET_MESSAGE_BYTES);
    let config = WebSocketConfig::default().max_message_size(most).max_frame_size(most);
    let read_already = reader.buffer().to_vec();
    let stream = HoldingClose { stream: reader.get_mut(), close: None };
    let mut socket = WebSocket::from_partially_read(stream, read_already, Role::Server, Some(config));
    // An error is an end as well.
    while socket.read().is_ok() {}
    Ok(socket.get_mut().close.take())
}

/// Where all frames go out but those of [`CLOSE`], which are kept.
struct HoldingClose<'a, S> {
    stream: &'a mut S,
    close: Option<Vec<u8>>,
}

/// The first byte of a frame that ends a connection: the only one of its message, opcode 8 (RFC 6455 §5.2).
const CLOSE: u8 = 0x88;

impl<S: Read> Read for HoldingClose<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl<S: Write> Write for HoldingClose<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.first() != Some(&CLOSE) {
            return self.stream.write(bytes);
        }
        self.close = Some(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
