//! Bytes that lie in an FLV file.

use std::io::{Cursor, Read};

use gortmp::flv::{Extent, KeyFrame, KeyframeIndex, Metadata, Preamble, Reader, Search, TagStart, Writer};
use gortmp::media::{Packet, PacketKind};
use gortmp::{Error, limits};

use super::flv_file;
use super::shaky::Shaky;

/// A whole file, read packet by packet, hopped through tag by tag, sought in, written again, and its end looked for.
pub fn flv_reader(input: &[u8]) {
    let bytes = flv_file::file(input);
    let mut reader = match Reader::new(Cursor::new(&bytes)) {
        Ok(reader) => reader,
        Err(error) => return check(&error),
    };
    let first = reader.position();
    let packets = read_all(&mut reader, bytes.len());
    let every = packets.len() as u8 % 8;
    let mut shaky = Reader::with_buffer(16, Shaky::interrupted(&bytes[..], every)).expect("it is one");
    assert!(read_all(&mut shaky, bytes.len()) == packets, "it matters that a read was interrupted");
    let starts = hop_all(&mut Reader::with_buffer(64, Cursor::new(&bytes)).expect("it was one"), bytes.len());
    compare(&packets, &starts, &mut reader);

    let mut writer = Writer::new(Vec::new(), true, true).expect("memory takes everything");
    packets.iter().for_each(|packet| writer.write_packet(packet).expect("it came from a tag"));
    let written = writer.into_inner();
    let again = read_all(&mut Reader::new(Cursor::new(&written)).expect("it was written"), written.len());
    assert!(again == packets, "written and read again it is something else");

    reader.seek_to(first).expect("it was there before");
    let head = Preamble::read(&mut reader).expect("memory can be read");
    assert!(
        head.first_frame >= first
            && head.metadata.as_ref().is_none_or(|packet| Metadata::is_on_meta_data(&packet.payload))
    );
    let headers = head.sequence_headers.valid_at(u64::MAX);
    assert!(headers.iter().map(|packet| packet.payload.len()).sum::<usize>() <= limits::FLV_SEQUENCE_HEADER_BYTES);
    let metadata = head.metadata.as_ref().map(|packet| Metadata::parse(&packet.payload).expect("it begins like that"));
    let metadata = metadata.unwrap_or_default();
    assert!(metadata.key_frames.len() <= limits::AMF_VALUES);
    let extent = Extent::find(&mut Cursor::new(&bytes), &head, &metadata.key_frames).expect("memory can be read");
    assert!(extent.end <= bytes.len() as u64 && extent.damage.is_none_or(|damage| damage.offset >= extent.end));
}

/// Reads on to the end, or to where there is no reading on.
fn read_all<R: Read>(reader: &mut Reader<R>, bytes: usize) -> Vec<Packet> {
    let mut packets: Vec<Packet> = Vec::new();
    loop {
        let at = reader.position();
        match reader.next_packet() {
            Ok(Some(packet)) => packets.push(packet),
            Ok(None) => {
                assert!(matches!(reader.next_packet(), Ok(None)), "there is more behind the end");
                break;
            }
            Err(error) => {
                check(&error);
                break;
            }
        }
        assert!(reader.position() >= at + 11, "a tag without a header");
        assert!(packets.iter().map(|packet| packet.payload.len()).sum::<usize>() <= bytes);
    }
    packets
}

fn hop_all(reader: &mut Reader<Cursor<&Vec<u8>>>, bytes: usize) -> Vec<TagStart> {
    let mut starts = Vec::new();
    loop {
        let at = reader.position();
        match reader.next_start() {
            Ok(Some(start)) => {
                assert!(start.position == at && reader.position() > at && at < bytes as u64);
                assert!(!(start.is_key_frame() && start.is_sequence_header()));
                starts.push(start);
            }
            Ok(None) => return starts,
            Err(error) => {
                check(&error);
                return starts;
            }
        }
    }
}

/// Whoever hops over tags sees those that others read.
fn compare(packets: &[Packet], starts: &[TagStart], reader: &mut Reader<Cursor<&Vec<u8>>>) {
    let known: Vec<_> = starts.iter().filter(|start| start.header.kind().is_some()).collect();
    assert!(known.len() <= packets.len(), "{} tags, {} packets", known.len(), packets.len());
    for (start, packet) in known.into_iter().zip(packets) {
        assert_eq!(start.header.timestamp, packet.timestamp);
        assert_eq!(start.header.kind(), Some(packet.kind));
        assert_eq!(start.is_key_frame(), packet.is_key_frame());
        if packet.kind != PacketKind::Data && packet.payload.len() <= start.bytes().len() {
            assert_eq!(start.is_sequence_header(), packet.is_sequence_header());
        }
        reader.seek_to(start.position).expect("memory can be sought in");
        let sought = reader.next_packet();
        assert!(sought.is_ok_and(|sought| sought.as_ref() == Some(packet)), "another packet after a seek");
    }
}

/// A file with its metadata's index or without, in which is sought; the first four bytes are the times.
pub fn keyframe_index(input: &[u8]) {
    let Some((times, file)) = input.split_first_chunk::<4>() else { return };
    let mut targets = times.map(|time| u32::from(time) * 97);
    let bytes = flv_file::file(file);
    let Ok(mut reader) = Reader::new(Cursor::new(&bytes)) else { return };
    let head = Preamble::read(&mut reader).expect("memory can be read");
    let metadata = head.metadata.as_ref().and_then(|packet| Metadata::parse(&packet.payload)).unwrap_or_default();
    let mut index = KeyframeIndex::new(&head, &metadata, bytes.len() as u64);
    for target in targets.into_iter().chain([u32::MAX]) {
        let found = find(&mut index, &mut reader, target, bytes.len());
        if let Some(found) = found {
            assert!(found.time_ms <= target, "{} ms for {target} ms", found.time_ms);
            assert!((head.first_frame..bytes.len() as u64).contains(&found.offset), "{found:?}");
        }
        let headers = index.sequence_headers(found.map_or(0, |found| found.offset));
        assert!(headers.iter().map(|packet| packet.payload.len()).sum::<usize>() <= limits::FLV_SEQUENCE_HEADER_BYTES);
    }
    survives_failures(&bytes, &head, &metadata, targets);
    // All is scanned now, so a later time is not an earlier place.
    targets.sort_unstable();
    let mut places = || targets.map(|target| find(&mut index, &mut reader, target, bytes.len()));
    places();
    let offsets = places().map(|place| place.map(|place| place.offset));
    assert!(offsets.is_sorted(), "{targets:?} are at {offsets:?}");
}

/// A read that fails now and then costs nothing but another try.
fn survives_failures(bytes: &[u8], head: &Preamble, metadata: &Metadata, targets: [u32; 4]) {
    let every = 2 + targets[0] as u8 % 16;
    let mut index = KeyframeIndex::new(head, metadata, bytes.len() as u64);
    let mut untroubled = KeyframeIndex::new(head, metadata, bytes.len() as u64);
    // The file's header is read before anything fails.
    let Ok(mut reader) = Reader::with_buffer(4096, Shaky::failing(Cursor::new(bytes), every)) else { return };
    let mut steady = Reader::with_buffer(64, Cursor::new(bytes)).expect("it is one");
    for target in targets {
        let expected = loop {
            match untroubled.find(&mut steady, target).expect("memory can be read") {
                Search::Found(found) => break found,
                Search::Unfinished => {}
            }
        };
        let found = (0..100 + 4 * bytes.len()).find_map(|_| match index.find(&mut reader, target) {
            Ok(Search::Found(found)) => Some(found),
            Ok(Search::Unfinished) => None,
            Err(error) => {
                assert!(matches!(error, Error::Io { .. }), "{error}");
                None
            }
        });
        assert_eq!(found, Some(expected), "{target} ms");
    }
}

fn find(
    index: &mut KeyframeIndex,
    reader: &mut Reader<Cursor<&Vec<u8>>>,
    target: u32,
    bytes: usize,
) -> Option<KeyFrame> {
    // Each step may read many tags; all of a file this small are read in two, and a list is dropped once.
    for _ in 0..4 + bytes / limits::FLV_TAGS_AT_ONCE {
        match index.find(reader, target).expect("memory can be read") {
            Search::Found(found) => return found,
            Search::Unfinished => {}
        }
    }
    panic!("there is no end to the search for {target} ms");
}

fn check(error: &Error) {
    super::is_fit_for_the_log(error);
    assert!(matches!(error, Error::Flv { .. } | Error::Limit { .. }), "{error}");
}
