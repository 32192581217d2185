//! Files that are read whole: keys and certificates.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Reads a regular text file of at most `limit` bytes. Anything else, such as a FIFO, which would block, is an error,
/// whose text says what is wrong.
pub(crate) fn read_small_file(path: &Path, limit: u64) -> Result<String, String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| error.to_string())?;
    let file = File::from(file);
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut text = String::new();
    file.take(limit + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > limit {
        return Err(format!("it has more bytes than the limit of {limit}"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_at_the_limit_and_other_kinds_of_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(read_small_file(&file, 5).as_deref(), Ok("12345"));
        assert!(read_small_file(&file, 4).unwrap_err().contains("limit of 4"));
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert!(read_small_file(&fifo, 5).unwrap_err().contains("not a regular file"));
        assert!(read_small_file(dir.path(), 5).is_err());
        assert!(read_small_file(&dir.path().join("none"), 5).is_err());
    }
}
