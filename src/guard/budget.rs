//! Bytes that many hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes and no more, to be shared.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    held: AtomicUsize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, held: AtomicUsize::new(0) })
    }

    /// A part of it, of nothing yet.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share { budget: self.clone(), held: 0 }
    }

    /// Bytes that are held now.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

/// What one holds of a [`Budget`]; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    held: usize,
}

impl Share {
    /// Holds so many bytes from now on. When there is not that much, it stays as it is and says no.
    #[must_use]
    pub(crate) fn resize(&mut self, bytes: usize) -> bool {
        if bytes > self.held {
            let more = bytes - self.held;
            let take = |held: usize| held.checked_add(more).filter(|held| *held <= self.budget.limit);
            if self.budget.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
                return false;
            }
        } else if bytes < self.held {
            self.budget.held.fetch_sub(self.held - bytes, Ordering::Relaxed);
        }
        self.held = bytes;
        true
    }

    /// The whole budget, in bytes.
    pub(crate) fn limit(&self) -> usize {
        self.budget.limit
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_gives_back_another_may_hold() {
        let budget = Budget::new(100);
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.resize(60) && !other.resize(41) && other.resize(40));
        assert!(!one.resize(61) && !one.resize(usize::MAX));
        assert!(one.resize(10) && other.resize(90));
        drop(other);
        assert_eq!(budget.held(), 10);
        assert!(one.resize(100));
        drop(one);
        assert_eq!(budget.held(), 0);
    }
}
