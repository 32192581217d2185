//! Range requests (RFC 9110 §14).

use std::ops::Range;

/// A `Range` field, applied to a file's length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ByteRange {
    /// The whole file: the field is absent or of a kind that may be ignored.
    Whole,
    /// A range of bytes.
    Part(Range<u64>),
    /// No bytes of the file.
    Unsatisfiable,
}

/// Parses the field's value. Several ranges at once are answered with the whole file.
pub(super) fn parse(field: Option<&str>, length: u64) -> ByteRange {
    let Some((first, last)) = field
        .and_then(|field| field.trim().strip_prefix("bytes="))
        .filter(|ranges| !ranges.contains(','))
        .and_then(|range| range.split_once('-'))
    else {
        return ByteRange::Whole;
    };
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(Some(digits.parse().unwrap_or(u64::MAX))),
        _ => None,
    };
    let range = match (number(first), number(last)) {
        (Some(Some(first)), Some(last)) => {
            if last.is_some_and(|last| last < first) {
                return ByteRange::Whole;
            }
            first..last.map_or(length, |last| last.saturating_add(1).min(length))
        }
        (Some(None), Some(Some(count))) => length.saturating_sub(count)..length,
        _ => return ByteRange::Whole,
    };
    if range.is_empty() { ByteRange::Unsatisfiable } else { ByteRange::Part(range) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_form_of_a_range_is_parsed() {
        let of_ten = |field| parse(Some(field), 10);
        assert_eq!(of_ten("bytes=0-3"), ByteRange::Part(0..4));
        assert_eq!(of_ten("bytes=4-"), ByteRange::Part(4..10));
        assert_eq!(of_ten("bytes=-3"), ByteRange::Part(7..10));
        assert_eq!(of_ten("bytes=-30"), ByteRange::Part(0..10));
        assert_eq!(of_ten("bytes=9-99999999999999999999999"), ByteRange::Part(9..10));
        for unsatisfiable in ["bytes=10-", "bytes=99999999999999999999999-", "bytes=-0"] {
            assert_eq!(of_ten(unsatisfiable), ByteRange::Unsatisfiable, "{unsatisfiable}");
        }
        for whole in ["bytes=3-2", "bytes=-", "bytes=a-b", "bytes=+1-2", "lines=1-2", "bytes=0-1,3-4", "bytes 0-1", ""]
        {
            assert_eq!(of_ten(whole), ByteRange::Whole, "{whole}");
        }
        assert_eq!(parse(None, 10), ByteRange::Whole);
        assert_eq!(parse(Some("bytes=0-"), 0), ByteRange::Unsatisfiable);
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(field in "(bytes=)?[0-9-]{0,24}", length: u64) {
            if let ByteRange::Part(range) = parse(Some(&field), length) {
                prop_assert!(range.start < range.end && range.end <= length);
            }
        }
    }
}
