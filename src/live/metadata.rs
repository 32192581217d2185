//! Data messages of a publisher, and which of them are relayed.

use crate::amf::{Object, Value, amf0};
use crate::media::{Packet, Timestamp};

/// Properties that make players take a live stream for a file.
const NOT_FOR_LIVE: [&str; 3] = ["duration", "filesize", "keyframes"];

/// A publisher's data message by kind.
#[derive(Debug, PartialEq)]
pub(super) enum DataMessage {
    /// `onMetaData`, to be cached for later players.
    Metadata(Packet),
    /// `@clearDataFrame`: discards the cached metadata.
    ClearMetadata,
    /// Any other named message: text, cue points. Relayed as it is.
    Other(Packet),
    /// ffmpeg's time code track and other messages without a name; ignored.
    Nameless,
}

impl DataMessage {
    /// Classifies a data packet. `@setDataFrame` is an envelope that players must not see: librtmp would not recognize
    /// the metadata inside.
    pub(super) fn new(packet: Packet) -> Self {
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
        // With any other timestamp, ffmpeg takes it for a subtitle.
        Self::Metadata(Packet {
            kind: crate::media::PacketKind::Data,
            timestamp: Timestamp::ZERO,
            payload: payload.into(),
        })
    }
}

/// Removes the properties that live streams must not have; returns the original bytes if there are none.
fn without(mut object: Object, original: &[u8]) -> Vec<u8> {
    let removed = NOT_FOR_LIVE.iter().filter(|key| object.remove(key)).count();
    match removed {
        0 => original.to_vec(),
        _ => amf0::encode_all(&[Value::from("onMetaData"), Value::EcmaArray(object)]),
    }
}

/// Returns the leading string of a data message, and the offset behind it.
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
    fn the_envelope_and_file_properties_are_removed() {
        let object = Object::new().with("duration", 12.0).with("width", 640.0).with("filesize", 9.0);
        let packet = data(&["@setDataFrame".into(), "onMetaData".into(), metadata(object)]);
        let expected = Packet {
            timestamp: Timestamp::ZERO,
            ..data(&["onMetaData".into(), metadata(Object::new().with("width", 640.0))])
        };
        assert_eq!(DataMessage::new(packet), DataMessage::Metadata(expected));
    }

    #[test]
    fn metadata_fit_for_live_keeps_its_bytes() {
        let mut packet = data(&["onMetaData".into(), metadata(Object::new().with("width", 640.0))]);
        // A wrong member count, as many encoders write it.
        let mut payload = packet.payload.to_vec();
        payload[17] = 9;
        packet.payload = payload.into();
        let expected = Packet { timestamp: Timestamp::ZERO, ..packet.clone() };
        assert_eq!(DataMessage::new(packet), DataMessage::Metadata(expected));
    }

    #[test]
    fn named_data_is_relayed_and_nameless_data_is_ignored() {
        let text = data(&["onTextData".into(), Object::new().with("text", "hello").into()]);
        assert_eq!(DataMessage::new(text.clone()), DataMessage::Other(text));
        assert_eq!(DataMessage::new(data(&["@clearDataFrame".into()])), DataMessage::ClearMetadata);
        assert_eq!(DataMessage::new(data(&[Value::Number(1.0)])), DataMessage::Nameless);
        assert_eq!(DataMessage::new(data(&[])), DataMessage::Nameless);
        assert_eq!(DataMessage::new(data(&["@setDataFrame".into()])), DataMessage::Nameless);
    }

    #[test]
    fn malformed_metadata_is_relayed_as_it_is() {
        let mut packet = data(&["onMetaData".into()]);
        packet.payload = [&packet.payload[..], &[0xff]].concat().into();
        let expected = Packet { timestamp: Timestamp::ZERO, ..packet.clone() };
        assert_eq!(DataMessage::new(packet), DataMessage::Metadata(expected));
    }
}
