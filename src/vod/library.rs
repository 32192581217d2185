//! The library: a folder of videos.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::open::open_below;
use super::shared_file::{DamageLog, FileVersion, SharedFile};
use super::{Video, name, not_found};
use crate::error::{Error, Result};
use crate::flv::{Metadata, Preamble};
use crate::limits;

/// A folder of FLV files, with a cache of their key frame indexes.
///
/// The indexes of at most [`limits::KEYFRAME_INDEXES`] files are cached, while size and modification time are
/// unchanged; the least recently used is evicted first. All viewers of a file share its index; a search in one file
/// doesn't block the viewers of another.
#[derive(Debug)]
pub(crate) struct Library {
    root: PathBuf,
    /// In order of use, the most recently used last.
    cache: Mutex<Vec<Arc<SharedFile>>>,
    damage_log: Arc<DamageLog>,
}

/// A playable file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ListedVideo {
    /// The name to request: the path below the folder, without `.flv` unless only its case distinguishes this file from
    /// another.
    pub name: String,
    /// The file's size in bytes.
    pub bytes: u64,
    /// Modification time: seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
}

impl Library {
    /// Creates the library of a folder, which need not exist yet.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, cache: Mutex::default(), damage_log: Arc::default() }
    }

    /// Returns the folder.
    #[cfg(test)]
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Opens the file that a name refers to. The name is the stream's path below the application, without query:
    /// `sub/name`, with or without `.flv`, verbatim or percent-encoded, `flv:name`.
    ///
    /// Never opens anything outside the folder, hidden, or other than a regular file: that, and a name without a file,
    /// fails with [`Error::Refused`] and the code `NetStream.Play.StreamNotFound`. A name
    /// over [`limits::NAME_BYTES`] fails with [`Error::Limit`], a file that isn't FLV with [`Error::Flv`] or
    /// [`Error::Limit`], and one that can't be read with [`Error::Io`].
    pub(crate) fn open(&self, name: &str) -> Result<Box<Video>> {
        let mut failure = not_found("no such file");
        for path in name::candidates(name)? {
            match self.open_path(&path) {
                Ok(Some(video)) => return Ok(video),
                Ok(None) => {}
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn open_path(&self, path: &Path) -> Result<Option<Box<Video>>> {
        let Some(file) = open_below(&self.root, path)? else { return Ok(None) };
        let name = path.to_string_lossy().into_owned();
        Video::new(name, file, |file, preamble, metadata| self.shared_file(file, preamble, metadata)).map(Some)
    }

    fn shared_file(&self, file: &File, preamble: &Preamble, metadata: &Metadata) -> Result<Arc<SharedFile>> {
        let status = file.metadata().map_err(|error| Error::io("reading a video file's status", error))?;
        let version = FileVersion {
            device: status.dev(),
            inode: status.ino(),
            bytes: status.len(),
            modified: (status.mtime(), status.mtime_nsec()),
        };
        let mut cache = self.cache.lock();
        let cached =
            cache.iter().position(|other| other.version().is_same_file(&version)).map(|index| cache.remove(index));
        let file = cached
            .filter(|cached| cached.version() == version)
            .unwrap_or_else(|| Arc::new(SharedFile::new(version, preamble, metadata, self.damage_log.clone())));
        if cache.len() >= limits::KEYFRAME_INDEXES {
            cache.remove(0);
        }
        cache.push(file.clone());
        Ok(file)
    }

    /// Lists the files that end in `.flv`, in any case, sorted by name. Sub-folders are listed to a depth of
    /// [`limits::LIBRARY_DEPTH`] and [`limits::LIBRARY_ENTRIES`] entries in total; links to folders are not followed.
    /// Unreadable files and folders are left out.
    pub(crate) fn list(&self) -> Vec<ListedVideo> {
        let mut videos = Vec::new();
        let mut folders = vec![(PathBuf::new(), 1)];
        let mut entries_left = limits::LIBRARY_ENTRIES;
        while let Some((folder, depth)) = folders.pop() {
            let Ok(entries) = self.root.join(&folder).read_dir() else { continue };
            for entry in entries.flatten() {
                if entries_left == 0 {
                    log::warn!("video folder: listing stopped after {} files and folders", limits::LIBRARY_ENTRIES);
                    return sorted(videos);
                }
                entries_left -= 1;
                if entry.file_name().as_encoded_bytes().starts_with(b".") {
                    continue;
                }
                let path = folder.join(entry.file_name());
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && depth < limits::LIBRARY_DEPTH => folders.push((path, depth + 1)),
                    Ok(kind) if !kind.is_dir() => videos.extend(self.entry(&path)),
                    _ => {}
                }
            }
        }
        sorted(videos)
    }

    /// Returns the entry of a video, with the extension in its name; `None` for other files.
    fn entry(&self, path: &Path) -> Option<ListedVideo> {
        let name = path.to_str()?.to_owned();
        name::without_extension(name.as_bytes())?;
        name::candidates(&name).ok()?;
        let file = open_below(&self.root, path).ok()??;
        let status = file.metadata().ok()?;
        Some(ListedVideo { name, bytes: status.len(), modified: (status.mtime(), status.mtime_nsec()) })
    }
}

/// Sorts the videos and strips their extensions. Where two would have the same name, the file that it resolves to gets
/// it.
fn sorted(mut videos: Vec<ListedVideo>) -> Vec<ListedVideo> {
    videos.sort_by_key(|video| name::extension_rank(video.name.as_bytes()));
    let mut names = HashSet::new();
    for video in &mut videos {
        let stem = name::without_extension(video.name.as_bytes()).map_or(0, <[u8]>::len);
        let short = video.name[..stem].to_owned();
        if names.insert(short.clone()) {
            video.name = short;
        }
    }
    videos.sort();
    videos
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::fixtures;
    use std::os::unix::fs::symlink;
    use std::time::{Duration, SystemTime};

    fn library(files: &[&str]) -> (tempfile::TempDir, Library) {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("videos");
        for file in files {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, fixtures::file(&fixtures::typical(2))).unwrap();
        }
        (parent, Library::new(root))
    }

    fn opened(library: &Library, name: &str) -> String {
        library.open(name).unwrap_or_else(|error| panic!("{name}: {error}")).name().to_owned()
    }

    fn is_not_found(library: &Library, name: &str) -> bool {
        matches!(library.open(name), Err(Error::Refused { code, .. }) if code == "NetStream.Play.StreamNotFound")
    }

    #[test]
    fn names_resolve_to_files() {
        let files = ["a.flv", "b", "sub/deep/c.flv", "d e.flv", "100%.flv", "f%20g.flv", "\u{fc}\u{1f3a5}.flv"];
        let (_parent, library) = library(&files);
        for (name, file) in [
            ("a", "a.flv"),
            ("a.flv", "a.flv"),
            ("flv:a", "a.flv"),
            ("mp4:a.flv", "a.flv"),
            ("/a", "a.flv"),
            ("b", "b"),
            ("b.flv", "b"),
            ("sub/deep/c", "sub/deep/c.flv"),
            ("sub//deep/mp4:c", "sub/deep/c.flv"),
            ("d e", "d e.flv"),
            ("d%20e.flv", "d e.flv"),
            ("100%", "100%.flv"),
            ("100%25", "100%.flv"),
            ("f%20g", "f%20g.flv"),
            ("\u{fc}\u{1f3a5}", "\u{fc}\u{1f3a5}.flv"),
            ("%c3%bc%F0%9F%8E%A5.flv", "\u{fc}\u{1f3a5}.flv"),
        ] {
            assert_eq!(opened(&library, name), file, "{name}");
        }
    }

    #[test]
    fn only_regular_files_of_the_library_are_opened() {
        let (parent, library) = library(&["a.flv", "sub/c.flv", ".hidden.flv", ".git/d.flv"]);
        let secret = parent.path().join("secret.flv");
        std::fs::copy(library.root().join("a.flv"), &secret).unwrap();
        symlink(&secret, library.root().join("absolute.flv")).unwrap();
        symlink("../secret.flv", library.root().join("relative.flv")).unwrap();
        symlink("..", library.root().join("sub/parent")).unwrap();
        symlink("../..", library.root().join("sub/grandparent")).unwrap();
        let fifo = library.root().join("fifo.flv");
        rustix::fs::mknodat(rustix::fs::CWD, fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        let absolute = secret.to_str().unwrap();
        for name in [
            "nope",
            "A",
            "",
            "sub",
            "sub/",
            "fifo",
            "fifo.flv",
            "absolute",
            "relative",
            ".hidden",
            ".hidden.flv",
            ".git/d",
            "../secret",
            "..%2fsecret",
            "%2e%2e/secret.flv",
            "sub/../../secret",
            "sub/..",
            "sub/../a",
            "sub/grandparent/secret",
            "..\\secret",
            "..%5csecret",
            "a.flv\0",
            "a%00.flv",
            "a.flv/x",
            "flv:../secret",
            "%252e%252e/secret",
            absolute,
        ] {
            assert!(is_not_found(&library, name), "{name:?}");
        }
        assert_eq!(opened(&library, "sub/parent/a"), "sub/parent/a.flv", "a link that stays inside");
    }

    #[test]
    fn errors_have_a_reason() {
        let (_parent, library) = library(&["a.flv", "sub/c.flv"]);
        std::fs::write(library.root().join("text.flv"), "This is text.").unwrap();
        std::fs::write(library.root().join("empty.flv"), "").unwrap();
        let reason = |name| library.open(name).unwrap_err().to_string();
        assert_eq!(reason("nope"), "NetStream.Play.StreamNotFound: no such file");
        assert_eq!(reason("sub"), "NetStream.Play.StreamNotFound: not a regular file");
        assert!(matches!(library.open("text"), Err(Error::Flv { offset: 0, .. })));
        assert!(matches!(library.open("empty"), Err(Error::Flv { offset: 0, .. })));
    }

    #[test]
    fn the_folder_can_be_created_later() {
        let parent = tempfile::tempdir().unwrap();
        let library = Library::new(parent.path().join("videos"));
        assert!(is_not_found(&library, "a"));
        assert!(library.list().is_empty());
        std::fs::create_dir(library.root()).unwrap();
        std::fs::write(library.root().join("a.flv"), fixtures::file(&[])).unwrap();
        assert_eq!(opened(&library, "a"), "a.flv");
    }

    #[test]
    fn viewers_share_an_index_until_the_file_changes() {
        let (_parent, library) = library(&["a.flv", "b.flv"]);
        let index = |name| library.open(name).unwrap().shared;
        let first = index("a");
        assert!(Arc::ptr_eq(&first, &index("a.flv")));
        assert!(!Arc::ptr_eq(&first, &index("b")));
        let file = File::options().write(true).open(library.root().join("a.flv")).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
        let touched = index("a");
        assert!(!Arc::ptr_eq(&first, &touched));
        file.set_len(2000).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
        assert!(!Arc::ptr_eq(&touched, &index("a")));
        assert_eq!(library.cache.lock().len(), 2, "one per file");
    }

    #[test]
    fn limit_of_the_cached_indexes() {
        let names: Vec<String> = (0..=limits::KEYFRAME_INDEXES).map(|number| format!("{number}.flv")).collect();
        let (_parent, library) = library(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let index = |number: usize| library.open(&names[number]).unwrap().shared;
        let kept: Vec<Arc<SharedFile>> = (0..limits::KEYFRAME_INDEXES).map(index).collect();
        assert!(Arc::ptr_eq(&kept[0], &index(0)), "at the limit all are kept, and this is now the most recent");
        index(limits::KEYFRAME_INDEXES);
        assert_eq!(library.cache.lock().len(), limits::KEYFRAME_INDEXES);
        assert!(Arc::ptr_eq(&kept[0], &index(0)));
        assert!(!Arc::ptr_eq(&kept[1], &index(1)), "the least recently used was evicted");
    }

    #[test]
    fn the_duration_is_that_of_the_playable_part() {
        let (_parent, library) = library(&[]);
        std::fs::create_dir(library.root()).unwrap();
        let duration = |packets: &[crate::media::Packet], cut: usize| {
            let bytes = fixtures::file(packets);
            std::fs::write(library.root().join("a.flv"), &bytes[..bytes.len() - cut]).unwrap();
            library.open("a").unwrap().duration()
        };
        for listed in [12.5, 0.5, 0.0] {
            let metadata = fixtures::on_meta_data(crate::amf::Object::new().with("duration", listed));
            assert_eq!(duration(&[vec![metadata], fixtures::typical(2)].concat(), 0), Some(1.8), "{listed}");
        }
        assert_eq!(duration(&fixtures::seconds(4_000_000, 2), 0), Some(1.8));
        assert_eq!(duration(&fixtures::typical(2), 1), Some(1.8), "truncated in the last PreviousTagSize");
        // The last audio frame has 4 bytes, the video frame before it 8.
        assert_eq!(duration(&fixtures::typical(2), 4 + 1), Some(1.8), "truncated in the audio, the video is complete");
        assert_eq!(duration(&fixtures::typical(2), 19 + 4 + 1), Some(1.6));
        let metadata = fixtures::on_meta_data(crate::amf::Object::new().with("duration", 5.0));
        assert_eq!(
            duration(&[metadata, fixtures::key_frame(0)], 0),
            Some(5.0),
            "a single frame has the announced duration"
        );
        assert_eq!(duration(&[], 0), None);
    }

    /// Truncated at every byte of its last 64 KiB, a file has the same duration for `duration`, segments and playback.
    #[test]
    fn a_truncated_file_has_one_duration() {
        let (_parent, library) = library(&[]);
        std::fs::create_dir(library.root()).unwrap();
        let metadata = fixtures::on_meta_data(crate::amf::Object::new().with("duration", 4000.0));
        let bytes = fixtures::file(&[vec![metadata], fixtures::typical(40)].concat());
        let path = library.root().join("a.flv");
        std::fs::write(&path, &bytes).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        // The end offset and time of each frame, by a plain reader.
        let mut reader = crate::flv::Reader::new(&bytes[..]).unwrap();
        let mut frames = Vec::new();
        while let Some(packet) = reader.next_packet().unwrap() {
            if packet.kind != crate::media::PacketKind::Data && !packet.is_sequence_header() {
                frames.push((reader.position() - 4, packet.timestamp.milliseconds()));
            }
        }
        let full_size = bytes.len() as u64;
        for length in (full_size - 65_536..full_size).rev() {
            file.set_len(length).unwrap();
            let last = frames[frames.partition_point(|(end, _)| *end <= length) - 1].1;
            let open = || library.open("a");
            assert_eq!(open().unwrap().duration(), Some(f64::from(last) / 1000.0), "{length} bytes");
            // These read the whole file, so not at every byte.
            if length % 499 == 0 || frames.iter().any(|(end, _)| end.abs_diff(length) <= 1) {
                let end = crate::vod::segment_boundaries(open, 4_000, 100).unwrap().1;
                assert_eq!(end, last, "segments of {length} bytes");
                let played = played_ms(open().unwrap());
                assert_eq!(played, last, "play of {length} bytes");
            }
        }
    }

    /// Returns the duration that playback reaches.
    fn played_ms(video: Box<Video>) -> u32 {
        struct Viewer(Option<u32>, crate::vod::ControlSender);
        impl crate::vod::Output for Viewer {
            fn send(&mut self, _: &[crate::media::Packet], _: bool) -> Result<()> {
                Ok(())
            }

            fn notify(&mut self, event: crate::vod::PlaybackEvent) -> Result<()> {
                if let crate::vod::PlaybackEvent::Ended { duration_ms, .. } = event {
                    self.0 = Some(duration_ms);
                    self.1.send(crate::vod::Control::Stop, std::time::Duration::ZERO).unwrap();
                }
                Ok(())
            }
        }
        let (sender, receiver) = crate::vod::control_channel();
        let mut viewer = Viewer(None, sender);
        let request = crate::vod::PlayRequest { buffer_ms: limits::VOD_UNPACED_MS, ..Default::default() };
        crate::vod::play(video, request, receiver, &mut viewer).unwrap();
        viewer.0.unwrap()
    }

    #[test]
    fn lists_the_videos() {
        let (parent, library) =
            library(&["b.flv", "a b.flv", "sub/c.flv", "d.mp4", ".x.flv", ".git/y.flv", "e\\f.flv"]);
        symlink("b.flv", library.root().join("link.flv")).unwrap();
        symlink(parent.path(), library.root().join("out")).unwrap();
        symlink("nowhere", library.root().join("broken.flv")).unwrap();
        let bytes = fixtures::file(&fixtures::typical(2)).len() as u64;
        let expected = ["a b", "b", "link", "sub/c"].map(|name| (name.to_owned(), bytes));
        let list = library.list().into_iter().map(|video| (video.name, video.bytes));
        assert_eq!(list.collect::<Vec<_>>(), expected);
    }

    /// As cameras and Windows write names.
    #[test]
    fn names_with_upper_case_extensions() {
        let (_parent, library) = library(&["UPPER.FLV", "Both.flv", "Both.FLV", "sub/Odd.fLv", "sub/odd.flv"]);
        let names: Vec<_> = library.list().into_iter().map(|video| video.name).collect();
        assert_eq!(names, ["Both", "Both.FLV", "UPPER", "sub/Odd", "sub/odd"]);
        for (name, file) in [
            ("UPPER", "UPPER.FLV"),
            ("UPPER.flv", "UPPER.FLV"),
            ("UPPER.FLV", "UPPER.FLV"),
            ("Both", "Both.flv"),
            ("Both.FLV", "Both.FLV"),
            ("Both.Flv", "Both.flv"),
            ("sub/Odd", "sub/Odd.fLv"),
            ("sub/odd", "sub/odd.flv"),
        ] {
            assert_eq!(opened(&library, name), file, "{name}");
        }
        assert!(is_not_found(&library, "upper"), "only the extension is case-insensitive");
    }

    #[test]
    fn limit_of_the_listing_depth() {
        let deep = |depth: usize| format!("{}a.flv", "x/".repeat(depth - 1));
        for (depth, count) in [(limits::LIBRARY_DEPTH, 1), (limits::LIBRARY_DEPTH + 1, 0)] {
            assert_eq!(library(&[&deep(depth)]).1.list().len(), count, "{depth}");
        }
    }

    #[test]
    fn limit_of_the_listing_entries() {
        let parent = tempfile::tempdir().unwrap();
        for number in 0..=limits::LIBRARY_ENTRIES {
            if number == limits::LIBRARY_ENTRIES {
                assert_eq!(Library::new(parent.path().to_owned()).list().len(), limits::LIBRARY_ENTRIES);
            }
            std::fs::write(parent.path().join(format!("{number}.flv")), "").unwrap();
        }
        assert_eq!(Library::new(parent.path().to_owned()).list().len(), limits::LIBRARY_ENTRIES);
    }
}
