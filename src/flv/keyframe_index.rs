//! Where a file can be played from: its key frames, found once and remembered.

use std::io::{Read, Seek};

use super::{Metadata, Preamble, Reader, SequenceHeaders, TagStart, TimeBase};
use crate::media::tag_header::{Content, VideoTagHeader};
use crate::media::{Packet, PacketKind, Timestamp};
use crate::{Error, Result, limits};

/// A place where playing can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFrame {
    /// Milliseconds since the start of the file.
    pub time_ms: u32,
    /// Offset of the tag in bytes.
    pub offset: u64,
}

impl KeyFrame {
    /// Whether the other is further on and not earlier: times that go back would break the order.
    fn is_before(self, other: Self) -> bool {
        self.offset < other.offset && self.time_ms <= other.time_ms
    }
}

/// What a step of a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// The last key frame at or before the target; `None` when there is none before it, and the file is
    /// to be played from its first frame.
    Found(Option<KeyFrame>),
    /// The file has to be read further: search again.
    Unfinished,
}

/// The key frames of one file, found by hopping from tag to tag as far as a search needs it, or listed in
/// the metadata. Nothing is read twice.
///
/// Until the first video frame, audio is a place to start about every second, so that files without video frames
/// can be sought in. A list in the metadata is believed when it is in order; the first use of each entry
/// looks whether there is a key frame of that time, and if not the list is dropped and the file scanned.
/// The list's end may lie before the file's: later key frames are found by scanning on from there.
///
/// When [`limits::KEYFRAME_INDEX_ENTRIES`] is reached every second entry goes.
#[derive(Debug)]
pub struct KeyframeIndex {
    time_base: TimeBase,
    first_frame: u64,
    /// The sequence headers before the first frame.
    head: SequenceHeaders,
    entries: Vec<Entry>,
    /// From the metadata, to be joined once the scan has reached the first of them.
    listed: Vec<Entry>,
    sequence_headers: SequenceHeaders,
    /// Offset of the first tag not yet scanned.
    scanned_to: u64,
    /// The latest time among the frames scanned; of video frames only, once there was one.
    scanned_ms: Option<u32>,
    seen_video: bool,
    at_end: bool,
    /// The time of the last frame scanned.
    last_frame_ms: Option<u32>,
    /// The scan ended at something that is no tag.
    is_damaged: bool,
    most_entries: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key_frame: KeyFrame,
    is_certain: bool,
}

impl KeyframeIndex {
    /// How far from each other audio alone is remembered, in milliseconds.
    const AUDIO_ENTRY_EVERY_MS: u32 = 1000;
    /// How far a list's time may be from the tag's, in milliseconds: some count from another frame.
    const LISTED_WITHIN_MS: u32 = 1000;

    /// The index of a file of `file_bytes` with that head and what its metadata says.
    pub fn new(head: &Preamble, metadata: &Metadata, file_bytes: u64) -> Self {
        let mut index = Self::without_list(head.time_base, head.first_frame, head.sequence_headers.clone());
        index.listed = index.check_list(&metadata.key_frames, file_bytes).unwrap_or_default();
        index
    }

    fn without_list(time_base: TimeBase, first_frame: u64, head: SequenceHeaders) -> Self {
        Self {
            time_base,
            first_frame,
            head: head.clone(),
            entries: Vec::new(),
            listed: Vec::new(),
            sequence_headers: head,
            scanned_to: first_frame,
            scanned_ms: None,
            seen_video: false,
            at_end: false,
            last_frame_ms: None,
            is_damaged: false,
            most_entries: limits::KEYFRAME_INDEX_ENTRIES,
        }
    }

    /// Looks for the last key frame at or before a time, reading at most [`limits::FLV_TAGS_AT_ONCE`]
    /// tags. Damage counts as the end of the file. Fails with [`Error::Io`].
    pub fn find<R: Read + Seek>(&mut self, reader: &mut Reader<R>, target_ms: u32) -> Result<Search> {
        for _ in 0..limits::FLV_TAGS_AT_ONCE {
            if !self.covers(target_ms) {
                self.scan_tag(reader)?;
                continue;
            }
            let behind = self.entries.partition_point(|entry| entry.key_frame.time_ms <= target_ms);
            let Some(entry) = behind.checked_sub(1).and_then(|last| self.entries.get_mut(last)) else {
                return Ok(Search::Found(None));
            };
            entry.is_certain = entry.is_certain || is_at(reader, self.time_base, entry.key_frame)?;
            if entry.is_certain {
                return Ok(Search::Found(Some(entry.key_frame)));
            }
            *self = Self::without_list(self.time_base, self.first_frame, std::mem::take(&mut self.head));
        }
        Ok(Search::Unfinished)
    }

    /// The sequence headers in force at a tag, as far as the file was scanned.
    pub fn sequence_headers(&self, offset: u64) -> Vec<Packet> {
        self.sequence_headers.valid_at(offset)
    }

    /// How many changes of sequence headers lie before a tag, as far as the file was scanned.
    pub fn changes_before(&self, offset: u64) -> usize {
        self.sequence_headers.changes_before(offset)
    }

    /// The damage at which searches ended: its offset, and the time of the last frame before it in milliseconds.
    pub fn damage(&self) -> Option<(u64, Option<u32>)> {
        self.is_damaged.then_some((self.scanned_to, self.last_frame_ms))
    }

    fn covers(&self, target_ms: u32) -> bool {
        self.at_end || self.scanned_ms.is_some_and(|scanned| scanned > target_ms)
    }

    fn scan_tag<R: Read + Seek>(&mut self, reader: &mut Reader<R>) -> Result<()> {
        if self.listed.first().is_some_and(|first| first.key_frame.offset <= self.scanned_to) {
            self.join_list();
            return Ok(());
        }
        reader.seek_to(self.scanned_to)?;
        match self.scan_here(reader) {
            Ok(true) => self.scanned_to = reader.position(),
            Ok(false) => self.at_end = true,
            Err(Error::Flv { .. }) => (self.at_end, self.is_damaged) = (true, true),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn scan_here<R: Read + Seek>(&mut self, reader: &mut Reader<R>) -> Result<bool> {
        let Some(start) = reader.next_start()? else { return Ok(false) };
        if start.is_sequence_header() && start.header.data_size as usize <= limits::FLV_SEQUENCE_HEADER_BYTES {
            reader.seek_to(start.position)?;
            if let Some(packet) = reader.next_packet()? {
                self.sequence_headers.note(start.position, packet);
            }
        } else if start.is_frame() {
            self.note_frame(&start);
        }
        Ok(true)
    }

    fn note_frame(&mut self, start: &TagStart) {
        let time_ms = self.time_base.time_ms(start.header.timestamp);
        self.last_frame_ms = Some(time_ms);
        let is_place = if start.header.kind() == Some(PacketKind::Video) {
            if VideoTagHeader::parse(start.bytes()).content != Content::Frame {
                return;
            }
            if !self.seen_video {
                self.seen_video = true;
                self.scanned_ms = None;
                self.entries.retain(|sound| sound.key_frame.time_ms <= time_ms);
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
        if is_place && self.entries.last().is_none_or(|last| last.key_frame.is_before(key_frame)) {
            self.entries.push(Entry { key_frame, is_certain: true });
            self.thin_out();
        }
    }

    /// The metadata's list when it is in order, as far as the file goes. Some writers list the sequence header first: what
    /// lies before the first frame is left out.
    fn check_list(&self, list: &[(f64, f64)], file_bytes: u64) -> Option<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        for &(seconds, position) in list {
            let milliseconds = (seconds * 1000.0).round();
            if !(0.0..=f64::from(u32::MAX)).contains(&milliseconds) || position.is_nan() || position < 0.0 {
                return None;
            }
            if position >= file_bytes as f64 {
                // The rest was cut off.
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
            entries.push(Entry { key_frame, is_certain: false });
        }
        Some(entries)
    }

    /// Takes the list as if scanned. Its last entry is where the scan goes on.
    fn join_list(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        let (Some(first), Some(last)) = (listed.first(), listed.last()) else { return };
        (self.scanned_to, self.scanned_ms, self.seen_video) =
            (last.key_frame.offset, Some(last.key_frame.time_ms), true);
        self.entries.retain(|entry| entry.key_frame.is_before(first.key_frame));
        self.entries.extend(listed);
        self.thin_out();
    }

    fn thin_out(&mut self) {
        while self.entries.len() > self.most_entries {
            let mut keep = false;
            self.entries.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }
}

/// Whether a listed key frame is where the list says, give or take a second. The sequence header in front
/// of one does as well.
pub(super) fn is_at<R: Read + Seek>(reader: &mut Reader<R>, time_base: TimeBase, listed: KeyFrame) -> Result<bool> {
    reader.seek_to(listed.offset)?;
    match reader.next_start() {
        Ok(Some(start)) => {
            let is_place =
                start.is_key_frame() || start.is_sequence_header() && start.header.kind() == Some(PacketKind::Video);
            let off_ms = time_base.time_ms(start.header.timestamp).abs_diff(listed.time_ms);
            Ok(is_place && off_ms <= KeyframeIndex::LISTED_WITHIN_MS)
        }
        Ok(None) | Err(Error::Flv { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, Counting};
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    struct Searched {
        index: KeyframeIndex,
        reader: Reader<Counting>,
        bytes_read: Rc<Cell<usize>>,
    }

    impl Searched {
        fn new(bytes: &[u8]) -> Self {
            let source = Counting::new(bytes.to_vec());
            let bytes_read = source.bytes_read.clone();
            let mut reader = Reader::with_buffer(1024, source).unwrap();
            let head = Preamble::read(&mut reader).unwrap();
            let metadata = head.metadata.as_ref().and_then(|packet| Metadata::parse(&packet.payload));
            let index = KeyframeIndex::new(&head, &metadata.unwrap_or_default(), bytes.len() as u64);
            bytes_read.set(0);
            Self { index, reader, bytes_read }
        }

        fn of(packets: &[Packet]) -> Self {
            Self::new(&sample::file(packets))
        }

        fn find(&mut self, target_ms: u32) -> Option<KeyFrame> {
            loop {
                if let Search::Found(place) = self.index.find(&mut self.reader, target_ms).unwrap() {
                    return place;
                }
            }
        }

        fn time(&mut self, target_ms: u32) -> Option<u32> {
            self.find(target_ms).map(|place| place.time_ms)
        }

        /// Bytes that a search reads.
        fn cost(&mut self, target_ms: u32) -> usize {
            let before = self.bytes_read.get();
            self.find(target_ms);
            self.bytes_read.get() - before
        }
    }

    #[test]
    fn the_last_key_frame_at_or_before() {
        let packets = sample::usual(5);
        let offsets = sample::offsets(&packets);
        for targets in [[0, 999, 1000, 1001, 3500, 9000], [9000, 3500, 1001, 1000, 999, 0]] {
            let mut searched = Searched::of(&packets);
            for target in targets {
                let second = (target / 1000).min(4);
                let expected = KeyFrame { time_ms: second * 1000, offset: offsets[2 + second as usize * 10] };
                assert_eq!(searched.find(target), Some(expected), "{target}");
            }
        }
    }

    #[test]
    fn times_count_from_the_first_frame() {
        for start in [5_000_000, u32::MAX - 2000] {
            let mut searched = Searched::of(&sample::seconds(start, 5));
            assert_eq!([0, 2500, 3000, 90_000].map(|target| searched.time(target)), [0, 2000, 3000, 4000].map(Some));
        }
    }

    #[test]
    fn only_what_is_needed_is_read_and_only_once() {
        let packets = sample::usual(100);
        let whole = sample::file(&packets).len();
        let mut searched = Searched::of(&packets);
        let first = searched.cost(10_000);
        assert!(first > 0 && first < whole / 5, "{first} of {whole}");
        assert_eq!([10_000, 0, 5_555].map(|target| searched.cost(target)), [0; 3], "what is known isn't read again");
        let second = searched.cost(20_000);
        assert!(second > 0 && second < whole / 5, "{second} of {whole}");
        searched.find(u32::MAX);
        assert_eq!([99_000, u32::MAX].map(|target| searched.cost(target)), [0; 2]);
        assert!(searched.bytes_read.get() < whole, "key frames are hopped over");
    }

    #[test]
    fn a_search_comes_back_after_some_tags() {
        let count = limits::FLV_TAGS_AT_ONCE / 10 + 2;
        let mut searched = Searched::of(&sample::usual(count as u32));
        let target = count as u32 * 1000;
        assert_eq!(searched.index.find(&mut searched.reader, target).unwrap(), Search::Unfinished);
        assert_eq!(searched.time(target), Some(target - 1000));
    }

    #[test]
    fn limit_of_the_tags_of_one_search() {
        // Two of the steps are for the end of the file and for looking the place up.
        let after = |tags: usize| {
            let mut searched = Searched::of(&vec![sample::sound(0); tags]);
            searched.index.find(&mut searched.reader, 5).unwrap()
        };
        assert!(matches!(after(limits::FLV_TAGS_AT_ONCE - 2), Search::Found(_)));
        assert_eq!(after(limits::FLV_TAGS_AT_ONCE - 1), Search::Unfinished);
    }

    #[test]
    fn audio_alone_is_a_place_every_second() {
        let sounds: Vec<Packet> = (0..200).map(|number| sample::sound(number * 23)).collect();
        let mut searched = Searched::of(&sounds);
        assert_eq!([0, 1500, 2500, 99_000].map(|target| searched.time(target)), [0, 1012, 2024, 4048].map(Some));
    }

    #[test]
    fn audio_before_the_first_frame_does_not_hide_it() {
        let mut packets: Vec<Packet> = (0..30).map(|number| sample::sound(number * 100)).collect();
        packets.extend(sample::seconds(500, 3));
        let offsets = sample::offsets(&packets);
        let mut searched = Searched::of(&packets);
        assert_eq!(searched.find(9000), Some(KeyFrame { time_ms: 2500, offset: offsets[50] }));
        assert_eq!(searched.find(1400), Some(KeyFrame { time_ms: 500, offset: offsets[30] }));
        assert_eq!(searched.find(400), Some(KeyFrame { time_ms: 0, offset: offsets[0] }));
    }

    #[test]
    fn nothing_to_start_from_is_none() {
        let inter_frames: Vec<Packet> = (0..20).map(|number| sample::inter_frame(number * 100)).collect();
        assert_eq!(Searched::of(&inter_frames).find(1000), None);
        assert_eq!(Searched::of(&[]).find(1000), None);
        assert_eq!(Searched::of(&sample::seconds(700, 2)).find(600), None);
    }

    #[test]
    fn damage_is_the_end() {
        let whole = sample::file(&sample::usual(3));
        let cut = sample::offsets(&sample::usual(3))[22] as usize;
        for tail in [&[][..], &[0; 100], &whole[cut..cut + 1000]] {
            let mut searched = Searched::new(&[&whole[..cut], tail].concat());
            assert_eq!([9000, 500].map(|target| searched.time(target)), [1000, 0].map(Some));
        }
    }

    /// A file with a list of its key frames; `change` falsifies it.
    fn with_list(count: u32, change: impl Fn(&mut Vec<(f64, u64)>)) -> Vec<u8> {
        let mut packets = sample::usual(count);
        let places = |packets: &[Packet]| {
            let offsets = sample::offsets(packets);
            let key_frames = packets.iter().zip(offsets).filter(|(packet, _)| packet.is_key_frame());
            key_frames.map(|(packet, at)| (f64::from(packet.timestamp.milliseconds()) / 1000.0, at)).collect::<Vec<_>>()
        };
        let list_bytes = sample::file(&[sample::key_frame_list(&places(&packets))]).len() as u64 - 13;
        let mut list = places(&packets);
        list.iter_mut().for_each(|(_, offset)| *offset += list_bytes);
        let length = list.len();
        change(&mut list);
        // The list's place is kept however long it is now.
        let mut metadata = sample::key_frame_list(&list);
        let full = sample::key_frame_list(&vec![(0.0, 0); length]).payload.len();
        let mut payload = metadata.payload.to_vec();
        payload.resize(full.max(payload.len()), 0);
        metadata.payload = payload.into();
        packets.insert(0, metadata);
        sample::file(&packets)
    }

    #[test]
    fn a_list_in_the_metadata_saves_the_scan() {
        let bytes = with_list(100, |_| {});
        let mut searched = Searched::new(&bytes);
        assert_eq!(searched.time(77_700), Some(77_000));
        assert!(searched.bytes_read.get() < 4096, "{} bytes", searched.bytes_read.get());
        assert_eq!([77_700, 77_000].map(|target| searched.cost(target)), [0; 2]);
        assert_eq!(searched.time(500_000), Some(99_000), "behind the list");
        assert_eq!(searched.index.sequence_headers(bytes.len() as u64).len(), 2);
    }

    #[test]
    fn the_sequence_header_may_be_listed() {
        let mut searched = Searched::new(&with_list(10, |list| list[0].1 -= 21 + 19));
        assert_eq!(searched.time(7_500), Some(7_000));
        assert!(searched.bytes_read.get() < 8192, "{} bytes", searched.bytes_read.get());
    }

    #[test]
    fn a_list_of_the_first_part_is_scanned_on_from() {
        let mut searched = Searched::new(&with_list(20, |list| list.truncate(10)));
        assert_eq!([15_500, 4_500].map(|target| searched.time(target)), [15_000, 4_000].map(Some));
    }

    #[test]
    fn a_wrong_list_falls_back_to_scanning() {
        type Change = fn(&mut Vec<(f64, u64)>);
        let changes: [(&str, Change); 9] = [
            ("offsets off by one", |list| list.iter_mut().for_each(|entry| entry.1 += 1)),
            ("times off by more than a second", |list| list.iter_mut().for_each(|entry| entry.0 += 1.5)),
            ("the audio is listed", |list| list.iter_mut().for_each(|entry| entry.1 += 3015)),
            ("times go back", |list| list[5].0 = 1.0),
            ("offsets go back", |list| list[5].1 = list[4].1),
            ("no times", |list| list.iter_mut().for_each(|entry| entry.0 = f64::NAN)),
            ("behind the end", |list| list[9].1 = 1 << 40),
            ("negative times", |list| list.iter_mut().for_each(|entry| entry.0 -= 100.0)),
            ("before the first frame", |list| list.iter_mut().for_each(|entry| entry.1 %= 13)),
        ];
        for (what, change) in changes {
            let mut searched = Searched::new(&with_list(10, change));
            assert_eq!(
                [6_500, 2_999, 60_000].map(|target| searched.time(target)),
                [6_000, 2_000, 9_000].map(Some),
                "{what}"
            );
            assert_eq!(searched.cost(6_500), 0, "{what}");
        }
    }

    #[test]
    fn sequence_headers_that_change_are_found() {
        let mut packets = sample::usual(3);
        packets.push(sample::video_header(3000, 2));
        packets.extend(sample::seconds(3000, 3));
        let mut searched = Searched::of(&packets);
        let mut number_at = |target| {
            let place = searched.find(target).unwrap();
            let headers = searched.index.sequence_headers(place.offset);
            assert_eq!(headers.len(), 2);
            headers[0].payload[5]
        };
        assert_eq!([5000, 3000, 2999, 0].map(&mut number_at), [2, 2, 1, 1]);
    }

    #[test]
    fn limit_of_the_entries() {
        let packets = sample::usual(9);
        for (most, expected) in [(9, [7000, 8000]), (8, [6000, 8000])] {
            let mut searched = Searched::of(&packets);
            searched.index.most_entries = most;
            searched.find(90_000);
            assert!(searched.index.entries.len() <= most);
            assert_eq!([7500, 8500].map(|target| searched.time(target)), expected.map(Some), "{most}");
        }
        assert_eq!(Searched::of(&packets).index.most_entries, limits::KEYFRAME_INDEX_ENTRIES);
    }
}
