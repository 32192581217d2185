//! The tracks announced by the metadata.

use crate::amf::{Value, amf0};
use crate::media::Packet;

/// Track properties from `onMetaData`.
#[derive(Debug, Default)]
pub(super) struct AnnouncedTracks {
    /// Whether there is audio, and whether there is video; `None` when neither is announced.
    pub kinds: Option<(bool, bool)>,
    pub size: (u16, u16),
    pub frame_ms: Option<u32>,
}

impl AnnouncedTracks {
    /// Updates the properties from `onMetaData`; invalid values are ignored.
    pub(super) fn update(&mut self, packet: &Packet) {
        let Ok(values) = amf0::decode_all(&packet.payload) else { return };
        let mut values = values.iter().skip_while(|value| value.as_str() == Some("@setDataFrame"));
        let (Some("onMetaData"), Some(object)) = (values.next().and_then(Value::as_str), values.next()) else { return };
        let Some(object) = object.as_object() else { return };
        let number = |key| object.get(key).and_then(Value::as_number);
        let has = |codec: &str, flag: &str| {
            object.get(codec).is_some() || object.get(flag).and_then(Value::as_bool).unwrap_or(false)
        };
        let kinds = (has("audiocodecid", "hasAudio"), has("videocodecid", "hasVideo"));
        self.kinds = (kinds != (false, false)).then_some(kinds);
        let pixels = |key| number(key).filter(|count| (1.0..65_536.0).contains(count)).map_or(0, |count| count as u16);
        self.size = (pixels("width"), pixels("height"));
        self.frame_ms =
            number("framerate").filter(|rate| (0.5..=500.0).contains(rate)).map(|rate| (1000.0 / rate) as u32);
    }
}
