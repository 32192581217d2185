//! Access units of H.264 and H.265 (ISO/IEC 14496-15 §4.3): complete length-prefixed NAL units with at least one slice.

use std::borrow::Cow;

/// A codec whose access units consist of NAL units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NalCodec {
    H264,
    H265,
}

/// The purpose of a NAL unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NalUnitUse {
    /// Coded video.
    Slice,
    /// A parameter set.
    Parameters,
    /// Delimiters, SEI, filler data.
    Other,
}

impl NalCodec {
    /// Returns the type of a NAL unit (ITU-T H.264 §7.4.1, H.265 §7.4.2.2); `None` when it is empty or its forbidden
    /// bit is set.
    pub(super) fn nal_type(self, unit: &[u8]) -> Option<u8> {
        let &first = unit.first()?;
        let is_valid = first & 0x80 == 0;
        let nal_type = match self {
            Self::H264 => first & 0x1f,
            Self::H265 => first >> 1 & 0x3f,
        };
        is_valid.then_some(nal_type)
    }

    fn unit_use(self, unit: &[u8]) -> Option<NalUnitUse> {
        let nal_type = self.nal_type(unit)?;
        Some(match (self, nal_type) {
            (Self::H264, 1..=5) | (Self::H265, 0..=31) => NalUnitUse::Slice,
            (Self::H264, 7 | 8 | 13) | (Self::H265, 32..=34) => NalUnitUse::Parameters,
            _ => NalUnitUse::Other,
        })
    }
}

/// The content of a coded video message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AccessUnit<'a> {
    /// A frame, in sample format.
    Frame(Cow<'a, [u8]>),
    /// Parameter sets without a slice, possibly none: they belong to the codec configuration.
    Parameters(Vec<&'a [u8]>),
}

impl<'a> AccessUnit<'a> {
    /// Parses NAL units with length prefixes of `length_bytes`. Start codes (ITU-T H.264 annex B), which some embedded
    /// encoders send instead, are converted to lengths. `None` when it is neither.
    pub(super) fn parse(codec: NalCodec, length_bytes: usize, body: &'a [u8]) -> Option<Self> {
        if let Some(has_slice) = has_slice(codec, length_prefixed(length_bytes, body)) {
            return Some(match has_slice {
                true => Self::Frame(Cow::Borrowed(body)),
                false => Self::parameters(codec, length_prefixed(length_bytes, body).flatten()),
            });
        }
        let units = || start_code_prefixed(body);
        Some(match has_slice(codec, units().map(Some))? {
            true => Self::Frame(Cow::Owned(join_with_lengths(length_bytes, units())?)),
            false => Self::parameters(codec, units()),
        })
    }

    fn parameters(codec: NalCodec, units: impl Iterator<Item = &'a [u8]>) -> Self {
        Self::Parameters(units.filter(|unit| codec.unit_use(unit) == Some(NalUnitUse::Parameters)).collect())
    }
}

/// Whether there is a slice among the NAL units; `None` if one of them is invalid or there are none.
fn has_slice<'a>(codec: NalCodec, units: impl Iterator<Item = Option<&'a [u8]>>) -> Option<bool> {
    let mut has_slice = None;
    for unit in units {
        let is_slice = codec.unit_use(unit?)? == NalUnitUse::Slice;
        has_slice = Some(has_slice.unwrap_or(false) || is_slice);
    }
    has_slice
}

/// Iterates over NAL units with length prefixes of `length_bytes`; ends with `None` at one that is truncated.
fn length_prefixed(length_bytes: usize, body: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = Some(body);
    std::iter::from_fn(move || {
        let bytes = rest.take().filter(|bytes| !bytes.is_empty())?;
        let split = || {
            let (length, after_length) = bytes.split_at_checked(length_bytes)?;
            let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            after_length.split_at_checked(length)
        };
        Some(split().map(|(unit, following)| {
            rest = Some(following);
            unit
        }))
    })
}

const START_CODE: [u8; 3] = [0, 0, 1];

/// Iterates over NAL units with start codes; empty if the body doesn't start with one.
pub(super) fn start_code_prefixed(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let start = body.iter().position(|byte| *byte != 0).unwrap_or(0);
    let starts_with_code = start >= 2 && body[start] == 1;
    let mut rest = if starts_with_code { &body[start + 1..] } else { &[] };
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.windows(START_CODE.len()).position(|bytes| bytes == START_CODE);
        let (unit, following) = match end {
            Some(end) => (&rest[..end], &rest[end + START_CODE.len()..]),
            None => (rest, &[][..]),
        };
        rest = following;
        // trailing_zero_8bits are not part of the unit (§B.1).
        let length = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Some(&unit[..length])
    })
}

/// Joins NAL units with length prefixes of `length_bytes`; `None` when a unit is too long for them.
fn join_with_lengths<'a>(length_bytes: usize, units: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    for unit in units {
        let length = u32::try_from(unit.len()).ok()?.to_be_bytes();
        let (high_bytes, length) = length.split_at_checked(4_usize.checked_sub(length_bytes)?)?;
        if high_bytes.iter().any(|byte| *byte != 0) {
            return None;
        }
        body.extend(length);
        body.extend(unit);
    }
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use NalCodec::{H264, H265};
    use proptest::prelude::*;

    const SPS: &[u8] = &[0x67, 0x64, 0, 0x1f];
    const PPS: &[u8] = &[0x68, 0xeb];
    const IDR: &[u8] = &[0x65, 0x88, 0x84, 0, 0, 3, 1];
    const SEI: &[u8] = &[6, 5, 1, 0x80];

    fn length_prefixed_body(units: &[&[u8]]) -> Vec<u8> {
        join_with_lengths(4, units.iter().copied()).unwrap()
    }

    fn start_codes(units: &[&[u8]], code: &[u8]) -> Vec<u8> {
        units.iter().flat_map(|unit| [code, unit].concat()).collect()
    }

    #[test]
    fn length_prefixed_frames_are_unchanged() {
        for units in [&[IDR][..], &[SPS, PPS, IDR], &[SEI, &[0x41, 0x9a]]] {
            let body = length_prefixed_body(units);
            assert_eq!(AccessUnit::parse(H264, 4, &body), Some(AccessUnit::Frame(Cow::Borrowed(&body))));
        }
        let short = [&[0, 7][..], IDR].concat();
        assert_eq!(AccessUnit::parse(H264, 2, &short), Some(AccessUnit::Frame(Cow::Borrowed(&short))));
        let trailing = length_prefixed_body(&[&[0x02, 1, 0xd0]]);
        assert_eq!(AccessUnit::parse(H265, 4, &trailing), Some(AccessUnit::Frame(Cow::Borrowed(&trailing))));
    }

    #[test]
    fn start_codes_become_lengths() {
        let units = [SPS, PPS, SEI, IDR];
        for code in [&[0, 0, 1][..], &[0, 0, 0, 1], &[0, 0, 0, 0, 0, 1]] {
            let body = start_codes(&units, code);
            assert_eq!(
                AccessUnit::parse(H264, 4, &body),
                Some(AccessUnit::Frame(Cow::Owned(length_prefixed_body(&units))))
            );
        }
        let long = [&[0, 0, 1, 0x41][..], &[7; 300]].concat();
        assert_eq!(AccessUnit::parse(H264, 1, &long), None, "too long for a length of one byte");
    }

    #[test]
    fn parameter_sets_without_a_slice_are_not_a_frame() {
        let parameters = AccessUnit::Parameters(vec![SPS, PPS]);
        assert_eq!(AccessUnit::parse(H264, 4, &length_prefixed_body(&[SPS, SEI, PPS])), Some(parameters.clone()));
        assert_eq!(AccessUnit::parse(H264, 4, &start_codes(&[SPS, PPS], &[0, 0, 0, 1])), Some(parameters));
        assert_eq!(AccessUnit::parse(H264, 4, &length_prefixed_body(&[SEI])), Some(AccessUnit::Parameters(Vec::new())));
    }

    #[test]
    fn malformed_bodies_are_rejected() {
        let good = length_prefixed_body(&[SEI, IDR]);
        for length in 0..good.len() {
            // Truncated after the first complete unit it is still valid.
            let expected = (length == 8).then_some(AccessUnit::Parameters(Vec::new()));
            assert_eq!(AccessUnit::parse(H264, 4, &good[..length]), expected, "{length} bytes");
        }
        for body in
            [&[0, 0, 0, 0][..], &[0, 0, 0, 1, 0x85], &[0, 0, 1], &[0xff, 0xfe, 0xf7, 0x17], &[0; 12], &[0, 0, 2, 9]]
        {
            assert_eq!(AccessUnit::parse(H264, 4, body), None, "{body:x?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(body in proptest::collection::vec(0u8..4, 0..60), length_bytes in 1usize..5) {
            for codec in [H264, H265] {
                let _ = AccessUnit::parse(codec, length_bytes, &body);
            }
        }

        #[test]
        fn units_are_preserved_when_start_codes_are_converted(
            units in proptest::collection::vec(proptest::collection::vec(1u8..=255, 1..20), 1..5),
        ) {
            let units: Vec<Vec<u8>> = units.into_iter().map(|unit| [&[0x41][..], &unit].concat()).collect();
            let units: Vec<&[u8]> = units.iter().map(|unit| &unit[..]).collect();
            let body = start_codes(&units, &[0, 0, 1]);
            let expected = AccessUnit::Frame(Cow::Owned(length_prefixed_body(&units)));
            prop_assert_eq!(AccessUnit::parse(H264, 4, &body), Some(expected));
        }
    }
}
