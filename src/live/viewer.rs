//! Viewers of a stream.

use std::sync::Arc;

use super::change_notifier::ChangeNotifier;
use crate::stats::StreamCounters;

/// A registered viewer of a stream, until dropped.
#[derive(Debug)]
pub struct Viewer {
    counters: Arc<StreamCounters>,
    changes: Arc<ChangeNotifier>,
}

impl Viewer {
    pub(super) fn new(counters: Arc<StreamCounters>, changes: Arc<ChangeNotifier>) -> Self {
        counters.viewers.increment();
        changes.notify();
        Self { counters, changes }
    }

    pub(super) fn counters(&self) -> &Arc<StreamCounters> {
        &self.counters
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.counters.viewers.decrement();
        self.changes.notify();
    }
}
