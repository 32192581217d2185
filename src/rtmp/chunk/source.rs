//! Where chunks come from.

use std::io::{BufRead, ErrorKind};

use crate::error::{Error, Result};

/// Bytes that are counted as they are taken, and of which the last four can be given back.
#[derive(Debug)]
pub(super) struct Source<R> {
    pub inner: R,
    /// What was given back last; so many bytes of its end are still to come again.
    given_back: [u8; 4],
    again: usize,
    /// Bytes that were taken and not given back.
    pub received: u64,
}

impl<R: BufRead> Source<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, given_back: [0; 4], again: 0, received: 0 }
    }

    /// The next byte; `None` at the end.
    pub fn byte(&mut self) -> Result<Option<u8>> {
        let mut byte = None;
        self.take_some(1, |bytes| byte = bytes.first().copied())?;
        Ok(byte)
    }

    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        self.take(buffer.len(), |bytes| {
            buffer[filled..filled + bytes.len()].copy_from_slice(bytes);
            filled += bytes.len();
        })
    }

    /// Hands the next bytes to `to`, piece by piece, straight from the buffer that they came into.
    pub fn take(&mut self, mut length: usize, mut to: impl FnMut(&[u8])) -> Result<()> {
        while length > 0 {
            match self.take_some(length, &mut to)? {
                0 => return Err(cut_off()),
                count => length -= count,
            }
        }
        Ok(())
    }

    /// Hands over as much as is there, `most` bytes at most; nothing at the end only.
    fn take_some(&mut self, most: usize, to: impl FnOnce(&[u8])) -> Result<usize> {
        let count = if self.again > 0 {
            let start = self.given_back.len() - self.again;
            let count = most.min(self.again);
            to(&self.given_back[start..start + count]);
            self.again -= count;
            count
        } else {
            let ready = loop {
                match self.inner.fill_buf() {
                    Ok(ready) => break ready,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(reading(error)),
                }
            };
            let count = most.min(ready.len());
            to(&ready[..count]);
            self.inner.consume(count);
            count
        };
        self.received += count as u64;
        Ok(count)
    }

    /// Takes back the four bytes that were taken last: they belong to what follows.
    pub fn give_back(&mut self, bytes: [u8; 4]) {
        self.given_back = bytes;
        self.again = bytes.len();
        self.received -= bytes.len() as u64;
    }
}

fn reading(error: std::io::Error) -> Error {
    Error::io("reading a chunk", error)
}

/// The end, where bytes should follow.
pub(super) fn cut_off() -> Error {
    reading(ErrorKind::UnexpectedEof.into())
}
