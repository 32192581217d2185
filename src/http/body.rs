//! The body of an answer that is made while it is sent: how its end shows, and that it does not show after an error.

use std::io::IoSlice;

use super::{Headers, HttpConnection, Method, Next, Request};
use crate::error::{Error, Result};
use crate::limits;
use crate::transport::ManagedConnection;

/// Bytes sent at once.
const SEND_BYTES: usize = 128 * 1024;

/// How a client learns where an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// By `Content-Length`.
    Known(u64),
    /// By the last chunk (RFC 9112 §7.1).
    Chunked,
    /// By the end of the connection.
    Unknown,
}

/// An answer on its way. Dropped without [`end`](Self::end) it is not complete, and the client notices: bytes or the last
/// chunk are missing, or the connection is reset.
pub(super) struct Body<'a> {
    client: &'a ManagedConnection,
    length: Length,
    /// The head, until it has gone out.
    head: Vec<u8>,
    waiting: Vec<u8>,
    sent: u64,
    /// The client wants the head only.
    is_head_only: bool,
    has_ended: bool,
}

impl<'a> Body<'a> {
    /// An answer of status 200 to that request; `None` for a length that can't be known before it ends.
    pub(super) fn new(
        connection: &'a HttpConnection,
        request: &Request,
        headers: Headers,
        length: Option<u64>,
    ) -> Self {
        let length = match length {
            Some(length) => Length::Known(length),
            None if request.knows_chunks => Length::Chunked,
            None => Length::Unknown,
        };
        let head = connection.head(Some(request), 200, headers, length);
        let is_head_only = request.method == Method::Head;
        let client = &connection.client;
        Self { client, length, head, waiting: Vec::new(), sent: 0, is_head_only, has_ended: false }
    }

    /// Whether the client wants more than the head.
    pub(super) fn is_wanted(&self) -> bool {
        !self.is_head_only
    }

    /// Adds bytes, and sends once there are many, waiting for room.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Disconnected`] when the client is to leave.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.client.should_stop() {
            return Err(Error::Disconnected);
        }
        self.waiting.extend(bytes);
        if self.waiting.len() >= SEND_BYTES { self.send(false) } else { Ok(()) }
    }

    /// Sends what is left.
    ///
    /// # Errors
    /// [`Error::Io`], also when it was not as long as was said.
    pub(super) fn end(mut self) -> Result<Next> {
        self.send(true)?;
        self.has_ended = true;
        match self.length {
            Length::Known(length) if length != self.sent && !self.is_head_only => Err(changed()),
            Length::Known(_) | Length::Chunked => Ok(Next::Request),
            Length::Unknown => Ok(Next::End),
        }
    }

    fn send(&mut self, is_last: bool) -> Result<()> {
        let (head, bytes) = (std::mem::take(&mut self.head), std::mem::take(&mut self.waiting));
        self.sent += bytes.len() as u64;
        if matches!(self.length, Length::Known(length) if self.sent > length) {
            return Err(changed());
        }
        let is_chunked = self.length == Length::Chunked && !self.is_head_only;
        let size = if is_chunked && !bytes.is_empty() { format!("{:x}\r\n", bytes.len()) } else { String::new() };
        let behind: &[u8] = match (is_chunked, bytes.is_empty(), is_last) {
            (true, false, false) => b"\r\n",
            (true, false, true) => b"\r\n0\r\n\r\n",
            (true, true, true) => b"0\r\n\r\n",
            _ => b"",
        };
        let slices = [&head, size.as_bytes(), &bytes, behind].map(IoSlice::new);
        let result = self.client.send(&mut slices.clone(), limits::HTTP_FILE_STALL);
        // The next bytes get the same room.
        self.waiting = bytes;
        self.waiting.clear();
        result
    }
}

impl Drop for Body<'_> {
    fn drop(&mut self) {
        if !self.has_ended && self.length == Length::Unknown {
            self.client.socket().abort();
        }
    }
}

fn changed() -> Error {
    Error::io("reading a video file", std::io::Error::other("it has changed meanwhile"))
}
