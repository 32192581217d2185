//! The key frames of a file, found on demand and cached.

use std::io::{Read, Seek};

use super::{Metadata, Preamble, Reader, SequenceHeaders, TagStart, TimeBase};
use crate::error::{Error, Result};
use crate::limits;
use crate::media::tag_header::{Content, VideoTagHeader};
use crate::media::{Packet, PacketKind, Timestamp};

/// A position at which playback can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyFrame {
    /// Milliseconds since the start of the file.
    pub time_ms: u32,
    /// Offset of the tag in bytes.
    pub offset: u64,
}

impl KeyFrame {
    /// Whether `other` is later in the file and not earlier in time: decreasing times would break the order.
    fn is_before(self, other: Self) -> bool {
        self.offset < other.offset && self.time_ms <= other.time_ms
    }
}

/// The result of a search step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// The last key frame at or before the target; `None` when there is none, and playback must start at the first
    /// frame.
    Found(Option<KeyFrame>),
    /// The tag limit was reached first: search again.
    Unfinished,
}

/// The key frames of one file, found by scanning tag headers as far as a search requires, or listed in the metadata. No
/// part of the file is scanned twice.
///
/// Before the first video frame, about one audio frame per second is an entry, so that files without video are
/// seekable. A list in the metadata is used if it is in order; at the first use of an entry the index verifies that
/// there is a key frame of that time, and otherwise drops the list and scans the file. The list may end before the file
/// does: later key frames are found by scanning from there.
///
/// At [`limits::KEYFRAME_INDEX_ENTRIES`] every second entry is dropped.
#[derive(Debug)]
pub(crate) struct KeyframeIndex {
    time_base: TimeBase,
    first_frame: u64,
    /// The sequence headers of the preamble.
    initial_headers: SequenceHeaders,
    entries: Vec<Entry>,
    /// Entries from the metadata, merged when the scan reaches the first of them.
    listed: Vec<Entry>,
    sequence_headers: SequenceHeaders,
    /// Offset of the first tag not yet scanned.
    scanned_to: u64,
    /// The latest time among the scanned frames; of video frames only, once there was one.
    scanned_ms: Option<u32>,
    seen_video: bool,
    at_end: bool,
    /// The time of the last scanned frame.
    last_frame_ms: Option<u32>,
    /// The scan ended at damage.
    is_damaged: bool,
    max_entries: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key_frame: KeyFrame,
    is_verified: bool,
}

impl KeyframeIndex {
    /// Minimum distance between audio entries, in milliseconds.
    const AUDIO_ENTRY_EVERY_MS: u32 = 1000;
    /// Maximum difference between the listed time and the tag's, in milliseconds: some writers count from another
    /// frame.
    const LISTED_WITHIN_MS: u32 = 1000;

    /// Creates the index of a file of `file_bytes` bytes with this preamble and metadata.
    pub(crate) fn new(preamble: &Preamble, metadata: &Metadata, file_bytes: u64) -> Self {
        let mut index = Self::unlisted(preamble.time_base, preamble.first_frame, preamble.sequence_headers.clone());
        index.listed = index.validate_list(&metadata.key_frames, file_bytes).unwrap_or_default();
        index
    }

    fn unlisted(time_base: TimeBase, first_frame: u64, initial_headers: SequenceHeaders) -> Self {
        Self {
            time_base,
            first_frame,
            initial_headers: initial_headers.clone(),
            entries: Vec::new(),
            listed: Vec::new(),
            sequence_headers: initial_headers,
            scanned_to: first_frame,
            scanned_ms: None,
            seen_video: false,
            at_end: false,
            last_frame_ms: None,
            is_damaged: false,
            max_entries: limits::KEYFRAME_INDEX_ENTRIES,
        }
    }

    /// Finds the last key frame at or before a time, reading at most [`limits::FLV_TAGS_AT_ONCE`] tags. Damage is
    /// treated as the end of the file. Fails with [`Error::Io`].
    pub(crate) fn find<R: Read + Seek>(&mut self, reader: &mut Reader<R>, target_ms: u32) -> Result<Search> {
        for _ in 0..limits::FLV_TAGS_AT_ONCE {
            if !self.covers(target_ms) {
                self.scan_tag(reader)?;
                continue;
            }
            let following = self.entries.partition_point(|entry| entry.key_frame.time_ms <= target_ms);
            let Some(entry) = following.checked_sub(1).and_then(|last| self.entries.get_mut(last)) else {
                return Ok(Search::Found(None));
            };
            entry.is_verified = entry.is_verified || has_key_frame_at(reader, self.time_base, entry.key_frame)?;
            if entry.is_verified {
                return Ok(Search::Found(Some(entry.key_frame)));
            }
            *self = Self::unlisted(self.time_base, self.first_frame, std::mem::take(&mut self.initial_headers));
        }
        Ok(Search::Unfinished)
    }

    /// Returns the sequence headers valid at a tag, as far as the file was scanned.
    pub(crate) fn sequence_headers(&self, offset: u64) -> Vec<Packet> {
        self.sequence_headers.valid_at(offset)
    }

    /// Returns the number of sequence header changes before a tag, as far as the file was scanned.
    pub(crate) fn changes_before(&self, offset: u64) -> usize {
        self.sequence_headers.changes_before(offset)
    }

    /// Returns the damage that ended the scan: its offset, and the time of the last frame before it in milliseconds.
    pub(crate) fn damage(&self) -> Option<(u64, Option<u32>)> {
        self.is_damaged.then_some((self.scanned_to, self.last_frame_ms))
    }

    fn covers(&self, target_ms: u32) -> bool {
        self.at_end || self.scanned_ms.is_some_and(|scanned| scanned > target_ms)
    }

    fn scan_tag<R: Read + Seek>(&mut self, reader: &mut Reader<R>) -> Result<()> {
        if self.listed.first().is_some_and(|first| first.key_frame.offset <= self.scanned_to) {
            self.merge_list();
            return Ok(());
        }
        reader.seek_to(self.scanned_to)?;
        match self.scan_next(reader) {
            Ok(true) => self.scanned_to = reader.position(),
            Ok(false) => self.at_end = true,
            Err(Error::Flv { .. }) => (self.at_end, self.is_damaged) = (true, true),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn scan_next<R: Read + Seek>(&mut self, reader: &mut Reader<R>) -> Result<bool> {
        let Some(start) = reader.next_start()? else { return Ok(false) };
        if start.is_sequence_header() && start.header.data_size as usize <= limits::FLV_SEQUENCE_HEADER_BYTES {
            reader.seek_to(start.position)?;
            if let Some(packet) = reader.next_packet()? {
                self.sequence_headers.insert(start.position, packet);
            }
        } else if start.is_frame() {
            self.add_frame(&start);
        }
        Ok(true)
    }

    fn add_frame(&mut self, start: &TagStart) {
        let time_ms = self.time_base.time_ms(start.header.timestamp);
        self.last_frame_ms = Some(time_ms);
        let is_entry = if start.header.kind() == Some(PacketKind::Video) {
            if VideoTagHeader::parse(start.bytes()).content != Content::Frame {
                return;
            }
            if !self.seen_video {
                self.seen_video = true;
                self.scanned_ms = None;
                self.entries.retain(|audio| audio.key_frame.time_ms <= time_ms);
            }
            start.is_key_frame()
        } else {
            let since_last = |last: &Entry| time_ms.saturating_sub(last.key_frame.time_ms);
            !self.seen_video && self.entries.last().is_none_or(|last| since_last(last) >= Self::AUDIO_ENTRY_EVERY_MS)
        };
        if !self.seen_video || start.header.kind() == Some(PacketKind::Video) {
            self.scanned_ms = self.scanned_ms.max(Some(time_ms));
        }
        let key_frame = KeyFrame { time_ms, offset: start.position };
        if is_entry && self.entries.last().is_none_or(|last| last.key_frame.is_before(key_frame)) {
            self.entries.push(Entry { key_frame, is_verified: true });
            self.thin_out();
        }
    }

    /// Returns the metadata's list up to the end of the file; `None` when it is out of order. Some writers list the
    /// sequence header first: entries before the first frame are left out.
    fn validate_list(&self, list: &[(f64, f64)], file_bytes: u64) -> Option<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        for &(seconds, position) in list {
            let milliseconds = (seconds * 1000.0).round();
            if !(0.0..=f64::from(u32::MAX)).contains(&milliseconds) || position.is_nan() || position < 0.0 {
                return None;
            }
            if position >= file_bytes as f64 {
                // The file is truncated.
                break;
            }
            let (time_ms, offset) = (self.time_base.time_ms(Timestamp::new(milliseconds as u32)), position as u64);
            if offset < self.scanned_to {
                continue;
            }
            let key_frame = KeyFrame { time_ms, offset };
            if entries.last().is_some_and(|last| !last.key_frame.is_before(key_frame)) {
                return None;
            }
            entries.push(Entry { key_frame, is_verified: false });
        }
        Some(entries)
    }

    /// Merges the list as if scanned; the scan continues at its last entry.
    fn merge_list(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        let (Some(first), Some(last)) = (listed.first(), listed.last()) else { return };
        (self.scanned_to, self.scanned_ms, self.seen_video) =
            (last.key_frame.offset, Some(last.key_frame.time_ms), true);
        self.entries.retain(|entry| entry.key_frame.is_before(first.key_frame));
        self.entries.extend(listed);
        self.thin_out();
    }

    fn thin_out(&mut self) {
        while self.entries.len() > self.max_entries {
            let mut keep = false;
            self.entries.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }
}

/// Whether there is a key frame at a listed offset, within [`KeyframeIndex::LISTED_WITHIN_MS`] of the listed time. The
/// video sequence header before one counts as well.
pub(super) fn has_key_frame_at<R: Read + Seek>(
    reader: &mut Reader<R>,
    time_base: TimeBase,
    listed: KeyFrame,
) -> Result<bool> {
    reader.seek_to(listed.offset)?;
    match reader.next_start() {
        Ok(Some(start)) => {
            let is_match =
                start.is_key_frame() || start.is_sequence_header() && start.header.kind() == Some(PacketKind::Video);
            let off_ms = time_base.time_ms(start.header.timestamp).abs_diff(listed.time_ms);
            Ok(is_match && off_ms <= KeyframeIndex::LISTED_WITHIN_MS)
        }
        Ok(None) | Err(Error::Flv { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{self, CountingReader};
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    struct TestIndex {
        inner: KeyframeIndex,
        reader: Reader<CountingReader>,
        bytes_read: Rc<Cell<usize>>,
    }

    impl TestIndex {
        fn new(bytes: &[u8]) -> Self {
            let source = CountingReader::new(bytes.to_vec());
            let bytes_read = source.bytes_read.clone();
            let mut reader = Reader::with_buffer(1024, source).unwrap();
            let preamble = Preamble::read(&mut reader).unwrap();
            let metadata = preamble.metadata.as_ref().and_then(|packet| Metadata::parse(&packet.payload));
            let inner = KeyframeIndex::new(&preamble, &metadata.unwrap_or_default(), bytes.len() as u64);
            bytes_read.set(0);
            Self { inner, reader, bytes_read }
        }

        fn of(packets: &[Packet]) -> Self {
            Self::new(&fixtures::file(packets))
        }

        fn find(&mut self, target_ms: u32) -> Option<KeyFrame> {
            loop {
                if let Search::Found(key_frame) = self.inner.find(&mut self.reader, target_ms).unwrap() {
                    return key_frame;
                }
            }
        }

        fn time(&mut self, target_ms: u32) -> Option<u32> {
            self.find(target_ms).map(|key_frame| key_frame.time_ms)
        }

        /// Returns the bytes read by a search.
        fn cost(&mut self, target_ms: u32) -> usize {
            let before = self.bytes_read.get();
            self.find(target_ms);
            self.bytes_read.get() - before
        }
    }

    #[test]
    fn finds_the_last_key_frame_at_or_before_the_target() {
        let packets = fixtures::typical(5);
        let offsets = fixtures::offsets(&packets);
        for targets in [[0, 999, 1000, 1001, 3500, 9000], [9000, 3500, 1001, 1000, 999, 0]] {
            let mut index = TestIndex::of(&packets);
            for target in targets {
                let second = (target / 1000).min(4);
                let expected = KeyFrame { time_ms: second * 1000, offset: offsets[2 + second as usize * 10] };
                assert_eq!(index.find(target), Some(expected), "{target}");
            }
        }
    }

    #[test]
    fn times_count_from_the_first_frame() {
        for start in [5_000_000, u32::MAX - 2000] {
            let mut index = TestIndex::of(&fixtures::seconds(start, 5));
            assert_eq!([0, 2500, 3000, 90_000].map(|target| index.time(target)), [0, 2000, 3000, 4000].map(Some));
        }
    }

    #[test]
    fn scans_only_as_far_as_needed_and_only_once() {
        let packets = fixtures::typical(100);
        let whole = fixtures::file(&packets).len();
        let mut index = TestIndex::of(&packets);
        let first = index.cost(10_000);
        assert!(first > 0 && first < whole / 5, "{first} of {whole}");
        assert_eq!([10_000, 0, 5_555].map(|target| index.cost(target)), [0; 3], "cached entries aren't read again");
        let second = index.cost(20_000);
        assert!(second > 0 && second < whole / 5, "{second} of {whole}");
        index.find(u32::MAX);
        assert_eq!([99_000, u32::MAX].map(|target| index.cost(target)), [0; 2]);
        assert!(index.bytes_read.get() < whole, "payloads are skipped");
    }

    #[test]
    fn a_search_returns_after_some_tags() {
        let count = limits::FLV_TAGS_AT_ONCE / 10 + 2;
        let mut index = TestIndex::of(&fixtures::typical(count as u32));
        let target = count as u32 * 1000;
        assert_eq!(index.inner.find(&mut index.reader, target).unwrap(), Search::Unfinished);
        assert_eq!(index.time(target), Some(target - 1000));
    }

    #[test]
    fn limit_of_the_tags_of_one_search() {
        // Two of the steps are for the end of the file and for the lookup.
        let after = |tags: usize| {
            let mut index = TestIndex::of(&vec![fixtures::audio_frame(0); tags]);
            index.inner.find(&mut index.reader, 5).unwrap()
        };
        assert!(matches!(after(limits::FLV_TAGS_AT_ONCE - 2), Search::Found(_)));
        assert_eq!(after(limits::FLV_TAGS_AT_ONCE - 1), Search::Unfinished);
    }

    #[test]
    fn audio_only_files_have_an_entry_every_second() {
        let frames: Vec<Packet> = (0..200).map(|number| fixtures::audio_frame(number * 23)).collect();
        let mut index = TestIndex::of(&frames);
        assert_eq!([0, 1500, 2500, 99_000].map(|target| index.time(target)), [0, 1012, 2024, 4048].map(Some));
    }

    #[test]
    fn audio_entries_after_the_first_key_frame_time_are_dropped() {
        let mut packets: Vec<Packet> = (0..30).map(|number| fixtures::audio_frame(number * 100)).collect();
        packets.extend(fixtures::seconds(500, 3));
        let offsets = fixtures::offsets(&packets);
        let mut index = TestIndex::of(&packets);
        assert_eq!(index.find(9000), Some(KeyFrame { time_ms: 2500, offset: offsets[50] }));
        assert_eq!(index.find(1400), Some(KeyFrame { time_ms: 500, offset: offsets[30] }));
        assert_eq!(index.find(400), Some(KeyFrame { time_ms: 0, offset: offsets[0] }));
    }

    #[test]
    fn no_entry_at_or_before_the_target_is_none() {
        let inter_frames: Vec<Packet> = (0..20).map(|number| fixtures::inter_frame(number * 100)).collect();
        assert_eq!(TestIndex::of(&inter_frames).find(1000), None);
        assert_eq!(TestIndex::of(&[]).find(1000), None);
        assert_eq!(TestIndex::of(&fixtures::seconds(700, 2)).find(600), None);
    }

    #[test]
    fn damage_ends_the_scan() {
        let whole = fixtures::file(&fixtures::typical(3));
        let end = fixtures::offsets(&fixtures::typical(3))[22] as usize;
        for tail in [&[][..], &[0; 100], &whole[end..end + 1000]] {
            let mut index = TestIndex::new(&[&whole[..end], tail].concat());
            assert_eq!([9000, 500].map(|target| index.time(target)), [1000, 0].map(Some));
        }
    }

    /// Returns a file with a list of its key frames, modified by `change`.
    fn file_with_list(count: u32, change: impl Fn(&mut Vec<(f64, u64)>)) -> Vec<u8> {
        let mut packets = fixtures::typical(count);
        let key_frame_list = |packets: &[Packet]| {
            let offsets = fixtures::offsets(packets);
            let key_frames = packets.iter().zip(offsets).filter(|(packet, _)| packet.is_key_frame());
            key_frames.map(|(packet, at)| (f64::from(packet.timestamp.milliseconds()) / 1000.0, at)).collect::<Vec<_>>()
        };
        let list_bytes = fixtures::file(&[fixtures::key_frame_list(&key_frame_list(&packets))]).len() as u64 - 13;
        let mut list = key_frame_list(&packets);
        list.iter_mut().for_each(|(_, offset)| *offset += list_bytes);
        let length = list.len();
        change(&mut list);
        // Keeps the size of the metadata tag, so that the offsets stay correct.
        let mut metadata = fixtures::key_frame_list(&list);
        let full = fixtures::key_frame_list(&vec![(0.0, 0); length]).payload.len();
        let mut payload = metadata.payload.to_vec();
        payload.resize(full.max(payload.len()), 0);
        metadata.payload = payload.into();
        packets.insert(0, metadata);
        fixtures::file(&packets)
    }

    #[test]
    fn a_metadata_list_replaces_the_scan() {
        let bytes = file_with_list(100, |_| {});
        let mut index = TestIndex::new(&bytes);
        assert_eq!(index.time(77_700), Some(77_000));
        assert!(index.bytes_read.get() < 4096, "{} bytes", index.bytes_read.get());
        assert_eq!([77_700, 77_000].map(|target| index.cost(target)), [0; 2]);
        assert_eq!(index.time(500_000), Some(99_000), "after the end of the list");
        assert_eq!(index.inner.sequence_headers(bytes.len() as u64).len(), 2);
    }

    #[test]
    fn the_sequence_header_may_be_listed() {
        let mut index = TestIndex::new(&file_with_list(10, |list| list[0].1 -= 21 + 19));
        assert_eq!(index.time(7_500), Some(7_000));
        assert!(index.bytes_read.get() < 8192, "{} bytes", index.bytes_read.get());
    }

    #[test]
    fn scanning_continues_after_a_partial_list() {
        let mut index = TestIndex::new(&file_with_list(20, |list| list.truncate(10)));
        assert_eq!([15_500, 4_500].map(|target| index.time(target)), [15_000, 4_000].map(Some));
    }

    #[test]
    fn a_wrong_list_falls_back_to_scanning() {
        type Change = fn(&mut Vec<(f64, u64)>);
        let changes: [(&str, Change); 9] = [
            ("offsets off by one", |list| list.iter_mut().for_each(|entry| entry.1 += 1)),
            ("times off by more than a second", |list| list.iter_mut().for_each(|entry| entry.0 += 1.5)),
            ("audio frames listed", |list| list.iter_mut().for_each(|entry| entry.1 += 3015)),
            ("decreasing times", |list| list[5].0 = 1.0),
            ("repeated offset", |list| list[5].1 = list[4].1),
            ("NaN times", |list| list.iter_mut().for_each(|entry| entry.0 = f64::NAN)),
            ("offset beyond the end", |list| list[9].1 = 1 << 40),
            ("negative times", |list| list.iter_mut().for_each(|entry| entry.0 -= 100.0)),
            ("before the first frame", |list| list.iter_mut().for_each(|entry| entry.1 %= 13)),
        ];
        for (what, change) in changes {
            let mut index = TestIndex::new(&file_with_list(10, change));
            assert_eq!(
                [6_500, 2_999, 60_000].map(|target| index.time(target)),
                [6_000, 2_000, 9_000].map(Some),
                "{what}"
            );
            assert_eq!(index.cost(6_500), 0, "{what}");
        }
    }

    #[test]
    fn sequence_header_changes_are_found() {
        let mut packets = fixtures::typical(3);
        packets.push(fixtures::video_header(3000, 2));
        packets.extend(fixtures::seconds(3000, 3));
        let mut index = TestIndex::of(&packets);
        let mut number_at = |target| {
            let key_frame = index.find(target).unwrap();
            let headers = index.inner.sequence_headers(key_frame.offset);
            assert_eq!(headers.len(), 2);
            headers[0].payload[5]
        };
        assert_eq!([5000, 3000, 2999, 0].map(&mut number_at), [2, 2, 1, 1]);
    }

    #[test]
    fn limit_of_the_entries() {
        let packets = fixtures::typical(9);
        for (max, expected) in [(9, [7000, 8000]), (8, [6000, 8000])] {
            let mut index = TestIndex::of(&packets);
            index.inner.max_entries = max;
            index.find(90_000);
            assert!(index.inner.entries.len() <= max);
            assert_eq!([7500, 8500].map(|target| index.time(target)), expected.map(Some), "{max}");
        }
        assert_eq!(TestIndex::of(&packets).inner.max_entries, limits::KEYFRAME_INDEX_ENTRIES);
    }
}
