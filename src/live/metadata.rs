//! Data messages of a publisher: what of them players get.

use crate::amf::{Object, Value, amf0};
use crate::media::{Packet, Timestamp};

/// Properties that make players take a live stream for a file.
const NOT_FOR_LIVE: [&str; 3] = ["duration", "filesize", "keyframes"];

/// A publisher's data message, sorted.
#[derive(Debug, PartialEq)]
pub(super) enum DataMessage {
    /// `onMetaData`, to be kept for players that come later.
    Metadata(Packet),
    /// `@clearDataFrame`: what was kept holds no longer.
    ClearMetadata,
    /// Anything else with a name: text, cue points. Passed on as it is.
    Other(Packet),
    /// ffmpeg's time code track and other things without a name.
    Nameless,
}

impl DataMessage {
    /// Sorts a packet of kind data. `@setDataFrame` is an envelope that players must not see: librtmp
    /// would not know the metadata inside.
    pub fn new(packet: Packet) -> Self {
        let Some((name, behind)) = name(&packet.payload) else { return Self::Nameless };
        match name.as_str() {
            "@clearDataFrame" => Self::ClearMetadata,
            "@setDataFrame" => {
                let inner = packet.payload.get(behind..).unwrap_or_default();
                match self::name(inner) {
                    Some((name, behind)) if name == "onMetaData" => Self::metadata(inner, behind),
                    Some(_) => Self::Other(Packet { payload: packet.payload.slice_ref(inner), ..packet }),
                    None => Self::Nameless,
                }
            }
            "onMetaData" => Self::metadata(&packet.payload, behind),
            _ => Self::Other(packet),
        }
    }

    fn metadata(payload: &[u8], behind_name: usize) -> Self {
        let value = amf0::Decoder::new(payload.get(behind_name..).unwrap_or_default()).next();
        let payload = match value {
            Some(Ok(Value::EcmaArray(object) | Value::Object(object))) => without(object, payload),
            _ => payload.to_vec(),
        };
        // At any other time ffmpeg takes it for a subtitle.
        Self::Metadata(Packet {
            kind: crate::media::PacketKind::Data,
            timestamp: Timestamp::ZERO,
            payload: payload.into(),
        })
    }
}

/// The metadata without the properties that live streams must not have; as it came if it has none.
fn without(mut object: Object, original: &[u8]) -> Vec<u8> {
    let removed = NOT_FOR_LIVE.iter().filter(|key| object.remove(key)).count();
    match removed {
        0 => original.to_vec(),
        _ => amf0::encode_all(&[Value::from("onMetaData"), Value::EcmaArray(object)]),
    }
}

/// The string that a data message begins with, and where what follows it begins.
fn name(payload: &[u8]) -> Option<(String, usize)> {
    let mut decoder = amf0::Decoder::new(payload);
    match decoder.next() {
        Some(Ok(Value::String(name))) => Some((name, decoder.position())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::PacketKind;

    fn data(values: &[Value]) -> Packet {
        Packet { kind: PacketKind::Data, timestamp: Timestamp::new(77), payload: amf0::encode_all(values).into() }
    }

    fn metadata(object: Object) -> Value {
        Value::EcmaArray(object)
    }

    #[test]
    fn the_envelope_and_what_is_wrong_for_live_are_taken_off() {
        let object = Object::new().with("duration", 12.0).with("width", 640.0).with("filesize", 9.0);
        let packet = data(&["@setDataFrame".into(), "onMetaData".into(), metadata(object)]);
        let expected = Packet {
            timestamp: Timestamp::ZERO,
            ..data(&["onMetaData".into(), metadata(Object::new().with("width", 640.0))])
        };
        assert_eq!(DataMessage::new(packet), DataMessage::Metadata(expected));
    }

    #[test]
    fn metadata_that_fits_keeps_its_bytes() {
        let mut packet = data(&["onMetaData".into(), metadata(Object::new().with("width", 640.0))]);
        // A wrong count of members, as many encoders write it.
        let mut payload = packet.payload.to_vec();
        payload[17] = 9;
        packet.payload = payload.into();
        let expected = Packet { timestamp: Timestamp::ZERO, ..packet.clone() };
        assert_eq!(DataMessage::new(packet), DataMessage::Metadata(expected));
    }

    #[test]
    fn other_data_passes_and_the_nameless_does_not() {
        let text = data(&["onTextData".into(), Object::new().with("text", "hello").into()]);
        assert_eq!(DataMessage::new(text.clone()), DataMessage::Other(text));
        assert_eq!(DataMessage::new(data(&["@clearDataFrame".into()])), DataMessage::ClearMetadata);
        assert_eq!(DataMessage::new(data(&[Value::Number(1.0)])), DataMessage::Nameless);
        assert_eq!(DataMessage::new(data(&[])), DataMessage::Nameless);
        assert_eq!(DataMessage::new(data(&["@setDataFrame".into()])), DataMessage::Nameless);
    }

    #[test]
    fn metadata_that_cannot_be_read_is_passed_on_all_the_same() {
        let mut packet = data(&["onMetaData".into()]);
        packet.payload = [&packet.payload[..], &[0xff]].concat().into();
        let expected = Packet { timestamp: Timestamp::ZERO, ..packet.clone() };
        assert_eq!(DataMessage::new(packet), DataMessage::Metadata(expected));
    }
}
