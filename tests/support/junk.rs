//! Messages that encoders send between frames and that are no frames, or frames in another form: one table for MP4, for HLS
//! and for the fuzzers.
#![allow(dead_code)]

use gortmp::media::PacketKind::{self, Audio, Video};

/// A message in the midst of a stream.
pub struct Case {
    /// The sample whose codecs the stream has.
    pub sample: &'static str,
    pub kind: PacketKind,
    pub payload: &'static [u8],
    /// What it is.
    pub what: &'static str,
    pub comes_to: ComesTo,
}

/// What becomes of it in MP4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComesTo {
    /// It is left out and counted.
    Ignored,
    /// It is left out, and nothing is wrong with it.
    Nothing,
    /// A sample of these bytes.
    Sample(&'static [u8]),
}

use ComesTo::{Ignored, Nothing, Sample};

const fn case(
    sample: &'static str,
    kind: PacketKind,
    payload: &'static [u8],
    what: &'static str,
    comes_to: ComesTo,
) -> Case {
    Case { sample, kind, payload, what, comes_to }
}

pub const CASES: &[Case] = &[
    case("h264-aac", Video, b"\xff\xfe\xf7\x17\0\0\0\0\0\0\0\0\0\0\0\0", "what drones send between frames", Ignored),
    case("h264-aac", Video, b"\xff", "a single byte", Ignored),
    case("h264-aac", Video, b"\x27", "a header of one byte", Ignored),
    case("h264-aac", Video, b"\x27\x01\0\0", "composition time cut off", Ignored),
    case("h264-aac", Video, b"\x27\x01\0\0\0", "no NAL unit", Ignored),
    case("h264-aac", Video, b"\x27\x01\0\0\0\0\0\x10\0\x41\x9a", "a NAL unit that runs past the end", Ignored),
    case("h264-aac", Video, b"\x27\x01\0\0\0\0\0\0\x02\x41\x9a\0\0", "half a length behind a NAL unit", Ignored),
    case("h264-aac", Video, b"\x27\x01\0\0\0\0\0\0\x01\xc1", "a NAL unit with the forbidden bit", Ignored),
    case("h264-aac", Video, b"\x27\x03\0\0\0\0\0\0\x02\x41\x9a", "a packet type that AVC does not have", Ignored),
    case("h264-aac", Video, b"\x22\0\0\x84", "Sorenson H.263", Ignored),
    case("h264-aac", Video, b"\x2c\x01\0\0\0\0\0\0\x03\x02\x01\xd0", "H.265 as codec 12", Ignored),
    case("h264-aac", Video, b"\xa1hvc1\0\0\0\0\0\0\x03\x02\x01\xd0", "another FourCC", Ignored),
    case("h264-aac", Video, b"\xa1what\0\0\0\0\0\0\x02\x41\x9a", "a FourCC that nobody knows", Ignored),
    case("h264-aac", Video, b"\xa1avc1\0\0\0\0\0\0\x02\x41\x9a", "an enhanced frame in a legacy track", Ignored),
    case("h264-aac", Video, b"\xa7\xff\xff\0", "ModEx that runs past the end", Ignored),
    case("h264-aac", Video, b"\xa6", "Multitrack cut off", Ignored),
    case("h264-aac", Video, b"\xa6\x11avc1\0\0\0\x40\0\0\0", "a track that runs past the end", Ignored),
    case("h264-aac", Video, b"\xa6\x01avc1\x01\0\0\0\0\0\0\x02\x41\x9a", "a second track", Nothing),
    case("h264-aac", Video, b"\x17\x02\0\0\0", "the end of the sequence", Nothing),
    case("h264-aac", Video, b"\x57\0", "a command", Nothing),
    case("h264-aac", Video, b"\x84avc1\x02\0\0", "metadata of Enhanced RTMP", Nothing),
    case("h264-aac", Video, b"\x17\0\0\0\0", "an empty configuration", Nothing),
    case("h264-aac", Video, b"\x27\x01\0\0\0\0\0\0\x04\x06\x05\x01\x80", "supplemental information alone", Nothing),
    case(
        "h264-aac",
        Video,
        b"\x27\x01\0\0\0\0\0\0\x01\x06\x05\x01\x80\0\0\x01\x41\x9a\x02\0\0\0\x01\x41\x9b\x03\0",
        "start codes in place of lengths",
        Sample(b"\0\0\0\x04\x06\x05\x01\x80\0\0\0\x03\x41\x9a\x02\0\0\0\x03\x41\x9b\x03"),
    ),
    case("h264-aac", Audio, b"\xaf", "a header of one byte", Ignored),
    case("h264-aac", Audio, b"\xaf\x01", "no audio", Ignored),
    case("h264-aac", Audio, b"\xaf\x05\x21\x10", "a packet type that AAC does not have", Ignored),
    case("h264-aac", Audio, b"\x72\xd5\xd5", "G.711", Ignored),
    case("h264-aac", Audio, b"\x2f\xff\xfb\x90\0\0\0", "MP3 among AAC", Ignored),
    case("h264-aac", Audio, b"\x91mp4a\x21\x10", "an enhanced frame in a legacy track", Ignored),
    case("h264-aac", Audio, b"\x97\xff", "ModEx cut off", Ignored),
    case("h264-aac", Audio, b"\xaf\0", "an empty configuration", Nothing),
    case(
        "h264-aac",
        Audio,
        b"\xaf\x01\xff\xf1\x50\x40\x01\x7f\xfc\x21\x10\x04\x60",
        "AAC behind an ADTS header",
        Sample(b"\x21\x10\x04\x60"),
    ),
    case("h264-mp3", Audio, b"\x2f\0\0\0\0", "MP3 without a header", Ignored),
    case("hevc-aac", Video, b"\x27\x01\0\0\0\0\0\0\x02\x41\x9a", "H.264", Ignored),
    case("hevc-aac", Video, b"\x2c\x01\0\0\0\0\0\0\x03\x02\x01\xd0", "a legacy frame in an enhanced track", Ignored),
    case("hevc-aac", Video, b"\xa1hvc1\0\0\0\0\0\0\x09\x02\x01\xd0", "a NAL unit that runs past the end", Ignored),
    case("hevc-aac", Video, b"\xa3hvc1\0\0\0\x04\x4e\x01\x05\x80", "supplemental information alone", Nothing),
    case(
        "hevc-aac",
        Video,
        b"\xa3hvc1\0\0\0\x01\x02\x01\xd0\x11",
        "start codes in place of lengths",
        Sample(b"\0\0\0\x04\x02\x01\xd0\x11"),
    ),
    case("av1-opus", Video, b"\xa1av01", "no OBU", Ignored),
    case("av1-opus", Video, b"\xa1av01\xff\0", "an OBU with the forbidden bit", Ignored),
    case("av1-opus", Video, b"\xa1vp09\x86\0", "VP9", Ignored),
    case("av1-opus", Video, b"\x90av01", "an empty configuration", Nothing),
    case("av1-opus", Audio, b"\x91Opus", "no audio", Ignored),
    case("av1-opus", Audio, b"\x91Opus\x03", "a count of frames cut off", Ignored),
    case("av1-opus", Audio, b"\xaf\x01\x21\x10", "AAC", Ignored),
    case("vp9-opus", Video, b"\xa1vp09\x12\0", "a frame without its marker", Ignored),
];
