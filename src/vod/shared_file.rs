//! What all viewers of a file share: where it can be played from, and how far.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::FileCursor;
use crate::flv::{Damage, Extent, KeyframeIndex, Metadata, Preamble};
use crate::{Result, limits};

/// One version of a file.
#[derive(Debug)]
pub(super) struct SharedFile {
    version: FileVersion,
    /// A search in it holds up the viewers of this file only.
    pub index: Mutex<KeyframeIndex>,
    extent: Mutex<Option<Arc<Extent>>>,
    damage_log: Arc<DamageLog>,
}

/// A file in a certain state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileVersion {
    pub device: u64,
    pub inode: u64,
    pub bytes: u64,
    /// Seconds and nanoseconds.
    pub modified: (i64, i64),
}

impl FileVersion {
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

impl SharedFile {
    pub(super) fn new(version: FileVersion, head: &Preamble, metadata: &Metadata, damage_log: Arc<DamageLog>) -> Self {
        let index = Mutex::new(KeyframeIndex::new(head, metadata, version.bytes));
        Self { version, index, extent: Mutex::default(), damage_log }
    }

    pub(super) fn version(&self) -> FileVersion {
        self.version
    }

    /// How much of it can be played, found once. Of a damaged file the log says where, under that name.
    pub(super) fn extent(
        &self,
        name: &str,
        mut cursor: FileCursor,
        head: &Preamble,
        metadata: &Metadata,
    ) -> Result<Arc<Extent>> {
        let mut known = self.extent.lock();
        if let Some(extent) = &*known {
            return Ok(extent.clone());
        }
        let extent = Arc::new(Extent::find(&mut cursor, head, &metadata.key_frames)?);
        if let Some(damage) = &extent.damage {
            self.report(name, damage);
        }
        Ok(known.insert(extent).clone())
    }

    /// Tells the log what is wrong with the file, once.
    pub(super) fn report(&self, name: &str, damage: &Damage) {
        if self.damage_log.should_report(self.version, damage.offset) {
            log::warn!("video \"{}\": {damage}; it plays up to there", name.escape_debug());
        }
    }
}

/// Which damage the log has been told of already: once for each version of a file, and once only for one that is growing,
/// which ends inside a tag whenever one looks.
#[derive(Debug, Default)]
pub(super) struct DamageLog(Mutex<VecDeque<(FileVersion, u64)>>);

impl DamageLog {
    fn should_report(&self, version: FileVersion, offset: u64) -> bool {
        let mut told = self.0.lock();
        let known = told.iter().position(|(other, _)| other.is_same_file(&version)).and_then(|at| told.remove(at));
        let should_report = known.is_none_or(|(other, place)| {
            let has_grown = other.bytes < version.bytes && place < offset;
            (other, place) != (version, offset) && !has_grown
        });
        if told.len() >= limits::DAMAGED_FILES {
            told.pop_front();
        }
        told.push_back((version, offset));
        should_report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(inode: u64, bytes: u64, seconds: i64) -> FileVersion {
        FileVersion { device: 1, inode, bytes, modified: (seconds, 0) }
    }

    #[test]
    fn damage_is_told_once_for_each_version() {
        let log = DamageLog::default();
        assert!(log.should_report(version(1, 1000, 1), 900));
        assert!(!log.should_report(version(1, 1000, 1), 900));
        assert!(log.should_report(version(2, 1000, 1), 900), "another file");
        assert!(!log.should_report(version(1, 2000, 2), 1900), "it grows");
        assert!(!log.should_report(version(1, 2000, 2), 1900));
        assert!(log.should_report(version(1, 2000, 2), 50), "another place");
        assert!(log.should_report(version(1, 1500, 3), 1400), "it was cut");
        assert!(log.should_report(version(1, 1500, 4), 1400), "it was written anew");
    }

    #[test]
    fn damaged_files_at_the_limit_and_one_past() {
        let log = DamageLog::default();
        let tell = |inode| log.should_report(version(inode, 10, 1), 5);
        for inode in 0..=limits::DAMAGED_FILES as u64 {
            assert!(tell(inode));
        }
        assert!(!tell(1) && tell(0), "the one told of first was forgotten");
    }
}
