//! Length-prefixed NAL units, as in FLV: finds the first slice, random access points and recovery points.

use super::Codec;

/// Size of a NAL unit's length prefix, in bytes. Other sizes are rare, and misread as four bytes they yield no valid
/// units.
const LENGTH_BYTES: usize = 4;

/// SEI payload type of a recovery point, in both codecs (ITU-T H.264 §D.1.8, H.265 §D.2.8).
const RECOVERY_POINT: u32 = 6;

/// A codec whose access units consist of NAL units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NalCodec {
    H264,
    H265,
}

impl NalCodec {
    pub(super) fn of(codec: Codec) -> Option<Self> {
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

    /// Returns the first slice NAL unit, provided that it and all units before it are complete, at least two bytes long
    /// and have `forbidden_zero_bit` 0.
    pub(super) fn first_slice(self, coded: &[u8]) -> Option<&[u8]> {
        units(coded).map_while(|unit| unit).find(|unit| self.is_slice(unit))
    }

    /// Whether the access unit can be decoded without any other: IDR (H.264), or IDR, CRA or BLA (H.265 §7.4.2.2).
    pub(super) fn is_random_access(self, coded: &[u8]) -> bool {
        let slice = self.first_slice(coded);
        slice.is_some_and(|unit| match self {
            Self::H264 => unit[0] & 0x1f == 5,
            Self::H265 => (16..=21).contains(&(unit[0] >> 1)),
        })
    }

    /// Whether a recovery point SEI precedes the first slice.
    pub(super) fn has_recovery_point(self, coded: &[u8]) -> bool {
        let before = units(coded).map_while(|unit| unit.filter(|unit| !self.is_slice(unit)));
        let mut messages = before.filter_map(|unit| match self {
            Self::H264 => (unit[0] & 0x1f == 6).then(|| &unit[1..]),
            Self::H265 => (unit[0] >> 1 == 39).then(|| &unit[2..]),
        });
        messages.any(has_recovery_point)
    }
}

/// Iterates over the NAL units; ends with `None` at the first that is truncated, shorter than two bytes or has its
/// forbidden bit set.
fn units(mut coded: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        if coded.is_empty() {
            return None;
        }
        let unit = coded.split_first_chunk::<LENGTH_BYTES>().and_then(|(length, after_length)| {
            let (unit, rest) = after_length.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            coded = rest;
            (unit.len() >= 2 && unit[0] & 0x80 == 0).then_some(unit)
        });
        if unit.is_none() {
            coded = &[];
        }
        Some(unit)
    })
}

/// Whether an SEI NAL unit contains a recovery point message (ITU-T H.264 §7.3.2.3). `messages` is the unit without its
/// header.
fn has_recovery_point(messages: &[u8]) -> bool {
    let mut bytes = without_emulation_prevention(messages).peekable();
    // rbsp_trailing_bits ends the unit.
    while bytes.peek().is_some_and(|byte| *byte != 0x80) {
        let (Some(kind), Some(size)) = (sei_number(&mut bytes), sei_number(&mut bytes)) else { return false };
        if kind == RECOVERY_POINT {
            return true;
        }
        if size > 0 && bytes.nth(size as usize - 1).is_none() {
            return false;
        }
    }
    false
}

/// Reads a payload type or size: the sum of any number of 255 bytes and one final byte (§7.3.2.3.1).
fn sei_number(bytes: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut sum = 0_u32;
    loop {
        let byte = bytes.next()?;
        sum = sum.checked_add(byte.into())?;
        if byte != 255 {
            return Some(sum);
        }
    }
}

/// Removes emulation prevention bytes: each 3 after two zeros (§7.4.1).
fn without_emulation_prevention(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let mut zeros = 0;
    bytes.iter().copied().filter(move |byte| {
        let is_emulation_prevention = zeros >= 2 && *byte == 3;
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        !is_emulation_prevention
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use NalCodec::{H264, H265};
    use proptest::prelude::*;

    fn length_prefixed(units: &[&[u8]]) -> Vec<u8> {
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
            assert!(H264.has_recovery_point(&length_prefixed(found)), "{found:x?}");
        }
        for found in [&escaped[..], &not_escaped] {
            assert!(H264.has_recovery_point(&length_prefixed(&[found, SLICE])), "{found:x?}");
        }
        for none in
            [&[&user_data[..], SLICE][..], &[SLICE, &recovery], &[&[6, 5, 200, 6, 6, 6], SLICE], &[&[6, 6]], &[]]
        {
            assert!(!H264.has_recovery_point(&length_prefixed(none)), "{none:x?}");
        }
        let prefix = [39 << 1, 1, 6, 2, 0xd0, 0x80];
        assert!(H265.has_recovery_point(&length_prefixed(&[&prefix, HEVC_SLICE])));
        assert!(
            !H265.has_recovery_point(&length_prefixed(&[&[40 << 1, 1, 6, 2, 0xd0, 0x80], HEVC_SLICE])),
            "a suffix SEI"
        );
    }

    #[test]
    fn random_access_by_nal_unit_type() {
        assert!(H264.is_random_access(&length_prefixed(&[&[9, 0xf0], &[0x65, 0x88]])));
        assert!(!H264.is_random_access(&length_prefixed(&[SLICE, &[0x65, 0x88]])));
        for (nal_type, is_random_access) in [(1, false), (9, false), (16, true), (19, true), (21, true), (22, false)] {
            assert_eq!(H265.is_random_access(&length_prefixed(&[&[nal_type << 1, 1]])), is_random_access, "{nal_type}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(body in proptest::collection::vec(prop_oneof![0u8..8, any::<u8>()], 0..80)) {
            for codec in [H264, H265] {
                let _ = (codec.has_recovery_point(&body), codec.is_random_access(&body));
                let _ = codec.has_recovery_point(&length_prefixed(&[&[6, 1], &body]));
            }
            let _ = has_recovery_point(&body);
        }
    }
}
