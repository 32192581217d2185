//! Whether a stream has audio and video, as the header of an FLV stream declares: players wait for declared tracks.

use super::message::LiveMessage;
use crate::flv::Metadata;
use crate::limits;
use crate::media::PacketKind;

/// The tracks announced by metadata and those received.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tracks {
    /// Audio and video, as the metadata announces them.
    announced: Option<(bool, bool)>,
    /// Messages of each track, configurations included.
    audio: usize,
    video: usize,
}

impl Tracks {
    /// Records metadata, or its absence.
    pub(super) fn record_metadata(&mut self, metadata: Option<&Metadata>) {
        self.announced = metadata.and_then(|metadata| metadata.kinds);
    }

    /// Records any other message.
    pub(super) fn record(&mut self, message: &LiveMessage) {
        match message.packet.kind {
            PacketKind::Audio => self.audio = self.audio.saturating_add(1),
            PacketKind::Video => self.video = self.video.saturating_add(1),
            PacketKind::Data => {}
        }
    }

    /// Whether there is audio and video: received, or announced and still to be expected. Both while nothing is known.
    pub(super) fn present(&self) -> (bool, bool) {
        let (announced_audio, announced_video) = self.announced.unwrap_or((false, false));
        let audio = self.audio > 0 || (announced_audio && self.video <= limits::ANNOUNCED_TRACK_TIMEOUT);
        let video = self.video > 0 || (announced_video && self.audio <= limits::ANNOUNCED_TRACK_TIMEOUT);
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

    fn announced(audio: bool, video: bool) -> Tracks {
        let mut tracks = Tracks::default();
        tracks.record_metadata(Some(&Metadata { kinds: Some((audio, video)), ..Metadata::default() }));
        tracks
    }

    #[test]
    fn received_tracks_are_present_whatever_was_announced() {
        let mut tracks = Tracks::default();
        assert_eq!(tracks.present(), (true, true), "nothing is known");
        tracks.record(&message(PacketKind::Data));
        assert_eq!(tracks.present(), (true, true));
        tracks.record(&message(PacketKind::Audio));
        assert_eq!(tracks.present(), (true, false));
        tracks.record(&message(PacketKind::Video));
        assert_eq!(tracks.present(), (true, true));
        let mut tracks = announced(true, false);
        tracks.record(&message(PacketKind::Video));
        assert_eq!(tracks.present(), (true, true));
    }

    #[test]
    fn announced_tracks_are_present_until_the_timeout() {
        assert_eq!(announced(true, false).present(), (true, false));
        let mut tracks = announced(true, true);
        for _ in 0..limits::ANNOUNCED_TRACK_TIMEOUT {
            tracks.record(&message(PacketKind::Audio));
        }
        assert_eq!(tracks.present(), (true, true));
        tracks.record(&message(PacketKind::Audio));
        assert_eq!(tracks.present(), (true, false));
    }
}
