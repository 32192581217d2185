//! The handshake (RTMP 1.0 §5.2), simple or with digests.
//!
//! ```text
//! client                    server
//!   C0 (1) C1 (1536)  ──▶
//!                     ◀──   S0 (1) S1 (1536) S2 (1536)
//!   C2 (1536)         ──▶
//! ```
//!
//! | packet | simple | with digests |
//! |---|---|---|
//! | C0, S0 | version 3 | the same |
//! | C1, S1 | time u32, zero u32, 1528 random bytes | time, a version that isn't zero, random bytes with a digest in them |
//! | C2, S2 | echo of the other side's packet 1 | 1504 random bytes, a digest that proves it was read |
//!
//! The digests are in no specification; Flash players require them before they accept H.264.

pub mod client;
mod digest;
mod random;
pub mod server;

pub use digest::Scheme;

use std::io::Read;

use crate::error::{Error, Result};

/// The version of plain RTMP.
const VERSION: u8 = 3;

/// Length of C1, S1, C2 and S2 in bytes.
const PACKET: usize = 1536;

/// One of C1, S1, C2, S2.
type Packet = [u8; PACKET];

/// Reads a packet into heap memory: a stack that has been this deep once would keep its pages as long as its connection.
fn read_packet(reader: &mut impl Read, name: &'static str) -> Result<Box<Packet>> {
    let mut packet = Box::new([0; PACKET]);
    reader.read_exact(&mut packet[..]).map_err(|error| Error::io(name, error))?;
    Ok(packet)
}

#[cfg(test)]
mod tests;
