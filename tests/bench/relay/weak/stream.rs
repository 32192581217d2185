//! What is sent over weak links: a stream as encoders make it, whose every message says when it was sent.
//!
//! ```text
//! video = 17|27 01 000000 | length of the NAL unit | NAL unit header | slice header | stamp | filling
//! audio = af 01 | stamp | filling           stamp = number and time sent, 7 bits a byte, the highest set
//! ```
//!
//! Nothing in a NAL unit may look like a start code: no byte behind its header is 0.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use gortmp::Client;
use gortmp::media::{Packet, PacketKind, Timestamp};

use crate::content::{nanoseconds, sequence_headers};

/// Video frames a second.
pub const FRAME_RATE: u32 = 25;

/// Samples of an audio frame, and a second: AAC.
const AUDIO_FRAME: u64 = 1024;
const SAMPLE_RATE: u64 = 44_100;

/// Bits of audio a second.
const AUDIO_RATE: u64 = 96_000;

/// How much larger a key frame is than another.
const KEY_FRAME_FACTOR: u64 = 6;

/// Bytes of a stamp: a number of 32 bits and a time of 64.
const STAMP: usize = 5 + 10;

/// Bytes before the stamp.
const VIDEO_HEAD: usize = 12;
const AUDIO_HEAD: usize = 2;

/// What a stream is made of.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub kbits: u64,
    /// Seconds from key frame to key frame.
    pub gop: u32,
    /// Every other frame between them is none that others refer to.
    pub has_disposable: bool,
}

/// What a message says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub number: u32,
    /// Nanoseconds since the program started.
    pub sent: u64,
}

impl Shape {
    /// Frames from key frame to key frame.
    const fn frames(self) -> u32 {
        self.gop * FRAME_RATE
    }

    pub const fn is_key_frame(self, number: u32) -> bool {
        number.is_multiple_of(self.frames())
    }

    /// Whether no other frame refers to this one.
    pub const fn is_disposable(self, number: u32) -> bool {
        self.has_disposable && number % self.frames() % 2 == 1
    }

    /// The frame that this one refers to, if it does.
    pub fn reference(self, number: u32) -> Option<u32> {
        let referred = (0..number).rev().find(|&earlier| !self.is_disposable(earlier));
        referred.filter(|_| !self.is_key_frame(number))
    }

    fn video(self, number: u32, sent: u64) -> Packet {
        let frames = u64::from(self.frames());
        let a_gop = (self.kbits * 1000 - AUDIO_RATE) / 8 * u64::from(self.gop);
        let inter = a_gop / (frames - 1 + KEY_FRAME_FACTOR);
        // The first bytes of an IDR slice, of a P slice, and of one that nothing refers to.
        let (first, slice, length) = match (self.is_key_frame(number), self.is_disposable(number)) {
            (true, _) => (0x17, [0x65, 0x88, 0x84], inter * KEY_FRAME_FACTOR),
            (false, false) => (0x27, [0x41, 0x9a, 0x21], inter),
            (false, true) => (0x27, [0x01, 0x9e, 0x21], inter),
        };
        let mut payload = vec![first, 1, 0, 0, 0];
        payload.extend_from_slice(&(length as u32).to_be_bytes());
        payload.extend_from_slice(&slice);
        let time = u64::from(number) * 1000 / u64::from(FRAME_RATE);
        packet(PacketKind::Video, time, payload, length as usize + 9, Stamp { number, sent })
    }
}

fn audio(number: u32, sent: u64) -> Packet {
    let length = AUDIO_RATE / 8 * AUDIO_FRAME / SAMPLE_RATE;
    let time = u64::from(number) * AUDIO_FRAME * 1000 / SAMPLE_RATE;
    packet(PacketKind::Audio, time, vec![0xaf, 1], length as usize, Stamp { number, sent })
}

fn packet(kind: PacketKind, time: u64, mut payload: Vec<u8>, length: usize, stamp: Stamp) -> Packet {
    let mut push = |value: u64, bytes: u32| {
        payload.extend((0..bytes).rev().map(|byte| 0x80 | (value >> (7 * byte) & 0x7f) as u8));
    };
    push(stamp.number.into(), 5);
    push(stamp.sent, 10);
    // Some of anything, but no zero.
    payload.extend((payload.len()..length).map(|at| 0x80 | (at as u8).wrapping_mul(151)));
    Packet { kind, timestamp: Timestamp::new(time as u32), payload: payload.into() }
}

/// What a message says of itself, unless it is a codec configuration or metadata.
pub fn stamp(packet: &Packet) -> Option<Stamp> {
    let head = match packet.kind {
        PacketKind::Video => VIDEO_HEAD,
        PacketKind::Audio => AUDIO_HEAD,
        PacketKind::Data => return None,
    };
    let stamp = packet.payload.get(head..head + STAMP).filter(|_| !packet.is_sequence_header())?;
    let value = |bytes: &[u8]| bytes.iter().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
    let (number, sent) = stamp.split_at(5);
    Some(Stamp { number: value(number) as u32, sent: value(sent) })
}

/// A thread that publishes until this is dropped.
pub struct Publisher {
    stop: Arc<AtomicBool>,
    frames: Arc<AtomicU32>,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    pub fn start(mut client: Client, shape: Shape) -> Self {
        let (stop, frames) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (stopping, counted) = (stop.clone(), frames.clone());
        let thread = std::thread::spawn(move || {
            let mut send = |packet| client.send(packet).expect("the server reads");
            sequence_headers().into_iter().for_each(&mut send);
            let start = nanoseconds();
            let (mut next_video, mut next_audio) = (0, 0);
            while !stopping.load(Ordering::Relaxed) {
                let video_due = u64::from(next_video) * 1_000_000_000 / u64::from(FRAME_RATE);
                let audio_due = u64::from(next_audio) * AUDIO_FRAME * 1_000_000_000 / SAMPLE_RATE;
                let wait = (start + video_due.min(audio_due)).saturating_sub(nanoseconds());
                std::thread::sleep(Duration::from_nanos(wait));
                if video_due <= audio_due {
                    send(shape.video(next_video, nanoseconds()));
                    next_video += 1;
                    counted.store(next_video, Ordering::Relaxed);
                } else {
                    send(audio(next_audio, nanoseconds()));
                    next_audio += 1;
                }
            }
        });
        Self { stop, frames, thread: Some(thread) }
    }

    /// Waits until it has sent so many frames.
    pub fn wait_for(&self, frames: u32) {
        while self.frames.load(Ordering::Relaxed) < frames {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
