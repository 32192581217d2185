//! What a late subscriber needs first: metadata, sequence headers, and the current GOP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::message::LiveMessage;
use super::tracks::Tracks;
use crate::flv::Metadata;
use crate::fmp4::{AudioFormat, Formats, VideoFormat};
use crate::guard::Share;
use crate::limits;
use crate::media::{HeaderSlot, Packet, PacketKind, Timestamp};

/// The cache of one stream.
#[derive(Debug)]
pub(super) struct Cache {
    /// The share of the memory for all streams' caches.
    share: Share,
    metadata: Option<Arc<LiveMessage>>,
    headers: BTreeMap<HeaderSlot, Arc<LiveMessage>>,
    /// All messages since the last key frame, inclusive; empty before the first.
    gop: Vec<Arc<LiveMessage>>,
    bytes: usize,
    /// The last complete GOP, or the current one, exceeds the cache's limits.
    is_oversized: bool,
    formats: Formats,
    /// How often the codec configuration has changed.
    configuration_changes: u64,
    /// Width and height from the metadata; zero if absent.
    size: (u16, u16),
    /// Audio messages since the last video frame; `usize::MAX` before the first.
    audio_since_video: usize,
    tracks: Tracks,
}

impl Cache {
    pub(super) fn new(share: Share) -> Self {
        let (metadata, headers, gop) = (None, BTreeMap::new(), Vec::new());
        let (formats, audio_since_video) = (Formats::default(), usize::MAX);
        Self {
            share,
            metadata,
            headers,
            gop,
            bytes: 0,
            is_oversized: false,
            formats,
            configuration_changes: 0,
            size: (0, 0),
            audio_since_video,
            tracks: Tracks::default(),
        }
    }

    /// Whether video frames have arrived recently.
    pub(super) fn has_video(&self) -> bool {
        self.audio_since_video <= limits::AUDIO_ONLY_AFTER
    }

    /// Whether a GOP exceeds the cache's limits, so that new players have to wait for the next key frame.
    pub(super) fn is_oversized(&self) -> bool {
        self.is_oversized
    }

    /// Whether the stream has audio and video, as far as known; both while nothing is known.
    pub(super) fn tracks(&self) -> (bool, bool) {
        self.tracks.present()
    }

    /// The video codec configuration, if known.
    pub(super) fn video(&self) -> Option<VideoFormat> {
        self.formats.video.clone().map(|video| video.or_size(self.size))
    }

    /// The audio codec configuration, if known.
    pub(super) fn audio(&self) -> Option<AudioFormat> {
        self.formats.audio.clone()
    }

    /// How often the codec configuration has changed.
    pub(super) fn configuration_changes(&self) -> u64 {
        self.configuration_changes
    }

    fn record_configuration(&mut self, packet: &Packet) {
        self.configuration_changes += u64::from(self.formats.update(packet));
    }

    /// Stores the publisher's metadata, or clears it.
    pub(super) fn set_metadata(&mut self, metadata: Option<Arc<LiveMessage>>) {
        let parsed = metadata.as_ref().and_then(|message| Metadata::parse(&message.packet.payload));
        self.tracks.record_metadata(parsed.as_ref());
        let size = parsed.unwrap_or_default().size();
        self.configuration_changes += u64::from(size != self.size && self.formats.video.is_some());
        self.size = size;
        self.metadata = metadata;
        if !self.reserve() {
            self.metadata = None;
        }
    }

    /// Reserves the memory in use from the share; returns whether there was room.
    fn reserve(&mut self) -> bool {
        let others = self.metadata.iter().chain(self.headers.values());
        let bytes = self.bytes + others.map(|message| message.body().len()).sum::<usize>();
        self.share.resize(bytes)
    }

    /// Adds a message other than metadata, in order.
    pub(super) fn add(&mut self, message: &Arc<LiveMessage>) {
        let packet = &message.packet;
        self.tracks.record(message);
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
            self.record_configuration(packet);
        }
        if message.is_key_frame {
            self.is_oversized &= self.gop.is_empty();
            self.clear_gop();
        } else if self.gop.is_empty() {
            return;
        }
        self.bytes += message.body().len();
        self.gop.push(message.clone());
        let too_much = self.bytes > limits::GOP_CACHE_BYTES || self.gop.len() > limits::GOP_CACHE_MESSAGES;
        if !self.has_video() {
            self.clear_gop();
        } else if too_much || !self.reserve() {
            self.is_oversized = true;
            self.clear_gop();
        }
    }

    fn add_header(&mut self, slot: HeaderSlot, message: &Arc<LiveMessage>) {
        let is_empty = message.muxer_output.is_none() && !message.packet.has_configuration();
        if is_empty || self.headers.get(&slot).is_some_and(|known| known.body() == message.body()) {
            return;
        }
        self.record_configuration(&message.packet);
        // Cached frames need the old header. Those that need the new one start with a key frame.
        self.clear_gop();
        self.headers.remove(&slot);
        let length = message.body().len();
        let others: usize = self.headers.values().map(|header| header.body().len()).sum();
        let fits = length <= limits::SEQUENCE_HEADER_BYTES && others + length <= limits::SEQUENCE_HEADERS_BYTES;
        if fits && self.headers.len() < limits::SEQUENCE_HEADERS {
            self.headers.insert(slot, message.clone());
            if !self.reserve() {
                self.headers.remove(&slot);
            }
        }
    }

    fn clear_gop(&mut self) {
        self.gop.clear();
        self.bytes = 0;
        // This only releases memory, which can't fail.
        let _ = self.reserve();
    }

    /// Restamps the cached frames by arrival, up to `until`, the stream's time now, because their timestamps were
    /// wrong.
    pub(super) fn restamp_by_arrival(&mut self, until: Timestamp, now: Instant) {
        for message in &mut self.gop {
            let age = message.arrived.map_or(Duration::ZERO, |arrived| now.saturating_duration_since(arrived));
            // A clock that stood still has not got that far.
            let age_ms = u32::try_from(age.as_millis()).unwrap_or(u32::MAX).min(until.milliseconds());
            *message = Arc::new(message.at(Timestamp::new(until.milliseconds() - age_ms)));
        }
    }

    /// Discards everything from a publisher that has left.
    pub(super) fn clear(&mut self) {
        self.metadata = None;
        (self.formats, self.size, self.tracks) = (Formats::default(), (0, 0), Tracks::default());
        self.headers.clear();
        (self.audio_since_video, self.is_oversized) = (usize::MAX, false);
        self.clear_gop();
    }

    /// Returns the messages that a new player gets first: metadata, sequence headers and, if requested, the current
    /// GOP.
    ///
    /// The headers carry the timestamp of the first cached frame, or `now` without any, so that time does not jump
    /// after them.
    pub(super) fn initial_messages(&self, with_video: bool, now: Timestamp) -> Vec<Arc<LiveMessage>> {
        let gop = if with_video { &self.gop[..] } else { &[] };
        let first = gop.first().map_or(now, |message| message.packet.timestamp);
        let headers = self.headers.values().map(|header| Arc::new(header.at(first)));
        self.metadata.iter().cloned().chain(headers).chain(gop.iter().cloned()).collect()
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
        let start = cache.initial_messages(with_video, Timestamp::new(999));
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
    fn restamped_headers_report_their_length_on_the_wire() {
        let mut cache = cache();
        [video(0, AVC_HEADER), video(0x0100_0000, KEY)].iter().for_each(|frame| cache.add(frame));
        for message in cache.initial_messages(true, Timestamp::ZERO) {
            let bytes: usize = message.slices(message.headers()).map(<[u8]>::len).sum();
            assert_eq!(bytes, message.wire_length());
        }
    }

    #[test]
    fn nothing_is_cached_before_the_first_key_frame() {
        let mut cache = cache();
        cache.add(&video(0, INTER));
        cache.add(&message(PacketKind::Audio, 0, AAC));
        assert!(start(&cache, true).is_empty());
    }

    #[test]
    fn a_repeated_header_is_ignored_and_a_new_one_clears_the_gop() {
        let mut cache = cache();
        for payload in [AVC_HEADER, KEY, AVC_HEADER, INTER] {
            cache.add(&video(0, payload));
        }
        assert_eq!(start(&cache, true).len(), 3);
        cache.add(&video(0, &[0x17, 0, 0, 0, 0, 2]));
        assert_eq!(start(&cache, true), [(999, vec![0x17, 0, 0, 0, 0, 2])]);
    }

    #[test]
    fn an_empty_configuration_is_ignored() {
        let mut cache = cache();
        for payload in [&b"\x90av01"[..], b"\x90av01\x81\x04\x0c\0", b"\x93av01\x12\0", b"\x90av01"] {
            cache.add(&video(0, payload));
        }
        assert_eq!(start(&cache, true).len(), 2, "the complete one and the frame");
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
    fn old_frames_are_dropped_when_only_audio_arrives() {
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
        assert_eq!(cache.gop.len(), limits::GOP_CACHE_MESSAGES);
        cache.add(&video(0, INTER));
        assert!(cache.gop.is_empty());

        let mut half = vec![0; limits::GOP_CACHE_BYTES / 2];
        half[..2].copy_from_slice(&KEY[..2]);
        cache.add(&video(0, &half));
        half[0] = INTER[0];
        cache.add(&video(0, &half));
        assert_eq!(cache.gop.len(), 2);
        cache.add(&video(0, INTER));
        assert!(cache.gop.is_empty());
        cache.add(&video(0, INTER));
        assert!(cache.gop.is_empty(), "caching resumes at a key frame only");
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
    fn all_caches_together_have_a_limit() {
        let budget = Budget::new(2 * KEY.len() + AVC_HEADER.len());
        let (mut one, mut other) = (Cache::new(budget.share()), Cache::new(budget.share()));
        for frame in [video(0, AVC_HEADER), video(0, KEY)] {
            one.add(&frame);
        }
        other.add(&video(0, KEY));
        assert_eq!(budget.held(), 2 * KEY.len() + AVC_HEADER.len());
        one.add(&video(40, INTER));
        assert_eq!(start(&one, true).len(), 1, "its GOP exceeds the limit, its header does not");
        other.add(&video(40, INTER));
        assert_eq!(start(&other, true).len(), 2, "there is room again");
        one.add(&message(PacketKind::Audio, 0, AAC_HEADER));
        assert_eq!(start(&one, true).len(), 1, "there is no room for another header");
        other.clear();
        drop(one);
        assert_eq!(budget.held(), 0);
    }
}
