//! The sequence headers of a file and where each comes into force.

use crate::limits;
use crate::media::{HeaderSlot, Packet};

/// The sequence headers of a file, each with the offset of its tag.
///
/// One that repeats the one before it is not kept, so a file that repeats them at each key frame needs
/// no more room than another. Together they stay below [`limits::FLV_SEQUENCE_HEADER_BYTES`].
#[derive(Clone, Debug, Default)]
pub struct SequenceHeaders {
    found: Vec<(u64, HeaderSlot, Packet)>,
    bytes: usize,
}

impl SequenceHeaders {
    /// What a change costs beside its payload, in bytes: keeps many small ones below the limit as well.
    const OVERHEAD_BYTES: usize = 64;

    /// Remembers a sequence header that lies behind all known ones, unless it is empty.
    pub fn note(&mut self, offset: u64, packet: Packet) {
        let Some(slot) = packet.header_slot().filter(|_| packet.has_configuration()) else { return };
        let last = self.found.iter().rev().find(|(_, other, _)| *other == slot);
        if last.is_some_and(|(_, _, known)| known.payload == packet.payload) {
            return;
        }
        let bytes = self.bytes + packet.payload.len() + Self::OVERHEAD_BYTES;
        if bytes <= limits::FLV_SEQUENCE_HEADER_BYTES {
            self.bytes = bytes;
            self.found.push((offset, slot, packet));
        }
    }

    /// How many changes lie before a tag.
    pub fn changes_before(&self, offset: u64) -> usize {
        self.found.partition_point(|(at, ..)| *at < offset)
    }

    /// The sequence headers in force at a tag, in the order in which each first came; their timestamps
    /// are those of the file.
    pub fn valid_at(&self, offset: u64) -> Vec<Packet> {
        let mut valid: Vec<(HeaderSlot, &Packet)> = Vec::new();
        for (_, slot, packet) in self.found.iter().take_while(|(at, _, _)| *at < offset) {
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
        let sound = [0xaf, 0, 0x12, 0x10];
        let mut headers = SequenceHeaders::default();
        headers.note(13, header(PacketKind::Video, &first));
        headers.note(40, header(PacketKind::Audio, &sound));
        headers.note(50, header(PacketKind::Video, &first));
        headers.note(90, header(PacketKind::Video, &second));
        assert_eq!(payloads(&headers, 13), [] as [&[u8]; 0]);
        assert_eq!(payloads(&headers, 40), [&first[..]]);
        assert_eq!(payloads(&headers, 90), [&first[..], &sound]);
        assert_eq!(payloads(&headers, 91), [&second[..], &sound]);
        assert_eq!(headers.found.len(), 3, "a repetition isn't kept");
        assert_eq!([13, 14, 90, 91].map(|offset| headers.changes_before(offset)), [0, 1, 2, 3]);
    }

    #[test]
    fn tracks_and_metadata_have_their_own() {
        let mut headers = SequenceHeaders::default();
        let all: [&[u8]; 4] = [b"\x90hvc1\x01", b"\x94hvc1colour", b"\x96\x00hvc1\x01\x01", b"\x96\x00hvc1\x02\x01"];
        for (offset, payload) in all.iter().enumerate() {
            headers.note(offset as u64, header(PacketKind::Video, payload));
        }
        headers.note(5, header(PacketKind::Video, b"\x90hvc1"));
        assert_eq!(payloads(&headers, 10), all, "an empty one replaces nothing");
    }

    #[test]
    fn limit_of_their_bytes() {
        let with_length = |length| {
            let mut payload = vec![0; length];
            payload[0] = 0x17;
            let mut headers = SequenceHeaders::default();
            headers.note(1, header(PacketKind::Video, &payload));
            headers.valid_at(2).len()
        };
        let most = limits::FLV_SEQUENCE_HEADER_BYTES - SequenceHeaders::OVERHEAD_BYTES;
        assert_eq!((with_length(most), with_length(most + 1)), (1, 0));
    }
}
