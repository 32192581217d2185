//! What a player that comes late needs: metadata, sequence headers, and the video frames since the last key
//! frame.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::kinds::Kinds;
use super::message::LiveMessage;
use crate::flv::Metadata;
use crate::fmp4::{AudioFormat, Formats, VideoFormat};
use crate::guard::Share;
use crate::limits;
use crate::media::{HeaderSlot, Packet, PacketKind, Timestamp};

/// The cache of one stream.
#[derive(Debug)]
pub(super) struct Cache {
    /// Of what all streams may remember.
    share: Share,
    metadata: Option<Arc<LiveMessage>>,
    headers: BTreeMap<HeaderSlot, Arc<LiveMessage>>,
    /// Everything since the last key frame, it included; empty before the first.
    pictures: Vec<Arc<LiveMessage>>,
    bytes: usize,
    /// The last GOP of which the end has been seen, or the one that goes on, is more than may be kept.
    is_outgrown: bool,
    formats: Formats,
    /// How often they have changed.
    configuration_changes: u64,
    /// Width and height as the metadata tells them; zeros if it doesn't.
    size: (u16, u16),
    /// Audio since the last video frame; as good as endless before the first.
    audio_since_video: usize,
    kinds: Kinds,
}

impl Cache {
    pub fn new(share: Share) -> Self {
        let (metadata, headers, pictures) = (None, BTreeMap::new(), Vec::new());
        let (formats, audio_since_video) = (Formats::default(), usize::MAX);
        Self {
            share,
            metadata,
            headers,
            pictures,
            bytes: 0,
            is_outgrown: false,
            formats,
            configuration_changes: 0,
            size: (0, 0),
            audio_since_video,
            kinds: Kinds::default(),
        }
    }

    /// Whether video frames have come lately.
    pub fn has_video(&self) -> bool {
        self.audio_since_video <= limits::AUDIO_ONLY_AFTER
    }

    /// Whether a GOP is more than may be kept, so that players to come have to wait for the next key frame.
    pub fn is_outgrown(&self) -> bool {
        self.is_outgrown
    }

    /// Whether it has audio and whether it has video, as far as is known; both as long as nothing is.
    pub fn kinds(&self) -> (bool, bool) {
        self.kinds.known()
    }

    /// How its video is coded, as far as is known.
    pub fn video(&self) -> Option<VideoFormat> {
        self.formats.video.clone().map(|video| video.or_size(self.size))
    }

    /// How its audio is coded, as far as is known.
    pub fn audio(&self) -> Option<AudioFormat> {
        self.formats.audio.clone()
    }

    /// How often something became known of that.
    pub fn configuration_changes(&self) -> u64 {
        self.configuration_changes
    }

    fn note_configuration(&mut self, packet: &Packet) {
        self.configuration_changes += u64::from(self.formats.note(packet));
    }

    /// The publisher's metadata.
    pub fn set_metadata(&mut self, metadata: Option<Arc<LiveMessage>>) {
        let told = metadata.as_ref().and_then(|message| Metadata::parse(&message.packet.payload));
        self.kinds.note_metadata(told.as_ref());
        let size = told.unwrap_or_default().size();
        self.configuration_changes += u64::from(size != self.size && self.formats.video.is_some());
        self.size = size;
        self.metadata = metadata;
        if !self.hold() {
            self.metadata = None;
        }
    }

    /// Takes what this needs from what all streams share; says whether it was there.
    fn hold(&mut self) -> bool {
        let others = self.metadata.iter().chain(self.headers.values());
        let bytes = self.bytes + others.map(|message| message.body().len()).sum::<usize>();
        self.share.resize(bytes)
    }

    /// Any message but metadata, in order.
    pub fn add(&mut self, message: &Arc<LiveMessage>) {
        let packet = &message.packet;
        self.kinds.note(message);
        if let Some(slot) = message.slot {
            self.add_header(slot, message);
            return;
        }
        match packet.kind {
            PacketKind::Video => self.audio_since_video = 0,
            PacketKind::Audio => self.audio_since_video = self.audio_since_video.saturating_add(1),
            PacketKind::Data => {}
        }
        if self.formats.needs_frames(packet.kind) {
            self.note_configuration(packet);
        }
        if message.is_key_frame {
            self.is_outgrown &= self.pictures.is_empty();
            self.drop_video_frames();
        } else if self.pictures.is_empty() {
            return;
        }
        self.bytes += message.body().len();
        self.pictures.push(message.clone());
        let too_much = self.bytes > limits::GOP_CACHE_BYTES || self.pictures.len() > limits::GOP_CACHE_MESSAGES;
        if !self.has_video() {
            self.drop_video_frames();
        } else if too_much || !self.hold() {
            self.is_outgrown = true;
            self.drop_video_frames();
        }
    }

    fn add_header(&mut self, slot: HeaderSlot, message: &Arc<LiveMessage>) {
        let is_empty = message.muxer_output.is_none() && !message.packet.has_configuration();
        if is_empty || self.headers.get(&slot).is_some_and(|known| known.body() == message.body()) {
            return;
        }
        self.note_configuration(&message.packet);
        // The video frames so far need the old header. Those that need the new one start with a key frame.
        self.drop_video_frames();
        self.headers.remove(&slot);
        let length = message.body().len();
        let others: usize = self.headers.values().map(|header| header.body().len()).sum();
        let fits = length <= limits::SEQUENCE_HEADER_BYTES && others + length <= limits::SEQUENCE_HEADERS_BYTES;
        if fits && self.headers.len() < limits::SEQUENCE_HEADERS {
            self.headers.insert(slot, message.clone());
            if !self.hold() {
                self.headers.remove(&slot);
            }
        }
    }

    fn drop_video_frames(&mut self) {
        self.pictures.clear();
        self.bytes = 0;
        // It only gives back, which needs no room.
        let _ = self.hold();
    }

    /// The frames' times made no sense: from here on they have times by arrival, up to `until`, which is now.
    pub fn restamp_by_arrival(&mut self, until: Timestamp, now: Instant) {
        for message in &mut self.pictures {
            let age = message.arrived.map_or(Duration::ZERO, |arrived| now.saturating_duration_since(arrived));
            // A clock that stood still has not come that far.
            let age_ms = u32::try_from(age.as_millis()).unwrap_or(u32::MAX).min(until.milliseconds());
            *message = Arc::new(message.at(Timestamp::new(until.milliseconds() - age_ms)));
        }
    }

    /// The publisher is gone, and what it sent with it.
    pub fn clear(&mut self) {
        self.metadata = None;
        (self.formats, self.size, self.kinds) = (Formats::default(), (0, 0), Kinds::default());
        self.headers.clear();
        (self.audio_since_video, self.is_outgrown) = (usize::MAX, false);
        self.drop_video_frames();
    }

    /// What a new player gets first: metadata, sequence headers, and, if it wants them, the video frames.
    ///
    /// The headers' time is that of the first video frame, or `now` without video frames, so that time does not
    /// jump behind them.
    pub fn start(&self, with_video: bool, now: Timestamp) -> Vec<Arc<LiveMessage>> {
        let pictures = if with_video { &self.pictures[..] } else { &[] };
        let first = pictures.first().map_or(now, |message| message.packet.timestamp);
        let headers = self.headers.values().map(|header| Arc::new(header.at(first)));
        self.metadata.iter().cloned().chain(headers).chain(pictures.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Budget;

    fn cache() -> Cache {
        Cache::new(Budget::new(usize::MAX).share())
    }

    fn message(kind: PacketKind, time: u32, payload: &[u8]) -> Arc<LiveMessage> {
        Arc::new(LiveMessage::new(Packet { kind, timestamp: Timestamp::new(time), payload: payload.to_vec().into() }))
    }

    fn video(time: u32, payload: &[u8]) -> Arc<LiveMessage> {
        message(PacketKind::Video, time, payload)
    }

    const AVC_HEADER: &[u8] = &[0x17, 0, 0, 0, 0, 1];
    const KEY: &[u8] = &[0x17, 1, 0, 0, 0];
    const INTER: &[u8] = &[0x27, 1, 0, 0, 0];
    const AAC_HEADER: &[u8] = &[0xaf, 0, 0x12, 0x10];
    const AAC: &[u8] = &[0xaf, 1, 0x21];

    fn start(cache: &Cache, with_video: bool) -> Vec<(u32, Vec<u8>)> {
        let start = cache.start(with_video, Timestamp::new(999));
        start.iter().map(|m| (m.packet.timestamp.milliseconds(), m.packet.payload.to_vec())).collect()
    }

    #[test]
    fn a_late_player_starts_with_the_headers_at_the_key_frames_time() {
        let mut cache = cache();
        let frames = [
            video(0, AVC_HEADER),
            message(PacketKind::Audio, 0, AAC_HEADER),
            video(0, KEY),
            video(40, INTER),
            video(80, KEY),
            message(PacketKind::Audio, 90, AAC),
        ];
        frames.iter().for_each(|frame| cache.add(frame));
        let expected: [(u32, &[u8]); 4] = [(80, AAC_HEADER), (80, AVC_HEADER), (80, KEY), (90, AAC)];
        assert_eq!(start(&cache, true), expected.map(|(time, bytes)| (time, bytes.to_vec())));
        let expected: [(u32, &[u8]); 2] = [(999, AAC_HEADER), (999, AVC_HEADER)];
        assert_eq!(start(&cache, false), expected.map(|(time, bytes)| (time, bytes.to_vec())));
    }

    #[test]
    fn headers_at_a_late_time_are_as_long_on_the_wire_as_they_say() {
        let mut cache = cache();
        [video(0, AVC_HEADER), video(0x0100_0000, KEY)].iter().for_each(|frame| cache.add(frame));
        for message in cache.start(true, Timestamp::ZERO) {
            let bytes: usize = message.slices(message.headers()).map(<[u8]>::len).sum();
            assert_eq!(bytes, message.wire_length());
        }
    }

    #[test]
    fn nothing_is_kept_before_the_first_key_frame() {
        let mut cache = cache();
        cache.add(&video(0, INTER));
        cache.add(&message(PacketKind::Audio, 0, AAC));
        assert!(start(&cache, true).is_empty());
    }

    #[test]
    fn a_repeated_header_changes_nothing_and_a_new_one_starts_anew() {
        let mut cache = cache();
        for payload in [AVC_HEADER, KEY, AVC_HEADER, INTER] {
            cache.add(&video(0, payload));
        }
        assert_eq!(start(&cache, true).len(), 3);
        cache.add(&video(0, &[0x17, 0, 0, 0, 0, 2]));
        assert_eq!(start(&cache, true), [(999, vec![0x17, 0, 0, 0, 0, 2])]);
    }

    #[test]
    fn an_empty_configuration_counts_for_nothing() {
        let mut cache = cache();
        for payload in [&b"\x90av01"[..], b"\x90av01\x81\x04\x0c\0", b"\x93av01\x12\0", b"\x90av01"] {
            cache.add(&video(0, payload));
        }
        assert_eq!(start(&cache, true).len(), 2, "the full one and the frame");
        assert_eq!(cache.video().map(|video| video.codec).as_deref(), Some("av01.0.04M.08"));
    }

    #[test]
    fn enhanced_headers_are_kept_by_track_and_content() {
        let mut cache = cache();
        for payload in [&b"\x90hvc1\x01"[..], b"\x94hvc1\x02", b"\x96\x00hvc1\x01\x03", b"\x90hvc1\x04"] {
            cache.add(&video(0, payload));
        }
        assert_eq!(start(&cache, true).len(), 3);
    }

    #[test]
    fn old_frames_are_forgotten_when_only_audio_comes() {
        let mut cache = cache();
        cache.add(&video(0, KEY));
        for _ in 0..limits::AUDIO_ONLY_AFTER {
            cache.add(&message(PacketKind::Audio, 0, AAC));
        }
        assert_eq!(start(&cache, true).len(), 1 + limits::AUDIO_ONLY_AFTER);
        cache.add(&message(PacketKind::Audio, 0, AAC));
        assert!(start(&cache, true).is_empty());
    }

    #[test]
    fn frames_at_the_limits_and_one_past() {
        let mut cache = cache();
        cache.add(&video(0, KEY));
        for _ in 1..limits::GOP_CACHE_MESSAGES {
            cache.add(&video(0, INTER));
        }
        assert_eq!(cache.pictures.len(), limits::GOP_CACHE_MESSAGES);
        cache.add(&video(0, INTER));
        assert!(cache.pictures.is_empty());

        let mut half = vec![0; limits::GOP_CACHE_BYTES / 2];
        half[..2].copy_from_slice(&KEY[..2]);
        cache.add(&video(0, &half));
        half[0] = INTER[0];
        cache.add(&video(0, &half));
        assert_eq!(cache.pictures.len(), 2);
        cache.add(&video(0, INTER));
        assert!(cache.pictures.is_empty());
        cache.add(&video(0, INTER));
        assert!(cache.pictures.is_empty(), "it starts again at a key frame only");
    }

    #[test]
    fn a_headers_length_at_the_limit_and_one_past() {
        for (length, kept) in [(limits::SEQUENCE_HEADER_BYTES, 1), (limits::SEQUENCE_HEADER_BYTES + 1, 0)] {
            let mut header = vec![0; length];
            header[..2].copy_from_slice(&AVC_HEADER[..2]);
            let mut cache = cache();
            cache.add(&video(0, &header));
            assert_eq!(start(&cache, true).len(), kept);
        }
    }

    #[test]
    fn headers_at_the_limit_and_one_past() {
        let mut cache = cache();
        for track in 0..=limits::SEQUENCE_HEADERS as u8 {
            cache.add(&video(0, &[b"\x96\x00hvc1", &[track, 1][..]].concat()));
        }
        assert_eq!(start(&cache, true).len(), limits::SEQUENCE_HEADERS);
    }

    #[test]
    fn what_all_streams_remember_together_has_a_limit() {
        let budget = Budget::new(2 * KEY.len() + AVC_HEADER.len());
        let (mut one, mut other) = (Cache::new(budget.share()), Cache::new(budget.share()));
        for frame in [video(0, AVC_HEADER), video(0, KEY)] {
            one.add(&frame);
        }
        other.add(&video(0, KEY));
        assert_eq!(budget.held(), 2 * KEY.len() + AVC_HEADER.len());
        one.add(&video(40, INTER));
        assert_eq!(start(&one, true).len(), 1, "its video frames are over the limit, its header is not");
        other.add(&video(40, INTER));
        assert_eq!(start(&other, true).len(), 2, "there is room again");
        one.add(&message(PacketKind::Audio, 0, AAC_HEADER));
        assert_eq!(start(&one, true).len(), 1, "nor is there room for another header");
        other.clear();
        drop(one);
        assert_eq!(budget.held(), 0);
    }
}
