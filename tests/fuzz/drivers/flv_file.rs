//! FLV files, more or less: as they are, or made tag by tag, with damage where the input wants it.

use gortmp::amf::{Object, Value, amf0};
use gortmp::flv::Writer;
use gortmp::media::{Packet, PacketKind, Timestamp};

use super::input::Input;
use super::messages;

/// The bytes of a file: these as they are when they begin like one, else what they decide.
pub fn file(bytes: &[u8]) -> Vec<u8> {
    if bytes.first() == Some(&b'F') {
        return bytes.to_vec();
    }
    let input = &mut Input::new(bytes);
    let lists_key_frames = input.u8();
    let start = input.pick(&[0, 500, 7_000, u32::MAX - 300]);
    let tags = tags(input, start);
    let Some(list) = key_frame_list(&tags, lists_key_frames) else { return write(&tags, &[]) };
    // The list stands in front of what it lists and moves it: its length does not depend on its numbers.
    let shift = write(std::slice::from_ref(&list), &[]).len() as f64 - 13.0;
    write(&[&[shifted(&list, shift)], &tags[..]].concat(), input.take(usize::from(lists_key_frames & 15)))
}

fn tags(input: &mut Input<'_>, start: u32) -> Vec<Packet> {
    let mut time = start;
    let mut tags = Vec::new();
    while !input.is_empty() && tags.len() < 300 {
        let what = input.u8();
        time = match what >> 5 {
            6 => time.wrapping_sub(input.u16().into()),
            7 => time.wrapping_add(input.u32()),
            step => time.wrapping_add(u32::from(step) * 400),
        };
        let (kind, payload) = match what & 7 {
            0 => (PacketKind::Video, vec![0x17, 1, 0, 0, 0, 1, 2, 3]),
            1 | 2 => (PacketKind::Video, vec![0x27, 1, 0, 0, 0, what]),
            3 | 4 => (PacketKind::Audio, vec![0xaf, 1, what]),
            5 => (PacketKind::Video, messages::frame(input)),
            6 => (PacketKind::Audio, messages::frame(input)),
            _ => (PacketKind::Data, amf0::encode_all(&["onMetaData".into(), messages::value(input, 1)])),
        };
        tags.push(Packet { kind, timestamp: Timestamp::new(time), payload: payload.into() });
    }
    tags
}

/// `onMetaData` with the places of all key frames, as if there were nothing before the tags.
fn key_frame_list(tags: &[Packet], how: u8) -> Option<Packet> {
    if how & 16 == 0 {
        return None;
    }
    let mut writer = Writer::new(std::io::sink(), true, true).ok()?;
    let (mut times, mut positions) = (Vec::new(), Vec::new());
    for tag in tags {
        // Off by a second and more, or in a place where nothing is.
        let (late, off) = (f64::from(how >> 5 & 1) * 1.5, f64::from(how >> 6 & 1));
        if tag.is_key_frame() {
            times.push(f64::from(tag.timestamp.milliseconds()) / 1000.0 + late);
            positions.push(writer.position() as f64 + off);
        }
        writer.write_packet(tag).ok()?;
    }
    if how & 128 != 0 {
        times.reverse();
    }
    let list = |numbers: Vec<f64>| Value::StrictArray(numbers.into_iter().map(Value::Number).collect());
    let index = Object::new().with("times", list(times)).with("filepositions", list(positions));
    let metadata = Value::EcmaArray(Object::new().with("duration", 12.5).with("keyframes", index));
    let payload = amf0::encode_all(&["onMetaData".into(), metadata]);
    Some(Packet { kind: PacketKind::Data, timestamp: Timestamp::ZERO, payload: payload.into() })
}

/// The same list with every place moved.
fn shifted(list: &Packet, by: f64) -> Packet {
    let values = amf0::decode_all(&list.payload).expect("it was just written");
    let moved: Vec<Value> = values.into_iter().map(|value| move_positions(value, by, false)).collect();
    Packet { payload: amf0::encode_all(&moved).into(), ..list.clone() }
}

fn move_positions(value: Value, by: f64, is_position: bool) -> Value {
    match value {
        Value::Number(number) if is_position => Value::Number(number + by),
        Value::StrictArray(items) => {
            Value::StrictArray(items.into_iter().map(|item| move_positions(item, by, is_position)).collect())
        }
        Value::Object(object) | Value::EcmaArray(object) => {
            let members = object.iter();
            let moved = members.map(|(key, value)| {
                (key.to_owned(), move_positions(value.clone(), by, is_position || key == "filepositions"))
            });
            Value::EcmaArray(moved.collect())
        }
        other => other,
    }
}

/// The file of these tags, with damage: pairs of a place, counted from the end, and what is put there.
fn write(tags: &[Packet], damage: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), true, true).expect("memory takes everything");
    tags.iter().for_each(|tag| writer.write_packet(tag).expect("memory takes everything"));
    let mut bytes = writer.into_inner();
    for pair in damage.chunks_exact(2) {
        let at = bytes.len().saturating_sub(1 + usize::from(pair[0]) * 3);
        bytes[at] = pair[1];
    }
    bytes
}
