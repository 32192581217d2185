//! A source as sockets and disks are on a bad day, which ends.

use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};

/// Does every so many reads something else than to read, 64 times at most.
pub struct Shaky<R> {
    inner: R,
    every: u32,
    reads: u32,
    left: u32,
    trouble: ErrorKind,
}

impl<R> Shaky<R> {
    /// Every so many reads are interrupted.
    pub fn interrupted(inner: R, every: u8) -> Self {
        Self { inner, every: u32::from(every).max(2), reads: 0, left: 64, trouble: ErrorKind::Interrupted }
    }

    /// Every so many reads fail.
    pub fn failing(inner: R, every: u8) -> Self {
        Self { trouble: ErrorKind::Other, ..Self::interrupted(inner, every) }
    }
}

impl<R: Read> Read for Shaky<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.reads += 1;
        if !self.reads.is_multiple_of(self.every) || self.left == 0 {
            return self.inner.read(buffer);
        }
        self.left -= 1;
        Err(Error::from(self.trouble))
    }
}

impl<R: Seek> Seek for Shaky<R> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.inner.seek(to)
    }
}
