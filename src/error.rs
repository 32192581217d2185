//! The error type of the crate.

use std::borrow::Cow;
use std::io;

/// The result type of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of connections, files, requests and settings.
///
/// The texts are meant for the log: they name the byte offset, the chunk stream or the file, so that the cause can be
/// found in a packet capture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer closed the connection between two messages: the regular end of a session, not a failure.
    #[error("the peer closed the connection")]
    Disconnected,

    /// An operation on a socket or file failed. Also arises when a time limit is exceeded, see
    /// [`is_timeout`](Self::is_timeout), or when the peer leaves within a message, see
    /// [`is_disconnect`](Self::is_disconnect).
    #[error("{context}: {source}")]
    Io {
        /// The operation that failed, for example `reading C1`.
        context: Cow<'static, str>,
        /// The underlying error.
        source: io::Error,
    },

    /// The RTMP handshake failed: the peer speaks another protocol or version. Close the connection.
    #[error("handshake: {0}")]
    Handshake(Cow<'static, str>),

    /// The peer violated the chunk stream format (RTMP 1.0 §5.3). Later bytes can't be interpreted: close the
    /// connection.
    #[error("chunk stream {chunk_stream_id}, byte {position}: {reason}")]
    Chunk {
        /// The chunk stream that the bytes belong to.
        chunk_stream_id: u32,
        /// Bytes received on the connection since the handshake.
        position: u64,
        /// The rule that was violated.
        reason: Cow<'static, str>,
    },

    /// The payload of a message does not match its type.
    #[error("{message}: {reason}")]
    Message {
        /// The message's name in the specification, for example `Set Chunk Size`.
        message: Cow<'static, str>,
        /// What is wrong with the payload.
        reason: Cow<'static, str>,
    },

    /// An AMF0 or AMF3 value can't be decoded or encoded.
    #[error("AMF, byte {offset}: {reason}")]
    Amf {
        /// Offset in the encoded bytes.
        offset: usize,
        /// What is wrong at that offset.
        reason: Cow<'static, str>,
    },

    /// An FLV file or stream is malformed; no further tags can be read.
    #[error("FLV, byte {offset}: {reason}")]
    Flv {
        /// Offset in the file or stream.
        offset: u64,
        /// What is wrong at that offset.
        reason: Cow<'static, str>,
    },

    /// A peer or a file exceeded one of the limits in [`crate::limits`].
    #[error("{what} is {value}, over the limit of {limit}")]
    Limit {
        /// The quantity, with its unit.
        what: &'static str,
        /// The value that the peer or file requested.
        value: u64,
        /// The largest value allowed.
        limit: u64,
    },

    /// A request, such as a publish or play, was refused: by the remote server, or by this server's own policy. The
    /// code and description give the reason.
    #[error("{code}: {description}")]
    Refused {
        /// The status code, for example `NetStream.Publish.BadName`.
        code: Cow<'static, str>,
        /// The reason as text.
        description: Cow<'static, str>,
    },

    /// An HTTP request is invalid or can't be served.
    #[error("HTTP {status}: {reason}")]
    Http {
        /// The status code of the response.
        status: u16,
        /// Why the request fails.
        reason: Cow<'static, str>,
    },

    /// A setting is invalid; the text names it and what to change.
    #[error("{0}")]
    Config(Cow<'static, str>),
}

impl Error {
    /// Creates an [`Error::Io`]; `context` is the operation that failed.
    pub fn io(context: impl Into<Cow<'static, str>>, source: io::Error) -> Self {
        Error::Io { context: context.into(), source }
    }

    /// Creates an [`Error::Message`].
    pub fn message(message: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Error::Message { message: message.into(), reason: reason.into() }
    }

    /// Returns whether a time limit was exceeded.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == io::ErrorKind::TimedOut)
    }

    /// Returns whether the peer closed or lost the connection, or timed out: routine events that don't merit a warning.
    pub fn is_disconnect(&self) -> bool {
        match self {
            Error::Disconnected => true,
            Error::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::NotConnected
            ),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disconnects_are_distinguished_from_protocol_violations() {
        let lost = Error::io("reading C1", io::Error::from(io::ErrorKind::UnexpectedEof));
        assert!(lost.is_disconnect());
        assert!(Error::Disconnected.is_disconnect());
        assert!(!Error::Handshake("version 6".into()).is_disconnect());
        assert!(!Error::io("reading", io::Error::from(io::ErrorKind::PermissionDenied)).is_disconnect());
    }

    #[test]
    fn the_text_names_the_byte_offset() {
        let error = Error::Chunk { chunk_stream_id: 6, position: 4711, reason: "a new message inside another".into() };
        assert_eq!(error.to_string(), "chunk stream 6, byte 4711: a new message inside another");
    }
}
