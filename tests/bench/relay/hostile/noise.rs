//! Attacks below the protocol: bytes that mean nothing, mean something else, or never come.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::attacker::{Attacker, Kind, ms, will_reset};
use super::bytes;

/// How long a connection is listened to that the server should close at once.
const SOON: Duration = ms(400);

/// Longer than any deadline before `publish` or `play`.
const DEADLINES: Duration = ms(40_000);

/// Connections opened and dropped at once.
const FLOOD: usize = 1000;

pub const KINDS: &[Kind] = &[
    Kind { name: "random bytes instead of a handshake", pause: ms(150), round: random_start },
    Kind { name: "random bytes behind the handshake", pause: ms(150), round: random_chunks },
    Kind { name: "half a handshake, then silence", pause: ms(500), round: half_handshakes },
    Kind { name: "a byte at a time", pause: ms(500), round: drips },
    Kind { name: "connection and nothing more, dropped at once", pause: ms(12_000), round: connection_flood },
    Kind { name: "reset in the middle", pause: ms(60), round: resets },
    Kind { name: "other protocols", pause: ms(100), round: other_protocols },
    Kind { name: "good sessions with some bytes changed", pause: ms(100), round: changed_sessions },
];

fn random_start(attacker: &mut Attacker) -> io::Result<()> {
    let length = 1 + attacker.rng.below(4000);
    let mut noise = attacker.rng.bytes(length);
    if attacker.rounds.is_multiple_of(2) {
        // This much is right.
        noise[0] = 3;
    }
    let socket = attacker.dial()?;
    attacker.say(&socket, &noise);
    attacker.settle(&socket, SOON);
    Ok(())
}

fn random_chunks(attacker: &mut Attacker) -> io::Result<()> {
    let length = 1 + attacker.rng.below(6000);
    let noise = attacker.rng.bytes(length);
    let socket = match attacker.rounds % 3 {
        0 => attacker.shake()?,
        1 => attacker.enter("live")?,
        _ => attacker.publisher("noise")?,
    };
    attacker.say(&socket, &noise);
    attacker.settle(&socket, SOON);
    Ok(())
}

fn half_handshakes(attacker: &mut Attacker) -> io::Result<()> {
    let whole = [bytes::hello(), vec![0; bytes::PACKET]].concat();
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let socket = attacker.dial()?;
        let length = attacker.rng.below(whole.len() as u64) as usize;
        attacker.say(&socket, &whole[..length]);
        sockets.push(socket);
    }
    attacker.stand(sockets, DEADLINES, |_| Ok(()));
    Ok(())
}

/// In the handshake, behind it, and in the middle of a video frame that is being published.
fn drips(attacker: &mut Attacker) -> io::Result<()> {
    let mut sockets = Vec::new();
    for _ in 0..5 {
        let publisher = attacker.publisher("drips")?;
        attacker.say(&publisher, &bytes::header(6, 100_000, 9));
        sockets.extend([attacker.dial()?, attacker.shake()?, publisher]);
    }
    // A byte that begins a handshake, a chunk and the data of one alike.
    attacker.stand(sockets, DEADLINES, |mut socket| socket.write_all(&[3]));
    Ok(())
}

fn connection_flood(attacker: &mut Attacker) -> io::Result<()> {
    let mut sockets = Vec::with_capacity(FLOOD);
    for _ in 0..FLOOD {
        sockets.push(attacker.dial()?);
    }
    for (index, socket) in sockets.iter().enumerate() {
        attacker.note(super::tally::Fate::Ended);
        if index % 2 == 0 {
            will_reset(socket);
        }
    }
    Ok(())
}

fn resets(attacker: &mut Attacker) -> io::Result<()> {
    let session = match attacker.rounds % 2 {
        0 => bytes::publisher_session("reset"),
        _ => bytes::player_session("sample"),
    };
    let length = attacker.rng.below(session.len() as u64) as usize;
    let socket = attacker.dial()?;
    attacker.say(&socket, &session[..length]);
    if attacker.rounds.is_multiple_of(3) {
        attacker.rest(ms(20));
    }
    will_reset(&socket);
    attacker.note(super::tally::Fate::Ended);
    Ok(())
}

fn other_protocols(attacker: &mut Attacker) -> io::Result<()> {
    let hellos: [&[u8]; 10] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Mozilla/5.0\r\n\r\n",
        b"POST /open/1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n\0",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"OPTIONS rtsp://localhost/live RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        b"EHLO localhost\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
        b"\x06RTMPE",
    ];
    let hello = hellos[attacker.rounds as usize % hellos.len()];
    let socket = attacker.dial()?;
    attacker.say(&socket, hello);
    attacker.settle(&socket, SOON);
    Ok(())
}

fn changed_sessions(attacker: &mut Attacker) -> io::Result<()> {
    let mut session = match attacker.rounds % 3 {
        0 => bytes::player_session("sample"),
        _ => bytes::publisher_session("changed"),
    };
    // A third of them in the handshake as well.
    let from = if attacker.rounds % 9 < 3 { 0 } else { 1 + 2 * bytes::PACKET };
    for _ in 0..=attacker.rng.below(12) {
        let place = from + attacker.rng.below((session.len() - from) as u64) as usize;
        match attacker.rng.below(4) {
            0 => session[place] ^= 1 << attacker.rng.below(8),
            1 => session[place] = attacker.rng.next() as u8,
            2 => drop(session.remove(place)),
            _ => session.insert(place, attacker.rng.next() as u8),
        }
    }
    let socket = attacker.dial()?;
    attacker.say(&socket, &session);
    attacker.settle(&socket, SOON);
    Ok(())
}

/// Sends until the socket takes no more for a second, at most so many bytes; says how long it took.
pub fn pour(mut socket: &TcpStream, bytes: &[u8], most: usize) -> Duration {
    let began = Instant::now();
    let mut poured = 0;
    while poured < most {
        match socket.write(bytes) {
            Ok(count @ 1..) => poured += count,
            _ => break,
        }
    }
    began.elapsed()
}
