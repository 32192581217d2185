//! The end of an FLV file.

use std::io::{self, Read, Seek, SeekFrom};

use byteorder::{BigEndian, ByteOrder};

use super::tag::{PREVIOUS_TAG_SIZE_BYTES, TAG_HEADER_BYTES, TagHeader};
use crate::media::{PacketKind, Timestamp};

/// Tags looked at from the end: some writers put script data last.
const TAGS: usize = 8;

/// The timestamp of the last audio or video tag, found by stepping back over `PreviousTagSize`; `None`
/// when the end of the file doesn't look like one. Moves the source. Fails when it can't be read.
pub fn last_timestamp<R: Read + Seek>(source: &mut R) -> io::Result<Option<Timestamp>> {
    let mut end = source.seek(SeekFrom::End(0))?;
    for _ in 0..TAGS {
        let Some(size_at) = end.checked_sub(PREVIOUS_TAG_SIZE_BYTES as u64) else { return Ok(None) };
        source.seek(SeekFrom::Start(size_at))?;
        let mut size = [0; PREVIOUS_TAG_SIZE_BYTES];
        source.read_exact(&mut size)?;
        let size = BigEndian::read_u32(&size);
        let Some(tag_at) = size_at.checked_sub(size.into()) else { return Ok(None) };
        if size < TAG_HEADER_BYTES as u32 {
            return Ok(None);
        }
        source.seek(SeekFrom::Start(tag_at))?;
        let mut header = [0; TAG_HEADER_BYTES];
        source.read_exact(&mut header)?;
        let header = TagHeader::decode(&header);
        match header.kind() {
            _ if !header.is_plain() || header.tag_size() != size => return Ok(None),
            Some(PacketKind::Audio | PacketKind::Video) => return Ok(Some(header.timestamp)),
            _ => end = tag_at,
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::Writer;
    use super::*;
    use crate::media::Packet;
    use std::io::Cursor;

    fn file(tags: &[(PacketKind, u32)]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), true, true).unwrap();
        for &(kind, timestamp) in tags {
            let packet = Packet { kind, timestamp: Timestamp::new(timestamp), payload: vec![1; 20] };
            writer.write_packet(&packet).unwrap();
        }
        writer.into_inner()
    }

    fn last(bytes: &[u8]) -> Option<u32> {
        last_timestamp(&mut Cursor::new(bytes)).unwrap().map(Timestamp::milliseconds)
    }

    #[test]
    fn the_last_sound_or_picture_counts() {
        use PacketKind::{Audio, Data, Video};
        assert_eq!(last(&file(&[(Audio, 3), (Video, 0x0123_4567)])), Some(0x0123_4567));
        assert_eq!(last(&file(&[(Audio, 3), (Data, 0), (Data, 0)])), Some(3));
        assert_eq!(last(&file(&[(Data, 9)])), None);
        assert_eq!(last(&file(&[])), None);
    }

    #[test]
    fn limit_of_the_tags_looked_at() {
        use PacketKind::{Audio, Data};
        let ends_with = |count| [&[(Audio, 3)][..], &vec![(Data, 0); count]].concat();
        assert_eq!(last(&file(&ends_with(TAGS - 1))), Some(3));
        assert_eq!(last(&file(&ends_with(TAGS))), None);
    }

    #[test]
    fn an_end_cut_off_tells_nothing() {
        let whole = file(&[(PacketKind::Audio, 3), (PacketKind::Video, 7)]);
        for length in 0..whole.len() {
            assert!(matches!(last(&whole[..length]), None | Some(3)), "{length} bytes");
        }
    }
}
