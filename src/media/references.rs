//! Detection of disposable video frames.

use super::nal_units::NalCodec;
use super::tag_header::{Content, VideoTagHeader};
use super::{Packet, PacketKind};

/// Finds disposable frames, which no other frame references and which can be dropped when a client is too slow: those
/// that FLV marks (frame type 3), and those whose first slice isn't used for reference: `nal_ref_idc` 0 (ITU-T H.264
/// §7.4.1), or a sub-layer non-reference picture (H.265 §7.4.2.2) in the highest sub-layer.
#[derive(Debug, Default)]
pub(crate) struct References {
    /// The highest temporal sub-layer of H.265 so far.
    highest_layer: u8,
}

impl References {
    /// Whether no other frame references this one. Must be called for all frames of a stream, in order.
    pub(crate) fn is_disposable(&mut self, packet: &Packet) -> bool {
        if packet.kind != PacketKind::Video {
            return false;
        }
        let header = VideoTagHeader::parse(&packet.payload);
        if header.content != Content::Frame || header.is_key_frame() {
            return false;
        }
        if header.frame_type == 3 {
            return true;
        }
        let Some((_, coded)) = header.coded(&packet.payload) else { return false };
        let Some(codec) = NalCodec::of(header.codec) else { return false };
        let Some(slice) = codec.first_slice(coded) else { return false };
        match codec {
            NalCodec::H264 => slice[0] & 0xe0 == 0,
            NalCodec::H265 => self.is_disposable_hevc(slice[0] >> 1, slice[1] & 7),
        }
    }

    fn is_disposable_hevc(&mut self, nal_type: u8, layer: u8) -> bool {
        self.highest_layer = self.highest_layer.max(layer);
        nal_type < 16 && nal_type.is_multiple_of(2) && layer == self.highest_layer
    }
}

#[cfg(test)]
mod tests {
    use super::super::Timestamp;
    use super::*;

    fn video(payload: &[u8]) -> Packet {
        Packet { kind: PacketKind::Video, timestamp: Timestamp::ZERO, payload: payload.to_vec().into() }
    }

    /// An access unit delimiter, and a slice that starts with these two bytes.
    fn units(delimiter: [u8; 2], slice: [u8; 2]) -> Vec<u8> {
        [&[0, 0, 0, 2][..], &delimiter, &[0, 0, 0, 3], &slice, &[9]].concat()
    }

    #[test]
    fn h264_marks_disposable_frames_by_nal_ref_idc() {
        let legacy = |slice: u8| [&[0x27, 1, 0, 0, 0][..], &units([9, 0xf0], [slice, 0x9a])].concat();
        let extended = |slice: u8| [&[0xa3, b'a', b'v', b'c', b'1'][..], &units([9, 0xf0], [slice, 0x9a])].concat();
        let mut references = References::default();
        for (slice, is_disposable) in [(0x01, true), (0x21, false), (0x41, false), (0x61, false)] {
            assert_eq!(references.is_disposable(&video(&legacy(slice))), is_disposable, "{slice:#x}");
            assert_eq!(references.is_disposable(&video(&extended(slice))), is_disposable, "{slice:#x}");
        }
        // Two-byte length prefixes are not supported.
        assert!(!references.is_disposable(&video(&[0x27, 1, 0, 0, 0, 0, 3, 0x01, 0x9a, 9])));
    }

    #[test]
    fn h265_marks_disposable_frames_by_nal_unit_type_in_the_highest_sub_layer() {
        let frame = |nal_type: u8, layer: u8| {
            let slice = units([35 << 1, 1], [nal_type << 1, layer]);
            video(&[&[0xa3, b'h', b'v', b'c', b'1'][..], &slice].concat())
        };
        let mut references = References::default();
        assert!(references.is_disposable(&frame(0, 1)));
        assert!(!references.is_disposable(&frame(1, 1)));
        assert!(references.is_disposable(&frame(8, 1)));
        assert!(!references.is_disposable(&frame(21, 1)), "a random access point");
        assert!(references.is_disposable(&frame(2, 2)));
        assert!(!references.is_disposable(&frame(0, 1)), "a higher sub-layer may now reference it");
    }

    #[test]
    fn flv_marks_disposable_frames_of_any_codec() {
        let mut references = References::default();
        assert!(references.is_disposable(&video(&[0x32, 0])));
        assert!(references.is_disposable(&video(&[0xb1, b'a', b'v', b'0', b'1', 0])));
        assert!(!references.is_disposable(&video(&[0x22, 0])));
        for truncated in
            [&[][..], &[0x27], &[0x27, 1, 0, 0], &[0x27, 1, 0, 0, 0, 0, 0, 0, 1, 1], &[0xa3, b'h', b'v', b'c', b'1']]
        {
            assert!(!references.is_disposable(&video(truncated)), "{truncated:?}");
        }
    }
}
