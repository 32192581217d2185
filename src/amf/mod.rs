//! AMF0 and AMF3, the encodings of the values in command and data messages.

pub mod amf0;
pub mod amf3;
mod cursor;
mod marker;
mod value;

pub use marker::Marker;
pub use value::{Object, Value};
