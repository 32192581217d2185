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

pub use connection_info::{ConnectionInfo, Protocol};
pub use connection_table::{ConnectionTable, Registration};
pub use deadlines::Phase;
pub use framing::{Framing, Wrapping, web_socket_header};
pub use managed_connection::ManagedConnection;
pub use outgoing::Outgoing;
pub use socket::Socket;
