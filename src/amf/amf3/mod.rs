//! AMF3, which AMF0 may switch to for a value (specification of 2013).
//!
//! A value is a marker byte followed by its contents. Lengths, counts and references are *U29*: up to four bytes, of
//! which the first three carry 7 bits each and a top bit that is set if another byte follows; the fourth carries 8
//! bits.
//!
//! | marker | value | contents |
//! |---|---|---|
//! | 00–03 | undefined, null, false, true | nothing |
//! | 04 | integer | U29, signed in 29 bits |
//! | 05 | double | f64 |
//! | 06 | string | length × 2 + 1, text; or reference × 2 |
//! | 07, 0B | XML | as for a string |
//! | 08 | date | 1, f64 milliseconds |
//! | 09 | array | count × 2 + 1, { key, value } …, empty key, `count` values |
//! | 0A | object | traits, values, { key, value } … and empty key if dynamic |
//! | 0C | byte array | length × 2 + 1, bytes |
//! | 0D–10 | vectors | count × 2 + 1, fixed u8, items |
//! | 11 | dictionary | count × 2 + 1, weak u8, { key value, value } … |
//!
//! Instead of its contents, a string may be a reference to an earlier string, and a value with a marker from 07 on a
//! reference to an earlier value with such a marker.

mod encode;

pub use encode::encode;

use std::ops::Range;

use super::cursor::Cursor;
use super::{Object, Value};
use crate::error::{Error, Result};

const UNDEFINED: u8 = 0x00;
const NULL: u8 = 0x01;
const FALSE: u8 = 0x02;
const TRUE: u8 = 0x03;
const INTEGER: u8 = 0x04;
const DOUBLE: u8 = 0x05;
const STRING: u8 = 0x06;
const XML_DOCUMENT: u8 = 0x07;
const DATE: u8 = 0x08;
const ARRAY: u8 = 0x09;
const OBJECT: u8 = 0x0a;
const XML: u8 = 0x0b;
const BYTE_ARRAY: u8 = 0x0c;
const VECTOR_INT: u8 = 0x0d;
const VECTOR_UINT: u8 = 0x0e;
const VECTOR_DOUBLE: u8 = 0x0f;
const VECTOR_OBJECT: u8 = 0x10;
const DICTIONARY: u8 = 0x11;

/// The largest U29.
const U29_MAX: u32 = (1 << 29) - 1;

/// The only externalizable class found in practice; its body is one value.
const ARRAY_COLLECTION: &str = "flex.messaging.io.ArrayCollection";

/// Decodes consecutive values, which share their references.
///
/// # Errors
/// Returns [`crate::Error::Amf`] if a value can't be decoded, and [`crate::Error::Limit`] if one exceeds a limit.
pub fn decode_all(bytes: &[u8]) -> Result<Vec<Value>> {
    let mut cursor = Cursor::new(bytes);
    let mut decoder = Decoder::new(&mut cursor);
    let mut values = Vec::new();
    while !decoder.cursor.is_at_end() {
        values.push(decoder.value()?);
    }
    Ok(values)
}

/// Decodes the single value after AMF0's switch to AMF3, which has reference tables of its own.
pub(super) fn decode_one(cursor: &mut Cursor<'_>) -> Result<Value> {
    Decoder::new(cursor).value()
}

#[derive(Debug)]
struct Decoder<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    strings: Vec<String>,
    /// Byte ranges of the values that references can target, in order of appearance.
    complex: Vec<Range<usize>>,
    traits: Vec<Traits>,
    /// A referenced value is being decoded again, and its contents are in the tables already.
    repeating: bool,
}

/// The members common to all objects of a class.
#[derive(Clone, Debug)]
struct Traits {
    class: String,
    members: Vec<String>,
    is_dynamic: bool,
    is_externalizable: bool,
}

/// The U29 before a value's contents.
enum Header {
    Reference(usize),
    /// A length, a count or flags.
    Inline(usize),
}

impl<'c, 'a> Decoder<'c, 'a> {
    fn new(cursor: &'c mut Cursor<'a>) -> Self {
        Self { cursor, strings: Vec::new(), complex: Vec::new(), traits: Vec::new(), repeating: false }
    }

    /// Decodes a value. It recurses through `complex`, `reference` and the containers, so code that needs stack space
    /// but no recursion is kept in other functions.
    fn value(&mut self) -> Result<Value> {
        self.cursor.spend_values(1)?;
        let start = self.cursor.position();
        match self.cursor.u8()? {
            marker @ XML_DOCUMENT..=DICTIONARY => self.complex(start, marker),
            marker => self.scalar(marker),
        }
    }

    fn scalar(&mut self, marker: u8) -> Result<Value> {
        Ok(match marker {
            UNDEFINED => Value::Undefined,
            NULL => Value::Null,
            FALSE => Value::Boolean(false),
            TRUE => Value::Boolean(true),
            // The sign is the 29th bit.
            INTEGER => Value::Integer((self.u29()? << 3) as i32 >> 3),
            DOUBLE => Value::Number(self.cursor.f64()?),
            STRING => Value::String(self.string()?),
            marker => return Err(self.cursor.error(format!("{marker:#04x} is not an AMF3 marker"))),
        })
    }

    fn u29(&mut self) -> Result<u32> {
        let mut number = 0;
        for _ in 0..3 {
            let byte = u32::from(self.cursor.u8()?);
            number = number << 7 | byte & 0x7f;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Ok(number << 8 | u32::from(self.cursor.u8()?))
    }

    fn header(&mut self) -> Result<Header> {
        let number = self.u29()?;
        let rest = (number >> 1) as usize;
        Ok(if number & 1 == 0 { Header::Reference(rest) } else { Header::Inline(rest) })
    }

    fn string(&mut self) -> Result<String> {
        match self.header()? {
            Header::Inline(length) => {
                let text = self.cursor.text(length)?;
                if !text.is_empty() && !self.repeating {
                    self.cursor.spend_bytes(text.len())?;
                    self.strings.push(text.clone());
                }
                Ok(text)
            }
            Header::Reference(index) => {
                let text = self.strings.get(index).ok_or_else(|| self.cursor.dangling_reference(index))?;
                self.cursor.spend_bytes(text.len())?;
                Ok(text.clone())
            }
        }
    }

    /// Decodes a value of a kind that references can target; it began at `start`.
    fn complex(&mut self, start: usize, marker: u8) -> Result<Value> {
        let inline = match self.header()? {
            Header::Reference(index) => return self.reference(start, index),
            Header::Inline(inline) => inline,
        };
        let index = self.complex.len();
        if !self.repeating {
            self.complex.push(start..usize::MAX);
        }
        self.cursor.enter()?;
        let value = match marker {
            ARRAY => self.array(inline)?,
            OBJECT => self.object(inline)?,
            VECTOR_OBJECT => Value::StrictArray(self.object_vector(inline)?),
            DICTIONARY => self.dictionary(inline)?,
            _ => self.leaf(marker, inline)?,
        };
        self.cursor.leave();
        if let (false, Some(range)) = (self.repeating, self.complex.get_mut(index)) {
            range.end = self.cursor.position();
        }
        Ok(value)
    }

    /// Decodes the target of a reference again from its position; every limit counts it again.
    fn reference(&mut self, start: usize, index: usize) -> Result<Value> {
        let range = self.complex.get(index).cloned().ok_or_else(|| self.cursor.dangling_reference(index))?;
        if range.contains(&start) {
            // A value that contains itself would recurse without end.
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

    fn items(&mut self, count: usize) -> Result<Vec<Value>> {
        // Every value has at least its marker.
        self.cursor.expect_values(count, 1)?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.value()?);
        }
        Ok(items)
    }

    /// Appends keys and values up to the empty key.
    fn pairs(&mut self, object: &mut Object) -> Result<()> {
        loop {
            let key = self.string()?;
            if key.is_empty() {
                return Ok(());
            }
            object.push(key, self.value()?);
        }
    }

    fn array(&mut self, count: usize) -> Result<Value> {
        let mut object = Object::new();
        self.pairs(&mut object)?;
        let items = self.items(count)?;
        if object.is_empty() {
            return Ok(Value::StrictArray(items));
        }
        items.into_iter().enumerate().for_each(|(index, item)| object.push(index.to_string(), item));
        Ok(Value::EcmaArray(object))
    }

    fn object(&mut self, flags: usize) -> Result<Value> {
        let traits = self.traits(flags)?;
        if traits.is_externalizable {
            if traits.class == ARRAY_COLLECTION {
                return self.value();
            }
            return Err(self.unknown_class(&traits.class));
        }
        let mut object = Object::new();
        for member in traits.members {
            object.push(member, self.value()?);
        }
        if traits.is_dynamic {
            self.pairs(&mut object)?;
        }
        Ok(match traits.class {
            class if class.is_empty() => Value::Object(object),
            class => Value::TypedObject { class, object },
        })
    }

    /// Returns the error for an externalizable class, whose encoding and length only the class itself defines.
    fn unknown_class(&self, class: &str) -> Error {
        self.cursor.error(format!("objects of the externalizable class {} can't be decoded", class.escape_debug()))
    }

    fn traits(&mut self, flags: usize) -> Result<Traits> {
        if flags & 1 == 0 {
            let index = flags >> 1;
            let traits = self.traits.get(index).ok_or_else(|| self.cursor.dangling_reference(index))?;
            let bytes = traits.members.iter().map(String::len).sum::<usize>();
            self.cursor.spend_values(traits.members.len())?;
            self.cursor.spend_bytes(bytes + traits.class.len())?;
            return Ok(traits.clone());
        }
        let (is_externalizable, is_dynamic, count) = (flags & 2 != 0, flags & 4 != 0, flags >> 3);
        let class = self.string()?;
        // Every name has at least its length field.
        self.cursor.expect_values(count, 1)?;
        self.cursor.spend_values(count)?;
        let members = (0..count).map(|_| self.string()).collect::<Result<_>>()?;
        let traits = Traits { class, members, is_dynamic, is_externalizable };
        if !self.repeating {
            self.traits.push(traits.clone());
        }
        Ok(traits)
    }

    fn object_vector(&mut self, count: usize) -> Result<Vec<Value>> {
        // The fixed-length flag and the class of the items are not used.
        self.cursor.u8()?;
        self.string()?;
        self.items(count)
    }

    /// Decodes a value that references can target but that contains no other values.
    fn leaf(&mut self, marker: u8, inline: usize) -> Result<Value> {
        Ok(match marker {
            XML_DOCUMENT | XML => Value::Xml(self.cursor.text(inline)?),
            DATE => Value::Date { unix_ms: self.cursor.f64()?, time_zone: 0 },
            BYTE_ARRAY => Value::ByteArray(self.cursor.take(inline)?.to_vec()),
            _ => Value::StrictArray(self.numbers(marker, inline)?),
        })
    }

    fn numbers(&mut self, marker: u8, count: usize) -> Result<Vec<Value>> {
        self.cursor.u8()?;
        self.cursor.expect_values(count, if marker == VECTOR_DOUBLE { 8 } else { 4 })?;
        self.cursor.spend_values(count)?;
        let number = |cursor: &mut Cursor<'_>| match marker {
            VECTOR_INT => cursor.u32().map(|number| f64::from(number as i32)),
            VECTOR_UINT => cursor.u32().map(f64::from),
            _ => cursor.f64(),
        };
        (0..count).map(|_| number(self.cursor).map(Value::Number)).collect()
    }

    fn dictionary(&mut self, count: usize) -> Result<Value> {
        self.cursor.u8()?;
        let mut object = Object::new();
        for _ in 0..count {
            let key = self.value()?;
            let key = self.dictionary_key(key)?;
            object.push(key, self.value()?);
        }
        Ok(Value::EcmaArray(object))
    }

    fn dictionary_key(&self, key: Value) -> Result<String> {
        match key {
            Value::String(text) => Ok(text),
            Value::Integer(number) => Ok(number.to_string()),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err(self.cursor.error("a dictionary key is neither a string nor a number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::encode::encode_u29;
    use super::*;
    use crate::amf::value::tests::any_value;
    use crate::limits;
    use proptest::prelude::*;

    fn decode_single(bytes: &[u8]) -> Value {
        let mut values = decode_all(bytes).unwrap();
        assert_eq!(values.len(), 1);
        values.remove(0)
    }

    fn encoded(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, &mut out);
        out
    }

    #[test]
    fn u29_at_each_length_boundary() {
        for (number, bytes) in [
            (127, &[0x7f][..]),
            (128, &[0x81, 0x00]),
            (16_383, &[0xff, 0x7f]),
            (16_384, &[0x81, 0x80, 0x00]),
            (2_097_151, &[0xff, 0xff, 0x7f]),
            (2_097_152, &[0x80, 0xc0, 0x80, 0x00]),
            (U29_MAX, &[0xff, 0xff, 0xff, 0xff]),
        ] {
            let mut out = Vec::new();
            encode_u29(number, &mut out);
            assert_eq!(out, bytes, "{number}");
            assert_eq!(Decoder::new(&mut Cursor::new(bytes)).u29().unwrap(), number);
        }
    }

    #[test]
    fn known_encodings() {
        let date = Value::Date { unix_ms: 1.0, time_zone: 0 };
        let cases: Vec<(Value, Vec<u8>)> = vec![
            (Value::Undefined, vec![0]),
            (Value::Null, vec![1]),
            (Value::Boolean(false), vec![2]),
            (Value::Boolean(true), vec![3]),
            (Value::Integer(5), vec![4, 5]),
            (Value::Integer(-1), vec![4, 0xff, 0xff, 0xff, 0xff]),
            (Value::Number(1.0), vec![5, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
            ("hi".into(), b"\x06\x05hi".to_vec()),
            (date, vec![8, 1, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
            (Value::StrictArray(vec![Value::Null]), vec![9, 3, 1, 1]),
            (Value::EcmaArray(Object::new().with("a", true)), b"\x09\x01\x03a\x03\x01".to_vec()),
            (Object::new().with("app", "live").into(), b"\x0a\x0b\x01\x07app\x06\x09live\x01".to_vec()),
            (Value::Xml("x".into()), b"\x0b\x03x".to_vec()),
            (Value::ByteArray(vec![1, 2]), vec![0x0c, 5, 1, 2]),
        ];
        for (value, bytes) in cases {
            assert_eq!(encoded(&value), bytes, "{value:?}");
            assert_eq!(decode_single(&bytes), value);
        }
        assert_eq!(encoded(&Value::Integer(1 << 28)), encoded(&Value::Number(f64::from(1 << 28))));
    }

    #[test]
    fn sealed_members_and_references_to_strings_traits_and_objects() {
        // [{a: 1} of class C, another object with the same traits, a reference to the first]
        let bytes = b"\x09\x07\x01\x0a\x13\x03C\x03a\x04\x01\x0a\x01\x04\x02\x0a\x02";
        let object =
            |number| Value::TypedObject { class: "C".into(), object: Object::new().with("a", Value::Integer(number)) };
        assert_eq!(decode_single(bytes), Value::StrictArray(vec![object(1), object(2), object(1)]));
        assert_eq!(decode_single(b"\x09\x05\x01\x06\x03x\x06\x00"), Value::StrictArray(vec!["x".into(), "x".into()]));
    }

    #[test]
    fn a_value_that_contains_itself_decodes_as_null() {
        assert_eq!(decode_single(b"\x09\x03\x01\x09\x00"), Value::StrictArray(vec![Value::Null]));
    }

    #[test]
    fn vectors_dictionaries_and_array_collections() {
        let numbers = |numbers: &[f64]| Value::StrictArray(numbers.iter().map(|n| Value::Number(*n)).collect());
        assert_eq!(decode_single(&[0x0d, 5, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1]), numbers(&[-1.0, 1.0]));
        assert_eq!(decode_single(&[0x0e, 3, 0, 0xff, 0xff, 0xff, 0xff]), numbers(&[4_294_967_295.0]));
        assert_eq!(decode_single(&[0x0f, 3, 0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]), numbers(&[1.0]));
        assert_eq!(decode_single(&[0x10, 3, 0, 1, 1]), Value::StrictArray(vec![Value::Null]));
        assert_eq!(decode_single(b"\x11\x03\x00\x06\x03k\x03"), Value::EcmaArray(Object::new().with("k", true)));
        let mut collection = vec![0x0a, 0x07, (ARRAY_COLLECTION.len() as u8) << 1 | 1];
        collection.extend(ARRAY_COLLECTION.as_bytes());
        collection.extend([9, 1, 1]);
        assert_eq!(decode_single(&collection), Value::StrictArray(Vec::new()));
        assert!(decode_all(b"\x0a\x07\x03X\x01").is_err(), "other externalizable classes have an unknown encoding");
    }

    #[test]
    fn dangling_references_and_counts_beyond_the_end_are_errors() {
        for bytes in [&b"\x06\x02"[..], b"\x09\x02", b"\x0a\x05", b"\x09\xff\xff\x7f\x01", b"\x0d\xff\x7f\x00", b"\x12"]
        {
            assert!(matches!(decode_all(bytes), Err(Error::Amf { .. })), "{bytes:x?}");
        }
    }

    #[test]
    fn bytes_repeated_by_references_are_limited() {
        // A string of 8,192 bytes and enough references to it to exceed the limit.
        let mut text = vec![9];
        encode_u29(2_000 << 1 | 1, &mut text);
        text.push(1);
        encode(&Value::String("x".repeat(8_192)), &mut text);
        text.extend([6, 0].repeat(1_999));
        assert!(matches!(decode_all(&text), Err(Error::Limit { .. })));
    }

    #[test]
    fn nesting_depth_at_the_limit_and_one_past() {
        let nested = |depth: usize| [&[9, 3, 1].repeat(depth - 1)[..], &[9, 1, 1]].concat();
        assert!(decode_all(&nested(limits::AMF_DEPTH)).is_ok());
        assert!(matches!(decode_all(&nested(limits::AMF_DEPTH + 1)), Err(Error::Limit { .. })));
    }

    proptest! {
        #[test]
        fn encoding_and_decoding_round_trips(value in any_value()) {
            prop_assert_eq!(decode_single(&encoded(&value)), value);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_all(&bytes);
        }
    }
}
