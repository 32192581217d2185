//! Response bodies that are produced while they are sent: how their end is delimited, so that an error never looks like
//! it.

use std::io::IoSlice;

use super::{Disposition, Headers, HttpConnection, Method, Request};
use crate::error::{Error, Result};
use crate::limits;
use crate::transport::ManagedConnection;

/// Bytes per send.
const SEND_BYTES: usize = 128 * 1024;

/// How the end of a response is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// By `Content-Length`.
    Known(u64),
    /// By the last chunk (RFC 9112 §7.1).
    Chunked,
    /// By the end of the connection.
    Unknown,
}

/// A response being sent. Dropped without [`end`](Self::end) it is incomplete, and the client notices: bytes or the
/// last chunk are missing, or the connection is reset.
pub(super) struct Body<'a> {
    client: &'a ManagedConnection,
    length: Length,
    /// The head, until it is sent.
    head: Vec<u8>,
    buffer: Vec<u8>,
    sent: u64,
    /// The client requested the head only.
    is_head_only: bool,
    has_ended: bool,
}

impl<'a> Body<'a> {
    /// Starts a 200 response; `length` is `None` if it is not known in advance.
    pub(super) fn new(
        connection: &'a HttpConnection,
        request: &Request,
        headers: Headers,
        length: Option<u64>,
    ) -> Self {
        let length = match length {
            Some(length) => Length::Known(length),
            None if request.supports_chunked => Length::Chunked,
            None => Length::Unknown,
        };
        let head = connection.head(Some(request), 200, headers, length);
        let is_head_only = request.method == Method::Head;
        let client = &connection.client;
        Self { client, length, head, buffer: Vec::new(), sent: 0, is_head_only, has_ended: false }
    }

    /// Whether the body is sent at all.
    pub(super) fn has_body(&self) -> bool {
        !self.is_head_only
    }

    /// Adds bytes, and sends once there are enough, waiting for the socket.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Disconnected`] when the connection is to close.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.client.should_stop() {
            return Err(Error::Disconnected);
        }
        self.buffer.extend(bytes);
        if self.buffer.len() >= SEND_BYTES { self.send(false) } else { Ok(()) }
    }

    /// Sends what is left.
    ///
    /// # Errors
    /// [`Error::Io`], also when the length is not the announced one.
    pub(super) fn end(mut self) -> Result<Disposition> {
        self.send(true)?;
        self.has_ended = true;
        match self.length {
            Length::Known(length) if length != self.sent && !self.is_head_only => Err(file_changed()),
            Length::Known(_) | Length::Chunked => Ok(Disposition::KeepAlive),
            Length::Unknown => Ok(Disposition::Close),
        }
    }

    fn send(&mut self, is_last: bool) -> Result<()> {
        let (head, bytes) = (std::mem::take(&mut self.head), std::mem::take(&mut self.buffer));
        self.sent += bytes.len() as u64;
        if matches!(self.length, Length::Known(length) if self.sent > length) {
            return Err(file_changed());
        }
        let is_chunked = self.length == Length::Chunked && !self.is_head_only;
        let size = if is_chunked && !bytes.is_empty() { format!("{:x}\r\n", bytes.len()) } else { String::new() };
        let trailer: &[u8] = match (is_chunked, bytes.is_empty(), is_last) {
            (true, false, false) => b"\r\n",
            (true, false, true) => b"\r\n0\r\n\r\n",
            (true, true, true) => b"0\r\n\r\n",
            _ => b"",
        };
        let slices = [&head, size.as_bytes(), &bytes, trailer].map(IoSlice::new);
        let result = self.client.send(&mut slices.clone(), limits::HTTP_FILE_STALL);
        // Reuses the allocation.
        self.buffer = bytes;
        self.buffer.clear();
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

fn file_changed() -> Error {
    Error::io("reading a video file", std::io::Error::other("it has changed meanwhile"))
}
