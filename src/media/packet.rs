//! The media message that all layers above the wire formats use.

use bytes::Bytes;

use super::Timestamp;
use super::nal_units::NalCodec;
use super::tag_header::{AudioTagHeader, Content, VideoTagHeader};

/// The type of a [`Packet`]. The discriminants are the RTMP message types (1.0 §6.1), which equal the FLV tag types
/// (10.1 §E.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum PacketKind {
    /// An FLV audio tag body.
    Audio = 8,
    /// An FLV video tag body.
    Video = 9,
    /// AMF0 data: a name and values, such as `onMetaData`.
    Data = 18,
}

impl PacketKind {
    /// Returns the kind for an RTMP message type or FLV tag type; `None` for other types.
    pub fn from_type_id(type_id: u8) -> Option<Self> {
        match type_id {
            8 => Some(Self::Audio),
            9 => Some(Self::Video),
            18 => Some(Self::Data),
            _ => None,
        }
    }

    /// Returns the RTMP message type, which is also the FLV tag type.
    pub fn type_id(self) -> u8 {
        self as u8
    }
}

/// A media message: the payload of an RTMP message of type 8, 9 or 18, or equally the data of an FLV tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Audio, video or data.
    pub kind: PacketKind,
    /// Decode timestamp (DTS).
    pub timestamp: Timestamp,
    /// The payload as received; the server never modifies it.
    pub payload: Bytes,
}

impl Packet {
    /// Parses the video tag header; `None` for other kinds.
    pub fn video_header(&self) -> Option<VideoTagHeader> {
        (self.kind == PacketKind::Video).then(|| VideoTagHeader::parse(&self.payload))
    }

    /// Parses the audio tag header; `None` for other kinds.
    pub fn audio_header(&self) -> Option<AudioTagHeader> {
        (self.kind == PacketKind::Audio).then(|| AudioTagHeader::parse(&self.payload))
    }

    /// Whether this is a video key frame, by its tag header.
    pub fn is_key_frame(&self) -> bool {
        self.video_header().is_some_and(|header| header.is_key_frame())
    }

    /// Whether this is a random access point: a key frame, or a CRA or BLA picture of H.265, which FLV doesn't mark as
    /// one.
    pub fn is_random_access(&self) -> bool {
        self.is_key_frame() || self.access_unit_has(NalCodec::is_random_access)
    }

    /// Whether a decoder can start here, perhaps with artefacts at first: a random access point, or a recovery point
    /// SEI of H.264 or H.265, which encoders with intra refresh write.
    pub fn is_starting_point(&self) -> bool {
        self.is_random_access() || self.access_unit_has(NalCodec::has_recovery_point)
    }

    /// Whether this is a recovery point but no random access point, regardless of FLV's frame type: browsers can't
    /// start at one.
    pub fn is_recovery_point_only(&self) -> bool {
        self.access_unit_has(NalCodec::has_recovery_point) && !self.access_unit_has(NalCodec::is_random_access)
    }

    /// Evaluates `property` for the access unit of the first track.
    fn access_unit_has(&self, property: impl FnOnce(NalCodec, &[u8]) -> bool) -> bool {
        let header = self.video_header().filter(|header| header.content == Content::Frame && header.track == 0);
        header.is_some_and(|header| {
            let (codec, coded) = (NalCodec::of(header.codec), header.coded(&self.payload));
            codec.zip(coded).is_some_and(|(codec, (_, coded))| property(codec, coded))
        })
    }

    /// Whether this configures a decoder and carries no coded media.
    pub fn is_sequence_header(&self) -> bool {
        self.header_slot().is_some()
    }

    /// Whether this is a sequence header with a non-empty body: some encoders send an empty one before the real one.
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

    /// Returns the slot of this sequence header; `None` for other messages.
    pub(crate) fn header_slot(&self) -> Option<HeaderSlot> {
        let (content, track) = match self.kind {
            PacketKind::Audio => self.audio_header().map(|header| (header.content, header.track)),
            PacketKind::Video => self.video_header().map(|header| (header.content, header.track)),
            PacketKind::Data => None,
        }?;
        content.is_configuration().then_some(HeaderSlot { kind: self.kind, content, track })
    }
}

/// What a sequence header configures: a newer one replaces an older one of the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct HeaderSlot {
    kind: PacketKind,
    content: Content,
    track: u8,
}

impl HeaderSlot {
    /// The slot of an fMP4 initialization segment, which configures all tracks at once.
    pub(crate) const INIT: Self = Self { kind: PacketKind::Data, content: Content::SequenceHeader, track: 0 };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(payload: &[u8]) -> Packet {
        Packet { kind: PacketKind::Video, timestamp: Timestamp::ZERO, payload: payload.to_vec().into() }
    }

    /// `is_random_access` and `is_starting_point`.
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
        assert!(video(&[b"\x17\x01\0\0\0", RECOVERY].concat()).is_recovery_point_only());
        assert!(!video(b"\x17\x01\0\0\0\0\0\0\x04\x06\x06\x01\xc4\0\0\0\x02\x65\x9a").is_recovery_point_only());
        assert_eq!(starts(&[b"\xa1avc1\0\0\0", RECOVERY].concat()), (false, true));
        assert_eq!(starts(&[b"\x27\x00\0\0\0", RECOVERY].concat()), (false, false), "a configuration");
        assert_eq!(starts(&[b"\xa6\x01avc1\x01\0\0\0", RECOVERY].concat()), (false, false), "a second track");
        assert_eq!(starts(b"\xa3hvc1\0\0\0\x02\x2a\x01"), (true, true), "CRA");
        assert_eq!(starts(b"\xa3hvc1\0\0\0\x02\x02\x01"), (false, false));
        assert_eq!(starts(b"\xa3av01\0\0\0\x02\x2a\x01"), (false, false));
    }
}
