//! Who counts as watching a stream.

use std::sync::Arc;

use super::changes::Changes;
use crate::stats::StreamCounters;

/// One who watches a stream, for as long as this is kept.
#[derive(Debug)]
pub struct Viewer {
    counters: Arc<StreamCounters>,
    changes: Arc<Changes>,
}

impl Viewer {
    pub(super) fn new(counters: Arc<StreamCounters>, changes: Arc<Changes>) -> Self {
        counters.viewers.up();
        changes.note();
        Self { counters, changes }
    }

    pub(super) fn counters(&self) -> &Arc<StreamCounters> {
        &self.counters
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.counters.viewers.down();
        self.changes.note();
    }
}
