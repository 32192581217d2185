//! Independent positions in a shared file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Reads a file at its own position, so that several cursors can share one descriptor. Seeking needs no system call,
/// except from the end.
#[derive(Clone, Debug)]
pub(crate) struct FileCursor {
    file: Arc<File>,
    position: u64,
}

impl FileCursor {
    /// Creates a cursor at the start of the file.
    pub(crate) fn new(file: Arc<File>) -> Self {
        Self { file, position: 0 }
    }
}

impl Read for FileCursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for FileCursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.file.metadata()?.len().checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn cursors_are_independent() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let file = Arc::new(file);
        let (mut first, mut second) = (FileCursor::new(file.clone()), FileCursor::new(file));
        let mut buffer = [0; 3];
        first.read_exact(&mut buffer).unwrap();
        assert_eq!(second.seek(SeekFrom::End(-2)).unwrap(), 8);
        assert_eq!(second.read(&mut buffer).unwrap(), 2);
        assert_eq!(first.seek(SeekFrom::Current(1)).unwrap(), 4);
        first.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"456");
        assert!(first.seek(SeekFrom::Current(-8)).is_err());
    }
}
