//! Parsing of audio and video tag headers: codec, frame type, packet type, track.
//!
//! Both generations are supported: the header of FLV 10.1 §E.4.2.1 and §E.4.3.1, and the extended header with FourCC of
//! Enhanced RTMP v2, in which ModEx and Multitrack precede the actual packet type. Parsing never fails: the server
//! relays what it can't parse, so a malformed message is [`Content::Unknown`], which is neither a frame nor a sequence
//! header.

pub use super::codec::Codec;

/// The type of the body after a tag header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Content {
    /// Codec configuration: AVCDecoderConfigurationRecord, AudioSpecificConfig and the like.
    SequenceHeader,
    /// Coded audio or video.
    Frame,
    /// End of sequence.
    SequenceEnd,
    /// Enhanced RTMP metadata: colour information of video, channel configuration of audio.
    Metadata,
    /// A command to the player (frame type 5) instead of a video frame.
    Command,
    /// A packet type that the codec doesn't define, or a truncated header.
    Unknown,
}

impl Content {
    /// Whether late joiners need this before any audio or video.
    pub fn is_configuration(self) -> bool {
        matches!(self, Self::SequenceHeader | Self::Metadata)
    }
}

/// A video tag header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoTagHeader {
    /// The codec of the (first) track.
    pub codec: Codec,
    /// 1 key frame, 2 inter frame, 3 disposable inter frame, 4 generated key frame, 5 command.
    pub frame_type: u8,
    /// The type of the body.
    pub content: Content,
    /// The (first) track; 0 unless the message is multitrack.
    pub track: u8,
    /// Position of the access unit or codec configuration.
    body: Body,
}

/// An audio tag header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioTagHeader {
    /// The codec of the (first) track.
    pub codec: Codec,
    /// The type of the body.
    pub content: Content,
    /// The (first) track; 0 unless the message is multitrack.
    pub track: u8,
    /// Position of the audio frame or codec configuration.
    body: Body,
}

/// Position of the decoder's input within a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Body {
    start: usize,
    /// Length of the first of several tracks; `None` for the rest of the message.
    length: Option<usize>,
    /// It starts with 24 bits of composition time.
    has_composition_time: bool,
}

impl Body {
    fn at(start: usize) -> Self {
        Self { start, ..Self::default() }
    }

    fn of<'a>(&self, payload: &'a [u8]) -> Option<&'a [u8]> {
        let body = payload.get(self.start..)?;
        self.length.map_or(Some(body), |length| body.get(..length))
    }
}

impl VideoTagHeader {
    /// Parses the header of a video message of any length, including 0.
    pub fn parse(payload: &[u8]) -> Self {
        let Some(&first) = payload.first() else {
            let body = Body::default();
            return Self { codec: Codec::Unknown, frame_type: 0, content: Content::Unknown, track: 0, body };
        };
        if first & 0x80 != 0 {
            return Self::parse_extended(first, payload);
        }
        let codec = Codec::Legacy(first & 0x0f);
        let frame_type = first >> 4;
        let has_packet_type = codec == Codec::AVC || codec == Codec::HEVC_LEGACY;
        let content = match (frame_type, has_packet_type, payload.get(1)) {
            (5, _, _) => Content::Command,
            (_, true, Some(0)) => Content::SequenceHeader,
            (_, true, Some(2)) => Content::SequenceEnd,
            (_, false, _) | (_, true, Some(1)) => Content::Frame,
            (_, true, _) => Content::Unknown,
        };
        let body =
            Body { start: if has_packet_type { 2 } else { 1 }, length: None, has_composition_time: has_packet_type };
        Self { codec, frame_type, content, track: 0, body }
    }

    fn parse_extended(first: u8, payload: &[u8]) -> Self {
        let frame_type = (first >> 4) & 7;
        let extended = Extended::parse(payload, 6);
        let content = match extended.packet_type {
            // The frame type of a Metadata packet is undefined, so 5 doesn't make it a command.
            Some(4) => Content::Metadata,
            _ if frame_type == 5 => Content::Command,
            Some(0 | 5) => Content::SequenceHeader,
            Some(1 | 3) => Content::Frame,
            Some(2) => Content::SequenceEnd,
            _ => Content::Unknown,
        };
        // Only CodedFrames of these codecs carry a composition time (Enhanced RTMP v2).
        let has_b_frames =
            matches!(extended.codec, Codec::FourCc(code) if [*b"avc1", *b"hvc1", *b"vvc1"].contains(&code));
        let has_composition_time = extended.packet_type == Some(1) && has_b_frames;
        let body = Body { has_composition_time, ..extended.body };
        Self { codec: extended.codec, frame_type, content, track: extended.track, body }
    }

    /// Returns the composition time offset in milliseconds and the decoder's input; `None` when the message is too
    /// short.
    pub fn coded<'a>(&self, payload: &'a [u8]) -> Option<(i32, &'a [u8])> {
        let body = self.body.of(payload)?;
        if !self.body.has_composition_time {
            return Some((0, body));
        }
        let (&[high, middle, low], coded) = body.split_first_chunk::<3>()?;
        // SI24: sign-extended by the arithmetic shift.
        Some((i32::from_be_bytes([high, middle, low, 0]) >> 8, coded))
    }

    /// Whether a decoder with the codec configuration can start here.
    pub fn is_key_frame(&self) -> bool {
        self.frame_type == 1 && self.content == Content::Frame && self.codec != Codec::Unknown && self.track == 0
    }

    /// Whether late joiners need this message before any video frame.
    pub fn is_sequence_header(&self) -> bool {
        self.content.is_configuration()
    }
}

impl AudioTagHeader {
    /// Parses the header of an audio message of any length, including 0.
    pub fn parse(payload: &[u8]) -> Self {
        let Some(&first) = payload.first() else {
            return Self { codec: Codec::Unknown, content: Content::Unknown, track: 0, body: Body::default() };
        };
        if first >> 4 == 9 {
            let extended = Extended::parse(payload, 5);
            let content = match extended.packet_type {
                Some(0) => Content::SequenceHeader,
                Some(1) => Content::Frame,
                Some(2) => Content::SequenceEnd,
                Some(4) => Content::Metadata,
                _ => Content::Unknown,
            };
            return Self { codec: extended.codec, content, track: extended.track, body: extended.body };
        }
        let codec = Codec::Legacy(first >> 4);
        let content = match payload.get(1) {
            _ if codec != Codec::AAC => Content::Frame,
            Some(0) => Content::SequenceHeader,
            Some(1) => Content::Frame,
            _ => Content::Unknown,
        };
        let body = Body::at(if codec == Codec::AAC { 2 } else { 1 });
        Self { codec, content, track: 0, body }
    }

    /// Returns the decoder's input; `None` when the message is too short.
    pub fn coded<'a>(&self, payload: &'a [u8]) -> Option<&'a [u8]> {
        self.body.of(payload)
    }

    /// Whether late joiners need this message before any audio.
    pub fn is_sequence_header(&self) -> bool {
        self.content.is_configuration()
    }
}

/// The extended header after its first byte, common to audio and video.
#[derive(Default)]
struct Extended {
    /// `None` when the message is truncated.
    packet_type: Option<u8>,
    codec: Codec,
    track: u8,
    body: Body,
}

impl Extended {
    const MOD_EX: u8 = 7;
    const ONE_TRACK: u8 = 0;
    const MANY_TRACKS_MANY_CODECS: u8 = 2;

    /// `multitrack` is the packet type of Multitrack: 6 for video, 5 for audio.
    fn parse(payload: &[u8], multitrack: u8) -> Self {
        Self::try_parse(payload, multitrack).unwrap_or_default()
    }

    fn try_parse(payload: &[u8], multitrack: u8) -> Option<Self> {
        let (&first, mut rest) = payload.split_first()?;
        let mut packet_type = first & 0x0f;
        while packet_type == Self::MOD_EX {
            let (&size, after_size) = rest.split_first()?;
            let (size, after_size) = match size {
                // 255 announces a 16-bit size.
                255 => {
                    let (wide, after_wide) = after_size.split_at_checked(2)?;
                    (usize::from(u16::from_be_bytes([wide[0], wide[1]])) + 1, after_wide)
                }
                size => (usize::from(size) + 1, after_size),
            };
            let (&types, after_types) = after_size.get(size..)?.split_first()?;
            packet_type = types & 0x0f;
            rest = after_types;
        }
        let mut track = 0;
        let mut tracks = None;
        if packet_type == multitrack {
            let (&types, after_types) = rest.split_first()?;
            packet_type = types & 0x0f;
            rest = after_types;
            tracks = Some(types >> 4);
            if types >> 4 > Self::MANY_TRACKS_MANY_CODECS || packet_type == multitrack {
                return None;
            }
        }
        let codec = match rest.first_chunk::<4>() {
            Some(code) => Codec::FourCc(*code),
            None => Codec::Unknown,
        };
        let mut body = Body::at(payload.len() - rest.len() + 4);
        if let Some(tracks) = tracks {
            // Whether there is one FourCC for all tracks or one per track, the first track's ID follows it.
            track = *rest.get(4)?;
            body.start += 1;
            if tracks != Self::ONE_TRACK {
                let length = rest.get(5..8)?;
                body.length = Some(length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)));
                body.start += 3;
            }
        }
        Some(Self { packet_type: Some(packet_type), codec, track, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn video(bytes: &[u8]) -> VideoTagHeader {
        VideoTagHeader::parse(bytes)
    }

    #[test]
    fn legacy_video() {
        let sequence_header = video(&[0x17, 0, 0, 0, 0, 1]);
        assert!(sequence_header.is_sequence_header() && !sequence_header.is_key_frame());
        assert!(video(&[0x17, 1, 0, 0, 0]).is_key_frame());
        assert!(!video(&[0x27, 1, 0, 0, 0]).is_key_frame());
        assert_eq!(video(&[0x17, 2, 0, 0, 0]).content, Content::SequenceEnd);
        assert!(!video(&[0x17, 2, 0, 0, 0]).is_key_frame());
        assert_eq!(video(&[0x57, 0]).content, Content::Command);
        assert!(video(&[0x12, 0, 0]).is_key_frame(), "Sorenson has no packet type");
        assert!(video(&[0x1c, 0]).is_sequence_header(), "HEVC as codec 12");
    }

    #[test]
    fn legacy_audio() {
        assert!(AudioTagHeader::parse(&[0xaf, 0, 0x12, 0x10]).is_sequence_header());
        assert!(!AudioTagHeader::parse(&[0xaf, 1, 0]).is_sequence_header());
        assert!(!AudioTagHeader::parse(&[0x2f, 0]).is_sequence_header(), "MP3 has no packet type");
    }

    #[test]
    fn extended_video() {
        let start = video(b"\x90hvc1");
        assert!(start.is_sequence_header() && !start.is_key_frame());
        assert_eq!(start.codec, Codec::FourCc(*b"hvc1"));
        assert!(video(b"\x91hvc1\0\0\x28").is_key_frame());
        assert!(video(b"\x93av01").is_key_frame());
        assert!(!video(b"\xa3hvc1").is_key_frame());
        assert_eq!(video(b"\x84hvc1").content, Content::Metadata);
        assert_eq!(video(b"\xd4hvc1").content, Content::Metadata, "its frame type is undefined");
        assert_eq!(video(b"\xd1\x00").content, Content::Command);
        assert!(video(b"\x95av01").is_sequence_header(), "MPEG2TSSequenceStart");
    }

    #[test]
    fn multitrack_and_mod_ex() {
        let second_track = video(b"\x96\x01av01\x01");
        assert_eq!((second_track.track, second_track.codec), (1, Codec::FourCc(*b"av01")));
        assert!(!second_track.is_key_frame(), "a GOP starts on track 0");
        assert!(video(b"\x96\x11av01\x00\0\0\x01").is_key_frame());
        assert!(video(b"\x97\x02\x07\xa1\x20\x01hvc1\0\0\0").is_key_frame(), "after ModEx");
        let mut wide = vec![0x97, 255, 0x01, 0x00];
        wide.extend([0; 257]);
        wide.extend(b"\x00hvc1");
        assert!(video(&wide).is_sequence_header(), "ModEx of 257 bytes");
        assert_eq!(AudioTagHeader::parse(b"\x95\x00Opus\x02").track, 2);
    }

    #[test]
    fn extended_audio() {
        assert!(AudioTagHeader::parse(b"\x90Opus").is_sequence_header());
        assert_eq!(AudioTagHeader::parse(b"\x91Opus").content, Content::Frame);
        assert!(AudioTagHeader::parse(b"\x94Opus\x01\x06\0\0\x06\x0f").is_sequence_header(), "MultichannelConfig");
    }

    #[test]
    fn truncated_headers_are_neither_key_frame_nor_configuration() {
        for truncated in
            [&b""[..], b"\x97", b"\x97\xff", b"\x97\x02\x01", b"\x96", b"\x96\x01", b"\x96\x66av01\0", b"\x91hv"]
        {
            assert!(!video(truncated).is_key_frame() && !video(truncated).is_sequence_header(), "{truncated:x?}");
        }
        assert!(!video(b"\x17").is_sequence_header());
        assert!(!AudioTagHeader::parse(b"\xaf").is_sequence_header());
    }

    #[test]
    fn undefined_packet_types_are_unknown() {
        // The second is what some drones and action cameras send between frames.
        for junk in [&b"\x17\x03\0\0\0"[..], b"\xff\xfe\xf7\x17\0\0\0\0", b"\xff", b"\x17", b"\x9favc1", b"\x97", b""] {
            assert_eq!(video(junk).content, Content::Unknown, "{junk:x?}");
        }
        for junk in [&b"\xaf\x02"[..], b"\xaf", b"\x93mp4a", b"\x9fmp4a", b""] {
            assert_eq!(AudioTagHeader::parse(junk).content, Content::Unknown, "{junk:x?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = VideoTagHeader::parse(&bytes);
            let _ = AudioTagHeader::parse(&bytes);
        }
    }
}
