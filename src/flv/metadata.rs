//! The script tag `onMetaData`.

use crate::amf::{Object, Value, amf0};

/// The properties of `onMetaData` (FLV 10.1 §E.5) that playback needs.
///
/// Parsed leniently: a property of the wrong type or with an invalid value counts as missing, and properties before a
/// malformed value are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Duration in seconds; finite and above 0.
    pub duration: Option<f64>,
    /// Width of the video in pixels.
    pub width: Option<f64>,
    /// Height of the video in pixels.
    pub height: Option<f64>,
    /// Whether there is audio and whether there is video; `None` when neither is announced.
    pub kinds: Option<(bool, bool)>,
    /// The key frames as listed in the file, unverified: time in seconds and offset of the tag in bytes.
    /// Empty when the two lists differ in length.
    pub key_frames: Vec<(f64, f64)>,
}

impl Metadata {
    /// Strips the `@setDataFrame` that a recorder may have left before `onMetaData`, which players don't know, from the
    /// payload of script data.
    pub fn without_set_data_frame(payload: &[u8]) -> &[u8] {
        payload.strip_prefix(b"\x02\x00\x0d@setDataFrame").unwrap_or(payload)
    }

    /// Whether script data is `onMetaData` in AMF0.
    pub fn is_on_meta_data(payload: &[u8]) -> bool {
        payload.starts_with(b"\x02\x00\x0aonMetaData")
    }

    /// Parses the payload of an `onMetaData`; `None` for other script data.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        if !Self::is_on_meta_data(payload) {
            return None;
        }
        let values = amf0::Decoder::new(payload).map_while(|value| value.ok());
        let mut objects = values.filter_map(|value| value.as_object().map(Self::from_object));
        Some(objects.next().unwrap_or_default())
    }

    /// Returns width and height in whole pixels; zeros when missing or invalid.
    pub fn size(&self) -> (u16, u16) {
        let pixels =
            |count: Option<f64>| count.filter(|count| (1.0..65_536.0).contains(count)).map_or(0, |count| count as u16);
        match (pixels(self.width), pixels(self.height)) {
            (0, _) | (_, 0) => (0, 0),
            size => size,
        }
    }

    fn from_object(object: &Object) -> Self {
        let positive = |key| object.get(key)?.as_number().filter(|number| number.is_finite() && *number > 0.0);
        let has = |codec, flag| object.get(codec).is_some() || object.get(flag).and_then(Value::as_bool) == Some(true);
        let kinds = (has("audiocodecid", "hasAudio"), has("videocodecid", "hasVideo"));
        Self {
            duration: positive("duration"),
            width: positive("width"),
            height: positive("height"),
            kinds: (kinds != (false, false)).then_some(kinds),
            key_frames: key_frames(object).unwrap_or_default(),
        }
    }
}

fn key_frames(object: &Object) -> Option<Vec<(f64, f64)>> {
    let index = object.get("keyframes")?.as_object()?;
    let (times, positions) = (numbers(index.get("times")?)?, numbers(index.get("filepositions")?)?);
    (times.len() == positions.len()).then(|| times.into_iter().zip(positions).collect())
}

fn numbers(list: &Value) -> Option<Vec<f64>> {
    match list {
        Value::StrictArray(values) => values.iter().map(Value::as_number).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(numbers: &[f64]) -> Value {
        Value::StrictArray(numbers.iter().copied().map(Value::Number).collect())
    }

    fn on_meta_data(object: Value) -> Vec<u8> {
        amf0::encode_all(&[Value::from("onMetaData"), object])
    }

    fn with_index(times: Value, positions: Value) -> Vec<(f64, f64)> {
        let index = Object::new().with("times", times).with("filepositions", positions);
        let payload = on_meta_data(Object::new().with("keyframes", index).into());
        Metadata::parse(&payload).unwrap().key_frames
    }

    #[test]
    fn objects_and_ecma_arrays_are_equivalent() {
        let object = Object::new().with("duration", 12.5).with("width", 640.0).with("height", 360.0);
        let expected = Metadata {
            duration: Some(12.5),
            width: Some(640.0),
            height: Some(360.0),
            kinds: None,
            key_frames: Vec::new(),
        };
        for value in [Value::Object(object.clone()), Value::EcmaArray(object)] {
            assert_eq!(Metadata::parse(&on_meta_data(value)), Some(expected.clone()));
        }
    }

    #[test]
    fn kinds_are_taken_from_codecs_and_flags() {
        let kinds = |object: Object| Metadata::parse(&on_meta_data(object.into())).unwrap().kinds;
        assert_eq!(kinds(Object::new().with("audiocodecid", 2.0)), Some((true, false)));
        assert_eq!(kinds(Object::new().with("videocodecid", "avc1").with("hasAudio", true)), Some((true, true)));
        assert_eq!(kinds(Object::new().with("hasVideo", true).with("hasAudio", false)), Some((false, true)));
        assert_eq!(kinds(Object::new().with("hasVideo", false)), None);
    }

    #[test]
    fn invalid_values_are_missing() {
        for duration in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let payload = on_meta_data(Object::new().with("duration", duration).with("width", "wide").into());
            assert_eq!(Metadata::parse(&payload), Some(Metadata::default()), "{duration}");
        }
        assert_eq!(Metadata::parse(&on_meta_data(Value::Null)), Some(Metadata::default()));
        assert_eq!(Metadata::parse(b"\x02\x00\x0aonMetaData"), Some(Metadata::default()));
        assert_eq!(Metadata::parse(b"\x02\x00\x0aonMetaData\x03\x00"), Some(Metadata::default()));
    }

    #[test]
    fn other_script_data_is_none() {
        assert_eq!(Metadata::parse(b""), None);
        assert_eq!(Metadata::parse(b"\x02\x00\x0aonCuePoint\x05"), None);
    }

    #[test]
    fn the_index_needs_two_lists_of_equal_length() {
        assert_eq!(with_index(list(&[0.0, 2.0]), list(&[500.0, 900.0])), [(0.0, 500.0), (2.0, 900.0)]);
        assert!(with_index(list(&[0.0, 2.0]), list(&[500.0])).is_empty());
        assert!(with_index(list(&[0.0]), Value::from("500")).is_empty());
        assert!(with_index(Value::StrictArray(vec![Value::Null]), list(&[500.0])).is_empty());
    }

    #[test]
    fn set_data_frame_is_stripped() {
        let payload = amf0::encode_all(&["@setDataFrame".into(), "onMetaData".into(), Value::Null]);
        assert!(!Metadata::is_on_meta_data(&payload));
        assert!(Metadata::is_on_meta_data(Metadata::without_set_data_frame(&payload)));
        assert_eq!(Metadata::without_set_data_frame(b"\x02\x00"), b"\x02\x00");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(tail in proptest::collection::vec(any::<u8>(), 0..100)) {
            let payload = [&b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x01"[..], &tail].concat();
            prop_assert!(Metadata::parse(&payload).is_some());
        }
    }
}
