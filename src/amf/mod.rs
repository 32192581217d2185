//! AMF0 and AMF3: the values inside command and data messages.

mod value;

pub use value::{Object, Value};
