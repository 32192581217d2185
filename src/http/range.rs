//! Parts of files (RFC 9110 §14).

use std::ops::Range;

/// What a `Range` field comes to for so many bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything: it is none of the kind that is known here, and may be ignored.
    All,
    /// These bytes.
    Part(Range<u64>),
    /// None that are there.
    Nothing,
}

/// Reads the field's value. Several ranges at once are answered with everything.
pub(super) fn wanted(field: Option<&str>, length: u64) -> Wanted {
    let Some((first, last)) = field
        .and_then(|field| field.trim().strip_prefix("bytes="))
        .filter(|ranges| !ranges.contains(','))
        .and_then(|range| range.split_once('-'))
    else {
        return Wanted::All;
    };
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(Some(digits.parse().unwrap_or(u64::MAX))),
        _ => None,
    };
    let range = match (number(first), number(last)) {
        (Some(Some(first)), Some(last)) => {
            if last.is_some_and(|last| last < first) {
                return Wanted::All;
            }
            first..last.map_or(length, |last| last.saturating_add(1).min(length))
        }
        (Some(None), Some(Some(count))) => length.saturating_sub(count)..length,
        _ => return Wanted::All,
    };
    if range.is_empty() { Wanted::Nothing } else { Wanted::Part(range) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_form_of_a_range() {
        let of_ten = |field| wanted(Some(field), 10);
        assert_eq!(of_ten("bytes=0-3"), Wanted::Part(0..4));
        assert_eq!(of_ten("bytes=4-"), Wanted::Part(4..10));
        assert_eq!(of_ten("bytes=-3"), Wanted::Part(7..10));
        assert_eq!(of_ten("bytes=-30"), Wanted::Part(0..10));
        assert_eq!(of_ten("bytes=9-99999999999999999999999"), Wanted::Part(9..10));
        for nothing in ["bytes=10-", "bytes=99999999999999999999999-", "bytes=-0"] {
            assert_eq!(of_ten(nothing), Wanted::Nothing, "{nothing}");
        }
        for all in ["bytes=3-2", "bytes=-", "bytes=a-b", "bytes=+1-2", "lines=1-2", "bytes=0-1,3-4", "bytes 0-1", ""] {
            assert_eq!(of_ten(all), Wanted::All, "{all}");
        }
        assert_eq!(wanted(None, 10), Wanted::All);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
    }

    proptest! {
        #[test]
        fn a_part_lies_within(field in "(bytes=)?[0-9-]{0,24}", length: u64) {
            if let Wanted::Part(range) = wanted(Some(&field), length) {
                prop_assert!(range.start < range.end && range.end <= length);
            }
        }
    }
}
