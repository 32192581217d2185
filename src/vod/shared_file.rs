//! State shared by all viewers of a file: key frame index, extent and reported damage.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::FileCursor;
use crate::error::Result;
use crate::flv::{Damage, Extent, KeyframeIndex, Metadata, Preamble};
use crate::limits;

/// The shared state of one version of a file.
#[derive(Debug)]
pub(super) struct SharedFile {
    version: FileVersion,
    /// A search blocks only other viewers of this file.
    pub index: Mutex<KeyframeIndex>,
    extent: Mutex<Option<Arc<Extent>>>,
    damage_log: Arc<DamageLog>,
}

/// Identifies a version of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileVersion {
    pub device: u64,
    pub inode: u64,
    pub bytes: u64,
    /// Modification time: seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
}

impl FileVersion {
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

impl SharedFile {
    pub(super) fn new(
        version: FileVersion,
        preamble: &Preamble,
        metadata: &Metadata,
        damage_log: Arc<DamageLog>,
    ) -> Self {
        let index = Mutex::new(KeyframeIndex::new(preamble, metadata, version.bytes));
        Self { version, index, extent: Mutex::default(), damage_log }
    }

    pub(super) fn version(&self) -> FileVersion {
        self.version
    }

    /// Returns the playable extent, computed once. Logs the damage of a damaged file under `name`.
    pub(super) fn extent(
        &self,
        name: &str,
        mut cursor: FileCursor,
        preamble: &Preamble,
        metadata: &Metadata,
    ) -> Result<Arc<Extent>> {
        let mut known = self.extent.lock();
        if let Some(extent) = &*known {
            return Ok(extent.clone());
        }
        let extent = Arc::new(Extent::find(&mut cursor, preamble, &metadata.key_frames)?);
        if let Some(damage) = &extent.damage {
            self.report(name, damage);
        }
        Ok(known.insert(extent).clone())
    }

    /// Logs the damage of the file, once.
    pub(super) fn report(&self, name: &str, damage: &Damage) {
        if self.damage_log.should_report(self.version, damage.offset) {
            log::warn!("video \"{}\": {damage}; playback ends there", name.escape_debug());
        }
    }
}

/// The damage already logged: once for each version of a file, and only once for a file that grows, which ends in a
/// truncated tag at any moment.
#[derive(Debug, Default)]
pub(super) struct DamageLog(Mutex<VecDeque<(FileVersion, u64)>>);

impl DamageLog {
    fn should_report(&self, version: FileVersion, offset: u64) -> bool {
        let mut reported = self.0.lock();
        let known =
            reported.iter().position(|(other, _)| other.is_same_file(&version)).and_then(|at| reported.remove(at));
        let should_report = known.is_none_or(|(other, known_offset)| {
            let has_grown = other.bytes < version.bytes && known_offset < offset;
            (other, known_offset) != (version, offset) && !has_grown
        });
        if reported.len() >= limits::DAMAGED_FILES {
            reported.pop_front();
        }
        reported.push_back((version, offset));
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
    fn damage_is_logged_once_per_version() {
        let log = DamageLog::default();
        assert!(log.should_report(version(1, 1000, 1), 900));
        assert!(!log.should_report(version(1, 1000, 1), 900));
        assert!(log.should_report(version(2, 1000, 1), 900), "another file");
        assert!(!log.should_report(version(1, 2000, 2), 1900), "it grows");
        assert!(!log.should_report(version(1, 2000, 2), 1900));
        assert!(log.should_report(version(1, 2000, 2), 50), "another offset");
        assert!(log.should_report(version(1, 1500, 3), 1400), "truncated");
        assert!(log.should_report(version(1, 1500, 4), 1400), "rewritten");
    }

    #[test]
    fn limit_of_the_damaged_files() {
        let log = DamageLog::default();
        let report = |inode| log.should_report(version(inode, 10, 1), 5);
        for inode in 0..=limits::DAMAGED_FILES as u64 {
            assert!(report(inode));
        }
        assert!(!report(1) && report(0), "the oldest entry was evicted");
    }
}
