//! The wire format of RTMP 1.0: handshake, chunk stream, messages, commands.
//!
//! Everything here is generic over `Read` and `Write` or plain bytes; nothing knows of sockets.

pub mod chunk;
pub mod command;
pub mod handshake;
pub mod message;
pub mod status;
pub mod user_control;
