//! Attacks over HTTP: requests that mean nothing, never end or are never read, and frames of WebSockets.

use std::io::{self, Write};
use std::time::Duration;

use rustix::net::sockopt::set_socket_recv_buffer_size;

use super::attacker::{Attacker, Kind, ms};
use super::names::SECRET;

/// How long a connection is listened to that the server should answer at once.
const SOON: Duration = ms(400);

/// Longer than a request may take.
const DEADLINE: Duration = ms(40_000);

/// Longer than a live stream may go unread.
const UNREAD: Duration = ms(25_000);

pub const KINDS: &[Kind] = &[
    Kind { name: "HTTP: requests with some bytes changed", pause: ms(100), round: changed_requests },
    Kind { name: "HTTP: heads a byte at a time", pause: ms(500), round: drips },
    Kind { name: "HTTP: hundreds of requests at once", pause: ms(500), round: floods },
    Kind { name: "HTTP: streams and files that are not read", pause: ms(1000), round: unread },
    Kind { name: "HTTP: paths that lead out of the folder", pause: ms(100), round: traversal },
    Kind { name: "HTTP: WebSockets with frames that mean nothing", pause: ms(150), round: frames },
];

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn request(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")
}

/// What the server knows, and some of what it does not.
const REQUESTS: [(&str, &str); 12] = [
    ("/", ""),
    ("/live/good.flv", ""),
    ("/live/good.mp4?gop=0", ""),
    ("/live/good/index.m3u8", ""),
    ("/live/small/media.m3u8?_HLS_msn=18446744073709551615&_HLS_part=9", ""),
    ("/live/good.mp4", UPGRADE),
    ("/gortmp/sample.flv", "Range: bytes=18446744073709551615-\r\nIf-Range: \"x\"\r\n"),
    ("/gortmp/sample.mp4?start=1e308", ""),
    ("/gortmp/sample/seg-0-18446744073709551615.m4s", ""),
    ("/api/v1/streams?key=%ff%00", "Authorization: Bearer \u{ff}\r\n"),
    ("/api/v1/events", "Connection: close\r\n"),
    ("/metrics", "Content-Length: 99999999999999999999\r\n"),
];

fn changed_requests(attacker: &mut Attacker) -> io::Result<()> {
    let (path, more) = REQUESTS[attacker.rounds as usize % REQUESTS.len()];
    let mut bytes = request(path, more).into_bytes();
    for _ in 0..attacker.rng.below(6) {
        let place = attacker.rng.below(bytes.len() as u64) as usize;
        match attacker.rng.below(3) {
            0 => bytes[place] = attacker.rng.next() as u8,
            1 => drop(bytes.remove(place)),
            _ => bytes.insert(place, attacker.rng.next() as u8),
        }
    }
    let socket = attacker.dial_http()?;
    attacker.say(&socket, &bytes);
    attacker.settle_http(&socket, SOON);
    Ok(())
}

fn drips(attacker: &mut Attacker) -> io::Result<()> {
    let sockets = (0..20).map(|_| attacker.dial_http()).collect::<io::Result<Vec<_>>>()?;
    sockets.iter().for_each(|socket| attacker.say(socket, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "));
    attacker.stand(sockets, DEADLINE, |mut socket| socket.write_all(b"x"));
    Ok(())
}

fn floods(attacker: &mut Attacker) -> io::Result<()> {
    let socket = attacker.dial_http()?;
    for _ in 0..300 {
        let (path, more) = REQUESTS[attacker.rng.below(REQUESTS.len() as u64) as usize];
        attacker.say(&socket, request(path, more).as_bytes());
    }
    attacker.settle_closed(&socket, ms(2000));
    Ok(())
}

fn unread(attacker: &mut Attacker) -> io::Result<()> {
    let paths = ["/live/good.flv", "/live/good.mp4", "/live/small.flv", "/gortmp/sample.flv", "/gortmp/sample.mp4"];
    let mut sockets = Vec::new();
    for path in paths {
        let socket = attacker.dial_http()?;
        set_socket_recv_buffer_size(&socket, 4096)?;
        // Of what ends by itself many, one behind the other.
        attacker.say(&socket, request(path, "").repeat(20).as_bytes());
        sockets.push(socket);
    }
    attacker.stall(&sockets, UNREAD, |_| {});
    Ok(())
}

fn traversal(attacker: &mut Attacker) -> io::Result<()> {
    let forms = [
        "../{}",
        "%2e%2e/{}",
        "..%2f{}",
        "%252e%252e/{}",
        "x/../../{}",
        "/{}",
        "..\\{}",
        "{}%00",
        "link/{}",
        "/proc/self/cwd/{}",
    ];
    let ends = [".flv", ".mp4", "/index.m3u8", "/media.m3u8", "/init-0.mp4", "/seg-0-9000.m4s"];
    let rounds = attacker.rounds as usize;
    let name = forms[rounds % forms.len()].replace("{}", SECRET);
    let path = format!("/gortmp/{name}{}", ends[rounds / forms.len() % ends.len()]);
    let socket = attacker.dial_http()?;
    attacker.say(&socket, request(&path, "Connection: close\r\n").as_bytes());
    if attacker.settle_http(&socket, SOON).starts_with(b"HTTP/1.1 2") {
        attacker.breach(format!("{path} was sent"));
    }
    Ok(())
}

fn frames(attacker: &mut Attacker) -> io::Result<()> {
    let socket = attacker.dial_http()?;
    attacker.say(&socket, request("/live/small.flv", UPGRADE).as_bytes());
    let noise = match attacker.rounds % 3 {
        // A text of 2⁶² bytes, pings without end, and anything.
        0 => [&[0x81, 0xff, 0x40][..], &[0; 7], &[1; 4], &[b'x'; 4000]].concat(),
        1 => [0x89, 0x84, 1, 2, 3, 4, 5, 6, 7, 8].repeat(400),
        _ => attacker.rng.bytes(2000),
    };
    attacker.say(&socket, &noise);
    attacker.settle_closed(&socket, SOON);
    Ok(())
}
