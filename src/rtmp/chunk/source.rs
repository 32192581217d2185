//! Where chunks come from.

use std::io::{BufRead, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// From so many bytes on, a buffer is a detour: `BufReader` lets what is longer than itself go straight from the socket
/// to its place, which costs less than the zeros that must be there before.
const MANY: usize = 32 * 1024;

/// Bytes that are counted as they are taken, and of which the last four can be given back.
#[derive(Debug)]
pub(super) struct Source<R> {
    pub inner: R,
    /// What was given back last; so many bytes of its end are still to come again.
    given_back: [u8; 4],
    again: usize,
    /// Bytes that were taken and not given back.
    pub received: u64,
    /// Bytes of the message that is being read which are still to come, and where that is told.
    pub missing: usize,
    pub report_missing: Option<Arc<AtomicUsize>>,
}

impl<R: BufRead> Source<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, given_back: [0; 4], again: 0, received: 0, missing: 0, report_missing: None }
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

    /// Appends the next bytes to `to`: few from the buffer that they came into, many past it.
    pub fn append(&mut self, length: usize, to: &mut Vec<u8>) -> Result<()> {
        let buffered = if length < MANY { length } else { self.again };
        self.take(buffered, |bytes| to.extend_from_slice(bytes))?;
        if buffered < length {
            let mut filled = to.len();
            to.resize(filled + length - buffered, 0);
            while filled < to.len() {
                self.before_reading();
                match self.inner.read(&mut to[filled..]) {
                    Ok(0) => return Err(cut_off()),
                    Ok(count) => {
                        filled += count;
                        self.took(count);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(reading(error)),
                }
            }
        }
        Ok(())
    }

    fn before_reading(&self) {
        if let Some(told) = &self.report_missing {
            told.store(self.missing, Ordering::Relaxed);
        }
    }

    fn took(&mut self, count: usize) {
        self.received += count as u64;
        self.missing = self.missing.saturating_sub(count);
    }

    /// Hands over the next bytes, slice by slice.
    fn take(&mut self, mut length: usize, mut to: impl FnMut(&[u8])) -> Result<()> {
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
            self.before_reading();
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
        self.took(count);
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
