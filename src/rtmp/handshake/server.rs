//! The server's side.

use std::io::{Read, Write};

use super::digest::{self, RESPONSE_BODY, Side};
use super::{PACKET, Packet, Scheme, VERSION, random, read_packet};
use crate::error::{Error, Result};

/// The version in an S1 with a digest; it must not be zero, and means nothing else.
const S1_VERSION: [u8; 4] = [4, 5, 0, 1];

/// How the handshake was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Without digests, or with one that didn't check.
    Simple,
    /// With digests, placed as the client placed its own.
    Digest(Scheme),
}

/// Shakes hands with a client. `reader` goes on to read chunks, so it may be buffered.
///
/// S0, S1 and S2 go out in one write, as soon as C1 is there: some clients send C2 only when they have
/// read all three. What C2 holds is not looked at; clients that are beyond doubt send all sorts of things.
///
/// # Errors
/// [`Error::Disconnected`] when the client leaves before it has sent a byte, [`Error::Handshake`] when it
/// speaks something else, [`Error::Io`].
pub fn accept<R: Read, W: Write>(reader: &mut R, writer: &mut W) -> Result<Kind> {
    let mut c0 = [0];
    match reader.read(&mut c0) {
        Ok(0) => return Err(Error::Disconnected),
        Ok(_) => {}
        Err(error) => return Err(Error::io("reading C0", error)),
    }
    check_version(c0[0])?;
    let c1 = read_packet(reader, "reading C1")?;
    let (kind, s1, s2) = answer(&c1);
    let mut answer = Vec::with_capacity(1 + 2 * PACKET);
    answer.push(VERSION);
    answer.extend_from_slice(&s1[..]);
    answer.extend_from_slice(&s2[..]);
    let sent = writer.write_all(&answer).and_then(|()| writer.flush());
    sent.map_err(|error| Error::io("sending S0, S1 and S2", error))?;
    read_packet(reader, "reading C2")?;
    Ok(kind)
}

/// There is no way to refuse a version but to hang up; the log says why.
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

/// S1 and S2 for a C1.
fn answer(c1: &Packet) -> (Kind, Box<Packet>, Box<Packet>) {
    // Simple clients have zeros where the others have a version.
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
