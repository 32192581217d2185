//! Encoding of values as AMF3.

use super::{ARRAY, BYTE_ARRAY, DATE, DOUBLE, FALSE, INTEGER, NULL, OBJECT, STRING, TRUE, U29_MAX, UNDEFINED, XML};
use crate::amf::{Object, Value};

/// Appends an encoded value. Never writes references, which the format makes optional.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Undefined | Value::Unsupported => out.push(UNDEFINED),
        Value::Null => out.push(NULL),
        Value::Boolean(boolean) => out.push(if *boolean { TRUE } else { FALSE }),
        Value::Integer(integer) if (-(1 << 28)..1 << 28).contains(integer) => {
            out.push(INTEGER);
            encode_u29(*integer as u32 & U29_MAX, out);
        }
        Value::Integer(integer) => encode(&Value::Number(f64::from(*integer)), out),
        Value::Number(number) => {
            out.push(DOUBLE);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::String(text) => {
            out.push(STRING);
            encode_bytes(text.as_bytes(), out);
        }
        Value::Xml(text) => {
            out.push(XML);
            encode_bytes(text.as_bytes(), out);
        }
        Value::ByteArray(bytes) => {
            out.push(BYTE_ARRAY);
            encode_bytes(bytes, out);
        }
        Value::Date { unix_ms, .. } => {
            out.extend_from_slice(&[DATE, 1]);
            out.extend_from_slice(&unix_ms.to_be_bytes());
        }
        Value::StrictArray(items) => {
            out.push(ARRAY);
            encode_u29((items.len() as u32) << 1 | 1, out);
            out.push(1);
            items.iter().for_each(|item| encode(item, out));
        }
        Value::EcmaArray(object) => {
            out.extend_from_slice(&[ARRAY, 1]);
            encode_pairs(object, out);
        }
        Value::Object(object) => encode_object("", object, out),
        Value::TypedObject { class, object } => encode_object(class, object, out),
    }
}

/// Encodes an object of a dynamic class without sealed members: marker, traits, class name, pairs.
fn encode_object(class: &str, object: &Object, out: &mut Vec<u8>) {
    out.extend_from_slice(&[OBJECT, 0x0b]);
    encode_bytes(class.as_bytes(), out);
    encode_pairs(object, out);
}

/// Encodes pairs and the empty key that ends them. Omits pairs with an empty key, which would end them early.
fn encode_pairs(object: &Object, out: &mut Vec<u8>) {
    for (key, value) in object.iter().filter(|(key, _)| !key.is_empty()) {
        encode_bytes(key.as_bytes(), out);
        encode(value, out);
    }
    out.push(1);
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    encode_u29((bytes.len() as u32) << 1 | 1, out);
    out.extend_from_slice(bytes);
}

pub(super) fn encode_u29(number: u32, out: &mut Vec<u8>) {
    let number = number.min(U29_MAX);
    let continued = |shift: u32| (number >> shift) as u8 & 0x7f | 0x80;
    match number {
        0..=0x7f => out.push(number as u8),
        0x80..=0x3fff => out.extend_from_slice(&[continued(7), number as u8 & 0x7f]),
        0x4000..=0x1f_ffff => out.extend_from_slice(&[continued(14), continued(7), number as u8 & 0x7f]),
        _ => out.extend_from_slice(&[continued(22), continued(15), continued(8), number as u8]),
    }
}
