//! What good clients would send, for attacks to begin with or to spoil.

use gortmp::amf::{Object, Value};
use gortmp::media::{Packet, Timestamp};
use gortmp::rtmp::chunk::{ChunkSize, ChunkStreamId, encode_message};
use gortmp::rtmp::command::Command;

use crate::content::{Sequence, Shape, sequence_headers};

/// Bytes of C1, C2, S1 and S2 each.
pub const PACKET: usize = 1536;

/// C0 and C1.
pub fn hello() -> Vec<u8> {
    let mut bytes = vec![0x5a; 1 + PACKET];
    bytes[0] = 3;
    bytes[1..9].fill(0);
    bytes
}

/// A message in chunks of 128 bytes.
pub fn message(chunk_stream: u32, timestamp: u32, type_id: u8, stream_id: u32, payload: &[u8]) -> Vec<u8> {
    in_chunks(ChunkSize::DEFAULT, chunk_stream, timestamp, type_id, stream_id, payload)
}

/// A message in one chunk, for behind [`large_chunks`].
pub fn large_message(chunk_stream: u32, timestamp: u32, type_id: u8, stream_id: u32, payload: &[u8]) -> Vec<u8> {
    let size = ChunkSize::new(LARGE).expect("a chunk size");
    in_chunks(size, chunk_stream, timestamp, type_id, stream_id, payload)
}

/// The size that [`large_chunks`] sets.
const LARGE: u32 = 16 << 20;

/// Sets the chunk size to more than any message has.
pub fn large_chunks() -> Vec<u8> {
    message(2, 0, 1, 0, &LARGE.to_be_bytes())
}

fn in_chunks(size: ChunkSize, id: u32, timestamp: u32, type_id: u8, stream_id: u32, payload: &[u8]) -> Vec<u8> {
    let id = ChunkStreamId::new(id).expect("a chunk stream");
    let mut bytes = Vec::new();
    encode_message(size, id, Timestamp::new(timestamp), type_id, stream_id, payload, &mut bytes);
    bytes
}

/// A type 0 header on chunk stream `id`, below 64.
pub fn header(id: u8, length: u32, type_id: u8) -> Vec<u8> {
    [&[id, 0, 0, 0][..], &length.to_be_bytes()[1..], &[type_id, 1, 0, 0, 0]].concat()
}

pub fn command(stream_id: u32, transaction_id: f64, name: &str, object: Value, arguments: Vec<Value>) -> Vec<u8> {
    let command = Command { transaction_id, object, ..Command::new(name, arguments) };
    message(3, 0, 20, stream_id, &command.encode())
}

pub fn connect(app: &str) -> Vec<u8> {
    let properties = Object::new().with("app", app).with("tcUrl", format!("rtmp://localhost/{app}"));
    command(0, 1.0, "connect", properties.into(), Vec::new())
}

pub fn create_stream() -> Vec<u8> {
    command(0, 2.0, "createStream", Value::Null, Vec::new())
}

pub fn publish(name: &str) -> Vec<u8> {
    command(1, 3.0, "publish", Value::Null, vec![name.into(), "live".into()])
}

pub fn play(name: &str) -> Vec<u8> {
    play_on(1, name)
}

/// `play` on that message stream.
pub fn play_on(stream_id: u32, name: &str) -> Vec<u8> {
    command(stream_id, 4.0, "play", Value::Null, vec![name.into(), (-2000.0).into()])
}

/// Audio or video of a good publisher.
pub fn media(packet: &Packet) -> Vec<u8> {
    let type_id = packet.kind.type_id();
    message(4 + u32::from(type_id & 1), packet.timestamp.milliseconds(), type_id, 1, &packet.payload)
}

/// All that a publisher sends, handshake included, in one piece.
pub fn publisher_session(name: &str) -> Vec<u8> {
    let shape = Shape { bits_per_second: 200_000 };
    let mut bytes = [hello(), vec![0; PACKET], connect("live"), create_stream(), publish(name)].concat();
    sequence_headers().iter().for_each(|header| bytes.extend(media(header)));
    let mut sequence = Sequence::default();
    for _ in 0..40 {
        let (kind, number, _) = sequence.next(shape);
        bytes.extend(media(&shape.packet(kind, number, 0, 0)));
    }
    bytes
}

/// All that a player of a file sends, who pauses, goes on and seeks.
pub fn player_session(name: &str) -> Vec<u8> {
    let buffer = message(2, 0, 4, 0, &[0, 3, 0, 0, 0, 1, 0, 0, 0x0b, 0xb8]);
    let pause = |paused: bool| command(1, 0.0, "pause", Value::Null, vec![Value::Boolean(paused), 100.0.into()]);
    let seek = command(1, 0.0, "seek", Value::Null, vec![5000.0.into()]);
    let start = [hello(), vec![0; PACKET], connect("gortmp"), create_stream(), buffer, play(name)].concat();
    [start, pause(true), pause(false), seek, command(0, 5.0, "deleteStream", Value::Null, vec![1.0.into()])].concat()
}

/// Whether the server said no: `_error`, or a status of level `error`.
pub fn is_refusal(bytes: &[u8]) -> bool {
    has(bytes, b"\x02\x00\x06_error") || has(bytes, b"\x02\x00\x05error")
}

pub fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
