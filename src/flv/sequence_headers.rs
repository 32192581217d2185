//! The sequence headers of a file and the offsets from which they are valid.

use crate::limits;
use crate::media::{HeaderSlot, Packet};

/// The sequence headers of a file, each with the offset of its tag.
///
/// Repetitions are not stored, so a file that repeats them at each key frame needs no more memory. The total size is at
/// most [`limits::FLV_SEQUENCE_HEADER_BYTES`].
#[derive(Clone, Debug, Default)]
pub(crate) struct SequenceHeaders {
    entries: Vec<(u64, HeaderSlot, Packet)>,
    bytes: usize,
}

impl SequenceHeaders {
    /// Bytes charged per stored header besides its payload, so that the limit also bounds many small ones.
    const OVERHEAD_BYTES: usize = 64;

    /// Appends a sequence header, which must follow all known ones; empty ones are ignored.
    pub(crate) fn insert(&mut self, offset: u64, packet: Packet) {
        let Some(slot) = packet.header_slot().filter(|_| packet.has_configuration()) else { return };
        let last = self.entries.iter().rev().find(|(_, other, _)| *other == slot);
        if last.is_some_and(|(_, _, known)| known.payload == packet.payload) {
            return;
        }
        let bytes = self.bytes + packet.payload.len() + Self::OVERHEAD_BYTES;
        if bytes <= limits::FLV_SEQUENCE_HEADER_BYTES {
            self.bytes = bytes;
            self.entries.push((offset, slot, packet));
        }
    }

    /// Returns the number of changes before a tag.
    pub(crate) fn changes_before(&self, offset: u64) -> usize {
        self.entries.partition_point(|(at, ..)| *at < offset)
    }

    /// Returns the sequence headers valid at a tag, in order of first appearance; their timestamps are those of the
    /// file.
    pub(crate) fn valid_at(&self, offset: u64) -> Vec<Packet> {
        let mut valid: Vec<(HeaderSlot, &Packet)> = Vec::new();
        for (_, slot, packet) in self.entries.iter().take_while(|(at, _, _)| *at < offset) {
            match valid.iter_mut().find(|(known, _)| known == slot) {
                Some((_, known)) => *known = packet,
                None => valid.push((*slot, packet)),
            }
        }
        valid.into_iter().map(|(_, packet)| packet.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::PacketKind;
    use crate::media::Timestamp;

    fn header(kind: PacketKind, payload: &[u8]) -> Packet {
        Packet { kind, timestamp: Timestamp::ZERO, payload: payload.to_vec().into() }
    }

    fn payloads(headers: &SequenceHeaders, offset: u64) -> Vec<Vec<u8>> {
        headers.valid_at(offset).into_iter().map(|packet| packet.payload.into()).collect()
    }

    #[test]
    fn the_latest_before_the_tag_is_valid() {
        let (first, second) = ([0x17, 0, 0, 0, 0, 1], [0x17, 0, 0, 0, 0, 2]);
        let audio = [0xaf, 0, 0x12, 0x10];
        let mut headers = SequenceHeaders::default();
        headers.insert(13, header(PacketKind::Video, &first));
        headers.insert(40, header(PacketKind::Audio, &audio));
        headers.insert(50, header(PacketKind::Video, &first));
        headers.insert(90, header(PacketKind::Video, &second));
        assert_eq!(payloads(&headers, 13), [] as [&[u8]; 0]);
        assert_eq!(payloads(&headers, 40), [&first[..]]);
        assert_eq!(payloads(&headers, 90), [&first[..], &audio]);
        assert_eq!(payloads(&headers, 91), [&second[..], &audio]);
        assert_eq!(headers.entries.len(), 3, "repetitions aren't stored");
        assert_eq!([13, 14, 90, 91].map(|offset| headers.changes_before(offset)), [0, 1, 2, 3]);
    }

    #[test]
    fn tracks_and_metadata_have_separate_slots() {
        let mut headers = SequenceHeaders::default();
        let all: [&[u8]; 4] = [b"\x90hvc1\x01", b"\x94hvc1colour", b"\x96\x00hvc1\x01\x01", b"\x96\x00hvc1\x02\x01"];
        for (offset, payload) in all.iter().enumerate() {
            headers.insert(offset as u64, header(PacketKind::Video, payload));
        }
        headers.insert(5, header(PacketKind::Video, b"\x90hvc1"));
        assert_eq!(payloads(&headers, 10), all, "an empty one replaces nothing");
    }

    #[test]
    fn limit_of_the_total_size() {
        let with_length = |length| {
            let mut payload = vec![0; length];
            payload[0] = 0x17;
            let mut headers = SequenceHeaders::default();
            headers.insert(1, header(PacketKind::Video, &payload));
            headers.valid_at(2).len()
        };
        let max = limits::FLV_SEQUENCE_HEADER_BYTES - SequenceHeaders::OVERHEAD_BYTES;
        assert_eq!((with_length(max), with_length(max + 1)), (1, 0));
    }
}
