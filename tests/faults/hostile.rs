//! Connections that speak something else, break the rules or want too much: they are closed, and nobody
//! else notices.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use gortmp::amf::Value;
use gortmp::{Client, limits};

use crate::support::wire::{self, PACKET, Wire};
use crate::support::*;

/// A publisher and a player that are there all the while.
struct Bystanders {
    publisher: Client,
    player: Client,
    sent: u32,
}

impl Bystanders {
    fn new(server: &Server) -> Self {
        let mut player = player(server, "live", "bystanders");
        settle(&mut player);
        let mut bystanders = Self { publisher: publisher(server, "bystanders"), player, sent: 0 };
        bystanders.check();
        bystanders
    }

    /// Their stream goes on.
    fn check(&mut self) {
        let packet = video(self.sent * 40, &numbered(KEY, self.sent));
        self.publisher.send(packet.clone()).expect("the publisher is not disturbed");
        assert_eq!(next_media(&mut self.player), packet, "the player is not disturbed");
        self.sent += 1;
    }
}

/// A connection behind its handshake on which `bytes` were sent; whatever of them the server takes.
fn say(server: &Server, bytes: &[u8]) -> TcpStream {
    let socket = Wire::new(server.address).socket;
    let _ = (&socket).write_all(bytes);
    socket
}

/// The same behind `connect` and `createStream`.
fn say_inside(server: &Server, bytes: &[u8]) -> TcpStream {
    let socket = Wire::open(server.address, "live").socket;
    let _ = (&socket).write_all(bytes);
    socket
}

/// The server hangs up on this connection, and soon.
fn is_closed(what: &str, socket: &TcpStream) {
    let before = Instant::now();
    read_to_end(socket);
    assert!(before.elapsed() < Duration::from_secs(4), "{what}: after {:?}", before.elapsed());
}

/// A type 0 header on chunk stream 6.
fn header(length: usize, type_id: u8) -> Vec<u8> {
    [&[6, 0, 0, 0][..], &(length as u32).to_be_bytes()[1..], &[type_id, 1, 0, 0, 0]].concat()
}

fn resident(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn other_protocols_are_closed_at_once_and_named_in_the_log() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    for (bytes, hint) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], "TLS"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP"),
        (b"POST /open/1 HTTP/1.1\r\n\r\n", "HTTP"),
        (b"\x06", "RTMPE"),
        (b"\x08", "RTMPE"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "0x53"),
        (b"\xff\xff\xff\xff", "0xff"),
    ] {
        let socket = wire::dial(server.address);
        let before = Instant::now();
        (&socket).write_all(bytes).unwrap();
        assert_eq!(read_to_end(&socket).len(), 0, "{hint}: there is nothing to say");
        assert!(before.elapsed() < Duration::from_secs(4), "{hint}: after {:?}", before.elapsed());
        server.wait_for_log(hint);
        bystanders.check();
    }
}

#[test]
fn who_leaves_in_the_middle_of_the_handshake_is_no_trouble() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    let bytes = [wire::c0_c1(), vec![0; PACKET], wire::connect_command("live")].concat();
    for length in [0, 1, 2, 1_000, PACKET, 1 + PACKET, 2 + PACKET, 1 + 2 * PACKET, 2 + 2 * PACKET, bytes.len() - 1] {
        for reset in [false, true] {
            let mut socket = wire::dial(server.address);
            socket.write_all(&bytes[..length]).unwrap();
            if reset {
                rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
            }
        }
    }
    bystanders.check();
    // The two that stay are not counted.
    wait_for("all to be gone", || {
        let log = server.log();
        let count = |text: &str| log.iter().filter(|line| line.contains(text)).count();
        (count("] connected") == count(" KiB received, ") + 2).then_some(())
    });
    assert!(server.log().iter().all(|line| !line.contains("WARN")), "who leaves is nothing to warn of");
}

/// Bytes that look like nothing, the same each time.
fn garbage(seed: &mut u64, length: usize) -> Vec<u8> {
    let mut next = || {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn garbage_behind_the_handshake_closes_that_connection_only() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    for round in 0..60 {
        let garbage = garbage(&mut seed, 3_000);
        let socket = if round % 2 == 0 { say(&server, &garbage) } else { say_inside(&server, &garbage) };
        // Some of it promises more to come.
        let _ = socket.shutdown(std::net::Shutdown::Write);
        is_closed("garbage", &socket);
        bystanders.check();
    }
}

#[test]
fn garbage_inside_of_messages_does_no_harm() {
    let server = Server::start(&["--replace-publisher", "always"]);
    let mut bystanders = Bystanders::new(&server);
    let mut player = player(&server, "live", "noise");
    settle(&mut player);
    let mut publisher = Wire::publisher(server.address, "noise");
    let mut seed = 0x2545_f491_4f6c_dd1d;
    for round in 0..300 {
        if round % 15 == 14 {
            // More commands on one connection would be too many.
            publisher = Wire::publisher(server.address, "noise");
        }
        let garbage = garbage(&mut seed, round % 40);
        publisher.send(&wire::message(6, 0, 9, 1, &garbage));
        publisher.send(&wire::message(4, 0, 8, 1, &garbage));
        for type_id in [3, 4, 7, 15, 18, 19, 22, 99] {
            publisher.send(&wire::message(5, 0, type_id, 1, &garbage));
        }
        // Whose arguments make no sense; what would end the publication is left out.
        for name in ["pause", "seek", "receiveAudio", "getStreamLength", "releaseStream", "nothing"] {
            let name = [&[2, 0, name.len() as u8], name.as_bytes()].concat();
            let command = [&*name, b"\0\0\0\0\0\0\0\0\0\x05", &garbage].concat();
            publisher.send(&wire::message(3, 0, 20, 1, &command));
            publisher.send(&wire::message(3, 0, 17, 1, &[&[0], &*command].concat()));
        }
    }
    publisher.send(&wire::message(6, 40, 9, 1, &numbered(KEY, 4_711)));
    while next_media(&mut player).payload != numbered(KEY, 4_711) {}
    bystanders.check();
}

#[test]
fn what_breaks_the_rules_of_chunks_is_closed() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    let set_chunk_size = |size: u32| wire::message(2, 0, 1, 0, &size.to_be_bytes());
    let many: Vec<u8> = (0..=limits::CHUNK_STREAMS as u32).flat_map(|n| wire::message(70 + n, 0, 9, 1, KEY)).collect();
    let half_messages: Vec<u8> = [6, 7, 8]
        .iter()
        .flat_map(|id| {
            // More than half of each is there, and none is complete.
            let mut bytes = header(limits::MESSAGE_BYTES, 9);
            bytes[0] = *id;
            bytes.extend(vec![7; limits::MESSAGE_BYTES - 1_000]);
            bytes
        })
        .collect();
    let half_messages = [set_chunk_size(limits::MESSAGE_BYTES as u32 - 1_000), half_messages].concat();
    for (what, bytes) in [
        ("a type 2 header on a fresh chunk stream", vec![0x86, 0, 0, 0]),
        ("a type 3 header on a fresh chunk stream", vec![0xc6]),
        ("a chunk size of 0", set_chunk_size(0)),
        ("a chunk size with its top bit set", set_chunk_size(0x8000_0000)),
        ("a video frame one byte too long", header(limits::MESSAGE_BYTES + 1, 9)),
        ("the longest length that there is", header(0xff_ffff, 8)),
        ("a command one byte too long", header(limits::COMMAND_BYTES + 1, 20)),
        ("metadata one byte too long", header(limits::COMMAND_BYTES + 1, 18)),
        ("another message inside of one", [header(300, 9), vec![0; 128], header(200, 9)].concat()),
        ("one chunk stream too many", many),
        ("unfinished messages that are too much together", half_messages),
    ] {
        is_closed(what, &say_inside(&server, &bytes));
        bystanders.check();
    }
    server.wait_for_log("byte ");
}

#[test]
fn what_breaks_the_rules_of_commands_is_closed() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    let publish = wire::publish_command("early");
    is_closed("a command before connect", &say(&server, &publish));
    is_closed("connect twice", &say_inside(&server, &wire::connect_command("live")));
    let long = wire::publish_command(&"n".repeat(limits::NAME_BYTES + 1));
    is_closed("a name that is too long", &say_inside(&server, &long));
    let app = "a".repeat(limits::NAME_BYTES + 1);
    is_closed("an application that is too long", &say(&server, &wire::connect_command(&app)));
    bystanders.check();
}

#[test]
fn the_longest_frame_that_is_taken_arrives_whole() {
    let server = Server::start(&[]);
    let mut player = player(&server, "live", "long");
    settle(&mut player);
    let mut publisher = publisher(&server, "long");
    let video_frame = [KEY, &vec![0x55; limits::MESSAGE_BYTES - KEY.len()]].concat();
    publisher.send(video(0, &video_frame)).unwrap();
    assert!(next_media(&mut player) == video(0, &video_frame));
    publisher.send(video(40, KEY)).unwrap();
    assert_eq!(next_media(&mut player), video(40, KEY));
}

#[test]
fn a_length_that_is_only_promised_takes_no_memory() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    let before = resident(&server);
    let promise = [wire::message(2, 0, 1, 0, &0x7fff_ffffu32.to_be_bytes()), header(limits::MESSAGE_BYTES, 9), vec![7]];
    let promise = promise.concat();
    let connections: Vec<_> = (0..50).map(|_| say_inside(&server, &promise)).collect();
    bystanders.check();
    std::thread::sleep(Duration::from_millis(200));
    let after = resident(&server);
    assert!(after < before + 32 * 1024 * 1024, "{} MiB became {} MiB", before >> 20, after >> 20);
    drop(connections);
    bystanders.check();
}

#[test]
fn values_nested_without_end_do_not_exhaust_the_stack() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    // Arrays of one array each; objects with one member each; the same as AMF3 behind its marker.
    let arrays = [0x0a, 0, 0, 0, 1].repeat(200_000);
    let objects = [0x03, 0, 1, b'a'].repeat(200_000);
    let amf3 = [&[0x11][..], &[0x09, 0x03, 0x01].repeat(300_000)].concat();
    let mut set_data_frame = Vec::new();
    for name in ["@setDataFrame", "onMetaData"] {
        set_data_frame.extend([2, 0, name.len() as u8]);
        set_data_frame.extend(name.as_bytes());
    }
    for (name, nested) in [("arrays", &arrays), ("objects", &objects), ("amf3", &amf3)] {
        let mut connection = Wire::publisher(server.address, name);
        connection.send(&wire::message(5, 0, 18, 1, &[&*set_data_frame, nested].concat()));
        connection.send(&wire::message(3, 0, 20, 1, &[b"\x02\x00\x04play\x00\0\0\0\0\0\0\0\0", &**nested].concat()));
        connection.send(&wire::message(3, 0, 17, 1, &[b"\0\x02\x00\x04play\x00\0\0\0\0\0\0\0\0", &**nested].concat()));
        let connect = [b"\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0", &**nested].concat();
        let _fresh = say(&server, &wire::message(3, 0, 20, 0, &connect));
        let ping = wire::message(2, 0, 4, 0, &[0, 6, 0, 0, 0, 1]);
        let _ = (&connection.socket).write_all(&ping);
        // Whether it is closed or ignored does not matter here.
        while connection.read().is_ok_and(|raw| raw.payload[..] != [0, 7, 0, 0, 0, 1]) {}
        drop(connection);
        bystanders.check();
    }
}

#[test]
fn a_name_does_not_write_lines_of_its_own_into_the_log() {
    let server = Server::start(&[]);
    let forged = "a\n[2000-01-01T00:00:00Z INFO ] forged\r\n\u{1b}[31m";
    let mut publisher = publisher(&server, forged);
    publisher.send(video(0, KEY)).unwrap();
    settle(&mut publisher);
    let mut second = Client::connect(&server.url("live")).unwrap();
    assert!(second.publish(forged).is_err(), "the name is taken");
    drop(publisher);
    let _ = crate::support::connect(&server, "no\nforged");
    is_closed("a command before connect", &say(&server, &wire::command(0, 1.0, forged, Value::Null, Vec::new())));
    server.wait_for_log("is being published already");
    server.wait_for_log("before connect");
    server.wait_for_log("stopped publishing");
    let log = server.log();
    assert!(log.iter().any(|line| line.contains("forged")));
    assert!(log.iter().all(|line| !line.contains('\u{1b}') && line.starts_with("[20") && !line.starts_with("[2000")));
}

#[test]
fn one_that_asks_without_reading_the_answers_is_cut_off() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    let before = resident(&server);
    let connection = Wire::open(server.address, "live");
    let question = wire::command(0, 1e9, &"x".repeat(50), Value::Null, Vec::new()).repeat(500);
    connection.socket.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut most = 0;
    let began = Instant::now();
    let cut_off = loop {
        match (&connection.socket).write(&question) {
            Ok(_) => most = most.max(resident(&server)),
            Err(error) => break error.kind(),
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it is still there");
    };
    assert!(matches!(cut_off, std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe), "{cut_off}");
    let allowed = 2 * limits::REPLY_QUEUE_BYTES + 16 * 1024 * 1024;
    assert!(most < before + allowed, "{} MiB became {} MiB", before >> 20, most >> 20);
    bystanders.check();
}

#[test]
fn the_handshake_must_be_done_in_ten_seconds_however_it_drips() {
    let server = Server::start(&[]);
    let mut bystanders = Bystanders::new(&server);
    let began = Instant::now();
    let silent = wire::dial(server.address);
    let dripping = wire::dial(server.address);
    let bytes = wire::c0_c1();
    let limit = limits::HANDSHAKE_DEADLINE;
    let mut dripped = 0;
    let closed = loop {
        if (&dripping).write_all(&bytes[dripped..=dripped]).is_err() {
            break began.elapsed();
        }
        dripped += 1;
        assert!(began.elapsed() < limit + Duration::from_secs(4), "it may go on dripping");
        std::thread::sleep(Duration::from_millis(100));
        bystanders.check();
    };
    assert!(closed > limit - Duration::from_secs(1), "after {closed:?}");
    is_closed("one that said nothing", &silent);
    server.wait_for_logs("no complete handshake within", 2);
    bystanders.check();
}
