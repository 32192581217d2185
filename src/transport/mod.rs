//! The transport of RTMP and HTTP connections: the socket, with or without TLS, the send queue in front of it, and the
//! type that manages a client's connection.
//!
//! ```text
//!  a connection's own thread        a relay lane           the server, twice a second
//!      │ reads, replies                 │ live messages         │ deadlines, end
//!      ▼                                ▼                       ▼
//!  ┌───────────────────────── ManagedConnection ─────────────────────────┐
//!  │ Deadlines: which phase it is in, and what is overdue                │
//!  │ Outgoing: the send queue, bounded in bytes and time; Framing says   │
//!  │           how a message is framed (chunks, FLV tag, WebSocket)      │
//!  └──────────────────────────────┬──────────────────────────────────────┘
//!                                 ▼
//!                  Socket, with a TlsStream or not
//! ```

mod connection_info;
mod connection_table;
mod deadlines;
mod delivery;
mod framing;
mod managed_connection;
mod outgoing;
mod readiness;
mod send_queue;
mod sending;
mod sink;
mod socket;
mod socket_options;
mod tls_stream;

pub(crate) use connection_info::Protocol;
pub(crate) use connection_table::ConnectionTable;
pub(crate) use deadlines::Phase;
pub(crate) use framing::{Framing, Wrapping, web_socket_header};
pub(crate) use managed_connection::ManagedConnection;
pub(crate) use socket::Socket;
