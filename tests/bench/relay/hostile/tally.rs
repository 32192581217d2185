//! What is counted, of friends and of foes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

/// Problems whose words are kept; the rest is only counted.
const REMEMBERED: usize = 20;

/// Good clients of one kind.
#[derive(Debug, Default)]
pub struct Group {
    pub name: &'static str,
    pub clients: AtomicU64,
    /// Messages that were as they should be.
    pub checked: AtomicU64,
    pub lost: AtomicU64,
    pub damaged: AtomicU64,
    /// Clients that the server did not serve to the end.
    pub cut_off: AtomicU64,
    problems: Mutex<Vec<String>>,
}

impl Group {
    pub fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// Notes what went wrong with a client.
    pub fn problem(&self, text: &str) {
        let is_gap = ["came after", "no key frame", "did not come"].iter().any(|words| text.contains(words));
        let is_damage =
            ["other bytes", "another", " bytes, not", "is not the file's"].iter().any(|words| text.contains(words));
        let counter = match (is_gap, is_damage) {
            (true, _) => &self.lost,
            (_, true) => &self.damaged,
            _ => &self.cut_off,
        };
        counter.fetch_add(1, Relaxed);
        let mut problems = self.problems.lock();
        if problems.len() < REMEMBERED {
            problems.push(format!("{}: {text}", self.name));
        }
    }

    /// Lost, damaged, cut off.
    pub fn failures(&self) -> [u64; 3] {
        [&self.lost, &self.damaged, &self.cut_off].map(|counter| counter.load(Relaxed))
    }

    pub fn problems(&self) -> Vec<String> {
        self.problems.lock().clone()
    }
}

/// How an attack ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The server hung up without a word.
    Closed,
    /// The server said no.
    Refused,
    /// The server would have gone on.
    Ended,
}

/// Attacks of one kind, by how they ended.
#[derive(Debug, Default)]
pub struct Fates([AtomicU64; 3]);

impl Fates {
    pub fn note(&self, fate: Fate, count: u64) {
        self.0[fate as usize].fetch_add(count, Relaxed);
    }

    /// Closed, refused, ended by us.
    pub fn counts(&self) -> [u64; 3] {
        [0, 1, 2].map(|index| self.0[index].load(Relaxed))
    }

    pub fn total(&self) -> u64 {
        self.counts().iter().sum()
    }
}
