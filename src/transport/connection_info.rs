//! What the API reports about a connection.

use std::net::SocketAddr;
use std::time::Duration;

/// The protocol of a connection, with or without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// RTMP.
    Rtmp,
    /// HTTP/1.1.
    Http,
}

/// The state of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionInfo {
    /// The client's address.
    pub address: SocketAddr,
    /// `rtmp`, or `http`.
    pub protocol: &'static str,
    /// Whether it uses TLS.
    pub is_tls: bool,
    /// How long it has been connected.
    pub age: Duration,
    /// `handshake`, `idle`, `paused`, `playing` or `publishing`; of several, the last of these.
    pub state: &'static str,
    /// The client's program, as announced, of at most [`limits::AGENT_CHARS`](crate::limits::AGENT_CHARS); empty
    /// before.
    pub agent: String,
    /// The streams that it publishes.
    pub publishes: Vec<String>,
    /// The streams and files that it plays.
    pub plays: Vec<String>,
    /// Bytes received from it.
    pub bytes_received: u64,
    /// Bytes sent to it.
    pub bytes_sent: u64,
    /// The age of the oldest message queued for it.
    pub lag: Duration,
    /// Messages of live streams dropped because it was too slow.
    pub messages_dropped: u64,
    /// How often it skipped ahead to a later key frame.
    pub skips: u64,
}
