//! NAL units behind lengths, as FLV has them: the first that is a slice, and whether a decoder may start with it.

use super::Codec;

/// Bytes of a NAL unit's length. Others than four are hardly ever used, and read as four make no sense.
const LENGTH_BYTES: usize = 4;

/// The payload type of a recovery point SEI, in both codecs (ITU-T H.264 §D.1.8, H.265 §D.2.8).
const RECOVERY_POINT: u32 = 6;

/// Which of the codecs that consist of NAL units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NalCodec {
    H264,
    H265,
}

impl NalCodec {
    pub fn of(codec: Codec) -> Option<Self> {
        match codec {
            Codec::Legacy(7) | Codec::FourCc([b'a', b'v', b'c', b'1']) => Some(Self::H264),
            Codec::Legacy(12) | Codec::FourCc([b'h', b'v', b'c', b'1']) => Some(Self::H265),
            _ => None,
        }
    }

    fn is_slice(self, unit: &[u8]) -> bool {
        match self {
            Self::H264 => (1..=5).contains(&(unit[0] & 0x1f)),
            Self::H265 => unit[0] >> 1 < 32,
        }
    }

    /// The first slice. The NAL units before it are whole, of two bytes at least, and their forbidden bits are 0.
    pub fn first_slice(self, coded: &[u8]) -> Option<&[u8]> {
        units(coded).map_while(|unit| unit).find(|unit| self.is_slice(unit))
    }

    /// Whether the video frame is one that refers to no other: IDR (H.264), or IDR, CRA or BLA (H.265 §7.4.2.2).
    pub fn is_random_access(self, coded: &[u8]) -> bool {
        let slice = self.first_slice(coded);
        slice.is_some_and(|unit| match self {
            Self::H264 => unit[0] & 0x1f == 5,
            Self::H265 => (16..=21).contains(&(unit[0] >> 1)),
        })
    }

    /// Whether a recovery point SEI stands before the first slice.
    pub fn has_recovery_point(self, coded: &[u8]) -> bool {
        let before = units(coded).map_while(|unit| unit.filter(|unit| !self.is_slice(unit)));
        let mut messages = before.filter_map(|unit| match self {
            Self::H264 => (unit[0] & 0x1f == 6).then(|| &unit[1..]),
            Self::H265 => (unit[0] >> 1 == 39).then(|| &unit[2..]),
        });
        messages.any(has_recovery_point)
    }
}

/// NAL units of two bytes at least; `None` for what is none, which is the last.
fn units(mut coded: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        if coded.is_empty() {
            return None;
        }
        let unit = coded.split_first_chunk::<LENGTH_BYTES>().and_then(|(length, behind)| {
            let (unit, rest) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            coded = rest;
            (unit.len() >= 2 && unit[0] & 0x80 == 0).then_some(unit)
        });
        if unit.is_none() {
            coded = &[];
        }
        Some(unit)
    })
}

/// Whether one of the messages of an SEI NAL unit is a recovery point (ITU-T H.264 §7.3.2.3). `messages` is what follows
/// the unit's header.
fn has_recovery_point(messages: &[u8]) -> bool {
    let mut bytes = without_emulation_prevention(messages).peekable();
    // What ends the unit is a byte with one bit.
    while bytes.peek().is_some_and(|byte| *byte != 0x80) {
        let (Some(kind), Some(size)) = (coded_number(&mut bytes), coded_number(&mut bytes)) else { return false };
        if kind == RECOVERY_POINT {
            return true;
        }
        if size > 0 && bytes.nth(size as usize - 1).is_none() {
            return false;
        }
    }
    false
}

/// Bytes of 255, and a last one, that add up.
fn coded_number(bytes: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut sum = 0_u32;
    loop {
        let byte = bytes.next()?;
        sum = sum.checked_add(byte.into())?;
        if byte != 255 {
            return Some(sum);
        }
    }
}

/// The bytes without each 3 behind two zeros, which is there to make no start code (§7.4.1).
fn without_emulation_prevention(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let mut zeros = 0;
    bytes.iter().copied().filter(move |byte| {
        let is_left_out = zeros >= 2 && *byte == 3;
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        !is_left_out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use NalCodec::{H264, H265};
    use proptest::prelude::*;

    fn lengths(units: &[&[u8]]) -> Vec<u8> {
        units.iter().flat_map(|unit| [&(unit.len() as u32).to_be_bytes()[..], unit].concat()).collect()
    }

    const SLICE: &[u8] = &[0x41, 0x9a, 1];
    const HEVC_SLICE: &[u8] = &[1 << 1, 1, 1];

    #[test]
    fn a_recovery_point_is_found_among_other_messages() {
        // As x264 writes it: 39 frames, exact, no broken link.
        let recovery = [6, 6, 3, 0x01, 0x41, 0x60, 0x80];
        let user_data = [&[6, 5, 255, 4][..], &[7; 259], &[0x80]].concat();
        let both = [&[6, 5, 255, 4][..], &[6; 259], &[6, 1, 0xc4, 0x80]].concat();
        let escaped = [6, 5, 4, 0, 0, 3, 0, 9, 6, 1, 0xc4, 0x80];
        let not_escaped = [6, 5, 4, 0, 0, 0, 9, 6, 1, 0xc4, 0x80];
        let delimiter: &[u8] = &[9, 0xf0];
        for found in [&[&recovery[..], SLICE][..], &[delimiter, &user_data, &recovery, SLICE], &[&both, SLICE]] {
            assert!(H264.has_recovery_point(&lengths(found)), "{found:x?}");
        }
        for found in [&escaped[..], &not_escaped] {
            assert!(H264.has_recovery_point(&lengths(&[found, SLICE])), "{found:x?}");
        }
        for none in
            [&[&user_data[..], SLICE][..], &[SLICE, &recovery], &[&[6, 5, 200, 6, 6, 6], SLICE], &[&[6, 6]], &[]]
        {
            assert!(!H264.has_recovery_point(&lengths(none)), "{none:x?}");
        }
        let prefix = [39 << 1, 1, 6, 2, 0xd0, 0x80];
        assert!(H265.has_recovery_point(&lengths(&[&prefix, HEVC_SLICE])));
        assert!(!H265.has_recovery_point(&lengths(&[&[40 << 1, 1, 6, 2, 0xd0, 0x80], HEVC_SLICE])), "a suffix");
    }

    #[test]
    fn frames_that_refer_to_none() {
        assert!(H264.is_random_access(&lengths(&[&[9, 0xf0], &[0x65, 0x88]])));
        assert!(!H264.is_random_access(&lengths(&[SLICE, &[0x65, 0x88]])));
        for (nal_type, is_random_access) in [(1, false), (9, false), (16, true), (19, true), (21, true), (22, false)] {
            assert_eq!(H265.is_random_access(&lengths(&[&[nal_type << 1, 1]])), is_random_access, "{nal_type}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(body in proptest::collection::vec(prop_oneof![0u8..8, any::<u8>()], 0..80)) {
            for codec in [H264, H265] {
                let _ = (codec.has_recovery_point(&body), codec.is_random_access(&body));
                let _ = codec.has_recovery_point(&lengths(&[&[6, 1], &body]));
            }
            let _ = has_recovery_point(&body);
        }
    }
}
