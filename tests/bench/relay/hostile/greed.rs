//! Attacks within the protocol that want more than there is: memory, threads, time.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::Duration;

use gortmp::amf::{Object, Value};
use gortmp::limits;
use rustix::net::sockopt::set_socket_recv_buffer_size;

use super::attacker::{Attacker, Kind, ms};
use super::bytes::{self, header, message};

/// How long the server may take to refuse what was sent.
const SOON: Duration = ms(500);

/// Longer than a socket that takes nothing is kept.
const STALLED: Duration = ms(32_000);

pub const KINDS: &[Kind] = &[
    Kind { name: "messages that are announced and never come", pause: ms(400), round: announced },
    Kind { name: "half messages on many chunk streams", pause: ms(1500), round: half_messages },
    Kind { name: "floods of chunk streams and message streams", pause: ms(300), round: many_streams },
    Kind { name: "deep and huge AMF", pause: ms(1500), round: amf },
    Kind { name: "floods of commands, answers unread", pause: ms(2000), round: commands },
    Kind { name: "floods of pause, seek and play on files", pause: ms(1500), round: file_controls },
    Kind { name: "players that read nothing", pause: ms(1000), round: stalled_players },
    Kind { name: "players that read a byte a second", pause: ms(1000), round: slow_players },
    Kind { name: "publishers of nothing but huge headers and metadata", pause: ms(2500), round: huge_headers },
    Kind { name: "publishers with absurd timestamps", pause: ms(800), round: absurd_times },
];

/// Some with the longest length that is taken, which stand for a while, and some with a longer one.
fn announced(attacker: &mut Attacker) -> io::Result<()> {
    let lengths = [limits::MESSAGE_BYTES as u32, 0x00ff_ffff, limits::MESSAGE_BYTES as u32 + 1];
    let length = lengths[attacker.rounds as usize % 3];
    let type_id = [9, 8, 20, 18, 22][attacker.rounds as usize % 5];
    let socket = attacker.publisher("announced")?;
    attacker.say(&socket, &[bytes::large_chunks(), header(6, length, type_id), vec![7; 1000]].concat());
    attacker.settle(&socket, ms(1000));
    Ok(())
}

/// A few hundred kilobytes on each chunk stream; every eighth time more than may stand together.
fn half_messages(attacker: &mut Attacker) -> io::Result<()> {
    let each: usize = if attacker.rounds % 8 == 7 { 500_000 } else { 50_000 };
    let socket = attacker.publisher("half")?;
    attacker.say(&socket, &message(2, 0, 1, 0, &(each as u32).to_be_bytes()));
    for id in 3..63 {
        attacker.say(&socket, &[header(id, 1_000_000, 9), vec![id; each]].concat());
    }
    attacker.settle(&socket, ms(1000));
    Ok(())
}

fn many_streams(attacker: &mut Attacker) -> io::Result<()> {
    let (name, number) = ("streams", attacker.rounds as u32);
    let bytes: Vec<u8> = match attacker.rounds % 5 {
        // Chunk streams with a message each, then with a beginning only.
        0 => (0..200).flat_map(|id| message(3 + id * 300, 0, 9, 1, &[0x27, 1, 0, 0, 0, 1])).collect(),
        1 => (0..61).flat_map(|id| header(3 + id, 100, 9)).collect(),
        2 => bytes::create_stream().repeat(1000),
        3 => (1..500).flat_map(|id| bytes::play_on(id * number.max(1), name)).collect(),
        // Made and deleted again and again.
        _ => [bytes::create_stream(), bytes::command(0, 0.0, "deleteStream", Value::Null, vec![2.0.into()])]
            .concat()
            .repeat(300),
    };
    let socket = attacker.publisher(name)?;
    attacker.say(&socket, &bytes);
    attacker.settle(&socket, SOON);
    Ok(())
}

fn amf(attacker: &mut Attacker) -> io::Result<()> {
    let mut wide = Object::new();
    (0..3000).for_each(|number| wide = std::mem::take(&mut wide).with(format!("key{number}"), f64::from(number)));
    let values = match attacker.rounds % 8 {
        0 => [0x0a, 0, 0, 0, 1].repeat(200_000),
        1 => [0x03, 0, 1, b'a'].repeat(250_000),
        2 => [&[0x11][..], &[0x09, 0x03, 0x01].repeat(300_000)].concat(),
        // Counts that are not there, text longer than the message, references to themselves.
        3 => vec![0x0a, 0xff, 0xff, 0xff, 0xff, 5],
        4 => vec![0x0c, 0xff, 0xff, 0xff, 0xff, b'a', b'b'],
        5 => [&[0x0a, 0, 0, 0x40, 0][..], &[0x07, 0, 0].repeat(0x4000)].concat(),
        6 => vec![0x05; 900_000],
        _ => bytes::command(0, 0.0, "x", wide.into(), Vec::new()).split_off(12),
    };
    let connect = [b"\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0", &*values].concat();
    let play = [b"\x02\x00\x04play\x00\0\0\0\0\0\0\0\0", &*values].concat();
    let data = [b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData", &*values].concat();
    let large = bytes::large_message;
    let socket = match attacker.rounds % 3 {
        0 => attacker.shake()?,
        _ => attacker.publisher("amf")?,
    };
    attacker.say(&socket, &bytes::large_chunks());
    let bytes = match attacker.rounds % 3 {
        0 => large(3, 0, 20, 0, &connect),
        1 => [large(3, 0, 20, 1, &play), large(3, 0, 17, 1, &[&[0], &*play].concat())].concat(),
        _ => [large(5, 0, 18, 1, &data), large(5, 0, 15, 1, &[&[0], &*data].concat())].concat(),
    };
    attacker.say(&socket, &bytes);
    attacker.settle(&socket, SOON);
    Ok(())
}

/// Some megabytes of questions; now and then as many as it takes to be cut off.
fn commands(attacker: &mut Attacker) -> io::Result<()> {
    let question = match attacker.rounds % 3 {
        0 => bytes::command(0, 1e9, &"x".repeat(50), Value::Null, Vec::new()),
        1 => bytes::command(0, 9.0, "FCPublish", Value::Null, vec!["name".into()]),
        _ => message(2, 0, 4, 0, &[0, 6, 0, 0, 0, 1]),
    };
    let most = if attacker.rounds % 15 == 6 { 40 << 20 } else { 1 << 20 };
    let socket = attacker.enter("live")?;
    super::noise::pour(&socket, &question.repeat(400), most);
    attacker.rest(ms(1000));
    attacker.settle_closed(&socket, SOON);
    Ok(())
}

/// On several message streams of one connection, each with a file.
fn file_controls(attacker: &mut Attacker) -> io::Result<()> {
    let socket = attacker.enter("gortmp")?;
    (1..=6).for_each(|stream_id| attacker.say(&socket, &bytes::play_on(stream_id, "sample")));
    for round in 0..60 {
        let position = Value::from(attacker.rng.below(15_000) as f64);
        let (stream_id, paused) = (1 + round % 4, Value::Boolean(round % 2 == 0));
        let control = match round % 5 {
            0 => bytes::play_on(stream_id, "sample"),
            1 | 2 => bytes::command(stream_id, 0.0, "pause", Value::Null, vec![paused, position]),
            _ => bytes::command(stream_id, 0.0, "seek", Value::Null, vec![position]),
        };
        attacker.say(&socket, &control);
    }
    attacker.settle(&socket, ms(300));
    Ok(())
}

/// Players of a live stream and of the file, whose own system takes as little as can be for them.
fn silent_players(attacker: &Attacker) -> io::Result<Vec<TcpStream>> {
    let mut players = Vec::new();
    for _ in 0..4 {
        players.push(attacker.player("live", attacker.target.published[0])?);
        players.push(attacker.player("gortmp", "sample")?);
    }
    for player in &players {
        set_socket_recv_buffer_size(player, 2048)?;
    }
    Ok(players)
}

fn stalled_players(attacker: &mut Attacker) -> io::Result<()> {
    let players = silent_players(attacker)?;
    attacker.stall(&players, STALLED, |_| {});
    Ok(())
}

fn slow_players(attacker: &mut Attacker) -> io::Result<()> {
    let players = silent_players(attacker)?;
    attacker.stall(&players, STALLED, |mut player| drop(player.read(&mut [0])));
    Ok(())
}

/// With a player of them that does not read.
fn huge_headers(attacker: &mut Attacker) -> io::Result<()> {
    let publisher = attacker.publisher("headers")?;
    let player = attacker.player("live", "headers")?;
    attacker.say(&publisher, &bytes::large_chunks());
    for number in 0..30_u8 {
        let length =
            [1000, limits::SEQUENCE_HEADER_BYTES, limits::SEQUENCE_HEADER_BYTES + 1, 300_000][usize::from(number % 4)];
        let video = [&[0x17, 0, 0, 0, 0][..], &vec![number; length]].concat();
        let track = [&[0x95, 0x00, b'O', b'p', b'u', b's', number][..], &vec![number; length]].concat();
        let text = [&[0x0c][..], &(length as u32).to_be_bytes(), &vec![b'a'; length]].concat();
        let data = [b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData", &*text].concat();
        for (type_id, payload) in [(9, video), (8, track), (18, data)] {
            attacker.say(&publisher, &bytes::large_message(4, 0, type_id, 1, &payload));
        }
    }
    attacker.settle(&publisher, SOON);
    attacker.settle(&player, ms(100));
    Ok(())
}

fn absurd_times(attacker: &mut Attacker) -> io::Result<()> {
    let publisher = attacker.publisher("times")?;
    let player = attacker.player("live", "times")?;
    let mut bytes = Vec::new();
    for number in 0..300_u64 {
        let time = match attacker.rng.below(5) {
            0 => attacker.rng.next() as u32,
            1 => u32::MAX - attacker.rng.below(50) as u32,
            2 => 0x00ff_ffff - 1 + attacker.rng.below(3) as u32,
            3 => 0,
            _ => (1 << 31) - 1 + attacker.rng.below(3) as u32,
        };
        let first = if number % 30 == 0 { 0x17 } else { 0x27 };
        bytes.extend(match number % 2 {
            0 => message(6, time, 9, 1, &[first, 1, 0, 0, 0, 1, 2, 3]),
            _ => message(4, time, 8, 1, &[0xaf, 1, 1, 2]),
        });
        // The largest step there is, on the same chunk stream.
        bytes.extend([&[0x46, 0xff, 0xff, 0xff, 0, 0, 2, 9][..], &(time ^ 0x5555).to_be_bytes(), &[0x27, 1]].concat());
    }
    attacker.say(&publisher, &bytes);
    attacker.settle(&publisher, ms(200));
    attacker.settle(&player, ms(200));
    Ok(())
}
