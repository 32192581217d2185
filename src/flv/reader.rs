//! Reading of FLV files and streams, tag by tag.

use std::io::{Read, Seek};

use byteorder::{BigEndian, ByteOrder};
use bytes::{Buf, Bytes};

use super::source::Source;
use super::tag::{FILE_HEADER_BYTES, FileHeader, PREVIOUS_TAG_SIZE_BYTES, SIGNATURE, TAG_HEADER_BYTES, TagHeader};
use crate::error::{Error, Result};
use crate::media::tag_header::{AudioTagHeader, VideoTagHeader};
use crate::media::{Packet, PacketKind};

/// Reads the tags of an FLV file in sequence, with one tag in memory at a time.
///
/// Real files are rarely perfect, so a wrong `PreviousTagSize` is ignored and a tag of unknown type is skipped. A
/// position counts as damaged only with both an implausible header (unknown type, encrypted, stream ID other than 0)
/// and a mismatching size after its data. A truncated last tag is damage as well. Damage is an [`Error::Flv`] with the
/// offset of the tag; reading can't continue after it.
#[derive(Debug)]
pub struct Reader<R> {
    source: Source<R>,
    header: FileHeader,
}

impl<R: Read> Reader<R> {
    const BUFFER_BYTES: usize = 64 * 1024;

    /// Reads the file header. Fails with [`Error::Flv`] when the file isn't FLV, [`Error::Limit`] when its header is
    /// too long, and [`Error::Io`].
    pub fn new(inner: R) -> Result<Self> {
        Self::with_buffer(Self::BUFFER_BYTES, inner)
    }

    /// As [`new`](Self::new), with a buffer of `buffer_bytes`. A small one reads less when skipping over tags.
    pub fn with_buffer(buffer_bytes: usize, inner: R) -> Result<Self> {
        let mut source = Source::new(buffer_bytes, inner);
        let mut bytes = [0; FILE_HEADER_BYTES];
        let filled = source.fill(&mut bytes)?;
        if filled < bytes.len() && bytes.starts_with(&SIGNATURE) {
            return Err(Error::Flv { offset: filled as u64, reason: "truncated file header".into() });
        }
        let header = FileHeader::decode(&bytes)?;
        source.discard(header.length - FILE_HEADER_BYTES as u32 + PREVIOUS_TAG_SIZE_BYTES as u32)?;
        Ok(Self { source, header })
    }

    /// Returns the file header.
    pub fn header(&self) -> FileHeader {
        self.header
    }

    /// Returns the offset of the next tag, in bytes.
    pub fn position(&self) -> u64 {
        self.source.position()
    }

    /// Reads the next packet; `None` at the end of the file. Fails with [`Error::Flv`] at damage and [`Error::Io`].
    ///
    /// AMF3 script data is returned without its leading 0, as AMF0.
    pub fn next_packet(&mut self) -> Result<Option<Packet>> {
        self.read_packet(Source::read_bytes)
    }

    /// As [`next_packet`](Self::next_packet), but the payload shares the reader's buffer unless it is too large for it:
    /// this saves a copy, and the buffer's memory is reused once all such payloads are dropped.
    pub(crate) fn next_shared_packet(&mut self) -> Result<Option<Packet>> {
        self.read_packet(Source::read_shared)
    }

    fn read_packet(&mut self, read: fn(&mut Source<R>, u32) -> Result<Bytes>) -> Result<Option<Packet>> {
        loop {
            let offset = self.position();
            let Some(header) = self.read_header()? else { return Ok(None) };
            let Some(kind) = header.kind() else {
                self.source.discard(header.data_size)?;
                self.end_tag(offset, header)?;
                continue;
            };
            let mut payload = read(&mut self.source, header.data_size)?;
            if payload.len() < header.data_size as usize {
                let reason = format!("truncated tag with {} bytes of data", header.data_size);
                return Err(Error::Flv { offset, reason: reason.into() });
            }
            self.end_tag(offset, header)?;
            if header.is_amf3_script() && payload.first() == Some(&0) {
                payload.advance(1);
            }
            return Ok(Some(Packet { kind, timestamp: header.timestamp, payload }));
        }
    }

    /// Whether the next tag is completely buffered.
    pub(crate) fn is_next_buffered(&self) -> bool {
        let buffered = self.source.buffered();
        let Some(header) = buffered.first_chunk().map(TagHeader::decode) else { return false };
        buffered.len() >= header.tag_size() as usize + PREVIOUS_TAG_SIZE_BYTES
    }

    fn read_header(&mut self) -> Result<Option<TagHeader>> {
        let offset = self.position();
        let mut bytes = [0; TAG_HEADER_BYTES];
        match self.source.fill(&mut bytes)? {
            0 => Ok(None),
            TAG_HEADER_BYTES => Ok(Some(TagHeader::decode(&bytes))),
            _ => Err(Error::Flv { offset, reason: "truncated tag header".into() }),
        }
    }

    /// Reads the size after a tag. A missing or wrong size is an error only if the header is implausible.
    fn end_tag(&mut self, offset: u64, header: TagHeader) -> Result<()> {
        let mut bytes = [0; PREVIOUS_TAG_SIZE_BYTES];
        self.source.fill(&mut bytes)?;
        if !header.is_plausible() && BigEndian::read_u32(&bytes) != header.tag_size() {
            let TagHeader { tag_type, data_size, stream_id, .. } = header;
            let reason = format!("invalid tag: type {tag_type}, {data_size} bytes of data, stream {stream_id}");
            return Err(Error::Flv { offset, reason: reason.into() });
        }
        Ok(())
    }
}

/// The start of a tag whose data was skipped.
#[derive(Clone, Copy, Debug)]
pub struct TagStart {
    /// Offset of the tag, in bytes.
    pub position: u64,
    /// Its header.
    pub header: TagHeader,
    bytes: [u8; Self::BYTES],
    filled: usize,
}

impl TagStart {
    /// Sufficient for an audio or video tag header with ModEx and Multitrack.
    const BYTES: usize = 32;

    /// Returns the first bytes of the tag's data.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Whether this is a video key frame.
    pub fn is_key_frame(&self) -> bool {
        self.header.kind() == Some(PacketKind::Video) && VideoTagHeader::parse(self.bytes()).is_key_frame()
    }

    /// Whether this is a sequence header.
    pub fn is_sequence_header(&self) -> bool {
        match self.header.kind() {
            Some(PacketKind::Audio) => AudioTagHeader::parse(self.bytes()).is_sequence_header(),
            Some(PacketKind::Video) => VideoTagHeader::parse(self.bytes()).is_sequence_header(),
            _ => false,
        }
    }

    /// Whether this is an audio or video frame: neither empty nor a sequence header nor data.
    pub fn is_frame(&self) -> bool {
        self.filled > 0
            && !self.is_sequence_header()
            && matches!(self.header.kind(), Some(PacketKind::Audio | PacketKind::Video))
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Seeks to a tag, whose offset must be known. Keeps the buffered bytes if possible. Fails with [`Error::Io`].
    pub fn seek_to(&mut self, position: u64) -> Result<()> {
        self.source.seek_to(position)
    }

    /// Reads the start of the next tag of any type and skips the rest of it; `None` at the end. A truncated tag counts
    /// as the end. Fails as [`next_packet`](Self::next_packet) does.
    pub fn next_start(&mut self) -> Result<Option<TagStart>> {
        let position = self.position();
        let Some(header) = self.read_header()? else { return Ok(None) };
        let mut start = TagStart { position, header, bytes: [0; TagStart::BYTES], filled: 0 };
        let length = TagStart::BYTES.min(header.data_size as usize);
        start.filled = self.source.fill(&mut start.bytes[..length])?;
        // Reading the last byte shows whether the data is complete, even without the size after it.
        self.seek_to(position + u64::from(header.tag_size()) - 1)?;
        if self.source.fill(&mut [0])? == 0 {
            return Ok(None);
        }
        self.end_tag(position, header)?;
        Ok(Some(start))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Writer;
    use super::*;
    use crate::media::Timestamp;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn packet(kind: PacketKind, timestamp: u32, payload: &[u8]) -> Packet {
        Packet { kind, timestamp: Timestamp::new(timestamp), payload: payload.to_vec().into() }
    }

    fn some_packets() -> Vec<Packet> {
        vec![
            packet(PacketKind::Data, 0, b"\x02\x00\x0aonMetaData\x05"),
            packet(PacketKind::Video, 0, &[0x17, 0, 0, 0, 0, 1]),
            packet(PacketKind::Audio, 0x00ff_ffff, &[0xaf, 1, 2]),
            packet(PacketKind::Video, 0x0100_0000, &[0x17, 1, 0, 0, 0, 7, 7]),
            packet(PacketKind::Audio, u32::MAX, &[]),
            packet(PacketKind::Video, 3, &[0x27; 300]),
        ]
    }

    fn file(packets: &[Packet]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), true, true).unwrap();
        packets.iter().for_each(|packet| writer.write_packet(packet).unwrap());
        writer.into_inner()
    }

    /// Returns all packets, and the error that ended the file.
    fn read_all(bytes: &[u8]) -> (Vec<Packet>, Option<Error>) {
        let mut reader = match Reader::new(bytes) {
            Ok(reader) => reader,
            Err(error) => return (Vec::new(), Some(error)),
        };
        let mut packets = Vec::new();
        loop {
            match reader.next_packet() {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => return (packets, None),
                Err(error) => return (packets, Some(error)),
            }
        }
    }

    fn raw_tag(tag_type: u8, stream_id: u32, data: &[u8], previous_tag_size: u32) -> Vec<u8> {
        let header =
            TagHeader { tag_type, data_size: data.len() as u32, timestamp: Timestamp::new(5), stream_id }.encode();
        [&header[..], data, &previous_tag_size.to_be_bytes()].concat()
    }

    #[test]
    fn literal_bytes() {
        let mut reader = Reader::new(
            &b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x09\x00\x00\x05\x31\x2d\x00\x01\0\0\0\x17\x02\0\0\0\0\0\0\x10"[..],
        )
        .unwrap();
        assert_eq!(reader.position(), 13);
        assert_eq!(reader.next_packet().unwrap(), Some(packet(PacketKind::Video, 20_000_000, &[0x17, 2, 0, 0, 0])));
        assert_eq!(reader.position(), 33);
        assert_eq!(reader.next_packet().unwrap(), None);
        assert_eq!(reader.next_packet().unwrap(), None);
    }

    #[test]
    fn a_longer_file_header_is_skipped() {
        let mut bytes = b"FLV\x01\x04\0\0\0\x0cabc\0\0\0\0".to_vec();
        bytes.extend(raw_tag(8, 0, &[0xaf, 1], 13));
        let mut reader = Reader::new(&bytes[..]).unwrap();
        assert_eq!((reader.position(), reader.header().has_audio, reader.header().has_video), (16, true, false));
        assert_eq!(reader.next_packet().unwrap().unwrap().payload[..], [0xaf, 1]);
    }

    #[test]
    fn truncation_at_every_byte() {
        let packets = some_packets();
        let whole = file(&packets);
        let mut ends = vec![13];
        for packet in &packets {
            ends.push(ends[ends.len() - 1] + 15 + packet.payload.len());
        }
        for length in 0..=whole.len() {
            let (read, error) = read_all(&whole[..length]);
            let complete = ends[1..].iter().filter(|&&end| end - 4 <= length).count();
            assert_eq!(read, packets[..complete], "{length} bytes");
            if length < 9 {
                assert!(matches!(error, Some(Error::Flv { .. })), "{length} bytes");
                continue;
            }
            let tag_starts = ends[complete];
            match error {
                None => assert!(length <= tag_starts, "{length} bytes end without an error"),
                Some(Error::Flv { offset, .. }) => assert_eq!(offset, tag_starts as u64, "{length} bytes"),
                Some(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn a_wrong_previous_tag_size_is_ignored() {
        let mut bytes = file(&[]);
        bytes.extend(raw_tag(9, 0, &[0x17, 1], 0xdead_beef));
        bytes.extend(raw_tag(8, 0, &[0xaf, 1], 0));
        let (packets, error) = read_all(&bytes);
        assert_eq!(packets.len(), 2);
        assert!(error.is_none());
    }

    #[test]
    fn an_implausible_header_needs_a_matching_previous_tag_size() {
        for (tag_type, stream_id) in [(7, 0), (0x29, 0), (0x49, 0)] {
            let mut bytes = file(&[]);
            bytes.extend(raw_tag(tag_type, stream_id, &[1, 2, 3], 14));
            bytes.extend(raw_tag(8, 0, &[0xaf, 1], 13));
            let (packets, error) = read_all(&bytes);
            assert_eq!(packets.len(), 1, "type {tag_type}");
            assert!(error.is_none());
        }
        let mut bytes = file(&some_packets()[..1]);
        let damage = bytes.len() as u64;
        bytes.extend([0; 64]);
        let (packets, error) = read_all(&bytes);
        assert_eq!(packets.len(), 1);
        assert_eq!(
            error.unwrap().to_string(),
            format!("FLV, byte {damage}: invalid tag: type 0, 0 bytes of data, stream 0")
        );
    }

    #[test]
    fn a_stream_id_needs_a_matching_previous_tag_size() {
        for (size, count) in [(13, 1), (12, 0)] {
            let mut bytes = file(&[]);
            bytes.extend(raw_tag(8, 1, &[0xaf, 1], size));
            assert_eq!(read_all(&bytes).0.len(), count);
        }
    }

    #[test]
    fn amf3_script_data_loses_its_leading_zero() {
        let mut bytes = file(&[]);
        bytes.extend(raw_tag(15, 0, &[0, 2, 0, 1, b'x'], 16));
        assert_eq!(read_all(&bytes).0, [packet(PacketKind::Data, 5, &[2, 0, 1, b'x'])]);
    }

    #[test]
    fn skipping_finds_the_same_tags() {
        let packets = some_packets();
        let bytes = file(&packets);
        for buffer in [1, 16, 64, 4096] {
            let mut reader = Reader::with_buffer(buffer, Cursor::new(&bytes)).unwrap();
            let mut starts = Vec::new();
            while let Some(start) = reader.next_start().unwrap() {
                starts.push(start);
            }
            assert_eq!(starts.len(), packets.len());
            for (start, packet) in starts.iter().zip(&packets) {
                assert_eq!(start.bytes(), &packet.payload[..packet.payload.len().min(32)]);
                assert_eq!(start.is_key_frame(), packet.is_key_frame());
                assert_eq!(start.is_sequence_header(), packet.is_sequence_header());
                reader.seek_to(start.position).unwrap();
                assert_eq!(reader.next_packet().unwrap().as_ref(), Some(packet));
            }
            let frames: Vec<bool> = starts.iter().map(TagStart::is_frame).collect();
            assert_eq!(frames, [false, false, true, true, false, true]);
        }
    }

    #[test]
    fn seeking_back_after_damage_works() {
        let packets = some_packets();
        let whole = file(&packets);
        for cut in 1..300 {
            let mut reader = Reader::with_buffer(100, Cursor::new(&whole[..whole.len() - cut])).unwrap();
            while let Ok(Some(_)) = reader.next_packet() {}
            reader.seek_to(13).unwrap();
            assert_eq!(reader.next_packet().unwrap().as_ref(), Some(&packets[0]), "{cut} bytes missing");
            while let Ok(Some(_)) = reader.next_start() {}
            reader.seek_to(13).unwrap();
            assert_eq!(reader.next_packet().unwrap().as_ref(), Some(&packets[0]), "{cut} bytes missing");
        }
    }

    #[test]
    fn skipping_ends_at_a_truncated_tag() {
        let whole = file(&some_packets());
        for cut in 0..300 {
            let mut reader = Reader::new(Cursor::new(&whole[..whole.len() - cut])).unwrap();
            let mut count = 0;
            while reader.next_start().unwrap().is_some() {
                count += 1;
            }
            assert_eq!(count, if cut <= PREVIOUS_TAG_SIZE_BYTES { 6 } else { 5 }, "{cut} bytes missing");
        }
    }

    proptest! {
        #[test]
        fn reading_returns_what_was_written(
            packets in proptest::collection::vec(
                (0usize..3, any::<u32>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..8),
        ) {
            let kinds = [PacketKind::Audio, PacketKind::Video, PacketKind::Data];
            let packets: Vec<Packet> =
                packets.iter().map(|(kind, timestamp, payload)| packet(kinds[*kind], *timestamp, payload)).collect();
            let (read, error) = read_all(&file(&packets));
            prop_assert_eq!(read, packets);
            prop_assert!(error.is_none());
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [&file(&[])[..], &tail].concat();
            let (packets, _) = read_all(&bytes);
            prop_assert!(packets.len() <= tail.len() / 11);
            let mut reader = Reader::new(Cursor::new(&bytes)).unwrap();
            while let Ok(Some(_)) = reader.next_start() {}
        }
    }
}
