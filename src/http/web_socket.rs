//! Live streams over WebSockets (RFC 6455), for players in browsers that support nothing else.

use std::io::{self, Read, Write};

use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

use super::{Headers, Reader, Request};
use crate::error::{Error, Result};
use crate::limits;
use crate::transport::web_socket_header;

/// Returns the header fields that accept an upgrade request; `None` when it is none.
///
/// # Errors
/// [`Error::Http`] when it can't be accepted. Browsers keep foreign pages from reading responses, but not from using
/// WebSockets, so the origin is checked: it has to be this server, or allowed by `cors`.
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
        let is_same_origin = host.is_some() && host == request.header("host");
        if !is_same_origin && !cors.is_some_and(|allowed| allowed == "*" || allowed == origin) {
            return Err(refused(403, "pages of other origins need --cors"));
        }
    }
    Ok(Some(vec![
        ("upgrade", "websocket".into()),
        ("connection", "Upgrade".into()),
        ("sec-websocket-accept", derive_accept_key(key.as_bytes()).into()),
    ]))
}

/// Returns a binary message.
pub(super) fn binary(content: &[u8]) -> Vec<u8> {
    let (header, used) = web_socket_header(content.len());
    [&header[..used], content].concat()
}

/// Returns a text message.
pub(super) fn text(content: &str) -> Vec<u8> {
    let mut message = binary(content.as_bytes());
    // Opcode 1 in place of 2.
    message[0] ^= 3;
    message
}

/// Answers pings until the client disconnects. Returns the reply to its close frame, which is due when nothing else is
/// sent any more (RFC 6455 §5.5.1).
pub(super) fn answer_pings(reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>> {
    let limit = Some(limits::WEB_SOCKET_MESSAGE_BYTES);
    let config = WebSocketConfig::default().max_message_size(limit).max_frame_size(limit);
    let buffered = reader.buffer().to_vec();
    let stream = DeferClose { stream: reader.get_mut(), close: None };
    let mut socket = WebSocket::from_partially_read(stream, buffered, Role::Server, Some(config));
    // An error is an end as well.
    while socket.read().is_ok() {}
    Ok(socket.get_mut().close.take())
}

/// Passes all frames on except [`CLOSE`], which is kept.
struct DeferClose<'a, S> {
    stream: &'a mut S,
    close: Option<Vec<u8>>,
}

/// The first byte of an unfragmented close frame, opcode 8 (RFC 6455 §5.2).
const CLOSE: u8 = 0x88;

impl<S: Read> Read for DeferClose<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl<S: Write> Write for DeferClose<'_, S> {
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
