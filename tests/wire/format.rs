//! The wire format from outside: every form that real clients send is understood, and what is sent can be read.

use std::collections::HashMap;
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};

use gortmp::Client;
use gortmp::amf::{Object, Value, amf0};
use gortmp::limits;
use gortmp::rtmp::chunk::ChunkReader;
use gortmp::rtmp::handshake::{Scheme, client};
use gortmp::rtmp::message::Message;
use gortmp::rtmp::user_control::UserControl;

use crate::support::wire::{self, PACKET, Wire};
use crate::support::*;

/// What a player gets of what a publisher sends in bytes of its own: times and payloads.
fn relay(server: &Server, name: &str, bytes: &[u8], count: usize) -> Vec<(u32, Vec<u8>)> {
    let mut player = player(server, "live", name);
    settle(&mut player);
    let publisher = Wire::publisher(server.address, name);
    publisher.send(bytes);
    let media = next_medias(&mut player, count);
    media.into_iter().map(|packet| (packet.timestamp.milliseconds(), packet.payload.to_vec())).collect()
}

/// A video or audio frame of so many bytes.
fn long(sample: &[u8], length: usize) -> Vec<u8> {
    let filling = (sample.len()..length).map(|at| at as u8);
    sample.iter().copied().chain(filling).collect()
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A type 0 header: basic header, time field, length, type, message stream 1.
fn header(basic: &[u8], time: u32, length: usize, type_id: u8) -> Vec<u8> {
    [basic, &time.to_be_bytes()[1..], &(length as u32).to_be_bytes()[1..], &[type_id, 1, 0, 0, 0]].concat()
}

#[test]
fn a_simple_handshake_is_echoed() {
    let server = Server::start(&[]);
    let mut socket = wire::dial(server.address);
    let c0_c1 = wire::c0_c1();
    socket.write_all(&c0_c1).unwrap();
    let mut answer = vec![0; 1 + 2 * PACKET];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer[0], 3);
    assert_eq!(answer[5..9], [0; 4], "S1 promises no digest");
    assert!(answer[1 + PACKET..] == c0_c1[1..], "S2 is C1");
    assert!(answer[9..109].iter().any(|byte| *byte != answer[9]), "S1 is random");
}

#[test]
fn a_handshake_with_digests_is_answered_in_kind() {
    let server = Server::start(&[]);
    for (scheme, line) in [(Scheme::Zero, "Digest(Zero)"), (Scheme::One, "Digest(One)")] {
        let socket = wire::dial(server.address);
        let mut reader = BufReader::new(socket.try_clone().unwrap());
        client::connect(&mut reader, &mut &socket, client::ClientKind::Digest(scheme)).unwrap();
        server.wait_for_log(line);
        (&socket).write_all(&wire::connect_command("live")).unwrap();
        let window = ChunkReader::new(reader).read_message().unwrap();
        assert_eq!(window.type_id, 5, "what follows the handshake is in step");
    }
}

#[test]
fn everything_in_one_segment() {
    let server = Server::start(&[]);
    let mut player = player(&server, "live", "segment");
    settle(&mut player);
    let socket = wire::dial(server.address);
    // C2 can't be an echo of what has not come yet.
    let bytes = [
        wire::c0_c1(),
        vec![0; PACKET],
        wire::connect_command("live"),
        wire::create_stream_command(),
        wire::publish_command("segment"),
        wire::message(6, 5, 9, 1, KEY),
    ];
    (&socket).write_all(&bytes.concat()).unwrap();
    assert_eq!(next_media(&mut player), video(5, KEY));

    let mut answer = vec![0; 1 + 2 * PACKET];
    (&socket).read_exact(&mut answer).unwrap();
    let mut wire = Wire::behind_handshake(socket);
    assert_eq!(wire.answer(1.0).name, "_result");
    assert_eq!(wire.answer(2.0).name, "_result");
    assert_eq!(wire.wait_for_status("NetStream.Publish.Start"), 1);
}

#[test]
fn a_byte_at_a_time() {
    let server = Server::start(&[]);
    let mut player = player(&server, "live", "drip");
    settle(&mut player);
    let socket = wire::dial(server.address);
    let video_frame = long(KEY, 300);
    let bytes = [
        wire::c0_c1(),
        vec![0; PACKET],
        wire::connect_command("live"),
        wire::create_stream_command(),
        wire::publish_command("drip"),
        wire::message(6, 0x0131_2d00, 9, 1, &video_frame),
    ];
    for byte in bytes.concat() {
        (&socket).write_all(&[byte]).unwrap();
    }
    assert_eq!(next_media(&mut player), video(0x0131_2d00, &video_frame));
}

#[test]
fn audio_between_the_chunks_of_a_video_frame() {
    let server = Server::start(&[]);
    let (video_frame, audio_frame) = (long(KEY, 300), long(AAC, 130));
    let bytes = join(&[
        &header(&[6], 40, 300, 9),
        &video_frame[..128],
        &header(&[4], 41, 130, 8),
        &audio_frame[..128],
        &[0xc6],
        &video_frame[128..256],
        &[0xc4],
        &audio_frame[128..],
        &[0xc6],
        &video_frame[256..],
    ]);
    assert_eq!(relay(&server, "between", &bytes, 2), [(41, audio_frame), (40, video_frame)]);
}

#[test]
fn extended_timestamps_with_and_without_repetition() {
    let server = Server::start(&[]);
    let video_frame = long(KEY, 300);
    let time = 20_000_000u32;
    let extended = time.to_be_bytes();
    for (name, repeated) in [("repeated", &extended[..]), ("left out", &[])] {
        let bytes = join(&[
            &header(&[6], 0xff_ffff, 300, 9),
            &extended,
            &video_frame[..128],
            &[0xc6],
            repeated,
            &video_frame[128..256],
            &[0xc6],
            repeated,
            &video_frame[256..],
            // What follows is still in step, and its delta, too long for 24 bits, is a delta.
            &[0x46, 0, 0, 40, 0, 0, KEY.len() as u8, 9],
            KEY,
        ]);
        let expected = [(time, video_frame.clone()), (time + 40, KEY.to_vec())];
        assert_eq!(relay(&server, name, &bytes, 2), expected, "{name}");
    }
}

#[test]
fn an_extended_delta_is_a_delta_even_a_negative_one() {
    let server = Server::start(&[]);
    // ffmpeg with an offset: headers at 0, then a step of 20,000 s. librtmp and OBS step back by wrapping.
    let bytes = join(&[
        &header(&[6], 0, AVC_HEADER.len(), 9),
        AVC_HEADER,
        &[0x46, 0xff, 0xff, 0xff, 0, 0, KEY.len() as u8, 9],
        &20_000_000u32.to_be_bytes(),
        KEY,
        &[0x46, 0xff, 0xff, 0xff, 0, 0, AAC.len() as u8, 8],
        &(-7i32).to_be_bytes(),
        AAC,
    ]);
    let media = relay(&server, "delta", &bytes, 3);
    assert_eq!(media[1..], [(20_000_000, KEY.to_vec()), (19_999_993, AAC.to_vec())]);
}

#[test]
fn all_header_types_and_several_kinds_on_one_chunk_stream() {
    let server = Server::start(&[]);
    let key = long(KEY, 9);
    let bytes = join(&[
        &header(&[4], 1_000, 9, 9),
        &*key,
        &[0x44, 0, 0, 40, 0, 0, AAC.len() as u8, 8],
        AAC,
        &[0x84, 0, 0, 20],
        AAC,
        &[0xc4],
        AAC,
        &[0x44, 0, 0, 5, 0, 0, INTER.len() as u8, 9],
        INTER,
    ]);
    let expected =
        [(1_000, key), (1_040, AAC.to_vec()), (1_060, AAC.to_vec()), (1_080, AAC.to_vec()), (1_085, INTER.to_vec())];
    assert_eq!(relay(&server, "types", &bytes, 5), expected);
}

#[test]
fn chunk_streams_of_two_and_three_bytes() {
    let server = Server::start(&[]);
    let (video_frame, audio_frame) = (long(KEY, 200), long(AAC, 200));
    let bytes = join(&[
        &header(&[0x00, 0x00], 0, 200, 9), // 64
        &video_frame[..128],
        &header(&[0x01, 0x00, 0x01], 1, 200, 8), // 320
        &audio_frame[..128],
        &header(&[0x01, 0xff, 0xff], 2, AAC.len(), 8), // 65,599
        AAC,
        &[0xc1, 0x00, 0x01],
        &audio_frame[128..],
        &[0xc1, 0x00, 0x00], // 64 in its long form
        &video_frame[128..],
    ]);
    let expected = [(2, AAC.to_vec()), (1, audio_frame), (0, video_frame)];
    assert_eq!(relay(&server, "wide", &bytes, 3), expected);
}

#[test]
fn a_chunk_size_that_changes_in_the_middle_of_a_message() {
    let server = Server::start(&[]);
    let video_frame = long(KEY, 1_000);
    let set = |size: u32| wire::message(2, 0, 1, 0, &size.to_be_bytes());
    let bytes = join(&[
        &header(&[6], 0, 1_000, 9),
        &video_frame[..128],
        &set(400),
        &[0xc6],
        &video_frame[128..528],
        &set(1),
        &[0xc6, video_frame[528], 0xc6, video_frame[529]],
        // The control message itself comes in chunks of 1 byte now.
        &[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0x7f, 0xc2, 0xff, 0xc2, 0xff, 0xc2, 0xff],
        &[0xc6],
        &video_frame[530..],
    ]);
    assert_eq!(relay(&server, "sizes", &bytes, 1), [(0, video_frame)]);
}

#[test]
fn an_aborted_message_is_forgotten() {
    let server = Server::start(&[]);
    let video_frame = long(KEY, 300);
    let bytes = join(&[
        &header(&[6], 0, 300, 9),
        &video_frame[..128],
        &wire::message(2, 0, 2, 0, &6u32.to_be_bytes()),
        // Of a chunk stream that was never used.
        &wire::message(2, 0, 2, 0, &60u32.to_be_bytes()),
        &header(&[6], 40, KEY.len(), 9),
        KEY,
    ]);
    assert_eq!(relay(&server, "abort", &bytes, 1), [(40, KEY.to_vec())]);
}

#[test]
fn an_aggregate_is_split_into_its_messages() {
    let server = Server::start(&[]);
    let part = |type_id: u8, time: u32, data: &[u8]| {
        let [high, low @ ..] = time.to_be_bytes();
        let length = (data.len() as u32).to_be_bytes();
        let back = (data.len() as u32 + 11).to_be_bytes();
        [&[type_id][..], &length[1..], &low, &[high, 0, 0, 0], data, &back].concat()
    };
    // Their own times count from the first of them: the message's time is what it stands for.
    let base = 0x0100_0000;
    let parts = [part(9, base, KEY), part(8, base + 11, AAC), part(9, base + 40, INTER)].concat();
    let bytes = wire::message(6, 5_000, 22, 1, &parts);
    let expected = [(5_000, KEY.to_vec()), (5_011, AAC.to_vec()), (5_040, INTER.to_vec())];
    assert_eq!(relay(&server, "aggregate", &bytes, 3), expected);

    let without_last_back_pointer = wire::message(6, 0, 22, 1, &parts[..parts.len() - 4]);
    assert_eq!(relay(&server, "shorter", &without_last_back_pointer, 3).len(), 3);
}

#[test]
fn commands_and_data_in_amf3_form() {
    let server = Server::start(&[]);
    let mut wire = Wire::new(server.address);
    let amf3 = |type_id, stream_id, values: &[Value]| {
        wire::message(3, 0, type_id, stream_id, &[&[0], &*amf0::encode_all(values)].concat())
    };
    let properties = Object::new().with("app", "live").with("objectEncoding", 3.0);
    wire.send(&amf3(17, 0, &["connect".into(), 1.0.into(), properties.into()]));
    let info = wire.answer(1.0).argument(0).as_object().unwrap().clone();
    assert_eq!(info.get("code"), Some(&"NetConnection.Connect.Success".into()));
    assert_eq!(info.get("objectEncoding"), Some(&3.0.into()));
    wire.send(&amf3(17, 0, &["createStream".into(), 2.0.into(), Value::Null]));
    assert_eq!(wire.answer(2.0).argument(0), &Value::Number(1.0));

    // The name as an AMF3 string behind the marker that switches over.
    let publish = amf0::encode_all(&["publish".into(), 0.0.into(), Value::Null]);
    let publish = [&[0], &*publish, &[0x11, 0x06, 0x0b], b"flash"].concat();
    wire.send(&wire::message(3, 0, 17, 1, &publish));
    wire.wait_for_status("NetStream.Publish.Start");
    server.wait_for_log("started publishing live/flash");

    let mut player = Wire::player(server.address, "flash");
    let width = Object::new().with("width", 640.0);
    wire.send(&amf3(15, 1, &["@setDataFrame".into(), "onMetaData".into(), Value::EcmaArray(width.clone())]));
    wire.send(&wire::message(6, 0, 9, 1, KEY));
    let metadata = amf0::encode_all(&["onMetaData".into(), Value::EcmaArray(width)]);
    loop {
        let raw = player.read().unwrap();
        assert_ne!(raw.type_id, 9, "metadata comes first");
        if raw.type_id == 18 && raw.payload == metadata {
            break;
        }
    }
    assert_eq!(player.next_media().payload, KEY);
}

#[test]
fn devices_that_cut_corners_may_publish() {
    let server = Server::start(&[]);
    let mut player = player(&server, "live", "device");
    settle(&mut player);
    let mut wire = Wire::new(server.address);
    // An ECMA array with the key in lower case and quotes, no createStream, no answer waited for, and
    // transaction ids that are no numbers in a sequence.
    let properties = Object::new().with("tcurl", "\"rtmp://192.0.2.1:1935/live\"");
    wire.send(&wire::command(0, 1.0, "connect", Value::EcmaArray(properties), Vec::new()));
    for name in ["releaseStream", "FCPublish"] {
        wire.send(&wire::command(0, 0.0, name, Value::Null, vec!["device".into()]));
    }
    wire.send(&wire::command(1, 0.0, "publish", Value::Null, vec!["device".into()]));
    wire.send(&wire::message(6, 0, 9, 1, KEY));
    wire.wait_for_status("NetStream.Publish.Start");
    assert_eq!(next_media(&mut player), video(0, KEY));
}

#[test]
fn what_is_not_known_is_ignored() {
    let server = Server::start(&[]);
    let mut wire = Wire::publisher(server.address, "unknown");
    for type_id in [0, 7, 16, 19, 21, 23, 255] {
        wire.send(&wire::message(3, 0, type_id, 1, &[1, 2, 3]));
    }
    // librtmp's ping response: a type 1 header on a chunk stream that was never used.
    wire.send(&[0x4a, 0, 0, 0, 0, 0, 6, 4, 0, 7, 0, 0, 0, 1]);
    for event in [&[0u8, 2, 0, 0, 0, 1][..], &[0, 31, 0, 0, 0, 1], &[0, 99], &[0, 3, 0, 0, 0, 1, 0, 0, 0x0b, 0xb8]] {
        wire.send(&wire::message(2, 0, 4, 0, event));
    }
    wire.send(&wire::command(0, 7.0, "makeCoffee", Value::Null, vec![Value::Undefined]));
    let answer = wire.answer(7.0);
    let info = answer.argument(0).as_object().unwrap();
    assert_eq!((answer.name.as_str(), info.get("code")), ("_error", Some(&"NetConnection.Call.Failed".into())));

    // Neither what asks for no answer nor an answer gets one; the next to come is the ping's.
    wire.send(&wire::command(0, 0.0, "makeCoffee", Value::Null, Vec::new()));
    wire.send(&wire::command(0, 8.0, "_result", Value::Null, Vec::new()));
    wire.send(&wire::command(0, 9.0, "_error", Value::Null, Vec::new()));
    wire.send(&wire::message(2, 0, 4, 0, &[0, 6, 0xde, 0xad, 0xbe, 0xef]));
    assert_eq!(wire.next(), (0, Message::UserControl(UserControl::PingResponse(0xdead_beef))));
}

#[test]
fn message_streams_up_to_the_limit() {
    let server = Server::start(&[]);
    let mut wire = Wire::open(server.address, "live");
    let mut create = |transaction: usize| {
        wire.send(&wire::command(0, transaction as f64, "createStream", Value::Null, Vec::new()));
        wire.answer(transaction as f64)
    };
    for n in 2..=limits::MESSAGE_STREAMS {
        assert_eq!(create(n + 10).argument(0), &Value::Number(n as f64));
    }
    assert_eq!(create(99).name, "_error");
    wire.send(&wire::command(0, 0.0, "deleteStream", Value::Null, vec![3.0.into()]));
    wire.send(&wire::command(0, 100.0, "createStream", Value::Null, Vec::new()));
    assert_eq!(wire.answer(100.0).argument(0), &Value::Number(3.0), "what was deleted is free again");
}

#[test]
fn bytes_are_acknowledged_every_half_window() {
    let server = Server::start(&[]);
    let mut wire = Wire::publisher(server.address, "acknowledged");
    let mut sending = wire.socket.try_clone().unwrap();
    // Counted since the handshake, and what publishing took is less than this.
    let video_frame = wire::message(6, 0, 9, 1, &long(KEY, 50_000));
    let (large, small) = (limits::ACKNOWLEDGEMENT_WINDOW / 2, 100_000u32);
    let total = video_frame.len() as u32 * 160;
    let publishing = std::thread::spawn(move || {
        (0..80).for_each(|_| sending.write_all(&video_frame).unwrap());
        sending.write_all(&wire::message(2, 0, 5, 0, &(2 * small).to_be_bytes())).unwrap();
        (0..80).for_each(|_| sending.write_all(&video_frame).unwrap());
        sending.shutdown(Shutdown::Write).unwrap();
    });
    let mut acknowledged = vec![0];
    while let Ok(raw) = wire.read() {
        if let Message::Acknowledgement(bytes) = Message::decode(raw).unwrap() {
            acknowledged.push(bytes);
        }
    }
    publishing.join().unwrap();
    let steps: Vec<_> = acknowledged.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // A chunk or a header more than half the window, never less.
    let is = |window: u32| move |step: &&u32| (window..window + 300).contains(*step);
    let larges = steps.iter().take_while(is(large)).count();
    assert_eq!(larges as u32, total / 2 / large, "{steps:?}");
    // The step on which the window changed may be of any length in between.
    let smalls = steps[larges + 1..].iter().filter(is(small)).count();
    assert_eq!(smalls, steps.len() - larges - 1, "{steps:?}");
    assert!(total.abs_diff(acknowledged[acknowledged.len() - 1]) < small + 2_000, "{acknowledged:?} of {total}");
}

#[test]
fn a_new_bandwidth_is_answered_with_a_window() {
    let server = Server::start(&[]);
    let mut wire = Wire::open(server.address, "live");
    wire.send(&wire::message(2, 0, 6, 0, &[0, 0x10, 0, 0, 0]));
    assert_eq!(wire.next(), (0, Message::WindowAckSize(0x10_0000)));
    // The same again says nothing new.
    wire.send(&wire::message(2, 0, 6, 0, &[0, 0x10, 0, 0, 0]));
    wire.send(&wire::message(2, 0, 4, 0, &[0, 6, 0, 0, 0, 1]));
    assert_eq!(wire.next(), (0, Message::UserControl(UserControl::PingResponse(1))));
}

/// A chunk as it stands on the wire.
#[derive(Debug, PartialEq)]
struct Chunk {
    format: u8,
    chunk_stream_id: u8,
    /// The 24-bit field of type 0.
    time_field: Option<u32>,
    extended: Option<[u8; 4]>,
    type_id: u8,
    stream_id: u32,
    data: Vec<u8>,
}

/// Reads chunks with nothing of the library: types 0 and 3 with one-byte headers, which is all that it sends.
struct Chunks {
    socket: TcpStream,
    chunk_size: usize,
    /// By chunk stream: type, message stream, missing bytes, and whether there is an extended timestamp.
    states: HashMap<u8, (u8, u32, usize, bool)>,
}

impl Chunks {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.socket.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn next(&mut self) -> Chunk {
        let [basic] = self.take();
        let (format, id) = (basic >> 6, basic & 0x3f);
        assert!(id >= 2, "a short chunk stream id");
        let mut time_field = None;
        if format == 0 {
            let [t1, t2, t3, l1, l2, l3, type_id, s1, s2, s3, s4] = self.take();
            let time = u32::from_be_bytes([0, t1, t2, t3]);
            time_field = Some(time);
            let length = u32::from_be_bytes([0, l1, l2, l3]) as usize;
            let stream_id = u32::from_le_bytes([s1, s2, s3, s4]);
            let unfinished = self.states.insert(id, (type_id, stream_id, length, time == 0xff_ffff));
            assert!(unfinished.is_none(), "the message before is complete");
        } else {
            assert_eq!(format, 3, "a type that this server does not send");
        }
        let (type_id, stream_id, missing, is_extended) =
            self.states.remove(&id).expect("type 3 goes on with a message");
        let extended = is_extended.then(|| self.take());
        let mut data = vec![0; missing.min(self.chunk_size)];
        self.socket.read_exact(&mut data).unwrap();
        if missing > data.len() {
            self.states.insert(id, (type_id, stream_id, missing - data.len(), is_extended));
        }
        if type_id == 1 {
            self.chunk_size = u32::from_be_bytes(*data.first_chunk().unwrap()) as usize;
        }
        Chunk { format, chunk_stream_id: id, time_field, extended, type_id, stream_id, data }
    }
}

/// The chunks of video and audio that a player gets, `count` of them.
fn media_chunks(server: &Server, name: &str, send: impl FnOnce(&mut Client), count: usize) -> Vec<Chunk> {
    let mut socket = wire::dial(server.address);
    socket.write_all(&wire::c0_c1()).unwrap();
    let mut answer = vec![0; 1 + 2 * PACKET];
    socket.read_exact(&mut answer).unwrap();
    socket.write_all(&answer[1..=PACKET]).unwrap();
    let commands = [wire::connect_command("live"), wire::create_stream_command(), wire::play_command(name)];
    socket.write_all(&commands.concat()).unwrap();
    socket.write_all(&wire::message(2, 0, 4, 0, &[0, 6, 0, 0, 0, 1])).unwrap();
    let mut chunks = Chunks { socket, chunk_size: 128, states: HashMap::new() };
    // With the ping, all before it has been done.
    while chunks.next().data != [0, 7, 0, 0, 0, 1] {}
    let mut publisher = publisher(server, name);
    send(&mut publisher);
    settle(&mut publisher);
    let mut media = Vec::new();
    while media.len() < count {
        let chunk = chunks.next();
        if chunk.type_id == 8 || chunk.type_id == 9 {
            media.push(chunk);
        }
    }
    media
}

#[test]
fn to_players_the_extended_timestamp_goes_on_every_chunk() {
    let server = Server::start(&[]);
    let video_frame = long(KEY, 150_000);
    for (first, is_extended) in [
        (0, [false, false, false]),
        (0x00ff_fffd, [false, false, true]),
        (0x0131_2d00, [true, true, true]),
        (0x7fff_ffff, [true, true, true]),
        (0xffff_fffe, [true, true, false]),
    ] {
        let times = [0, 1, 2].map(|n| u32::wrapping_add(first, n));
        let send = |publisher: &mut Client| {
            times.iter().for_each(|time| publisher.send(video(*time, &video_frame)).unwrap());
        };
        let chunks = media_chunks(&server, &format!("extended {first}"), send, 9);
        for ((time, is_extended), chunks) in times.into_iter().zip(is_extended).zip(chunks.chunks(3)) {
            let data: Vec<_> = chunks.iter().flat_map(|chunk| chunk.data.iter().copied()).collect();
            assert!(data == video_frame, "{time:#x}");
            assert_eq!(chunks.iter().map(|chunk| chunk.format).collect::<Vec<_>>(), [0, 3, 3], "{time:#x}");
            assert_eq!(chunks[0].time_field, Some(if is_extended { 0xff_ffff } else { time }));
            assert_eq!((chunks[0].stream_id, chunks[0].type_id), (1, 9));
            let wanted = is_extended.then(|| time.to_be_bytes());
            assert!(chunks.iter().all(|chunk| chunk.extended == wanted), "{time:#x}");
        }
    }
}

#[test]
fn to_players_kinds_go_on_chunk_streams_of_their_own() {
    let server = Server::start(&[]);
    let send = |publisher: &mut Client| {
        publisher.send(video(0, KEY)).unwrap();
        publisher.send(audio(3, AAC)).unwrap();
    };
    let chunks = media_chunks(&server, "kinds", send, 2);
    let kinds = chunks.iter().map(|chunk| (chunk.type_id, chunk.data.as_slice())).collect::<Vec<_>>();
    assert_eq!(kinds, [(9, KEY), (8, AAC)]);
    assert_ne!(chunks[0].chunk_stream_id, chunks[1].chunk_stream_id);
}
