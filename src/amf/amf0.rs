//! AMF0, the encoding of commands and metadata (specification of 2007).
//!
//! A value is a marker byte followed by its contents; all integers are big endian:
//!
//! | marker | value | contents |
//! |---|---|---|
//! | 00 | number | f64 |
//! | 01 | boolean | u8 |
//! | 02 | string | length u16, text |
//! | 03 | object | { length u16, key, value } …, `00 00 09` |
//! | 05, 06, 0D | null, undefined, unsupported | nothing |
//! | 07 | reference | index u16 of an object or array of the same message |
//! | 08 | ECMA array | count u32, then as for an object |
//! | 0A | strict array | count u32, values |
//! | 0B | date | f64 milliseconds, zone i16 |
//! | 0C, 0F | long string, XML | length u32, text |
//! | 10 | typed object | length u16, class name, then as for an object |
//! | 11 | switch to AMF3 | one AMF3 value |

use std::ops::Range;

use super::cursor::Cursor;
use super::{Marker, Object, Value, amf3};
use crate::error::Result;

/// Decodes the values of one message in order. Ends after the last value or the first error.
#[derive(Debug)]
pub struct Decoder<'a> {
    cursor: Cursor<'a>,
    /// Byte ranges of objects and arrays in order of appearance, which references index.
    complex: Vec<Range<usize>>,
    /// A referenced value is being decoded again, and its contents are in `complex` already.
    repeating: bool,
    failed: bool,
}

impl<'a> Decoder<'a> {
    /// Creates a decoder for the payload of a message.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(bytes), complex: Vec::new(), repeating: false, failed: false }
    }

    /// Returns the offset of the next value.
    pub fn position(&self) -> usize {
        self.cursor.position()
    }

    /// Decodes a value. It recurses through `complex` and `reference`, so code that needs stack space but no recursion
    /// is kept in other functions.
    fn value(&mut self) -> Result<Value> {
        self.cursor.spend_values(1)?;
        let start = self.cursor.position();
        match Marker::from(self.cursor.u8()?) {
            marker @ (Marker::Object | Marker::EcmaArray | Marker::StrictArray | Marker::TypedObject) => {
                self.complex(start, marker)
            }
            Marker::Reference => self.reference(start),
            Marker::Amf3 => amf3::decode_one(&mut self.cursor),
            marker => self.scalar(marker),
        }
    }

    /// Decodes an object or array that began at `start`, one level deeper, and records it for references.
    fn complex(&mut self, start: usize, marker: Marker) -> Result<Value> {
        let index = self.complex.len();
        if !self.repeating {
            self.complex.push(start..usize::MAX);
        }
        self.cursor.enter()?;
        let value = match marker {
            Marker::StrictArray => Value::StrictArray(self.items()?),
            Marker::Object => Value::Object(self.members(false)?),
            Marker::EcmaArray => {
                // Many encoders write a wrong count; the end marker is authoritative.
                self.cursor.u32()?;
                Value::EcmaArray(self.members(true)?)
            }
            _ => Value::TypedObject { class: self.short_text()?, object: self.members(false)? },
        };
        self.cursor.leave();
        if let (false, Some(range)) = (self.repeating, self.complex.get_mut(index)) {
            range.end = self.cursor.position();
        }
        Ok(value)
    }

    fn scalar(&mut self, marker: Marker) -> Result<Value> {
        let cursor = &mut self.cursor;
        Ok(match marker {
            Marker::Number => Value::Number(cursor.f64()?),
            Marker::Boolean => Value::Boolean(cursor.u8()? != 0),
            Marker::String => Value::String(self.short_text()?),
            Marker::Null => Value::Null,
            Marker::Undefined => Value::Undefined,
            Marker::Unsupported => Value::Unsupported,
            Marker::Date => Value::Date { unix_ms: cursor.f64()?, time_zone: i16::from_be_bytes(cursor.array()?) },
            Marker::LongString => Value::String(self.long_text()?),
            Marker::XmlDocument => Value::Xml(self.long_text()?),
            marker => return Err(cursor.error(format!("{:#04x} is not an AMF0 marker", marker.number()))),
        })
    }

    fn short_text(&mut self) -> Result<String> {
        let length = self.cursor.u16()?;
        self.cursor.text(length.into())
    }

    fn long_text(&mut self) -> Result<String> {
        let length = self.cursor.u32()?;
        self.cursor.text(length as usize)
    }

    fn members(&mut self, may_lack_end: bool) -> Result<Object> {
        let mut object = Object::new();
        while !(may_lack_end && self.cursor.is_at_end()) {
            let key = self.short_text()?;
            if key.is_empty() && self.cursor.skip_if(Marker::ObjectEnd.number()) {
                break;
            }
            object.push(key, self.value()?);
        }
        Ok(object)
    }

    fn items(&mut self) -> Result<Vec<Value>> {
        let count = self.cursor.u32()? as usize;
        // Every value has at least its marker.
        self.cursor.expect_values(count, 1)?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.value()?);
        }
        Ok(items)
    }

    /// Decodes the target of a reference again from its position; every limit counts it again.
    fn reference(&mut self, start: usize) -> Result<Value> {
        let index = usize::from(self.cursor.u16()?);
        let range = self.complex.get(index).cloned().ok_or_else(|| self.cursor.dangling_reference(index))?;
        if range.contains(&start) {
            // An object that contains itself would recurse without end.
            return Ok(Value::Null);
        }
        self.cursor.spend_bytes(range.len())?;
        self.cursor.enter()?;
        let after = self.cursor.jump(range.start);
        let was_repeating = std::mem::replace(&mut self.repeating, true);
        let value = self.value();
        self.repeating = was_repeating;
        self.cursor.jump(after);
        self.cursor.leave();
        value
    }
}

impl Iterator for Decoder<'_> {
    type Item = Result<Value>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.cursor.is_at_end() {
            return None;
        }
        let value = self.value();
        self.failed = value.is_err();
        Some(value)
    }
}

/// Decodes all values.
///
/// # Errors
/// Returns [`crate::Error::Amf`] if a value can't be decoded, and [`crate::Error::Limit`] if one exceeds a limit.
pub fn decode_all(bytes: &[u8]) -> Result<Vec<Value>> {
    Decoder::new(bytes).collect()
}

/// Appends an encoded value. A value that AMF0 can't express is encoded in AMF3.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Number(number) => encode_number(*number, out),
        Value::Integer(integer) => encode_number(f64::from(*integer), out),
        Value::Boolean(boolean) => out.extend_from_slice(&[Marker::Boolean.number(), u8::from(*boolean)]),
        Value::String(text) => match u16::try_from(text.len()) {
            Ok(_) => {
                out.push(Marker::String.number());
                encode_short_text(text, out);
            }
            Err(_) => encode_long_text(Marker::LongString, text, out),
        },
        Value::Object(object) => {
            out.push(Marker::Object.number());
            encode_members(object, out);
        }
        Value::TypedObject { class, object } => {
            out.push(Marker::TypedObject.number());
            encode_short_text(class, out);
            encode_members(object, out);
        }
        Value::EcmaArray(object) => {
            out.push(Marker::EcmaArray.number());
            out.extend_from_slice(&(object.len() as u32).to_be_bytes());
            encode_members(object, out);
        }
        Value::StrictArray(items) => {
            out.push(Marker::StrictArray.number());
            out.extend_from_slice(&(items.len() as u32).to_be_bytes());
            items.iter().for_each(|item| encode(item, out));
        }
        Value::Date { unix_ms, time_zone } => {
            out.push(Marker::Date.number());
            out.extend_from_slice(&unix_ms.to_be_bytes());
            out.extend_from_slice(&time_zone.to_be_bytes());
        }
        Value::Xml(text) => encode_long_text(Marker::XmlDocument, text, out),
        Value::ByteArray(_) => {
            out.push(Marker::Amf3.number());
            amf3::encode(value, out);
        }
        Value::Null => out.push(Marker::Null.number()),
        Value::Undefined => out.push(Marker::Undefined.number()),
        Value::Unsupported => out.push(Marker::Unsupported.number()),
    }
}

/// Encodes values in order.
pub fn encode_all(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| encode(value, &mut out));
    out
}

fn encode_number(number: f64, out: &mut Vec<u8>) {
    out.push(Marker::Number.number());
    out.extend_from_slice(&number.to_be_bytes());
}

/// Encodes a key or class name, whose length has 16 bits: a longer one is truncated at a character boundary.
fn encode_short_text(text: &str, out: &mut Vec<u8>) {
    let mut end = text.len().min(u16::MAX.into());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    out.extend_from_slice(&(end as u16).to_be_bytes());
    out.extend_from_slice(&text.as_bytes()[..end]);
}

fn encode_long_text(marker: Marker, text: &str, out: &mut Vec<u8>) {
    out.push(marker.number());
    out.extend_from_slice(&(text.len() as u32).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn encode_members(object: &Object, out: &mut Vec<u8>) {
    for (key, value) in object.iter() {
        encode_short_text(key, out);
        encode(value, out);
    }
    out.extend_from_slice(&[0, 0, Marker::ObjectEnd.number()]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf::value::tests::any_value;
    use crate::error::Error;
    use crate::limits;
    use proptest::prelude::*;

    #[test]
    fn known_encodings() {
        let members = || Object::new().with("a", true);
        let cases: Vec<(Value, &[u8])> = vec![
            (Value::Number(1.0), b"\x00\x3f\xf0\0\0\0\0\0\0"),
            (true.into(), b"\x01\x01"),
            (false.into(), b"\x01\x00"),
            ("hi".into(), b"\x02\0\x02hi"),
            (members().into(), b"\x03\0\x01a\x01\x01\0\0\x09"),
            (Value::Null, b"\x05"),
            (Value::Undefined, b"\x06"),
            (Value::EcmaArray(members()), b"\x08\0\0\0\x01\0\x01a\x01\x01\0\0\x09"),
            (Value::StrictArray(vec![Value::Null]), b"\x0a\0\0\0\x01\x05"),
            (Value::Date { unix_ms: 1.0, time_zone: -1 }, b"\x0b\x3f\xf0\0\0\0\0\0\0\xff\xff"),
            (Value::Unsupported, b"\x0d"),
            (Value::Xml("x".into()), b"\x0f\0\0\0\x01x"),
            (Value::TypedObject { class: "C".into(), object: members() }, b"\x10\0\x01C\0\x01a\x01\x01\0\0\x09"),
            (Value::ByteArray(vec![7]), b"\x11\x0c\x03\x07"),
        ];
        for (value, bytes) in cases {
            assert_eq!(encode_all(std::slice::from_ref(&value)), bytes, "{value:?}");
            assert_eq!(decode_all(bytes).unwrap(), [value]);
        }
        assert_eq!(encode_all(&[Value::Integer(1)]), b"\x00\x3f\xf0\0\0\0\0\0\0");
    }

    #[test]
    fn text_over_65_535_bytes_is_a_long_string() {
        for (length, marker) in [(65_535, Marker::String), (65_536, Marker::LongString)] {
            let value = Value::String("x".repeat(length));
            let bytes = encode_all(std::slice::from_ref(&value));
            assert_eq!(Marker::from(bytes[0]), marker);
            assert_eq!(decode_all(&bytes).unwrap(), [value]);
        }
        let key = "é".repeat(40_000);
        let bytes = encode_all(&[Object::new().with(key, Value::Null).into()]);
        let Value::Object(object) = &decode_all(&bytes).unwrap()[0] else { panic!() };
        assert_eq!(object.iter().next().unwrap().0.len(), 65_534, "truncated at a character boundary");
    }

    #[test]
    fn text_that_is_not_utf_8_is_decoded_with_replacement_characters() {
        assert_eq!(decode_all(b"\x02\0\x03a\xe9b").unwrap(), ["a\u{fffd}b".into()]);
    }

    #[test]
    fn an_ecma_array_may_have_a_wrong_count_and_no_end_marker() {
        let expected = [Value::EcmaArray(Object::new().with("a", Value::Null))];
        assert_eq!(decode_all(b"\x08\xff\xff\xff\xff\0\x01a\x05\0\0\x09").unwrap(), expected);
        assert_eq!(decode_all(b"\x08\0\0\0\0\0\x01a\x05").unwrap(), expected);
        assert!(decode_all(b"\x03\0\x01a\x05").is_err(), "an object needs its end marker");
    }

    #[test]
    fn an_empty_key_is_a_key_unless_the_end_marker_follows() {
        let expected = [Value::from(Object::new().with("", Value::Null))];
        assert_eq!(decode_all(b"\x03\0\0\x05\0\0\x09").unwrap(), expected);
    }

    #[test]
    fn references_repeat_complete_values() {
        // [{}, a reference to it], followed by a reference to the array.
        let values = decode_all(b"\x0a\0\0\0\x02\x03\0\0\x09\x07\0\x01\x07\0\0").unwrap();
        let array = Value::StrictArray(vec![Object::new().into(), Object::new().into()]);
        assert_eq!(values, [array.clone(), array]);
        assert_eq!(decode_all(b"\x0a\0\0\0\x01\x07\0\0").unwrap(), [Value::StrictArray(vec![Value::Null])]);
        assert!(decode_all(b"\x07\0\0").is_err());
    }

    #[test]
    fn exponential_expansion_by_references_is_limited() {
        // Each array refers to the previous one ten times.
        let mut bytes = b"\x0a\0\0\0\x01\x05".to_vec();
        for index in 0..20u16 {
            bytes.extend(b"\x0a\0\0\0\x0a");
            let reference = [&[Marker::Reference.number()][..], &index.to_be_bytes()].concat();
            bytes.extend(reference.repeat(10));
        }
        assert!(matches!(decode_all(&bytes), Err(Error::Limit { .. })));
    }

    #[test]
    fn nesting_depth_at_the_limit_and_one_past() {
        let nested = |depth: usize| [&b"\x0a\0\0\0\x01".repeat(depth)[..], &[Marker::Null.number()]].concat();
        assert!(decode_all(&nested(limits::AMF_DEPTH)).is_ok());
        assert!(matches!(decode_all(&nested(limits::AMF_DEPTH + 1)), Err(Error::Limit { .. })));
        let across = [&b"\x0a\0\0\0\x01".repeat(limits::AMF_DEPTH)[..], &[Marker::Amf3.number(), 9, 1, 1]].concat();
        assert!(matches!(decode_all(&across), Err(Error::Limit { .. })), "the limit includes nested AMF3");
    }

    #[test]
    fn the_deepest_values_fit_in_half_a_thread_stack() {
        let depth = limits::AMF_DEPTH;
        let object = [&b"\x03\0\x01a".repeat(depth)[..], &[Marker::Null.number()], &b"\0\0\x09".repeat(depth)].concat();
        let array = [&b"\x0a\0\0\0\x01".repeat(depth)[..], &[Marker::Null.number()]].concat();
        // Each array refers to the previous one, so decoding it again recurses as deep as allowed.
        let mut references = b"\x0a\0\0\0\x01\x05".to_vec();
        for index in 0..depth as u16 / 2 - 1 {
            references.extend(b"\x0a\0\0\0\x01\x07");
            references.extend(index.to_be_bytes());
        }
        let amf3 = [&[Marker::Amf3.number()][..], &[9, 3, 1].repeat(depth - 1), &[9, 1, 1]].concat();
        let decode = move || [object, array, references, amf3].map(|bytes| decode_all(&bytes).is_ok());
        let thread = std::thread::Builder::new().stack_size(limits::THREAD_STACK_BYTES / 2).spawn(decode);
        assert_eq!(thread.unwrap().join().unwrap(), [true; 4]);
    }

    #[test]
    fn truncated_values_are_errors_or_fewer_values() {
        let object = Object::new().with("a", "text").with("b", 1.0);
        let date = Value::Date { unix_ms: 0.0, time_zone: 0 };
        let values = [object.into(), Value::StrictArray(vec![true.into(), date]), Value::ByteArray(vec![1, 2, 3])];
        let bytes = encode_all(&values);
        for length in 0..bytes.len() {
            assert!(decode_all(&bytes[..length]).map_or(true, |decoded| decoded.len() < values.len()), "{length}");
        }
    }

    #[test]
    fn the_number_of_values_at_the_limit_and_one_past() {
        assert!(decode_all(&[Marker::Null.number()].repeat(limits::AMF_VALUES)).is_ok());
        assert!(matches!(
            decode_all(&[Marker::Null.number()].repeat(limits::AMF_VALUES + 1)),
            Err(Error::Limit { .. })
        ));
    }

    #[test]
    fn counts_and_lengths_beyond_the_end_are_errors() {
        for bytes in
            [&b"\x0a\xff\xff\xff\xff"[..], b"\x0c\xff\xff\xff\xff", b"\x02\0\x02a", b"\x00\0", b"\x04", b"\x0e"]
        {
            assert!(matches!(decode_all(bytes), Err(Error::Amf { .. })), "{bytes:x?}");
        }
    }

    #[test]
    fn the_position_is_the_end_of_the_last_value() {
        let mut decoder = Decoder::new(b"\x02\0\x02hi\x05");
        decoder.next();
        assert_eq!(decoder.position(), 5);
    }

    proptest! {
        #[test]
        fn encoding_and_decoding_round_trips(value in any_value()) {
            let bytes = encode_all(std::slice::from_ref(&value));
            let decoded = decode_all(&bytes).unwrap();
            prop_assert_eq!(decoded, [value.without_integers()]);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_all(&bytes);
        }
    }
}
