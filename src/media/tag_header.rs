//! What the first bytes of an audio or video message say: codec, key frame, sequence header.
//!
//! Both generations are read: the header of FLV 10.1 §E.4.2.1 and §E.4.3.1, and the extended one with
//! FourCC of Enhanced RTMP v2, in which ModEx and Multitrack put the real packet type a level down.
//! Reading never fails: the server relays what it does not understand, so a message that makes no
//! sense is [`Content::Unknown`] and neither starts nor configures anything.

pub use super::codec::Codec;

/// What the body behind the header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Content {
    /// Configures the decoder: AVCDecoderConfigurationRecord, AudioSpecificConfig and their like.
    SequenceHeader,
    /// Coded audio or video.
    Frame,
    /// The sender will send no more of this sequence.
    SequenceEnd,
    /// Enhanced RTMP metadata: colour information of video, channel layout of audio.
    Metadata,
    /// A command to the player instead of a video frame (frame type 5).
    Command,
    /// Of a packet type that the codec does not have, or cut off before its type.
    Unknown,
}

impl Content {
    /// Whether players that come later need this before any audio or video.
    pub fn configures(self) -> bool {
        matches!(self, Self::SequenceHeader | Self::Metadata)
    }
}

/// The header of a video message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoTagHeader {
    /// The codec of the (first) track.
    pub codec: Codec,
    /// 1 key frame, 2 inter frame, 3 disposable inter frame, 4 generated key frame, 5 command.
    pub frame_type: u8,
    /// What follows.
    pub content: Content,
    /// The (first) track; 0 unless the message is multitrack.
    pub track: u8,
    /// Where the coded video frame or configuration is.
    body: Body,
}

/// The header of an audio message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioTagHeader {
    /// The codec of the (first) track.
    pub codec: Codec,
    /// What follows.
    pub content: Content,
    /// The (first) track; 0 unless the message is multitrack.
    pub track: u8,
    /// Where the coded audio or configuration is.
    body: Body,
}

/// Where what a decoder gets lies in a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Body {
    start: usize,
    /// Of several tracks, the first is so long.
    length: Option<usize>,
    /// It begins with 24 bits of composition time.
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
    /// Reads the header of a video message of any length, 0 included.
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
            // The Metadata packet's frame type means nothing: look at it before the command.
            Some(4) => Content::Metadata,
            _ if frame_type == 5 => Content::Command,
            Some(0 | 5) => Content::SequenceHeader,
            Some(1 | 3) => Content::Frame,
            Some(2) => Content::SequenceEnd,
            _ => Content::Unknown,
        };
        // Only these two have video frames in another order than that of their decoding (Enhanced RTMP v2, CodedFrames).
        let is_reordered =
            matches!(extended.codec, Codec::FourCc(code) if [*b"avc1", *b"hvc1", *b"vvc1"].contains(&code));
        let has_composition_time = extended.packet_type == Some(1) && is_reordered;
        let body = Body { has_composition_time, ..extended.body };
        Self { codec: extended.codec, frame_type, content, track: extended.track, body }
    }

    /// The composition time in milliseconds, by which the video frame is shown after it is decoded, and what the decoder
    /// gets; `None` when the message is too short.
    pub fn coded<'a>(&self, payload: &'a [u8]) -> Option<(i32, &'a [u8])> {
        let body = self.body.of(payload)?;
        if !self.body.has_composition_time {
            return Some((0, body));
        }
        let (&[high, middle, low], coded) = body.split_first_chunk::<3>()?;
        // Signed: the high byte's sign is the number's.
        Some((i32::from_be_bytes([high, middle, low, 0]) >> 8, coded))
    }

    /// Whether a decoder that has the sequence header can start here.
    pub fn is_key_frame(&self) -> bool {
        self.frame_type == 1 && self.content == Content::Frame && self.codec != Codec::Unknown && self.track == 0
    }

    /// Whether players that come later need this message before any video frame.
    pub fn is_sequence_header(&self) -> bool {
        self.content.configures()
    }
}

impl AudioTagHeader {
    /// Reads the header of an audio message of any length, 0 included.
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

    /// What the decoder gets; `None` when the message is too short.
    pub fn coded<'a>(&self, payload: &'a [u8]) -> Option<&'a [u8]> {
        self.body.of(payload)
    }

    /// Whether players that come later need this message before any audio.
    pub fn is_sequence_header(&self) -> bool {
        self.content.configures()
    }
}

/// What stands behind the first byte of an extended header, audio and video alike.
#[derive(Default)]
struct Extended {
    /// `None` when the message ends before it.
    packet_type: Option<u8>,
    codec: Codec,
    track: u8,
    body: Body,
}

impl Extended {
    const MOD_EX: u8 = 7;
    const ONE_TRACK: u8 = 0;
    const MANY_TRACKS_MANY_CODECS: u8 = 2;

    /// `multitrack` is the packet type that means Multitrack: 6 for video, 5 for audio.
    fn parse(payload: &[u8], multitrack: u8) -> Self {
        Self::try_parse(payload, multitrack).unwrap_or_default()
    }

    fn try_parse(payload: &[u8], multitrack: u8) -> Option<Self> {
        let (&first, mut rest) = payload.split_first()?;
        let mut packet_type = first & 0x0f;
        while packet_type == Self::MOD_EX {
            let (&size, behind_size) = rest.split_first()?;
            let (size, behind_size) = match size {
                // 255 escapes to a 16-bit size.
                255 => {
                    let (wide, behind) = behind_size.split_at_checked(2)?;
                    (usize::from(u16::from_be_bytes([wide[0], wide[1]])) + 1, behind)
                }
                size => (usize::from(size) + 1, behind_size),
            };
            let (&types, behind) = behind_size.get(size..)?.split_first()?;
            packet_type = types & 0x0f;
            rest = behind;
        }
        let mut track = 0;
        let mut tracks = None;
        if packet_type == multitrack {
            let (&types, behind) = rest.split_first()?;
            packet_type = types & 0x0f;
            rest = behind;
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
            // One FourCC for all tracks or one for each: the first track's id follows it either way.
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
        assert_eq!(video(b"\xd4hvc1").content, Content::Metadata, "its frame type means nothing");
        assert_eq!(video(b"\xd1\x00").content, Content::Command);
        assert!(video(b"\x95av01").is_sequence_header(), "MPEG2TSSequenceStart");
    }

    #[test]
    fn a_level_down() {
        let second_track = video(b"\x96\x01av01\x01");
        assert_eq!((second_track.track, second_track.codec), (1, Codec::FourCc(*b"av01")));
        assert!(!second_track.is_key_frame(), "a GOP starts on track 0");
        assert!(video(b"\x96\x11av01\x00\0\0\x01").is_key_frame());
        assert!(video(b"\x97\x02\x07\xa1\x20\x01hvc1\0\0\0").is_key_frame(), "behind ModEx");
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
    fn stubs_start_nothing() {
        for stub in
            [&b""[..], b"\x97", b"\x97\xff", b"\x97\x02\x01", b"\x96", b"\x96\x01", b"\x96\x66av01\0", b"\x91hv"]
        {
            assert!(!video(stub).is_key_frame() && !video(stub).is_sequence_header(), "{stub:x?}");
        }
        assert!(!video(b"\x17").is_sequence_header());
        assert!(!AudioTagHeader::parse(b"\xaf").is_sequence_header());
    }

    #[test]
    fn packet_types_that_a_codec_does_not_have() {
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
        fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = VideoTagHeader::parse(&bytes);
            let _ = AudioTagHeader::parse(&bytes);
        }
    }
}
