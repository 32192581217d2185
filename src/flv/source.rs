//! Where tags are read from.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::{Buf, Bytes, BytesMut};

use crate::{Error, Result};

/// A buffered source that knows where it is, after an error as well.
#[derive(Debug)]
pub(super) struct Source<R> {
    inner: R,
    /// What was read; before `at` it was taken.
    buffer: BytesMut,
    at: usize,
    /// Bytes that are read at once.
    capacity: usize,
    position: u64,
}

impl<R: Read> Source<R> {
    pub fn new(capacity: usize, inner: R) -> Self {
        Self { inner, buffer: BytesMut::new(), at: 0, capacity, position: 0 }
    }

    /// Offset of the next byte.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// What can be taken without reading.
    pub fn at_hand(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Takes the next bytes, as many as there are.
    pub fn fill(&mut self, bytes: &mut [u8]) -> Result<usize> {
        self.want(bytes.len())?;
        let count = bytes.len().min(self.at_hand().len());
        bytes[..count].copy_from_slice(&self.at_hand()[..count]);
        self.advance(count);
        Ok(count)
    }

    /// The next bytes, fewer at the end. The size of a tag has 24 bits, which is the limit `FLV_TAG_BYTES`.
    pub fn take(&mut self, size: u32) -> Result<Bytes> {
        let size = size as usize;
        if !self.is_large(size) {
            self.want(size)?;
            let data = Bytes::copy_from_slice(&self.at_hand()[..size.min(self.at_hand().len())]);
            self.advance(data.len());
            return Ok(data);
        }
        let mut data = Vec::with_capacity(size);
        data.extend_from_slice(&self.at_hand()[..size.min(self.at_hand().len())]);
        self.advance(data.len());
        let buffered = data.len();
        let result = self.inner.by_ref().take((size - buffered) as u64).read_to_end(&mut data);
        if data.len() > buffered {
            // What is buffered is not what comes before the next byte any more.
            self.buffer.clear();
            self.at = 0;
        }
        self.position += (data.len() - buffered) as u64;
        result.map_err(reading)?;
        Ok(data.into())
    }

    /// The same as part of the buffer, where it fits.
    pub fn share(&mut self, size: u32) -> Result<Bytes> {
        if self.is_large(size as usize) {
            return self.take(size);
        }
        self.want(size as usize)?;
        self.buffer.advance(self.at);
        self.at = 0;
        let data = self.buffer.split_to(self.buffer.len().min(size as usize)).freeze();
        self.position += data.len() as u64;
        Ok(data)
    }

    /// Whether bytes that are not all at hand are too many for the buffer, or for what can be moved to its start within it.
    fn is_large(&self, size: usize) -> bool {
        size > self.at_hand().len() && size > self.capacity / 2
    }

    /// Reads and forgets; the end of the file shows at the next read.
    pub fn discard(&mut self, bytes: u32) -> Result<()> {
        let mut left = bytes as usize;
        while left > 0 {
            self.want(1)?;
            let count = left.min(self.at_hand().len());
            if count == 0 {
                break;
            }
            self.advance(count);
            left -= count;
        }
        Ok(())
    }

    /// Reads until so many bytes are at hand, or there are no more.
    fn want(&mut self, bytes: usize) -> Result<()> {
        while self.at_hand().len() < bytes {
            self.buffer.advance(std::mem::take(&mut self.at));
            let (filled, room) = (self.buffer.len(), self.capacity.max(bytes));
            // The same memory again once nobody has any of what was shared. It never grows.
            if !self.buffer.try_reclaim(room - filled) {
                let mut other = BytesMut::with_capacity(room);
                other.extend_from_slice(&self.buffer);
                self.buffer = other;
            }
            self.buffer.resize(room, 0);
            let result = self.inner.read(&mut self.buffer[filled..]);
            self.buffer.truncate(filled + result.as_ref().copied().unwrap_or(0));
            match result {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(reading(error)),
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
    /// Goes to another place; what is in the buffer already is not read again.
    pub fn seek_to(&mut self, position: u64) -> Result<()> {
        let start = self.position - self.at as u64;
        let at = position.checked_sub(start).and_then(|at| usize::try_from(at).ok());
        match at.filter(|at| *at <= self.buffer.len()) {
            Some(at) => self.at = at,
            None => {
                self.buffer.clear();
                self.at = 0;
                self.inner.seek(SeekFrom::Start(position)).map_err(reading)?;
            }
        }
        self.position = position;
        Ok(())
    }
}

fn reading(error: io::Error) -> Error {
    Error::io("reading an FLV file", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_nobody_has_any_more_is_used_again() {
        let bytes = vec![7; 1 << 20];
        let mut source = Source::new(32 * 1024, &bytes[..]);
        let (mut lowest, mut highest) = (usize::MAX, 0);
        for size in [10, 900, 15_000, 16_000, 20, 3000, 11_000, 14_000].repeat(8) {
            let shared = source.share(size).unwrap();
            assert_eq!(shared.len(), size as usize);
            let start = shared.as_ptr().addr();
            (lowest, highest) = (lowest.min(start), highest.max(start + shared.len()));
        }
        assert!(highest - lowest <= 32 * 1024, "{}", highest - lowest);
    }
}
