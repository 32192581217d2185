//! What is sent: numbered, time-stamped messages whose every byte the receiver knows beforehand.
//!
//! ```text
//! video frame = 17|27 01 000000 | header | pattern        audio = af 01 | header | pattern
//! header  = number u32 | stream u32 | time sent u64, nanoseconds since the program started
//! ```

use std::sync::LazyLock;
use std::time::Instant;

use gortmp::media::{Packet, PacketKind, Timestamp};

/// Video frames a second.
const VIDEO_FRAMES: u64 = 30;

/// Video frames in a GOP.
pub const GOP: u32 = 60;

/// Audio frames a second: AAC at 44,100 Hz.
const AUDIO_FRAMES: u64 = 43;

/// How much larger a key frame is than another video frame.
const KEY_FRAME_FACTOR: u64 = 6;

/// Bytes of number, stream and time.
const HEADER: usize = 16;

/// The most that a message may take from the pattern.
const LONGEST: usize = 1 << 20;

/// Where a message's pattern starts depends on its number, at most this far into it.
const SHIFTS: usize = 4096;

static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..LONGEST + SHIFTS).map(|_| next()).collect()
});

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since the program started.
pub fn nanoseconds() -> u64 {
    START.elapsed().as_nanos() as u64
}

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Audio,
    Video,
}

impl Kind {
    /// By the number of the RTMP message type.
    pub fn from_type(type_id: u8) -> Option<Self> {
        match type_id {
            8 => Some(Self::Audio),
            9 => Some(Self::Video),
            _ => None,
        }
    }

    /// Bytes before the header.
    fn tag(self) -> usize {
        match self {
            Self::Audio => 2,
            // The length of a NAL unit and its header among them.
            Self::Video => 10,
        }
    }

    /// Bytes before the pattern.
    pub fn prefix(self) -> usize {
        self.tag() + HEADER
    }

    fn packet_kind(self) -> PacketKind {
        match self {
            Self::Audio => PacketKind::Audio,
            Self::Video => PacketKind::Video,
        }
    }
}

/// How many bits a second a stream has: a tenth of them is audio.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub bits_per_second: u64,
}

impl Shape {
    /// Bytes of the message with that number.
    pub fn length(self, kind: Kind, number: u32) -> usize {
        let bytes = self.bits_per_second / 8;
        let length = match kind {
            Kind::Audio => bytes / 10 / AUDIO_FRAMES,
            Kind::Video => {
                let gop = u64::from(GOP);
                let unit = bytes * 9 / 10 * gop / VIDEO_FRAMES / (gop - 1 + KEY_FRAME_FACTOR);
                if is_key_frame(number) { unit * KEY_FRAME_FACTOR } else { unit }
            }
        };
        (length as usize).clamp(kind.prefix() + 8, LONGEST)
    }

    /// When the message with that number is due, in nanoseconds of the stream.
    pub fn due(self, kind: Kind, number: u32) -> u64 {
        let rate = match kind {
            Kind::Audio => AUDIO_FRAMES,
            Kind::Video => VIDEO_FRAMES,
        };
        u64::from(number) * 1_000_000_000 / rate
    }

    /// The message with that number, as if it were sent now.
    pub fn packet(self, kind: Kind, number: u32, stream: u32, sent: u64) -> Packet {
        let length = self.length(kind, number);
        let mut payload = Vec::with_capacity(length);
        match kind {
            Kind::Audio => payload.extend_from_slice(&[0xaf, 1]),
            Kind::Video => {
                let (first, nal_header) = if is_key_frame(number) { (0x17, 0x65) } else { (0x27, 0x41) };
                payload.extend_from_slice(&[first, 1, 0, 0, 0]);
                payload.extend_from_slice(&((length - 9) as u32).to_be_bytes());
                payload.push(nal_header);
            }
        }
        payload.extend_from_slice(&number.to_be_bytes());
        payload.extend_from_slice(&stream.to_be_bytes());
        payload.extend_from_slice(&sent.to_be_bytes());
        payload.extend_from_slice(pattern(number, 0, length - kind.prefix()));
        let timestamp = Timestamp::new((self.due(kind, number) / 1_000_000) as u32);
        Packet { kind: kind.packet_kind(), timestamp, payload: payload.into() }
    }
}

/// What comes before all others: AVC and AAC sequence headers that every server takes.
pub fn sequence_headers() -> [Packet; 2] {
    let avc =
        b"\x17\x00\x00\x00\x00\x01\x64\x00\x1f\xff\xe1\x00\x19\x67\x64\x00\x1f\xac\xd9\x40\x50\x05\xbb\x01\x6c\x80\
        \x00\x00\x03\x00\x80\x00\x00\x1e\x07\x8c\x18\xcb\x01\x00\x06\x68\xeb\xe3\xcb\x22\xc0";
    let aac = b"\xaf\x00\x12\x10";
    [(PacketKind::Video, &avc[..]), (PacketKind::Audio, &aac[..])].map(|(kind, payload)| Packet {
        kind,
        timestamp: Timestamp::ZERO,
        payload: payload.to_vec().into(),
    })
}

/// Whether the video frame with that number can be decoded by itself.
pub fn is_key_frame(number: u32) -> bool {
    number.is_multiple_of(GOP)
}

/// The bytes of a message from `start` behind its prefix.
pub fn pattern(number: u32, start: usize, length: usize) -> &'static [u8] {
    let shift = number as usize * 31 % SHIFTS;
    &PATTERN[shift + start..shift + start + length]
}

/// The next message of a stream and when it is due: audio and video merged by time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequence {
    audio: u32,
    video: u32,
}

impl Sequence {
    /// The next one, without taking it.
    pub fn peek(self, shape: Shape) -> (Kind, u32, u64) {
        let (audio, video) = (shape.due(Kind::Audio, self.audio), shape.due(Kind::Video, self.video));
        if video <= audio { (Kind::Video, self.video, video) } else { (Kind::Audio, self.audio, audio) }
    }

    /// Takes it.
    pub fn next(&mut self, shape: Shape) -> (Kind, u32, u64) {
        let next = self.peek(shape);
        match next.0 {
            Kind::Audio => self.audio += 1,
            Kind::Video => self.video += 1,
        }
        next
    }
}
