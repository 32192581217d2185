//! Finds the real end of an FLV file: the end of its last complete tag, wherever a power cut, a full disk or a killed
//! recorder truncated it.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};

use byteorder::{BigEndian, ByteOrder};

use super::keyframe_index::{KeyFrame, has_key_frame_at};
use super::tag::{PREVIOUS_TAG_SIZE_BYTES, TAG_HEADER_BYTES, TagHeader};
use super::{Preamble, Reader};
use crate::error::{Error, Result};
use crate::media::Timestamp;

/// Tags to step back over from the end: the last ones need not be frames, nor have a valid timestamp.
const LAST_TAGS: usize = 8;

/// Read buffer for skipping over tags; holds the starts of a few.
const SCAN_BUFFER_BYTES: usize = 1024;

/// Bytes that one probe searches for tags; the probes start 1, 4, 16, 64 and 256 MiB before the end.
const PROBE_BYTES: u64 = 1024 * 1024;
const PROBES: u32 = 5;

/// Consecutive tags that a probe must find to accept a position as a tag boundary.
const PROBE_TAGS: usize = 3;

/// The playable part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Offset of the end of the last complete tag, in bytes.
    pub end: u64,
    /// The latest time among the last frames, in milliseconds since the start of the file; `None` without frames.
    pub last_frame_ms: Option<u32>,
    /// The damage after `end`; `None` when the file ends there.
    pub damage: Option<Damage>,
}

/// The position and kind of a file's damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Offset at which a tag was expected, in bytes.
    pub offset: u64,
    /// What was found instead.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FLV, byte {}: {}", self.offset, self.reason)
    }
}

impl Extent {
    /// Finds the end of a file with this preamble, whose metadata lists these key frames (seconds and offsets).
    ///
    /// The last tags are located by their `PreviousTagSize`. Where that fails, because the file is truncated, ends in
    /// zeros or garbage, or has non-standard sizes, tags are read forward from the last listed key frame, from the
    /// closest position before the end at which several consecutive tags are found, or from the first frame. Changes
    /// the source's position. Fails with [`Error::Io`].
    pub(crate) fn find<S: Read + Seek>(source: &mut S, preamble: &Preamble, key_frames: &[(f64, f64)]) -> Result<Self> {
        let file_bytes = seek(source, SeekFrom::End(0))?;
        let mut from = scan_back(source, file_bytes, preamble.first_frame)?;
        if from.is_none() {
            from = last_listed_key_frame(source, file_bytes, preamble, key_frames)?;
        }
        if let Some(extent) = from.map(|from| Self::scan_from(source, file_bytes, preamble, from)).transpose()?
            && extent.last_frame_ms.is_some()
        {
            return Ok(extent);
        }
        for distance in (0..PROBES).map(|number| PROBE_BYTES << (2 * number)) {
            let position = file_bytes.saturating_sub(distance);
            if position <= preamble.first_frame {
                break;
            }
            if let Some(from) = probe(source, position)? {
                let extent = Self::scan_from(source, file_bytes, preamble, from)?;
                if extent.last_frame_ms.is_some() {
                    return Ok(extent);
                }
            }
        }
        Self::scan_from(source, file_bytes, preamble, preamble.first_frame)
    }

    /// Reads tags from `from` to the end of the file.
    fn scan_from<S: Read + Seek>(source: &mut S, file_bytes: u64, preamble: &Preamble, from: u64) -> Result<Self> {
        let mut reader = new_reader(source)?;
        reader.seek_to(from)?;
        let mut extent = Self { end: from, last_frame_ms: None, damage: None };
        loop {
            match reader.next_start() {
                Ok(Some(start)) => {
                    if start.is_frame() {
                        let time_ms = preamble.time_base.time_ms(start.header.timestamp);
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
        let remaining = file_bytes.saturating_sub(extent.end);
        if remaining > 0 {
            let reason = format!("truncated tag: the file ends {remaining} bytes after its start");
            extent.damage = Some(Damage { offset: extent.end, reason });
        }
        Ok(extent)
    }
}

fn read_error(error: std::io::Error) -> Error {
    Error::io("read_error an FLV file", error)
}

fn seek<S: Seek>(source: &mut S, to: SeekFrom) -> Result<u64> {
    source.seek(to).map_err(read_error)
}

fn new_reader<S: Read + Seek>(source: &mut S) -> Result<Reader<&mut S>> {
    seek(source, SeekFrom::Start(0))?;
    Reader::with_buffer(SCAN_BUFFER_BYTES, source)
}

/// Steps back from the end over up to [`LAST_TAGS`] tags by the `PreviousTagSize` after each; returns the first of
/// them, `None` when there is none with a correct size.
fn scan_back<S: Read + Seek>(source: &mut S, file_bytes: u64, first_frame: u64) -> Result<Option<u64>> {
    let mut found = None;
    let mut end = file_bytes;
    for _ in 0..LAST_TAGS {
        let Some(size_at) = end.checked_sub(PREVIOUS_TAG_SIZE_BYTES as u64) else { break };
        let mut size = [0; PREVIOUS_TAG_SIZE_BYTES];
        read_at(source, size_at, &mut size)?;
        let size = u64::from(BigEndian::read_u32(&size));
        // Some writers don't count the tag header.
        let mut candidates =
            [size, size + TAG_HEADER_BYTES as u64].into_iter().filter_map(|size| size_at.checked_sub(size));
        let mut header = [0; TAG_HEADER_BYTES];
        let tag = loop {
            let Some(start) = candidates.next() else { break None };
            if start + TAG_HEADER_BYTES as u64 > size_at || start < first_frame {
                continue;
            }
            read_at(source, start, &mut header)?;
            let header = TagHeader::decode(&header);
            if header.is_plausible() && start + u64::from(header.tag_size()) == size_at {
                break Some(start);
            }
        };
        let Some(start) = tag else { break };
        found = Some(start);
        end = start;
    }
    Ok(found)
}

fn read_at<S: Read + Seek>(source: &mut S, position: u64, buffer: &mut [u8]) -> Result<()> {
    seek(source, SeekFrom::Start(position))?;
    source.read_exact(buffer).map_err(read_error)
}

/// Returns the offset of the last listed key frame within the file, if there is a key frame at it.
fn last_listed_key_frame<S: Read + Seek>(
    source: &mut S,
    file_bytes: u64,
    preamble: &Preamble,
    key_frames: &[(f64, f64)],
) -> Result<Option<u64>> {
    let is_within = |(_, position): &&(f64, f64)| (preamble.first_frame as f64..file_bytes as f64).contains(position);
    let Some(&(seconds, position)) = key_frames.iter().rev().find(is_within) else { return Ok(None) };
    let time_ms = preamble.time_base.time_ms(Timestamp::new((seconds * 1000.0).round() as u32));
    let listed = KeyFrame { time_ms, offset: position as u64 };
    Ok(has_key_frame_at(&mut new_reader(source)?, preamble.time_base, listed)?.then_some(listed.offset))
}

/// Searches [`PROBE_BYTES`] from a position for consecutive tags; returns the offset of the first.
fn probe<S: Read + Seek>(source: &mut S, position: u64) -> Result<Option<u64>> {
    seek(source, SeekFrom::Start(position))?;
    let mut bytes = Vec::new();
    source.by_ref().take(PROBE_BYTES).read_to_end(&mut bytes).map_err(read_error)?;
    let is_tag_chain = |start: &usize| {
        let mut next = *start;
        (0..PROBE_TAGS).all(|_| tag_end(&bytes, next).is_some_and(|end| std::mem::replace(&mut next, end) < end))
    };
    Ok((0..bytes.len()).find(is_tag_chain).map(|start| position + start as u64))
}

/// Returns the end of the tag that starts at `start`, if there is one. Its `PreviousTagSize` may be 0 or exclude the
/// header.
fn tag_end(bytes: &[u8], start: usize) -> Option<usize> {
    let header = TagHeader::decode(bytes.get(start..)?.first_chunk()?);
    if !header.is_plausible() {
        return None;
    }
    let size_at = start + header.tag_size() as usize;
    let size = BigEndian::read_u32(bytes.get(size_at..)?.first_chunk::<PREVIOUS_TAG_SIZE_BYTES>()?);
    [header.tag_size(), header.data_size, 0].contains(&size).then_some(size_at + PREVIOUS_TAG_SIZE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{self, CountingReader};
    use super::super::{Metadata, Writer};
    use super::*;
    use crate::media::{Packet, PacketKind};
    use std::io::Cursor;

    fn find_in<S: Read + Seek>(source: &mut S) -> Extent {
        source.seek(SeekFrom::Start(0)).unwrap();
        let preamble = Preamble::read(&mut Reader::new(&mut *source).unwrap()).unwrap();
        let metadata =
            preamble.metadata.as_ref().and_then(|packet| Metadata::parse(&packet.payload)).unwrap_or_default();
        Extent::find(source, &preamble, &metadata.key_frames).unwrap()
    }

    fn find(bytes: &[u8]) -> Extent {
        find_in(&mut Cursor::new(bytes))
    }

    /// Returns the time of the last frame and the offset of the damage, by reading all tags.
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

    fn assert_agrees_with_reader(bytes: &[u8], what: &str) {
        let extent = find(bytes);
        let found = (extent.last_frame_ms, extent.damage.as_ref().map(|damage| damage.offset));
        assert_eq!(found, read_all(bytes), "{what}: {extent:?}");
    }

    /// Returns the file with every `PreviousTagSize` changed.
    fn with_sizes(packets: &[Packet], change: impl Fn(u32) -> u32) -> Vec<u8> {
        let mut bytes = fixtures::file(packets);
        let mut at = 13;
        while let Some(header) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            let header = TagHeader::decode(header);
            at += header.tag_size() as usize;
            bytes[at..at + 4].copy_from_slice(&change(header.tag_size()).to_be_bytes());
            at += 4;
        }
        bytes
    }

    fn files() -> Vec<(&'static str, Vec<u8>)> {
        let packets = fixtures::typical(4);
        // Offsets depend on the list's length, not on its values.
        let with_key_frame_list = |beyond_end: &[(f64, u64)]| {
            let list = |offset: &dyn Fn(usize) -> u64| {
                let inside = (0..4).map(|second| (f64::from(second), offset(3 + second as usize * 10)));
                let list: Vec<_> = inside.chain(beyond_end.iter().copied()).collect();
                [vec![fixtures::key_frame_list(&list)], packets.clone()].concat()
            };
            let offsets = fixtures::offsets(&list(&|_| 0));
            fixtures::file(&list(&|tag| offsets[tag]))
        };
        let wrong_duration = crate::amf::Object::new().with("duration", 4000.0);
        vec![
            ("correct sizes", fixtures::file(&packets)),
            ("sizes of 0", with_sizes(&packets, |_| 0)),
            ("sizes without the header", with_sizes(&packets, |size| size - 11)),
            ("wrong sizes", with_sizes(&packets, |size| size * 31)),
            ("a key frame list", with_key_frame_list(&[])),
            ("a key frame list beyond the end", with_key_frame_list(&[(90.0, 1 << 40)])),
            (
                "a wrong duration",
                fixtures::file(&[vec![fixtures::on_meta_data(wrong_duration)], packets.clone()].concat()),
            ),
            (
                "audio only",
                fixtures::file(&(0..40).map(|frame| fixtures::audio_frame(frame * 100)).collect::<Vec<_>>()),
            ),
        ]
    }

    #[test]
    fn truncation_at_every_byte() {
        for (what, bytes) in files() {
            for length in 13..=bytes.len() {
                assert_agrees_with_reader(&bytes[..length], &format!("{what}, {length} bytes"));
            }
        }
    }

    #[test]
    fn trailing_zeros_and_garbage() {
        let garbage: Vec<u8> = (0..5000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for (what, bytes) in files() {
            for length in (13..=bytes.len()).rev().step_by(7) {
                for (tail, more) in [("zeros", &vec![0; 5000][..]), ("garbage", &garbage)] {
                    let damaged = [&bytes[..length], more].concat();
                    // After the truncation a plain reader may parse part of the tail as data or even as a tag; the
                    // extent must agree.
                    assert_agrees_with_reader(&damaged, &format!("{what}, {length} bytes and {tail}"));
                }
            }
        }
    }

    #[test]
    fn last_tags_without_frames_are_skipped() {
        let end_of_sequence = fixtures::packet(PacketKind::Video, 0, &[0x17, 2, 0, 0, 0]);
        let script = fixtures::packet(PacketKind::Data, 9, b"\x02\x00\x01x");
        let packets = [fixtures::typical(2), vec![end_of_sequence, script.clone(), script]].concat();
        let extent = find(&fixtures::file(&packets));
        assert_eq!((extent.last_frame_ms, extent.damage), (Some(1800), None));
    }

    #[test]
    fn files_without_frames() {
        assert_eq!(find(&fixtures::file(&[])), Extent { end: 13, last_frame_ms: None, damage: None });
        let header = fixtures::file(&[fixtures::video_header(0, 1)]);
        assert_eq!(find(&header).last_frame_ms, None);
        assert_eq!(find(&header[..header.len() - 6]).damage.map(|damage| damage.offset), Some(13));
    }

    /// 70 MiB, most of which must not be read, whether the end is complete, truncated or followed by zeros.
    #[test]
    fn most_of_a_large_file_is_not_read() {
        let mut writer = Writer::new(Vec::new(), true, true).unwrap();
        fixtures::typical(1).iter().for_each(|packet| writer.write_packet(packet).unwrap());
        let filler = vec![0x27; 20_000];
        for number in 0..3500 {
            writer.write_packet(&fixtures::packet(PacketKind::Video, 1000 + number * 40, &filler)).unwrap();
        }
        let bytes = writer.into_inner();
        let truncated = &bytes[..bytes.len() - 7];
        let zeros = [truncated, &vec![0; 3 << 20]].concat();
        for (what, bytes, max_read) in [
            ("whole", bytes.clone(), 200_000),
            ("truncated", truncated.to_vec(), 1_500_000),
            ("zeros", zeros, 4_000_000),
        ] {
            let mut source = CountingReader::new(bytes);
            let read = source.bytes_read.clone();
            let extent = find_in(&mut source);
            assert_eq!(extent.last_frame_ms, Some(if what == "truncated" { 140_920 } else { 140_960 }), "{what}");
            assert!(read.get() < max_read, "{what}: {} bytes read", read.get());
        }
    }
}
