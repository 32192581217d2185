//! A media message as everything above the wire formats sees it.

use bytes::Bytes;

use super::Timestamp;
use super::nal_units::NalCodec;
use super::tag_header::{AudioTagHeader, Content, VideoTagHeader};

/// What a [`Packet`] carries. The numbers are the message types of RTMP (1.0 §6.1) and the tag types
/// of FLV (10.1 §E.4.1), which are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum PacketKind {
    /// Audio: an FLV audio tag body.
    Audio = 8,
    /// Video frame: an FLV video tag body.
    Video = 9,
    /// AMF0 data: a name and values, such as `onMetaData`.
    Data = 18,
}

impl PacketKind {
    /// The kind with that message or tag type.
    pub fn from_type_id(type_id: u8) -> Option<Self> {
        match type_id {
            8 => Some(Self::Audio),
            9 => Some(Self::Video),
            18 => Some(Self::Data),
            _ => None,
        }
    }

    /// The message type of RTMP and tag type of FLV.
    pub fn type_id(self) -> u8 {
        self as u8
    }
}

/// One message of audio, video frame or data: the payload of an RTMP message of type 8, 9 or 18, and just
/// as well the data of an FLV tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Audio, video or data.
    pub kind: PacketKind,
    /// Decoding time.
    pub timestamp: Timestamp,
    /// The bytes as they came, never changed on their way through the server.
    pub payload: Bytes,
}

impl Packet {
    /// What the first bytes of a video frame say; `None` for other kinds.
    pub fn video_header(&self) -> Option<VideoTagHeader> {
        (self.kind == PacketKind::Video).then(|| VideoTagHeader::parse(&self.payload))
    }

    /// What the first bytes of audio say; `None` for other kinds.
    pub fn audio_header(&self) -> Option<AudioTagHeader> {
        (self.kind == PacketKind::Audio).then(|| AudioTagHeader::parse(&self.payload))
    }

    /// Whether a decoder can start at this video frame.
    pub fn is_key_frame(&self) -> bool {
        self.video_header().is_some_and(|header| header.is_key_frame())
    }

    /// Whether it is a video frame that refers to no other, a key frame or what the codec calls so though FLV doesn't: CRA and BLA
    /// video frames of H.265.
    pub fn is_random_access(&self) -> bool {
        self.is_key_frame() || self.has(NalCodec::is_random_access)
    }

    /// Whether a decoder can start at this video frame, perhaps with damage at first: a key frame, or a recovery point (SEI) of
    /// H.264 or H.265, as encoders mark them that refresh video frames little by little.
    pub fn is_starting_point(&self) -> bool {
        self.is_random_access() || self.has(NalCodec::has_recovery_point)
    }

    /// Whether it is a recovery point and refers to others, FLV may call it a key frame or not: browsers start at none.
    pub fn is_mere_recovery_point(&self) -> bool {
        self.has(NalCodec::has_recovery_point) && !self.has(NalCodec::is_random_access)
    }

    /// Whether that holds for the coded video frame of the first track.
    fn has(&self, property: impl FnOnce(NalCodec, &[u8]) -> bool) -> bool {
        let header = self.video_header().filter(|header| header.content == Content::Frame && header.track == 0);
        header.is_some_and(|header| {
            let (codec, coded) = (NalCodec::of(header.codec), header.coded(&self.payload));
            codec.zip(coded).is_some_and(|(codec, (_, coded))| property(codec, coded))
        })
    }

    /// Whether this configures a decoder instead of being audio or video itself.
    pub fn is_sequence_header(&self) -> bool {
        self.header_slot().is_some()
    }

    /// Whether it configures a decoder with something: some encoders send an empty configuration before the real one.
    pub fn has_configuration(&self) -> bool {
        let coded = match self.kind {
            PacketKind::Audio => self.audio_header().and_then(|header| header.coded(&self.payload)),
            PacketKind::Video => {
                self.video_header().and_then(|header| header.coded(&self.payload)).map(|(_, coded)| coded)
            }
            PacketKind::Data => None,
        };
        self.is_sequence_header() && coded.is_some_and(|coded| !coded.is_empty())
    }

    /// Which earlier sequence header this one replaces; `None` when it is none.
    pub fn header_slot(&self) -> Option<HeaderSlot> {
        let (content, track) = match self.kind {
            PacketKind::Audio => self.audio_header().map(|header| (header.content, header.track)),
            PacketKind::Video => self.video_header().map(|header| (header.content, header.track)),
            PacketKind::Data => None,
        }?;
        content.configures().then_some(HeaderSlot { kind: self.kind, content, track })
    }
}

/// The place of a sequence header: of two with the same, the later one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeaderSlot {
    kind: PacketKind,
    content: Content,
    track: u8,
}

impl HeaderSlot {
    /// Of what configures all tracks at once: the initialisation segment of fragmented MP4.
    pub const INIT: Self = Self { kind: PacketKind::Data, content: Content::SequenceHeader, track: 0 };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(payload: &[u8]) -> Packet {
        Packet { kind: PacketKind::Video, timestamp: Timestamp::ZERO, payload: payload.to_vec().into() }
    }

    /// Random access, starting point.
    fn starts(payload: &[u8]) -> (bool, bool) {
        let packet = video(payload);
        (packet.is_random_access(), packet.is_starting_point())
    }

    #[test]
    fn decoders_start_at_key_frames_and_recovery_points() {
        const RECOVERY: &[u8] = b"\0\0\0\x04\x06\x06\x01\xc4\0\0\0\x02\x41\x9a";
        assert_eq!(starts(b"\x17\x01\0\0\0"), (true, true));
        assert_eq!(starts(b"\x27\x01\0\0\0\0\0\0\x02\x41\x9a"), (false, false));
        assert_eq!(starts(&[b"\x27\x01\0\0\0", RECOVERY].concat()), (false, true));
        assert!(video(&[b"\x17\x01\0\0\0", RECOVERY].concat()).is_mere_recovery_point());
        assert!(!video(b"\x17\x01\0\0\0\0\0\0\x04\x06\x06\x01\xc4\0\0\0\x02\x65\x9a").is_mere_recovery_point());
        assert_eq!(starts(&[b"\xa1avc1\0\0\0", RECOVERY].concat()), (false, true));
        assert_eq!(starts(&[b"\x27\x00\0\0\0", RECOVERY].concat()), (false, false), "a configuration");
        assert_eq!(starts(&[b"\xa6\x01avc1\x01\0\0\0", RECOVERY].concat()), (false, false), "a second track");
        assert_eq!(starts(b"\xa3hvc1\0\0\0\x02\x2a\x01"), (true, true), "CRA");
        assert_eq!(starts(b"\xa3hvc1\0\0\0\x02\x02\x01"), (false, false));
        assert_eq!(starts(b"\xa3av01\0\0\0\x02\x2a\x01"), (false, false));
    }
}
