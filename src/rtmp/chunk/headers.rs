//! The chunk headers of one message.

use super::{ChunkSize, ChunkStreamId, EXTENDED, HeaderFormat};
use crate::media::Timestamp;

/// The headers of one message's chunks: a type 0 chunk followed by type 3 chunks.
///
/// Absolute timestamps need no state, so the same headers serve every player, and all known clients read them. With
/// [`slices`](Self::slices) the payload is sent from where it is, without a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeaders {
    first: Header<18>,
    next: Header<7>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header<const CAPACITY: usize> {
    bytes: [u8; CAPACITY],
    length: u8,
}

impl ChunkHeaders {
    /// Builds the headers for a payload of `length` bytes, at most 2²⁴ − 1.
    pub fn new(id: ChunkStreamId, timestamp: Timestamp, type_id: u8, stream_id: u32, length: usize) -> Self {
        let milliseconds = timestamp.milliseconds();
        let (mut first, mut next) = (Header::new(HeaderFormat::Full, id), Header::new(HeaderFormat::Continuation, id));
        first.push(&milliseconds.min(EXTENDED).to_be_bytes()[1..]);
        first.push(&(length.min(EXTENDED as usize) as u32).to_be_bytes()[1..]);
        first.push(&[type_id]);
        first.push(&stream_id.to_le_bytes());
        if milliseconds >= EXTENDED {
            // In type 3 chunks as well: ffmpeg and librtmp expect it there, and lose sync without it.
            first.push(&milliseconds.to_be_bytes());
            next.push(&milliseconds.to_be_bytes());
        }
        Self { first, next }
    }

    /// Iterates over headers and slices of the payload in wire order. Bytes beyond 2²⁴ − 1, which the length field
    /// can't express, are left out.
    pub fn slices<'a>(&'a self, chunk_size: ChunkSize, payload: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let chunk_size = chunk_size.get() as usize;
        let payload = &payload[..payload.len().min(EXTENDED as usize)];
        let (data, rest) = payload.split_at(payload.len().min(chunk_size));
        let rest = rest.chunks(chunk_size).flat_map(|data| [self.next.get(), data]);
        [self.first.get(), data].into_iter().chain(rest)
    }

    /// Returns the length of all slices together, in bytes.
    pub fn wire_length(&self, chunk_size: ChunkSize, payload: &[u8]) -> usize {
        let length = payload.len().min(EXTENDED as usize);
        let more_chunks = length.div_ceil(chunk_size.get() as usize).saturating_sub(1);
        self.first.get().len() + length + more_chunks * self.next.get().len()
    }
}

impl<const CAPACITY: usize> Header<CAPACITY> {
    /// Creates a header that starts with the basic header.
    fn new(format: HeaderFormat, id: ChunkStreamId) -> Self {
        let mut header = Self { bytes: [0; CAPACITY], length: 0 };
        let format = format.number() << 6;
        match id.get() {
            id @ 0..=63 => header.push(&[format | id as u8]),
            id @ 64..=319 => header.push(&[format, (id - 64) as u8]),
            id => {
                let [low, high] = ((id - 64) as u16).to_le_bytes();
                header.push(&[format | 1, low, high]);
            }
        }
        header
    }

    fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.length);
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len() as u8;
    }

    fn get(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_header_forms() {
        let basic_header = |id| Header::<3>::new(HeaderFormat::Full, ChunkStreamId::new(id).unwrap()).get().to_vec();
        assert_eq!(basic_header(2), [0x02]);
        assert_eq!(basic_header(63), [0x3f]);
        assert_eq!(basic_header(64), [0x00, 0x00]);
        assert_eq!(basic_header(319), [0x00, 0xff]);
        assert_eq!(basic_header(320), [0x01, 0x00, 0x01]);
        assert_eq!(basic_header(365), [0x01, 0x2d, 0x01]);
        assert_eq!(basic_header(65_599), [0x01, 0xff, 0xff]);
    }

    #[test]
    fn the_wire_length_is_the_total_of_all_slices() {
        let size = ChunkSize::new(100).unwrap();
        for (id, timestamp, length) in
            [(2, 0, 0), (6, 0, 99), (64, 0, 100), (320, 0xff_ffff, 101), (65_599, u32::MAX, 1000)]
        {
            let payload = vec![7; length];
            let id = ChunkStreamId::new(id).unwrap();
            let headers = ChunkHeaders::new(id, Timestamp::new(timestamp), 9, 1, length);
            let slices: usize = headers.slices(size, &payload).map(<[u8]>::len).sum();
            assert_eq!(headers.wire_length(size, &payload), slices, "{id:?} {length}");
        }
    }
}
