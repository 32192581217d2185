//! Whether a stream has audio and whether it has video, as the header of an FLV stream says: players wait for what it
//! promises.

use super::message::LiveMessage;
use crate::flv::Metadata;
use crate::limits;
use crate::media::PacketKind;

/// What the metadata has told and what the stream has shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kinds {
    /// Audio and video, as the metadata tells.
    told: Option<(bool, bool)>,
    /// Messages of either kind, configurations included.
    audio: usize,
    video: usize,
}

impl Kinds {
    /// Takes note of metadata, or that what it told holds no longer.
    pub fn note_metadata(&mut self, metadata: Option<&Metadata>) {
        self.told = metadata.and_then(|metadata| metadata.kinds);
    }

    /// Takes note of any other message.
    pub fn note(&mut self, message: &LiveMessage) {
        match message.packet.kind {
            PacketKind::Audio => self.audio = self.audio.saturating_add(1),
            PacketKind::Video => self.video = self.video.saturating_add(1),
            PacketKind::Data => {}
        }
    }

    /// Audio and video: what has been shown, and what has been told and may still come. Both as long as nothing is known.
    pub fn known(&self) -> (bool, bool) {
        let (told_audio, told_video) = self.told.unwrap_or((false, false));
        let audio = self.audio > 0 || (told_audio && self.video <= limits::ANNOUNCED_TRACK_TIMEOUT);
        let video = self.video > 0 || (told_video && self.audio <= limits::ANNOUNCED_TRACK_TIMEOUT);
        if (audio, video) == (false, false) { (true, true) } else { (audio, video) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Packet, Timestamp};

    fn message(kind: PacketKind) -> LiveMessage {
        LiveMessage::new(Packet { kind, timestamp: Timestamp::ZERO, payload: vec![0x2f, 0xff].into() })
    }

    fn told(audio: bool, video: bool) -> Kinds {
        let mut kinds = Kinds::default();
        kinds.note_metadata(Some(&Metadata { kinds: Some((audio, video)), ..Metadata::default() }));
        kinds
    }

    #[test]
    fn what_is_shown_counts_whatever_was_told() {
        let mut kinds = Kinds::default();
        assert_eq!(kinds.known(), (true, true), "nothing is known");
        kinds.note(&message(PacketKind::Data));
        assert_eq!(kinds.known(), (true, true));
        kinds.note(&message(PacketKind::Audio));
        assert_eq!(kinds.known(), (true, false));
        kinds.note(&message(PacketKind::Video));
        assert_eq!(kinds.known(), (true, true));
        let mut kinds = told(true, false);
        kinds.note(&message(PacketKind::Video));
        assert_eq!(kinds.known(), (true, true));
    }

    #[test]
    fn what_is_told_is_waited_for_and_not_for_ever() {
        assert_eq!(told(true, false).known(), (true, false));
        let mut kinds = told(true, true);
        for _ in 0..limits::ANNOUNCED_TRACK_TIMEOUT {
            kinds.note(&message(PacketKind::Audio));
        }
        assert_eq!(kinds.known(), (true, true));
        kinds.note(&message(PacketKind::Audio));
        assert_eq!(kinds.known(), (true, false));
    }
}
