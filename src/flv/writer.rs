//! Writing of FLV files and streams.

use std::io::Write;

use super::tag::{self, TagHeader};
use crate::error::{Error, Result};
use crate::media::Packet;

/// Writes packets as the tags of an FLV file.
///
/// Each packet takes three writes, so the destination should be buffered.
#[derive(Debug)]
pub struct Writer<W> {
    inner: W,
    position: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the file header. Fails with [`Error::Io`].
    pub fn new(mut inner: W, has_audio: bool, has_video: bool) -> Result<Self> {
        let header = tag::encode_file_header(has_audio, has_video);
        inner.write_all(&header).map_err(|error| Error::io("writing an FLV header", error))?;
        Ok(Self { inner, position: header.len() as u64 })
    }

    /// Writes a tag. Fails with [`Error::Limit`] when the payload is too long, before writing anything, and with
    /// [`Error::Io`].
    pub fn write_packet(&mut self, packet: &Packet) -> Result<()> {
        let header = TagHeader::for_packet(packet)?;
        let parts: [&[u8]; 3] = [&header.encode(), &packet.payload, &header.tag_size().to_be_bytes()];
        for part in parts {
            self.inner.write_all(part).map_err(|error| Error::io("writing an FLV tag", error))?;
            self.position += part.len() as u64;
        }
        Ok(())
    }

    /// Returns the offset of the next tag: bytes written so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns the destination.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{PacketKind, Timestamp};

    #[test]
    fn literal_bytes() {
        let mut writer = Writer::new(Vec::new(), true, true).unwrap();
        assert_eq!(writer.position(), 13);
        let end_of_sequence = Packet {
            kind: PacketKind::Video,
            timestamp: Timestamp::new(20_000_000),
            payload: vec![0x17, 2, 0, 0, 0].into(),
        };
        writer.write_packet(&end_of_sequence).unwrap();
        assert_eq!(writer.position(), 33);
        let expected = b"FLV\x01\x05\0\0\0\x09\0\0\0\0\
            \x09\x00\x00\x05\x31\x2d\x00\x01\x00\x00\x00\x17\x02\x00\x00\x00\x00\x00\x00\x10";
        assert_eq!(writer.into_inner(), expected);
    }
}
