//! The file header and tag headers of FLV.

use byteorder::{BigEndian, ByteOrder};

use crate::error::{Error, Result};
use crate::limits;
use crate::media::{Packet, PacketKind, Timestamp};

/// The signature at the start of an FLV file.
pub const SIGNATURE: [u8; 3] = *b"FLV";

/// Size of a file header without extra fields, in bytes; excludes `PreviousTagSize0`.
pub const FILE_HEADER_BYTES: usize = 9;

/// Size of a tag header, in bytes.
pub const TAG_HEADER_BYTES: usize = 11;

/// Size of the `PreviousTagSize` after each tag, in bytes.
pub const PREVIOUS_TAG_SIZE_BYTES: usize = 4;

const AUDIO_FLAG: u8 = 0x04;
const VIDEO_FLAG: u8 = 0x01;
/// AMF3 script data: a byte 0, then AMF0.
const AMF3_SCRIPT: u8 = 15;

/// Encodes the file header and `PreviousTagSize0` (FLV 10.1 §E.2, §E.3).
///
/// ```text
/// 46 4c 56   01        flags                 00 00 00 09     00 00 00 00
/// "FLV"      version   04 audio | 01 video   header length   PreviousTagSize0
/// ```
pub fn encode_file_header(has_audio: bool, has_video: bool) -> [u8; FILE_HEADER_BYTES + PREVIOUS_TAG_SIZE_BYTES] {
    let flags = if has_audio { AUDIO_FLAG } else { 0 } | if has_video { VIDEO_FLAG } else { 0 };
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}

/// The header of an FLV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// Whether it announces audio; often wrong.
    pub has_audio: bool,
    /// Whether it announces video; often wrong.
    pub has_video: bool,
    /// Size of the whole header in bytes, which is the offset of `PreviousTagSize0`.
    pub length: u32,
}

impl FileHeader {
    /// Decodes the first nine bytes of the header. The version is ignored.
    ///
    /// Fails with [`Error::Flv`] when the signature or the length is invalid, and with [`Error::Limit`] when the length
    /// is over [`limits::FLV_HEADER_BYTES`].
    pub fn decode(bytes: &[u8; FILE_HEADER_BYTES]) -> Result<Self> {
        if bytes[..3] != SIGNATURE {
            let reason = format!("not an FLV file: it starts with \"{}\"", bytes[..4].escape_ascii());
            return Err(Error::Flv { offset: 0, reason: reason.into() });
        }
        let length = BigEndian::read_u32(&bytes[5..9]);
        if length < FILE_HEADER_BYTES as u32 {
            return Err(Error::Flv { offset: 5, reason: format!("invalid header size of {length} bytes").into() });
        }
        if length > limits::FLV_HEADER_BYTES {
            return Err(Error::Limit {
                what: "bytes of an FLV file header",
                value: length.into(),
                limit: limits::FLV_HEADER_BYTES.into(),
            });
        }
        Ok(Self { has_audio: bytes[4] & AUDIO_FLAG != 0, has_video: bytes[4] & VIDEO_FLAG != 0, length })
    }
}

/// A tag header (FLV 10.1 §E.4.1), big-endian.
///
/// ```text
/// type(1)   data size(3)   timestamp(3), bits 23..0   timestamp(1), bits 31..24   stream id(3) = 0
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagHeader {
    /// The first byte: two reserved bits, the filter bit (encrypted), five bits of tag type.
    pub tag_type: u8,
    /// Size of the data in bytes, below 2²⁴.
    pub data_size: u32,
    /// Decode timestamp (DTS).
    pub timestamp: Timestamp,
    /// Always 0 (§E.4.1); below 2²⁴.
    pub stream_id: u32,
}

impl TagHeader {
    /// Creates the header of a packet. Fails with [`Error::Limit`] when its payload is over [`limits::FLV_TAG_BYTES`].
    pub fn for_packet(packet: &Packet) -> Result<Self> {
        let length = packet.payload.len();
        match u32::try_from(length) {
            Ok(data_size) if length <= limits::FLV_TAG_BYTES => {
                Ok(Self { tag_type: packet.kind.type_id(), data_size, timestamp: packet.timestamp, stream_id: 0 })
            }
            _ => Err(Error::Limit {
                what: "bytes of FLV tag data",
                value: length as u64,
                limit: limits::FLV_TAG_BYTES as u64,
            }),
        }
    }

    /// Decodes a header; any bytes are valid.
    pub fn decode(bytes: &[u8; TAG_HEADER_BYTES]) -> Self {
        let low = BigEndian::read_u24(&bytes[4..7]);
        Self {
            tag_type: bytes[0],
            data_size: BigEndian::read_u24(&bytes[1..4]),
            timestamp: Timestamp::new(u32::from(bytes[7]) << 24 | low),
            stream_id: BigEndian::read_u24(&bytes[8..11]),
        }
    }

    /// Encodes the header; data size and stream ID are truncated to 24 bits.
    pub fn encode(&self) -> [u8; TAG_HEADER_BYTES] {
        let [high, timestamp @ ..] = self.timestamp.milliseconds().to_be_bytes();
        let mut bytes = [0; TAG_HEADER_BYTES];
        bytes[0] = self.tag_type;
        BigEndian::write_u24(&mut bytes[1..4], self.data_size & 0xff_ffff);
        bytes[4..7].copy_from_slice(&timestamp);
        bytes[7] = high;
        BigEndian::write_u24(&mut bytes[8..11], self.stream_id & 0xff_ffff);
        bytes
    }

    /// Returns the kind of the data; `None` for unknown types, reserved bits and encrypted tags, which are skipped.
    pub fn kind(&self) -> Option<PacketKind> {
        if self.is_amf3_script() { Some(PacketKind::Data) } else { PacketKind::from_type_id(self.tag_type) }
    }

    /// Whether the data is AMF3 script data.
    pub fn is_amf3_script(&self) -> bool {
        self.tag_type == AMF3_SCRIPT
    }

    /// Whether this is likely a tag header even without a matching `PreviousTagSize`: its type is known and its stream
    /// ID 0.
    pub fn is_plausible(&self) -> bool {
        self.kind().is_some() && self.stream_id == 0
    }

    /// Returns the value of the `PreviousTagSize` after the tag: size of header and data, in bytes.
    pub fn tag_size(&self) -> u32 {
        TAG_HEADER_BYTES as u32 + self.data_size
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_timestamp_has_its_high_byte_last() {
        let bytes = [9, 0, 0, 5, 0x31, 0x2d, 0, 1, 0, 0, 0];
        let header = TagHeader::decode(&bytes);
        assert_eq!(header.timestamp, Timestamp::new(20_000_000));
        assert_eq!((header.kind(), header.data_size, header.tag_size()), (Some(PacketKind::Video), 5, 16));
        assert_eq!(header.encode(), bytes);
    }

    #[test]
    fn timestamps_around_24_bits() {
        for (timestamp, bytes) in [
            (0x00ff_fffe, [0xff, 0xff, 0xfe, 0x00]),
            (0x00ff_ffff, [0xff, 0xff, 0xff, 0x00]),
            (0x0100_0000, [0x00, 0x00, 0x00, 0x01]),
            (u32::MAX, [0xff, 0xff, 0xff, 0xff]),
        ] {
            let header =
                TagHeader { tag_type: 8, data_size: 0, timestamp: Timestamp::new(timestamp), stream_id: 0 }.encode();
            assert_eq!(header[4..8], bytes);
            assert_eq!(TagHeader::decode(&header).timestamp.milliseconds(), timestamp);
        }
    }

    #[test]
    fn encrypted_and_unknown_tags_have_no_kind() {
        let kind = |tag_type| TagHeader { tag_type, data_size: 0, timestamp: Timestamp::ZERO, stream_id: 0 }.kind();
        assert_eq!([8, 9, 18, 15].map(|tag_type| kind(tag_type).is_some()), [true; 4]);
        assert_eq!([0, 7, 0x28, 0x29, 0x49, 0x89].map(kind), [None; 6]);
    }

    #[test]
    fn the_file_header() {
        let bytes = encode_file_header(true, true);
        assert_eq!(bytes, [0x46, 0x4c, 0x56, 1, 5, 0, 0, 0, 9, 0, 0, 0, 0]);
        assert_eq!(encode_file_header(true, false)[4], 4);
        assert_eq!(encode_file_header(false, true)[4], 1);
        let header = FileHeader::decode(bytes.first_chunk().unwrap()).unwrap();
        assert_eq!(header, FileHeader { has_audio: true, has_video: true, length: 9 });
        let error = FileHeader::decode(b"\0\0\0\x18ftyp\0").unwrap_err();
        assert_eq!(error.to_string(), "FLV, byte 0: not an FLV file: it starts with \"\\x00\\x00\\x00\\x18\"");
        assert!(FileHeader::decode(b"FLV\x01\x05\0\0\0\x08").is_err());
    }

    #[test]
    fn limit_of_the_file_header() {
        let with_length = |length: u32| {
            let mut bytes = *b"FLV\x01\x05\0\0\0\0";
            bytes[5..].copy_from_slice(&length.to_be_bytes());
            FileHeader::decode(&bytes)
        };
        assert_eq!(with_length(limits::FLV_HEADER_BYTES).unwrap().length, limits::FLV_HEADER_BYTES);
        assert!(matches!(with_length(limits::FLV_HEADER_BYTES + 1), Err(Error::Limit { .. })));
    }

    #[test]
    fn limit_of_tag_data() {
        let packet =
            |length| Packet { kind: PacketKind::Video, timestamp: Timestamp::ZERO, payload: vec![0; length].into() };
        let largest = TagHeader::for_packet(&packet(limits::FLV_TAG_BYTES)).unwrap();
        assert_eq!(TagHeader::decode(&largest.encode()), largest);
        assert!(matches!(TagHeader::for_packet(&packet(limits::FLV_TAG_BYTES + 1)), Err(Error::Limit { .. })));
    }

    proptest! {
        #[test]
        fn encoding_undoes_decoding(bytes: [u8; TAG_HEADER_BYTES]) {
            prop_assert_eq!(TagHeader::decode(&bytes).encode(), bytes);
        }
    }
}
