//! The server side of the handshake.

use std::io::{Read, Write};

use super::digest::{self, RESPONSE_BODY, Side};
use super::{PACKET, Packet, Scheme, VERSION, random, read_packet};
use crate::error::{Error, Result};

/// Version field of an S1 with a digest; any value but zero.
const S1_VERSION: [u8; 4] = [4, 5, 0, 1];

/// The handshake that was performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Without digests, or with an invalid one.
    Simple,
    /// With digests, under the client's scheme.
    Digest(Scheme),
}

/// Performs the handshake with a client. `reader` reads the chunks afterwards, so it may be buffered.
///
/// S0, S1 and S2 are sent in one write as soon as C1 has arrived: some clients send C2 only after they have read all
/// three. The content of C2 is not checked, since well-known clients send anything.
///
/// # Errors
/// [`Error::Disconnected`] if the client closes before it has sent a byte, [`Error::Handshake`] if it speaks another
/// protocol, [`Error::Io`].
pub fn accept<R: Read, W: Write>(reader: &mut R, writer: &mut W) -> Result<Kind> {
    let mut c0 = [0];
    match reader.read(&mut c0) {
        Ok(0) => return Err(Error::Disconnected),
        Ok(_) => {}
        Err(error) => return Err(Error::io("reading C0", error)),
    }
    check_version(c0[0])?;
    let c1 = read_packet(reader, "reading C1")?;
    let (kind, s1, s2) = response_to(&c1);
    let mut response = Vec::with_capacity(1 + 2 * PACKET);
    response.push(VERSION);
    response.extend_from_slice(&s1[..]);
    response.extend_from_slice(&s2[..]);
    let sent = writer.write_all(&response).and_then(|()| writer.flush());
    sent.map_err(|error| Error::io("sending S0, S1 and S2", error))?;
    read_packet(reader, "reading C2")?;
    Ok(kind)
}

/// Rejects other versions; since all a server can do is to close the connection, the error says why in the log.
fn check_version(version: u8) -> Result<()> {
    let reason = match version {
        VERSION => return Ok(()),
        6 | 8 | 9 => "it asks for RTMPE, which is not supported: use rtmp://",
        0x16 => "it speaks TLS: use rtmp://, not rtmps://",
        b'G' | b'P' | b'H' | b'O' => "it speaks HTTP: this is an RTMP server",
        _ => "that is no version of RTMP",
    };
    Err(Error::Handshake(format!("the first byte is {version:#04x}: {reason}").into()))
}

/// Builds S1 and S2 for a C1.
fn response_to(c1: &Packet) -> (Kind, Box<Packet>, Box<Packet>) {
    // Clients of the simple handshake have zeros where the others have a version.
    let found = if c1[4..8] == [0; 4] { None } else { digest::find(c1, Side::Client) };
    let mut s1 = Box::new([0; PACKET]);
    random::fill(&mut s1[8..]);
    let Some((scheme, c1_digest)) = found else {
        return (Kind::Simple, s1, Box::new(*c1));
    };
    s1[4..8].copy_from_slice(&S1_VERSION);
    scheme.sign(&mut s1, Side::Server);
    let mut s2 = Box::new([0; PACKET]);
    random::fill(&mut s2[..RESPONSE_BODY]);
    digest::sign_response(&mut s2, Side::Server, &c1_digest);
    (Kind::Digest(scheme), s1, s2)
}
