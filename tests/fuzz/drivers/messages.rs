//! Messages as clients send them, more or less: arbitrary bytes would never get as far as a `publish`.

use gortmp::amf::{Object, Value};
use gortmp::media::Timestamp;
use gortmp::rtmp::chunk::{ChunkStreamId, ChunkWriter, RawMessage};
use gortmp::rtmp::command::Command;

use super::input::Input;

/// Names as URLs have them.
const NAMES: [&str; 12] = [
    "cam",
    "b",
    "flv:a/b.flv",
    "mp4:cam?gop=0&key=%20x",
    "live/cam?gop=1",
    "",
    "\"cam\"",
    "caf%C3%A9.flv",
    "../x",
    "a\r\n\u{1b}[31m",
    "/_definst_//x/",
    "?",
];

/// Commands without arguments of interest.
const COMMANDS: [&str; 16] = [
    "createStream",
    "closeStream",
    "releaseStream",
    "FCPublish",
    "FCSubscribe",
    "_checkbw",
    "_result",
    "_error",
    "onStatus",
    "play2",
    "onBWDone",
    "nothing",
    "connect",
    "FCUnpublish",
    "deleteStream",
    "getStreamLength",
];

/// The bytes of a chunk stream: one message after the other, as the input decides.
pub fn stream(input: &mut Input<'_>) -> Vec<u8> {
    let mut writer = ChunkWriter::new();
    let mut bytes = Vec::new();
    for _ in 0..256 {
        if input.is_empty() {
            break;
        }
        writer.write(&message(input), &mut bytes);
    }
    bytes
}

fn message(input: &mut Input<'_>) -> RawMessage {
    let kind = input.u8();
    let stream_id = input.pick(&[1, 0, 1, 2, 3, 16, 17, 99]);
    let (type_id, payload) = match kind % 20 {
        0 => command(input, "connect", |_| Vec::new()),
        1 => command(input, "createStream", |_| Vec::new()),
        2 => command(input, "publish", |input| vec![name(input), input.pick(&["live", "record", "append"]).into()]),
        3 => command(input, "play", |input| vec![name(input), number(input), number(input)]),
        4 => command(input, input_name(kind), |input| vec![number(input)]),
        5 => command(input, "FCUnpublish", |input| vec![name(input)]),
        6 => command(input, "deleteStream", |input| vec![name(input)]),
        7 => command(input, "pause", |input| vec![(input.u8() & 1 == 0).into(), number(input)]),
        8 => command(input, "seek", |input| vec![number(input)]),
        9 => command(input, "receiveAudio", |input| vec![(input.u8() & 1 == 0).into()]),
        10 => command(input, "receiveVideo", |input| vec![number(input)]),
        11 => command(input, "getStreamLength", |input| vec![name(input)]),
        12 => {
            let name = input.pick(&COMMANDS);
            command(input, name, |input| (0..input.u8() % 4).map(|_| value(input, 0)).collect())
        }
        13 => (8, frame(input)),
        14 => (9, frame(input)),
        15 => (18, input.bytes().to_vec()),
        16 => (22, aggregate(input)),
        17 => (4, [&[0, input.u8() % 34][..], input.take(8)].concat()),
        18 => (input.pick(&[1, 2, 3, 5, 6]), input.take(5).to_vec()),
        _ => (input.u8(), input.bytes().to_vec()),
    };
    RawMessage {
        chunk_stream_id: ChunkStreamId::new(2 + u32::from(kind / 20)).unwrap_or(ChunkStreamId::COMMAND),
        timestamp: Timestamp::new(u32::from(kind) * 40),
        type_id,
        stream_id,
        payload: payload.into(),
    }
}

fn input_name(kind: u8) -> &'static str {
    if kind & 32 == 0 { "deleteStream" } else { "closeStream" }
}

fn command(input: &mut Input<'_>, name: &str, arguments: impl Fn(&mut Input<'_>) -> Vec<Value>) -> (u8, Vec<u8>) {
    let how = input.u8();
    let transaction_id = f64::from(how & 7);
    let object = if name == "connect" { properties(input) } else { Value::Null };
    let payload = Command { transaction_id, object, ..Command::new(name, arguments(input)) }.encode();
    match how >> 6 {
        3 => (17, [&[0], &payload[..]].concat()),
        2 => (17, payload),
        _ => (20, payload),
    }
}

fn properties(input: &mut Input<'_>) -> Value {
    let app = input.pick(&["live", "gortmp", "live/cam?key=1", "", "other", "live?a=b", "\u{7}"]);
    let url = input.pick(&["rtmp://h/live/a", "\"rtmp://h:1/live\"", "rtmp://h", "live"]);
    let agent = String::from_utf8_lossy(input.bytes()).into_owned();
    let encoding = value(input, 3);
    let object = Object::new().with("app", app).with("tcUrl", url).with("flashVer", agent);
    object.with("objectEncoding", encoding).into()
}

fn name(input: &mut Input<'_>) -> Value {
    match input.u8() {
        254 => String::from_utf8_lossy(input.bytes()).into_owned().into(),
        255 => value(input, 2),
        index => NAMES[usize::from(index) % NAMES.len()].into(),
    }
}

fn number(input: &mut Input<'_>) -> Value {
    match input.u8() {
        252 => input.f64().into(),
        253 => (-2000.0).into(),
        254 => f64::NAN.into(),
        255 => value(input, 2),
        small => (f64::from(small) * 100.0).into(),
    }
}

/// Any value, nested up to a depth of 4.
pub fn value(input: &mut Input<'_>, depth: u8) -> Value {
    let text = |input: &mut Input<'_>| String::from_utf8_lossy(input.bytes()).into_owned();
    match input.u8() % if depth < 4 { 13 } else { 9 } {
        0 => Value::Number(input.f64()),
        1 => Value::Boolean(input.u8() & 1 == 0),
        2 => Value::String(text(input)),
        3 => Value::Undefined,
        4 => Value::Date { unix_ms: input.f64(), time_zone: 0 },
        5 => Value::Xml(text(input)),
        6 => Value::ByteArray(input.bytes().to_vec()),
        7 => Value::Unsupported,
        8 => Value::Null,
        9 => Value::StrictArray((0..input.u8() % 5).map(|_| value(input, depth + 1)).collect()),
        10 => Value::Object(members(input, depth)),
        11 => Value::EcmaArray(members(input, depth)),
        _ => Value::TypedObject { class: text(input), object: members(input, depth) },
    }
}

fn members(input: &mut Input<'_>, depth: u8) -> Object {
    let key = |input: &mut Input<'_>| String::from_utf8_lossy(input.bytes()).into_owned();
    (0..input.u8() % 5).map(|_| (key(input), value(input, depth + 1))).collect()
}

/// Sound or picture: a beginning that means something, and a few bytes.
pub fn frame(input: &mut Input<'_>) -> Vec<u8> {
    let start: &[u8] = input.pick(&[
        &[0x17, 0, 0, 0, 0, 1],
        &[0x17, 1, 0, 0, 0],
        &[0x27, 1, 0, 0, 0],
        &[0xaf, 0, 0x12, 0x10],
        &[0xaf, 1],
        b"\x90hvc1",
        b"\x91hvc1",
        b"\x96\x01av01\x01",
        b"\x97\x02\x07\xa1\x20\x01hvc1",
        &[0x57, 0],
        &[],
        &[0x12],
    ]);
    [start, input.bytes()].concat()
}

fn aggregate(input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..input.u8() % 9 {
        let (type_id, time, body) = (input.pick(&[8, 9, 18, 20]), input.u16(), frame(input));
        bytes.push(type_id);
        bytes.extend(&(body.len() as u32).to_be_bytes()[1..]);
        bytes.extend(&u32::from(time).to_be_bytes()[1..]);
        bytes.extend([0; 4]);
        bytes.extend(&body);
        bytes.extend((body.len() as u32 + 11).to_be_bytes());
    }
    if input.u8() == 255 {
        bytes.truncate(bytes.len().saturating_sub(usize::from(input.u8())));
    }
    bytes
}
