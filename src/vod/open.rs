//! Opens files strictly below a folder.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::not_found;
use crate::error::{Error, Result};

/// Doesn't block on a FIFO and doesn't acquire a controlling terminal.
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Opens a regular file for reading; `None` when there is none. The path is relative and contains no `..`.
///
/// The kernel confines the lookup to the folder, including symbolic links (`openat2`); with kernels and in sandboxes
/// without that call, the path of the opened file is compared instead. Fails with [`Error::Refused`] when the path
/// leads elsewhere or to something other than a file, and with [`Error::Io`].
pub(super) fn open_below(folder: &Path, path: &Path) -> Result<Option<File>> {
    let opened = match open_folder(folder).and_then(|folder| open_beneath(&folder, path)) {
        Err(Errno::NOSYS | Errno::PERM) => open_folder(folder).and_then(|folder| open_and_compare(&folder, path)),
        opened => opened,
    };
    let file = match opened {
        Ok(opened) => File::from(opened),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => return Ok(None),
        Err(Errno::LOOP) => return Err(not_found("too many symbolic links")),
        Err(Errno::XDEV) => return Err(not_found("the name leads out of the folder")),
        // A socket, or a device that doesn't exist.
        Err(Errno::NXIO) => return Err(not_found("not a regular file")),
        Err(errno) => return Err(failed(errno.into())),
    };
    if file.metadata().map_err(failed)?.is_file() { Ok(Some(file)) } else { Err(not_found("not a regular file")) }
}

fn failed(error: io::Error) -> Error {
    Error::io("opening a video file", error)
}

fn open_folder(folder: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn open_beneath(folder: &OwnedFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(folder, path, FLAGS, Mode::empty(), resolve)
}

/// As [`open_beneath`], but a file outside the folder is opened before it is rejected.
fn open_and_compare(folder: &OwnedFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let opened = rustix::fs::openat(folder, path, FLAGS, Mode::empty())?;
    if real_path(&opened)?.starts_with(real_path(folder)?) { Ok(opened) } else { Err(Errno::XDEV) }
}

fn real_path(opened: &OwnedFd) -> rustix::io::Result<PathBuf> {
    let link = format!("/proc/self/fd/{}", opened.as_raw_fd());
    std::fs::read_link(link).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_below_the_folder_only() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("videos");
        std::fs::create_dir_all(folder.join("sub")).unwrap();
        std::fs::create_dir(parent.path().join("videos2")).unwrap();
        std::fs::write(parent.path().join("secret"), "secret").unwrap();
        std::fs::write(parent.path().join("videos2/secret"), "secret").unwrap();
        std::fs::write(folder.join("sub/file"), "public").unwrap();
        symlink("sub/file", folder.join("inside")).unwrap();
        symlink("../secret", folder.join("up")).unwrap();
        symlink("../../videos2/secret", folder.join("sub/neighbour")).unwrap();
        symlink(parent.path().join("secret"), folder.join("absolute")).unwrap();
        symlink(parent.path(), folder.join("parent")).unwrap();
        symlink("/proc/self/root/etc/passwd", folder.join("magic")).unwrap();
        symlink("circle", folder.join("circle")).unwrap();
        let opened = open_folder(&folder).unwrap();
        for path in ["sub/file", "inside"].map(Path::new) {
            for mut file in [
                open_below(&folder, path).unwrap().unwrap(),
                open_beneath(&opened, path).unwrap().into(),
                open_and_compare(&opened, path).unwrap().into(),
            ] {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                assert_eq!(text, "public");
            }
        }
        for path in ["up", "sub/neighbour", "absolute", "parent/secret", "magic"].map(Path::new) {
            assert!(matches!(open_below(&folder, path), Err(Error::Refused { .. })), "{path:?}");
            assert_eq!(open_beneath(&opened, path).unwrap_err(), Errno::XDEV, "{path:?}");
            assert_eq!(open_and_compare(&opened, path).unwrap_err(), Errno::XDEV, "{path:?}");
        }
        assert!(matches!(open_below(&folder, Path::new("circle")), Err(Error::Refused { .. })));
    }

    #[test]
    fn missing_files_are_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        for path in ["none", "none/none", "file/none", &"x".repeat(300)] {
            assert!(open_below(folder.path(), Path::new(path)).unwrap().is_none(), "{path}");
        }
        assert!(open_below(Path::new("/nonexistent"), Path::new("a")).unwrap().is_none());
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, fifo, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        for path in ["folder", "socket", "fifo"] {
            assert!(matches!(open_below(folder.path(), Path::new(path)), Err(Error::Refused { .. })), "{path}");
        }
        assert!(matches!(open_below(Path::new("/dev"), Path::new("zero")), Err(Error::Refused { .. })));
    }
}
