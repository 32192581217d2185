//! The error type of the crate: what went wrong, where, and what was read.

use std::borrow::Cow;
use std::io;

/// The result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error between a socket or a file and the viewers.
///
/// The text of each variant is meant for the log: it names the byte, the chunk stream or the file, so that the place
/// can be found in a capture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer closed the connection between two messages.
    #[error("the peer closed the connection")]
    Disconnected,

    /// A system call failed; `context` is what was being done.
    #[error("{context}: {source}")]
    Io {
        /// What was being done, for example `reading C1`.
        context: Cow<'static, str>,
        /// What the operating system answered.
        source: io::Error,
    },

    /// The peer's handshake can't be answered.
    #[error("handshake: {0}")]
    Handshake(Cow<'static, str>),

    /// The peer broke the rules of the chunk stream (RTMP 1.0 §5.3).
    #[error("chunk stream {chunk_stream_id}, byte {position}: {reason}")]
    Chunk {
        /// The chunk stream that the bytes belong to.
        chunk_stream_id: u32,
        /// Bytes received on the connection since the handshake.
        position: u64,
        /// Which rule.
        reason: Cow<'static, str>,
    },

    /// A message whose payload isn't what its type promises.
    #[error("{message}: {reason}")]
    Message {
        /// The message's name in the specification, for example `Set Chunk Size`.
        message: Cow<'static, str>,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },

    /// An AMF0 or AMF3 value that can't be read or written.
    #[error("AMF, byte {offset}: {reason}")]
    Amf {
        /// Offset into the encoded bytes.
        offset: usize,
        /// What is wrong there.
        reason: Cow<'static, str>,
    },

    /// An FLV file or stream that can't be read on.
    #[error("FLV, byte {offset}: {reason}")]
    Flv {
        /// Offset into the file.
        offset: u64,
        /// What is wrong there.
        reason: Cow<'static, str>,
    },

    /// A size from outside is over one of the caps in [`crate::limits`].
    #[error("{what} is {value}, over the limit of {limit}")]
    Limit {
        /// What was counted, with its unit.
        what: &'static str,
        /// What the peer or file asked for.
        value: u64,
        /// What is allowed.
        limit: u64,
    },

    /// The other side, or this server's policy, refused a request.
    #[error("{code}: {description}")]
    Refused {
        /// The status code, for example `NetStream.Publish.BadName`.
        code: Cow<'static, str>,
        /// The reason in words.
        description: Cow<'static, str>,
    },

    /// A request over HTTP that can't be answered as it is.
    #[error("HTTP {status}: {reason}")]
    Http {
        /// The status code.
        status: u16,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },

    /// A setting that can't work; the text says which and what to do.
    #[error("{0}")]
    Config(Cow<'static, str>),
}

impl Error {
    /// An [`Error::Io`] that says what was being done.
    pub fn io(context: impl Into<Cow<'static, str>>, source: io::Error) -> Self {
        Error::Io { context: context.into(), source }
    }

    /// An [`Error::Message`].
    pub fn message(message: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Error::Message { message: message.into(), reason: reason.into() }
    }

    /// Whether something took longer than a time limit.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == io::ErrorKind::TimedOut)
    }

    /// Whether the peer merely left, which is everyday life and not worth a warning.
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
    fn a_peer_that_left_is_told_from_one_that_broke_the_rules() {
        let left = Error::io("reading C1", io::Error::from(io::ErrorKind::UnexpectedEof));
        assert!(left.is_disconnect());
        assert!(Error::Disconnected.is_disconnect());
        assert!(!Error::Handshake("version 6".into()).is_disconnect());
        assert!(!Error::io("reading", io::Error::from(io::ErrorKind::PermissionDenied)).is_disconnect());
    }

    #[test]
    fn the_text_leads_to_the_byte() {
        let error = Error::Chunk { chunk_stream_id: 6, position: 4711, reason: "a new message inside another".into() };
        assert_eq!(error.to_string(), "chunk stream 6, byte 4711: a new message inside another");
    }
}
