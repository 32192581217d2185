//! The client side of the handshake.

use std::io::{Read, Write};

use super::digest::{self, RESPONSE_BODY, Side};
use super::{PACKET, Scheme, VERSION, random, read_packet};
use crate::error::{Error, Result};

/// Version field of a C1 with a digest, as sent by Flash Player 10.
const C1_VERSION: [u8; 4] = [0x80, 0, 7, 2];

/// The handshake to request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// Without digests.
    Simple,
    /// With digests.
    Digest(Scheme),
}

/// Performs the handshake with a server. A server that answers without digests is accepted.
///
/// # Errors
/// [`Error::Handshake`] if the server speaks another protocol, [`Error::Io`].
pub fn connect<R: Read, W: Write>(reader: &mut R, writer: &mut W, kind: ClientKind) -> Result<()> {
    let mut c1 = Box::new([0; PACKET]);
    random::fill(&mut c1[8..]);
    if let ClientKind::Digest(scheme) = kind {
        c1[4..8].copy_from_slice(&C1_VERSION);
        scheme.sign(&mut c1, Side::Client);
    }
    let mut request = vec![VERSION];
    request.extend_from_slice(&c1[..]);
    writer.write_all(&request).map_err(|error| Error::io("sending C0 and C1", error))?;

    let mut s0 = [0];
    reader.read_exact(&mut s0).map_err(|error| Error::io("reading S0", error))?;
    if s0[0] != VERSION {
        return Err(Error::Handshake(format!("the server answers with version {}", s0[0]).into()));
    }
    let s1 = read_packet(reader, "reading S1")?;
    read_packet(reader, "reading S2")?;
    let c2 = match (kind, digest::find(&s1, Side::Server)) {
        (ClientKind::Digest(_), Some((_, s1_digest))) => {
            let mut c2 = Box::new([0; PACKET]);
            random::fill(&mut c2[..RESPONSE_BODY]);
            digest::sign_response(&mut c2, Side::Client, &s1_digest);
            c2
        }
        _ => s1,
    };
    writer.write_all(&c2[..]).map_err(|error| Error::io("sending C2", error))
}
