//! The buffered source of a reader.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::{Buf, Bytes, BytesMut};

use crate::error::{Error, Result};

/// A buffered source that tracks its position, even across errors.
#[derive(Debug)]
pub(super) struct Source<R> {
    inner: R,
    /// Bytes read; those before `at` are consumed.
    buffer: BytesMut,
    at: usize,
    /// Size of the buffer in bytes.
    capacity: usize,
    position: u64,
}

impl<R: Read> Source<R> {
    pub(super) fn new(capacity: usize, inner: R) -> Self {
        Self { inner, buffer: BytesMut::new(), at: 0, capacity, position: 0 }
    }

    /// Returns the offset of the next byte.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Returns the buffered bytes, which can be consumed without I/O.
    pub(super) fn buffered(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Reads the next bytes; fewer at the end of the file.
    pub(super) fn fill(&mut self, bytes: &mut [u8]) -> Result<usize> {
        self.fill_buffer(bytes.len())?;
        let count = bytes.len().min(self.buffered().len());
        bytes[..count].copy_from_slice(&self.buffered()[..count]);
        self.advance(count);
        Ok(count)
    }

    /// Reads the next `size` bytes; fewer at the end. A tag's size has 24 bits, which is the limit `FLV_TAG_BYTES`.
    pub(super) fn read_bytes(&mut self, size: u32) -> Result<Bytes> {
        let size = size as usize;
        if !self.is_large(size) {
            self.fill_buffer(size)?;
            let data = Bytes::copy_from_slice(&self.buffered()[..size.min(self.buffered().len())]);
            self.advance(data.len());
            return Ok(data);
        }
        let mut data = Vec::with_capacity(size);
        data.extend_from_slice(&self.buffered()[..size.min(self.buffered().len())]);
        self.advance(data.len());
        let from_buffer = data.len();
        let result = self.inner.by_ref().take((size - from_buffer) as u64).read_to_end(&mut data);
        if data.len() > from_buffer {
            // The buffer no longer precedes the next byte.
            self.buffer.clear();
            self.at = 0;
        }
        self.position += (data.len() - from_buffer) as u64;
        result.map_err(read_error)?;
        Ok(data.into())
    }

    /// As [`read_bytes`](Self::read_bytes), sharing the buffer where the bytes fit.
    pub(super) fn read_shared(&mut self, size: u32) -> Result<Bytes> {
        if self.is_large(size as usize) {
            return self.read_bytes(size);
        }
        self.fill_buffer(size as usize)?;
        self.buffer.advance(self.at);
        self.at = 0;
        let data = self.buffer.split_to(self.buffer.len().min(size as usize)).freeze();
        self.position += data.len() as u64;
        Ok(data)
    }

    /// Whether bytes that are not all buffered are too many for the buffer, or for moving to its start.
    fn is_large(&self, size: usize) -> bool {
        size > self.buffered().len() && size > self.capacity / 2
    }

    /// Skips bytes; the end of the file shows at the next read.
    pub(super) fn discard(&mut self, bytes: u32) -> Result<()> {
        let mut remaining = bytes as usize;
        while remaining > 0 {
            self.fill_buffer(1)?;
            let count = remaining.min(self.buffered().len());
            if count == 0 {
                break;
            }
            self.advance(count);
            remaining -= count;
        }
        Ok(())
    }

    /// Reads until that many bytes are buffered, or the file ends.
    fn fill_buffer(&mut self, bytes: usize) -> Result<()> {
        while self.buffered().len() < bytes {
            self.buffer.advance(std::mem::take(&mut self.at));
            let (filled, room) = (self.buffer.len(), self.capacity.max(bytes));
            // Reuses the memory once all shared parts are dropped. It never grows.
            if !self.buffer.try_reclaim(room - filled) {
                let mut new = BytesMut::with_capacity(room);
                new.extend_from_slice(&self.buffer);
                self.buffer = new;
            }
            self.buffer.resize(room, 0);
            let result = self.inner.read(&mut self.buffer[filled..]);
            self.buffer.truncate(filled + result.as_ref().copied().unwrap_or(0));
            match result {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(read_error(error)),
            }
        }
        Ok(())
    }

    fn advance(&mut self, count: usize) {
        self.at += count;
        self.position += count as u64;
    }
}

impl<R: Read + Seek> Source<R> {
    /// Seeks to another position; bytes in the buffer are not read again.
    pub(super) fn seek_to(&mut self, position: u64) -> Result<()> {
        let start = self.position - self.at as u64;
        let at = position.checked_sub(start).and_then(|at| usize::try_from(at).ok());
        match at.filter(|at| *at <= self.buffer.len()) {
            Some(at) => self.at = at,
            None => {
                self.buffer.clear();
                self.at = 0;
                self.inner.seek(SeekFrom::Start(position)).map_err(read_error)?;
            }
        }
        self.position = position;
        Ok(())
    }
}

fn read_error(error: io::Error) -> Error {
    Error::io("read_error an FLV file", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_dropped_payloads_is_reused() {
        let bytes = vec![7; 1 << 20];
        let mut source = Source::new(32 * 1024, &bytes[..]);
        let (mut lowest, mut highest) = (usize::MAX, 0);
        for size in [10, 900, 15_000, 16_000, 20, 3000, 11_000, 14_000].repeat(8) {
            let shared = source.read_shared(size).unwrap();
            assert_eq!(shared.len(), size as usize);
            let start = shared.as_ptr().addr();
            (lowest, highest) = (lowest.min(start), highest.max(start + shared.len()));
        }
        assert!(highest - lowest <= 32 * 1024, "{}", highest - lowest);
    }
}
