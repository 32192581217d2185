//! FLV packets and files for tests.

use std::io::{Cursor, Read, Seek, SeekFrom};

use super::Writer;
use crate::amf::{Object, Value, amf0};
use crate::media::{Packet, PacketKind, Timestamp};

pub(crate) fn packet(kind: PacketKind, timestamp: u32, payload: &[u8]) -> Packet {
    Packet { kind, timestamp: Timestamp::new(timestamp), payload: payload.to_vec().into() }
}

/// Returns an AVC sequence header that ends in `number`.
pub(crate) fn video_header(timestamp: u32, number: u8) -> Packet {
    packet(PacketKind::Video, timestamp, &[0x17, 0, 0, 0, 0, number])
}

pub(crate) fn audio_header(timestamp: u32) -> Packet {
    packet(PacketKind::Audio, timestamp, &[0xaf, 0, 0x12, 0x10])
}

pub(crate) fn key_frame(timestamp: u32) -> Packet {
    let mut payload = vec![0x17, 1, 0, 0, 0];
    payload.resize(3000, 7);
    packet(PacketKind::Video, timestamp, &payload)
}

pub(crate) fn inter_frame(timestamp: u32) -> Packet {
    packet(PacketKind::Video, timestamp, &[0x27, 1, 0, 0, 0, 9, 9, 9])
}

pub(crate) fn audio_frame(timestamp: u32) -> Packet {
    packet(PacketKind::Audio, timestamp, &[0xaf, 1, 5, 5])
}

pub(crate) fn on_meta_data(object: Object) -> Packet {
    packet(PacketKind::Data, 0, &amf0::encode_all(&["onMetaData".into(), Value::EcmaArray(object)]))
}

/// Returns `onMetaData` with a list of key frames: seconds and offsets.
pub(crate) fn key_frame_list(list: &[(f64, u64)]) -> Packet {
    let numbers = |numbers: Vec<f64>| Value::StrictArray(numbers.into_iter().map(Value::Number).collect());
    let times = numbers(list.iter().map(|(time, _)| *time).collect());
    let positions = numbers(list.iter().map(|(_, offset)| *offset as f64).collect());
    on_meta_data(Object::new().with("keyframes", Object::new().with("times", times).with("filepositions", positions)))
}

/// Returns `count` seconds of audio and video from `start` ms, five frames of each per second, in pairs with the video
/// frame first; each second starts with a key frame.
pub(crate) fn seconds(start: u32, count: u32) -> Vec<Packet> {
    let pairs = (0..count * 5).flat_map(|number| {
        let timestamp = start.wrapping_add(number * 200);
        let video = if number % 5 == 0 { key_frame(timestamp) } else { inter_frame(timestamp) };
        [video, audio_frame(timestamp)]
    });
    pairs.collect()
}

/// Returns a typical file: both sequence headers, then [`seconds`] from 0.
pub(crate) fn typical(count: u32) -> Vec<Packet> {
    [vec![video_header(0, 1), audio_header(0)], seconds(0, count)].concat()
}

pub(crate) fn file(packets: &[Packet]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), true, true).unwrap();
    packets.iter().for_each(|packet| writer.write_packet(packet).unwrap());
    writer.into_inner()
}

/// Returns the offsets of a file's tags.
pub(crate) fn offsets(packets: &[Packet]) -> Vec<u64> {
    let mut writer = Writer::new(std::io::sink(), true, true).unwrap();
    let mut next = |packet| {
        let position = writer.position();
        writer.write_packet(packet).unwrap();
        position
    };
    packets.iter().map(&mut next).collect()
}

/// Counts the bytes read.
pub(crate) struct CountingReader {
    inner: Cursor<Vec<u8>>,
    pub(crate) bytes_read: std::rc::Rc<std::cell::Cell<usize>>,
}

impl CountingReader {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { inner: Cursor::new(bytes), bytes_read: Default::default() }
    }
}

impl Read for CountingReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes_read.set(self.bytes_read.get() + count);
        Ok(count)
    }
}

impl Seek for CountingReader {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}
