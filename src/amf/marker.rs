//! The type markers of AMF0 values.

use crate::numbers::numbers;

numbers! {
    /// The first byte of an AMF0 value (AMF0 §2.1).
    ///
    /// ```
    /// use gortmp::amf::{Marker, amf0};
    ///
    /// let encoded = amf0::encode_all(&["live".into()]);
    /// assert_eq!(Marker::from(encoded[0]), Marker::String);
    /// assert_eq!(u8::from(Marker::EcmaArray), 0x08);
    /// assert_eq!(Marker::from(0x7f), Marker::Other(0x7f));
    /// ```
    pub enum Marker: u8 {
        /// A double.
        Number = 0x00,
        /// One byte, 0 for false.
        Boolean = 0x01,
        /// A string of at most 65,535 bytes.
        String = 0x02,
        /// Keys and values up to [`ObjectEnd`](Self::ObjectEnd).
        Object = 0x03,
        /// Reserved by the specification, unused.
        MovieClip = 0x04,
        /// Null.
        Null = 0x05,
        /// Undefined.
        Undefined = 0x06,
        /// An earlier object or array of the same message.
        Reference = 0x07,
        /// An object preceded by a count, which is often wrong.
        EcmaArray = 0x08,
        /// After an empty key: the end of an object or ECMA array.
        ObjectEnd = 0x09,
        /// Values without keys.
        StrictArray = 0x0a,
        /// Milliseconds since 1970-01-01 UTC, and a time zone.
        Date = 0x0b,
        /// A string of up to 4 GiB.
        LongString = 0x0c,
        /// A value that the sender could not encode.
        Unsupported = 0x0d,
        /// Reserved by the specification, unused.
        RecordSet = 0x0e,
        /// An XML document, encoded as a long string.
        XmlDocument = 0x0f,
        /// An object with the name of its class.
        TypedObject = 0x10,
        /// One value in AMF3 follows.
        Amf3 = 0x11,
    }
}
