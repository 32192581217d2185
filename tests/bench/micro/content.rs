//! What the benchmarks work on: the messages of a camera, and the values that come before them.

use gortmp::amf::{Object, Value};
use gortmp::media::{Packet, PacketKind, Timestamp};

/// Video frames a second.
const VIDEO_FRAMES: usize = 25;

/// Bytes of a video frame that is no key frame.
const VIDEO_BYTES: usize = 4096;

/// Audio frames a second: AAC at 44,100 Hz.
const AUDIO_FRAMES: usize = 43;

/// Bytes of an audio frame.
const AUDIO_BYTES: usize = 300;

/// Bytes of a large key frame, as of a camera with 4K.
const KEY_FRAME_BYTES: usize = 200_000;

/// A second of a camera that sends about 1 Mbit/s, between two key frames: video and audio in the order of their times.
pub fn camera_second() -> Vec<Packet> {
    let time = |index: usize, rate: usize| (1000 * index / rate) as u32;
    let video_frames = (0..VIDEO_FRAMES).map(|index| video_frame(time(index, VIDEO_FRAMES)));
    let audio_frames = (0..AUDIO_FRAMES).map(|index| audio_frame(time(index, AUDIO_FRAMES)));
    let mut packets: Vec<_> = video_frames.chain(audio_frames).collect();
    packets.sort_by_key(|packet| packet.timestamp.milliseconds());
    packets
}

/// A video frame of H.264 that needs others.
pub fn video_frame(time: u32) -> Packet {
    packet(PacketKind::Video, time, &[0x27, 1, 0, 0, 0], VIDEO_BYTES)
}

/// A key frame of H.264 of the length of other video frames.
pub fn small_key_frame(time: u32) -> Packet {
    packet(PacketKind::Video, time, &[0x17, 1, 0, 0, 0], VIDEO_BYTES)
}

/// A key frame of H.264.
pub fn key_frame(time: u32) -> Packet {
    packet(PacketKind::Video, time, &[0x17, 1, 0, 0, 0], KEY_FRAME_BYTES)
}

fn audio_frame(time: u32) -> Packet {
    packet(PacketKind::Audio, time, &[0xaf, 1], AUDIO_BYTES)
}

fn packet(kind: PacketKind, time: u32, head: &[u8], length: usize) -> Packet {
    let filling = (head.len()..length).map(|at| at as u8);
    Packet { kind, timestamp: Timestamp::new(time), payload: head.iter().copied().chain(filling).collect() }
}

/// A `connect` command as ffmpeg sends it to publish.
pub fn connect() -> Vec<Value> {
    let properties = Object::new()
        .with("app", "live")
        .with("type", "nonprivate")
        .with("flashVer", "FMLE/3.0 (compatible; Lavf60.16.100)")
        .with("tcUrl", "rtmp://192.0.2.7:1935/live");
    vec!["connect".into(), 1.0.into(), properties.into()]
}

/// `onMetaData` as OBS sends it.
pub fn on_metadata() -> Vec<Value> {
    let properties = Object::new()
        .with("duration", 0.0)
        .with("fileSize", 0.0)
        .with("width", 1920.0)
        .with("height", 1080.0)
        .with("videocodecid", 7.0)
        .with("videodatarate", 2500.0)
        .with("framerate", 30.0)
        .with("audiocodecid", 10.0)
        .with("audiodatarate", 160.0)
        .with("audiosamplerate", 48_000.0)
        .with("audiosamplesize", 16.0)
        .with("audiochannels", 2.0)
        .with("stereo", true)
        .with("2.1", false)
        .with("3.1", false)
        .with("4.0", false)
        .with("4.1", false)
        .with("5.1", false)
        .with("7.1", false)
        .with("encoder", "obs-output module (libobs version 30.0.2)");
    vec!["@setDataFrame".into(), "onMetaData".into(), Value::EcmaArray(properties)]
}
