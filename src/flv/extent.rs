//! Where an FLV file really ends: behind its last whole tag, wherever a power cut, a full disk or a killed recorder
//! stopped it.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};

use byteorder::{BigEndian, ByteOrder};

use super::keyframe_index::{KeyFrame, is_at};
use super::tag::{PREVIOUS_TAG_SIZE_BYTES, TAG_HEADER_BYTES, TagHeader};
use super::{Preamble, Reader};
use crate::media::Timestamp;
use crate::{Error, Result};

/// Tags stepped back over from the end: the last of them need not be frames, nor have a sane time.
const LAST_TAGS: usize = 8;

/// For hopping over tags: room for the starts of a few.
const HOP_BUFFER_BYTES: usize = 1024;

/// Bytes that are searched for tags at one place, and how far before the end those places are: 1, 4, 16, 64 and 256 MiB.
const PROBE_BYTES: u64 = 1024 * 1024;
const PROBES: u32 = 5;

/// Tags that have to follow each other for a place to be one in the chain of tags.
const PROBE_TAGS: usize = 3;

/// How much of a file can be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Offset of the end of the last whole tag, in bytes.
    pub end: u64,
    /// The latest time among the last frames, in milliseconds since the start of the file; `None` without any frame.
    pub last_frame_ms: Option<u32>,
    /// What is wrong behind `end`; `None` when the file ends there.
    pub damage: Option<Damage>,
}

/// Where a file is damaged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Offset of what should be a tag, in bytes.
    pub offset: u64,
    /// What is there instead.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FLV, byte {}: {}", self.offset, self.reason)
    }
}

impl Extent {
    /// Finds the end of a file with that head, whose metadata lists these key frames (seconds and offsets).
    ///
    /// The last tags are found by their `PreviousTagSize`. Where those make no sense, because the file was cut off, has a
    /// tail of zeros or garbage, or a writer of its own mind, tags are read forward from the last listed key frame, from the
    /// nearest place before the end where several tags follow each other, or from the first frame. Moves the source. Fails
    /// with [`Error::Io`].
    pub fn find<S: Read + Seek>(source: &mut S, head: &Preamble, key_frames: &[(f64, f64)]) -> Result<Self> {
        let file_bytes = seek(source, SeekFrom::End(0))?;
        let mut from = step_back(source, file_bytes, head.first_frame)?;
        if from.is_none() {
            from = last_listed(source, file_bytes, head, key_frames)?;
        }
        if let Some(extent) = from.map(|from| Self::read_on(source, file_bytes, head, from)).transpose()?
            && extent.last_frame_ms.is_some()
        {
            return Ok(extent);
        }
        for back in (0..PROBES).map(|number| PROBE_BYTES << (2 * number)) {
            let place = file_bytes.saturating_sub(back);
            if place <= head.first_frame {
                break;
            }
            if let Some(from) = probe(source, place)? {
                let extent = Self::read_on(source, file_bytes, head, from)?;
                if extent.last_frame_ms.is_some() {
                    return Ok(extent);
                }
            }
        }
        Self::read_on(source, file_bytes, head, head.first_frame)
    }

    /// Reads tags from there to the end.
    fn read_on<S: Read + Seek>(source: &mut S, file_bytes: u64, head: &Preamble, from: u64) -> Result<Self> {
        let mut reader = reader(source)?;
        reader.seek_to(from)?;
        let mut extent = Self { end: from, last_frame_ms: None, damage: None };
        loop {
            match reader.next_start() {
                Ok(Some(start)) => {
                    if start.is_frame() {
                        let time_ms = head.time_base.time_ms(start.header.timestamp);
                        extent.last_frame_ms = extent.last_frame_ms.max(Some(time_ms));
                    }
                    extent.end = reader.position();
                }
                Ok(None) => break,
                Err(Error::Flv { offset, reason }) => {
                    extent.damage = Some(Damage { offset, reason: reason.into_owned() });
                    return Ok(extent);
                }
                Err(error) => return Err(error),
            }
        }
        let left = file_bytes.saturating_sub(extent.end);
        if left > 0 {
            let reason = format!("the file ends inside a tag, {left} bytes behind its start");
            extent.damage = Some(Damage { offset: extent.end, reason });
        }
        Ok(extent)
    }
}

fn reading(error: std::io::Error) -> Error {
    Error::io("reading an FLV file", error)
}

fn seek<S: Seek>(source: &mut S, to: SeekFrom) -> Result<u64> {
    source.seek(to).map_err(reading)
}

fn reader<S: Read + Seek>(source: &mut S) -> Result<Reader<&mut S>> {
    seek(source, SeekFrom::Start(0))?;
    Reader::with_buffer(HOP_BUFFER_BYTES, source)
}

/// Steps back from the end over some tags, by the `PreviousTagSize` behind each; `None` when there is none with a right one.
fn step_back<S: Read + Seek>(source: &mut S, file_bytes: u64, first_frame: u64) -> Result<Option<u64>> {
    let mut found = None;
    let mut end = file_bytes;
    for _ in 0..LAST_TAGS {
        let Some(size_at) = end.checked_sub(PREVIOUS_TAG_SIZE_BYTES as u64) else { break };
        let mut size = [0; PREVIOUS_TAG_SIZE_BYTES];
        read_at(source, size_at, &mut size)?;
        let size = u64::from(BigEndian::read_u32(&size));
        // Some writers leave the tag's header out of the size.
        let mut places =
            [size, size + TAG_HEADER_BYTES as u64].into_iter().filter_map(|size| size_at.checked_sub(size));
        let mut header = [0; TAG_HEADER_BYTES];
        let place = loop {
            let Some(place) = places.next() else { break None };
            if place + TAG_HEADER_BYTES as u64 > size_at || place < first_frame {
                continue;
            }
            read_at(source, place, &mut header)?;
            let header = TagHeader::decode(&header);
            if header.is_plain() && place + u64::from(header.tag_size()) == size_at {
                break Some(place);
            }
        };
        let Some(place) = place else { break };
        found = Some(place);
        end = place;
    }
    Ok(found)
}

fn read_at<S: Read + Seek>(source: &mut S, place: u64, buffer: &mut [u8]) -> Result<()> {
    seek(source, SeekFrom::Start(place))?;
    source.read_exact(buffer).map_err(reading)
}

/// The last key frame of the list that is within the file and where the list says.
fn last_listed<S: Read + Seek>(
    source: &mut S,
    file_bytes: u64,
    head: &Preamble,
    key_frames: &[(f64, f64)],
) -> Result<Option<u64>> {
    let is_within = |(_, position): &&(f64, f64)| (head.first_frame as f64..file_bytes as f64).contains(position);
    let Some(&(seconds, position)) = key_frames.iter().rev().find(is_within) else { return Ok(None) };
    let time_ms = head.time_base.time_ms(Timestamp::new((seconds * 1000.0).round() as u32));
    let listed = KeyFrame { time_ms, offset: position as u64 };
    Ok(is_at(&mut reader(source)?, head.time_base, listed)?.then_some(listed.offset))
}

/// Looks behind a place for tags that follow each other; gives the first of them.
fn probe<S: Read + Seek>(source: &mut S, place: u64) -> Result<Option<u64>> {
    seek(source, SeekFrom::Start(place))?;
    let mut bytes = Vec::new();
    source.by_ref().take(PROBE_BYTES).read_to_end(&mut bytes).map_err(reading)?;
    let is_chain = |start: &usize| {
        let mut at = *start;
        (0..PROBE_TAGS).all(|_| tag_end(&bytes, at).is_some_and(|end| std::mem::replace(&mut at, end) < end))
    };
    Ok((0..bytes.len()).find(is_chain).map(|start| place + start as u64))
}

/// Where the tag ends that begins there, if one does. Its `PreviousTagSize` may be 0 or lack the header.
fn tag_end(bytes: &[u8], at: usize) -> Option<usize> {
    let header = TagHeader::decode(bytes.get(at..)?.first_chunk()?);
    if !header.is_plain() {
        return None;
    }
    let size_at = at + header.tag_size() as usize;
    let size = BigEndian::read_u32(bytes.get(size_at..)?.first_chunk::<PREVIOUS_TAG_SIZE_BYTES>()?);
    [header.tag_size(), header.data_size, 0].contains(&size).then_some(size_at + PREVIOUS_TAG_SIZE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, Counting};
    use super::super::{Metadata, Writer};
    use super::*;
    use crate::media::{Packet, PacketKind};
    use std::io::Cursor;

    fn find_in<S: Read + Seek>(source: &mut S) -> Extent {
        source.seek(SeekFrom::Start(0)).unwrap();
        let head = Preamble::read(&mut Reader::new(&mut *source).unwrap()).unwrap();
        let metadata = head.metadata.as_ref().and_then(|packet| Metadata::parse(&packet.payload)).unwrap_or_default();
        Extent::find(source, &head, &metadata.key_frames).unwrap()
    }

    fn find(bytes: &[u8]) -> Extent {
        find_in(&mut Cursor::new(bytes))
    }

    /// The time of the last frame that reading all tags comes to, and the offset of what can't be read.
    fn read_all(bytes: &[u8]) -> (Option<u32>, Option<u64>) {
        let mut reader = Reader::new(bytes).unwrap();
        let mut last = None;
        loop {
            match reader.next_packet() {
                Ok(Some(packet)) if packet.kind != PacketKind::Data && !packet.is_sequence_header() => {
                    let time_ms = packet.timestamp.milliseconds();
                    last = if packet.payload.is_empty() { last } else { last.max(Some(time_ms)) };
                }
                Ok(Some(_)) => {}
                Ok(None) => return (last, None),
                Err(Error::Flv { offset, .. }) => return (last, Some(offset)),
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn assert_as_read(bytes: &[u8], what: &str) {
        let extent = find(bytes);
        let found = (extent.last_frame_ms, extent.damage.as_ref().map(|damage| damage.offset));
        assert_eq!(found, read_all(bytes), "{what}: {extent:?}");
    }

    /// The file with every `PreviousTagSize` changed.
    fn with_sizes(packets: &[Packet], change: impl Fn(u32) -> u32) -> Vec<u8> {
        let mut bytes = sample::file(packets);
        let mut at = 13;
        while let Some(header) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            let header = TagHeader::decode(header);
            at += header.tag_size() as usize;
            bytes[at..at + 4].copy_from_slice(&change(header.tag_size()).to_be_bytes());
            at += 4;
        }
        bytes
    }

    fn films() -> Vec<(&'static str, Vec<u8>)> {
        let packets = sample::usual(4);
        // Offsets depend on how long the list is, not on what is in it.
        let with_list = |beyond: &[(f64, u64)]| {
            let list = |offset: &dyn Fn(usize) -> u64| {
                let inside = (0..4).map(|second| (f64::from(second), offset(3 + second as usize * 10)));
                let list: Vec<_> = inside.chain(beyond.iter().copied()).collect();
                [vec![sample::key_frame_list(&list)], packets.clone()].concat()
            };
            let offsets = sample::offsets(&list(&|_| 0));
            sample::file(&list(&|tag| offsets[tag]))
        };
        let lies = crate::amf::Object::new().with("duration", 4000.0);
        vec![
            ("right sizes", sample::file(&packets)),
            ("sizes of 0", with_sizes(&packets, |_| 0)),
            ("sizes without the header", with_sizes(&packets, |size| size - 11)),
            ("senseless sizes", with_sizes(&packets, |size| size * 31)),
            ("a list", with_list(&[])),
            ("a list that goes on", with_list(&[(90.0, 1 << 40)])),
            ("a wrong duration", sample::file(&[vec![sample::on_meta_data(lies)], packets.clone()].concat())),
            ("audio alone", sample::file(&(0..40).map(|frame| sample::sound(frame * 100)).collect::<Vec<_>>())),
        ]
    }

    #[test]
    fn cut_at_every_byte() {
        for (what, bytes) in films() {
            for length in 13..=bytes.len() {
                assert_as_read(&bytes[..length], &format!("{what}, {length} bytes"));
            }
        }
    }

    #[test]
    fn tails_of_zeros_and_of_garbage() {
        let garbage: Vec<u8> = (0..5000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for (what, bytes) in films() {
            for length in (13..=bytes.len()).rev().step_by(7) {
                for (tail, more) in [("zeros", &vec![0; 5000][..]), ("garbage", &garbage)] {
                    let damaged = [&bytes[..length], more].concat();
                    // Behind a cut a plain reader may take some of the tail for data or even a tag; so does this.
                    assert_as_read(&damaged, &format!("{what}, {length} bytes and {tail}"));
                }
            }
        }
    }

    #[test]
    fn an_odd_last_tag_does_not_hide_the_end() {
        let end_of_sequence = sample::packet(PacketKind::Video, 0, &[0x17, 2, 0, 0, 0]);
        let script = sample::packet(PacketKind::Data, 9, b"\x02\x00\x01x");
        let packets = [sample::usual(2), vec![end_of_sequence, script.clone(), script]].concat();
        let extent = find(&sample::file(&packets));
        assert_eq!((extent.last_frame_ms, extent.damage), (Some(1800), None));
    }

    #[test]
    fn files_without_frames() {
        assert_eq!(find(&sample::file(&[])), Extent { end: 13, last_frame_ms: None, damage: None });
        let header = sample::file(&[sample::video_header(0, 1)]);
        assert_eq!(find(&header).last_frame_ms, None);
        assert_eq!(find(&header[..header.len() - 6]).damage.map(|damage| damage.offset), Some(13));
    }

    /// 70 MiB, of which the most is never looked at, whether the end is whole, cut or followed by many zeros.
    #[test]
    fn little_of_a_large_file_is_read() {
        let mut writer = Writer::new(Vec::new(), true, true).unwrap();
        sample::usual(1).iter().for_each(|packet| writer.write_packet(packet).unwrap());
        let filler = vec![0x27; 20_000];
        for number in 0..3500 {
            writer.write_packet(&sample::packet(PacketKind::Video, 1000 + number * 40, &filler)).unwrap();
        }
        let bytes = writer.into_inner();
        let cut = &bytes[..bytes.len() - 7];
        let zeros = [cut, &vec![0; 3 << 20]].concat();
        for (what, bytes, most) in
            [("whole", bytes.clone(), 200_000), ("cut", cut.to_vec(), 1_500_000), ("zeros", zeros, 4_000_000)]
        {
            let mut source = Counting::new(bytes);
            let read = source.bytes_read.clone();
            let extent = find_in(&mut source);
            assert_eq!(extent.last_frame_ms, Some(if what == "cut" { 140_920 } else { 140_960 }), "{what}");
            assert!(read.get() < most, "{what}: {} bytes read", read.get());
        }
    }
}
