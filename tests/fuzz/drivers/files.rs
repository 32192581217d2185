//! Bytes that lie in an FLV file.

use std::io::Cursor;

use gortmp::flv::{Head, KeyframeIndex, Metadata, Reader, Search, Writer, last_timestamp};

/// A whole file, read packet by packet, hopped through tag by tag, and looked at from its end.
pub fn flv_reader(input: &[u8]) {
    let _ = last_timestamp(&mut Cursor::new(input)).expect("memory has no errors");
    let Ok(mut reader) = Reader::with_buffer(64, Cursor::new(input)) else { return };
    let mut position = reader.position();
    let mut written = Writer::new(Vec::new(), true, true).expect("memory has no errors");
    let mut packets = Vec::new();
    while let Ok(Some(packet)) = reader.next_packet() {
        assert!(reader.position() > position, "no tag is empty");
        position = reader.position();
        assert!(packet.payload.len() <= input.len());
        written.write_packet(&packet).expect("what was read can be written");
        packets.push(packet);
    }
    let written = written.into_inner();
    let mut again = Reader::new(&written[..]).expect("our own file");
    for packet in &packets {
        assert_eq!(again.next_packet().expect("our own tag").as_ref(), Some(packet));
    }

    let mut hopping = Reader::with_buffer(64, Cursor::new(input)).expect("as before");
    let mut position = hopping.position();
    while let Ok(Some(start)) = hopping.next_start() {
        assert!(hopping.position() > position);
        position = hopping.position();
        let (_, _, _) = (start.is_key_frame(), start.is_sequence_header(), start.is_frame());
        assert!(start.bytes().len() <= input.len());
    }
}

/// A file with its metadata's index or without, in which is sought; the first four bytes are the times.
pub fn keyframe_index(input: &[u8]) {
    let Some((times, file)) = input.split_first_chunk::<4>() else { return };
    let Ok(mut reader) = Reader::with_buffer(64, Cursor::new(file)) else { return };
    let Ok(head) = Head::read(&mut reader) else { return };
    let metadata = head.metadata.as_ref().and_then(|packet| Metadata::parse(&packet.payload)).unwrap_or_default();
    let mut index = KeyframeIndex::new(&head, &metadata, file.len() as u64);
    for time in times {
        let target_ms = u32::from(*time) * 97;
        // Each step reads on, so there are no more of them than bytes.
        let found = (0..=file.len()).find_map(|_| match index.find(&mut reader, target_ms) {
            Ok(Search::Unfinished) => None,
            Ok(Search::Found(found)) => Some(found),
            Err(_) => Some(None),
        });
        if let Some(key_frame) = found.expect("a search ends") {
            assert!(key_frame.offset < file.len() as u64);
            assert!(key_frame.time_ms <= target_ms, "it starts before what was asked for");
            index.sequence_headers(key_frame.offset);
        }
    }
}
