//! The byte source of a chunk reader.

use std::io::{BufRead, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// Reads of at least this many bytes bypass the buffer: `BufReader` reads what exceeds its capacity directly into the
/// destination, which costs less than a copy even though the destination has to be zeroed first.
const UNBUFFERED_FROM: usize = 32 * 1024;

/// A reader that counts its bytes, and to which the last four can be given back.
#[derive(Debug)]
pub(super) struct Source<R> {
    pub inner: R,
    /// The bytes given back last, and how many of them, at the end, are still to be read again.
    given_back: [u8; 4],
    again: usize,
    /// Bytes read and not given back.
    pub received: u64,
    /// Bytes of the current message that are still to come, and where their number is reported.
    pub missing: usize,
    pub report_missing: Option<Arc<AtomicUsize>>,
}

impl<R: BufRead> Source<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, given_back: [0; 4], again: 0, received: 0, missing: 0, report_missing: None }
    }

    /// Reads the next byte; `None` at the end.
    pub(super) fn byte(&mut self) -> Result<Option<u8>> {
        let mut byte = None;
        self.take_some(1, |bytes| byte = bytes.first().copied())?;
        Ok(byte)
    }

    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        self.take(buffer.len(), |bytes| {
            buffer[filled..filled + bytes.len()].copy_from_slice(bytes);
            filled += bytes.len();
        })
    }

    /// Appends the next `length` bytes to `to`, past the buffer from [`UNBUFFERED_FROM`] on.
    pub(super) fn append(&mut self, length: usize, to: &mut Vec<u8>) -> Result<()> {
        let buffered = if length < UNBUFFERED_FROM { length } else { self.again };
        self.take(buffered, |bytes| to.extend_from_slice(bytes))?;
        if buffered < length {
            let mut filled = to.len();
            to.resize(filled + length - buffered, 0);
            while filled < to.len() {
                self.report();
                match self.inner.read(&mut to[filled..]) {
                    Ok(0) => return Err(cut_off()),
                    Ok(count) => {
                        filled += count;
                        self.advance(count);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(reading(error)),
                }
            }
        }
        Ok(())
    }

    fn report(&self) {
        if let Some(missing) = &self.report_missing {
            missing.store(self.missing, Ordering::Relaxed);
        }
    }

    fn advance(&mut self, count: usize) {
        self.received += count as u64;
        self.missing = self.missing.saturating_sub(count);
    }

    /// Passes the next `length` bytes to `to`, slice by slice.
    fn take(&mut self, mut length: usize, mut to: impl FnMut(&[u8])) -> Result<()> {
        while length > 0 {
            match self.take_some(length, &mut to)? {
                0 => return Err(cut_off()),
                count => length -= count,
            }
        }
        Ok(())
    }

    /// Passes the bytes that are available to `to`, at most `max` of them; none only at the end.
    fn take_some(&mut self, max: usize, to: impl FnOnce(&[u8])) -> Result<usize> {
        let count = if self.again > 0 {
            let start = self.given_back.len() - self.again;
            let count = max.min(self.again);
            to(&self.given_back[start..start + count]);
            self.again -= count;
            count
        } else {
            self.report();
            let ready = loop {
                match self.inner.fill_buf() {
                    Ok(ready) => break ready,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(reading(error)),
                }
            };
            let count = max.min(ready.len());
            to(&ready[..count]);
            self.inner.consume(count);
            count
        };
        self.advance(count);
        Ok(count)
    }

    /// Takes back the four bytes read last: they belong to what follows.
    pub(super) fn give_back(&mut self, bytes: [u8; 4]) {
        self.given_back = bytes;
        self.again = bytes.len();
        self.received -= bytes.len() as u64;
    }
}

fn reading(error: std::io::Error) -> Error {
    Error::io("reading a chunk", error)
}

/// The error for an end of the source in the middle of a message.
pub(super) fn cut_off() -> Error {
    reading(ErrorKind::UnexpectedEof.into())
}
