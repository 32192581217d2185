//! The handshake: either side against any bytes, and both against each other with damage in between.

use std::cell::RefCell;
use std::io::{self, Cursor, Read, Write};

use gortmp::rtmp::handshake::Scheme;
use gortmp::rtmp::handshake::client::{self, ClientKind};
use gortmp::rtmp::handshake::server::{self, Kind};

use super::input::Input;

const PACKET: usize = 1536;

const CLIENTS: [ClientKind; 3] =
    [ClientKind::Simple, ClientKind::Digest(Scheme::Zero), ClientKind::Digest(Scheme::One)];

/// A peer's whole side of a handshake; what is far too short for one says what to change between a client and a server.
pub fn handshake(input: &[u8]) {
    serve(input);
    for kind in CLIENTS {
        let mut sent = Vec::new();
        let done = client::connect(&mut Cursor::new(input), &mut sent, kind);
        assert_eq!(sent.len(), if done.is_ok() { 1 + 2 * PACKET } else { 1 + PACKET }, "C0, C1 and C2");
        done.err().iter().for_each(super::is_fit_for_the_log);
    }
    if input.len() < 32 {
        let mut input = Input::new(input);
        let kind = input.pick(&CLIENTS);
        between(kind, &mut input);
    }
}

/// A server against these bytes.
fn serve(bytes: &[u8]) {
    let mut answer = Vec::new();
    let done = server::accept(&mut Cursor::new(bytes), &mut answer);
    assert!(done.is_err() || bytes.len() > 2 * PACKET, "it was content with less than C0, C1 and C2");
    assert!(answer.is_empty() || answer.len() == 1 + 2 * PACKET);
    assert!(answer.is_empty() || bytes.len() > PACKET, "it spoke before C1 was there");
    done.err().iter().for_each(super::is_fit_for_the_log);
}

/// A client and a server, with bytes changed on the way to the server, then on the way back.
fn between(kind: ClientKind, input: &mut Input<'_>) {
    let mut changes = || (0..input.u8() % 4).map(|_| (usize::from(input.u16()), input.u8())).collect::<Vec<_>>();
    let between = RefCell::new(Between {
        to_server: changes(),
        to_client: changes(),
        sent: Vec::new(),
        answer: None,
        accepted: None,
    });
    let done = client::connect(&mut Ends(&between), &mut Ends(&between), kind);
    let between = between.into_inner();
    let is_untouched = |changes: &[(usize, u8)]| changes.iter().all(|(_, xor)| *xor == 0);
    if is_untouched(&between.to_server) && is_untouched(&between.to_client) {
        done.expect("nothing came between them");
        let expected = match kind {
            ClientKind::Simple => Kind::Simple,
            ClientKind::Digest(scheme) => Kind::Digest(scheme),
        };
        assert_eq!(between.accepted, Some(expected));
    }
}

/// What lies between a client and a server.
struct Between {
    to_server: Vec<(usize, u8)>,
    to_client: Vec<(usize, u8)>,
    /// C0, C1 and C2 as far as they were sent.
    sent: Vec<u8>,
    answer: Option<Cursor<Vec<u8>>>,
    accepted: Option<Kind>,
}

/// The client's end: what it reads is what a server makes of what it wrote.
struct Ends<'a>(&'a RefCell<Between>);

impl Write for Ends<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().sent.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Ends<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut between = self.0.borrow_mut();
        if between.answer.is_none() {
            let mut announced = between.sent.clone();
            announced.resize(1 + 2 * PACKET, 0x5a);
            change(&mut announced, &between.to_server);
            let mut answer = Vec::new();
            between.accepted = server::accept(&mut Cursor::new(announced), &mut answer).ok();
            change(&mut answer, &between.to_client);
            between.answer = Some(Cursor::new(answer));
        }
        between.answer.as_mut().map_or(Ok(0), |answer| answer.read(buffer))
    }
}

fn change(bytes: &mut [u8], changes: &[(usize, u8)]) {
    for (at, xor) in changes {
        let length = bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(at % length) {
            *byte ^= xor;
        }
    }
}
