//! What the API tells of a connection.

use std::net::SocketAddr;
use std::time::Duration;

/// What is spoken on a connection, perhaps within TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// RTMP.
    Rtmp,
    /// HTTP/1.1.
    Http,
}

/// A connection as others are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionInfo {
    /// Where the client is.
    pub address: SocketAddr,
    /// `rtmp`, or `http`.
    pub protocol: &'static str,
    /// Whether that is within TLS.
    pub is_tls: bool,
    /// How long it has been there.
    pub age: Duration,
    /// `handshake`, `idle`, `paused`, `playing` or `publishing`; of several, the last of these.
    pub state: &'static str,
    /// The program that it says it is, of [`limits::AGENT_CHARS`](crate::limits::AGENT_CHARS) at most; empty until it has said so.
    pub agent: String,
    /// The streams that it publishes.
    pub publishes: Vec<String>,
    /// The streams and files that it plays.
    pub plays: Vec<String>,
    /// Bytes received from it.
    pub bytes_received: u64,
    /// Bytes sent to it.
    pub bytes_sent: u64,
    /// How long the oldest message that waits for it has waited.
    pub lag: Duration,
    /// Messages of live streams that it was too slow for.
    pub messages_dropped: u64,
    /// How often it was skipped ahead to a later key frame for that.
    pub skips: u64,
}
