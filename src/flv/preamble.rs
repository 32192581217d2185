//! The preamble of an FLV file: the tags before its first frame.

use std::io::{Read, Seek};

use super::{Metadata, Reader, SequenceHeaders, TimeBase};
use crate::error::{Error, Result};
use crate::limits;
use crate::media::{Packet, PacketKind, Timestamp};

/// The metadata and sequence headers before the first frame, and the position of that frame.
#[derive(Clone, Debug)]
pub(crate) struct Preamble {
    /// The first `onMetaData`, without `@setDataFrame`, at time 0.
    pub metadata: Option<Packet>,
    /// The sequence headers.
    pub sequence_headers: SequenceHeaders,
    /// Offset of the first audio or video frame; the end of the readable part without frames.
    pub first_frame: u64,
    /// Its time in milliseconds since the start of the file.
    pub first_frame_ms: u32,
    /// The time base of the file.
    pub time_base: TimeBase,
}

impl Preamble {
    /// Reads the tags from the reader's position, the first tag, to the first frame, at most
    /// [`limits::FLV_PREAMBLE_TAGS`]. Damage ends the preamble; reading from `first_frame` reports it. Metadata over
    /// [`limits::COMMAND_BYTES`] is ignored. Fails with [`Error::Io`].
    pub(crate) fn read<R: Read + Seek>(reader: &mut Reader<R>) -> Result<Self> {
        let mut preamble = Self {
            metadata: None,
            sequence_headers: SequenceHeaders::default(),
            first_frame: reader.position(),
            first_frame_ms: 0,
            time_base: TimeBase::default(),
        };
        match preamble.read_tags(reader) {
            Ok(()) | Err(Error::Flv { .. }) => Ok(preamble),
            Err(error) => Err(error),
        }
    }

    fn read_tags<R: Read + Seek>(&mut self, reader: &mut Reader<R>) -> Result<()> {
        for _ in 0..limits::FLV_PREAMBLE_TAGS {
            let Some(start) = reader.next_start()? else { break };
            let (kind, length) = (start.header.kind(), start.header.data_size as usize);
            if start.is_frame() {
                self.time_base = TimeBase::of_first_frame(start.header.timestamp);
                self.first_frame_ms = self.time_base.time_ms(start.header.timestamp);
                break;
            }
            let may_be_metadata = kind == Some(PacketKind::Data) && self.metadata.is_none();
            let fits =
                length <= if may_be_metadata { limits::COMMAND_BYTES } else { limits::FLV_SEQUENCE_HEADER_BYTES };
            if fits && (may_be_metadata || start.is_sequence_header()) {
                reader.seek_to(start.position)?;
                if let Some(packet) = reader.next_packet()? {
                    self.add(start.position, packet);
                }
            }
            self.first_frame = reader.position();
        }
        Ok(())
    }

    fn add(&mut self, position: u64, mut packet: Packet) {
        if packet.kind == PacketKind::Data {
            packet.payload = Metadata::without_set_data_frame(&packet.payload).to_vec().into();
            packet.timestamp = Timestamp::ZERO;
            if Metadata::is_on_meta_data(&packet.payload) {
                self.metadata = Some(packet);
            }
            return;
        }
        self.sequence_headers.insert(position, packet);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Writer;
    use super::*;
    use std::io::Cursor;

    const METADATA: &[u8] = b"\x02\x00\x0aonMetaData\x05";

    fn file(packets: &[(PacketKind, u32, &[u8])]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), true, false).unwrap();
        for &(kind, timestamp, payload) in packets {
            let packet = Packet { kind, timestamp: Timestamp::new(timestamp), payload: payload.to_vec().into() };
            writer.write_packet(&packet).unwrap();
        }
        writer.into_inner()
    }

    fn preamble(bytes: &[u8]) -> Preamble {
        Preamble::read(&mut Reader::new(Cursor::new(bytes)).unwrap()).unwrap()
    }

    #[test]
    fn reads_everything_before_the_first_frame() {
        let set_data_frame = [b"\x02\x00\x0d@setDataFrame", METADATA].concat();
        let before: [(PacketKind, u32, &[u8]); 5] = [
            (PacketKind::Data, 0, b"\x02\x00\x01x"),
            (PacketKind::Data, 7_000, &set_data_frame),
            (PacketKind::Video, 0, &[0x17, 0, 0, 0, 0, 1]),
            (PacketKind::Audio, 0, &[0xaf, 0, 0x12, 0x10]),
            (PacketKind::Video, 0, &[]),
        ];
        let start = file(&before);
        let frame = (PacketKind::Audio, 7_000, &[0xaf, 1, 0][..]);
        let whole = file(&[&before[..], &[frame, (PacketKind::Video, 7_040, &[0x17, 0, 0, 0, 0, 2])]].concat());
        let preamble = preamble(&whole);
        let metadata = preamble.metadata.unwrap();
        assert_eq!((metadata.timestamp, &metadata.payload[..]), (Timestamp::ZERO, METADATA));
        assert_eq!(preamble.first_frame, start.len() as u64);
        assert_eq!(preamble.sequence_headers.valid_at(preamble.first_frame).len(), 2);
        assert_eq!(preamble.time_base.time_ms(Timestamp::new(7_040)), 40);
        assert_eq!(preamble.first_frame_ms, 0);
    }

    #[test]
    fn a_file_without_frames_or_with_damage_has_a_preamble() {
        assert_eq!(preamble(&file(&[])).first_frame, 13);
        let start = file(&[(PacketKind::Data, 0, METADATA)]);
        let preamble = preamble(&[&start[..], &[0; 40]].concat());
        assert_eq!(preamble.first_frame, start.len() as u64);
        assert!(preamble.metadata.is_some());
    }

    #[test]
    fn limit_of_the_metadata() {
        let with_length = |length| {
            let mut payload = METADATA.to_vec();
            payload.resize(length, 0);
            preamble(&file(&[(PacketKind::Data, 0, &payload)])).metadata.is_some()
        };
        assert!(with_length(limits::COMMAND_BYTES));
        assert!(!with_length(limits::COMMAND_BYTES + 1));
    }

    #[test]
    fn limit_of_the_tags_before_the_first_frame() {
        let base_after = |count| {
            let mut packets: Vec<(PacketKind, u32, &[u8])> = vec![(PacketKind::Audio, 0, &[]); count];
            packets.push((PacketKind::Audio, 5_000, &[0x2f, 0]));
            preamble(&file(&packets)).time_base
        };
        assert_eq!(base_after(limits::FLV_PREAMBLE_TAGS - 1), TimeBase::of_first_frame(Timestamp::new(5_000)));
        assert_eq!(base_after(limits::FLV_PREAMBLE_TAGS), TimeBase::default());
    }
}
