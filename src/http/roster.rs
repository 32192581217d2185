//! Who is connected.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::connection::Watched;

/// All connections by their numbers, which are never used twice.
#[derive(Default)]
pub struct Roster(Mutex<BTreeMap<u64, Arc<dyn Watched>>>);

impl Roster {
    /// Somebody has come.
    pub fn enter(&self, id: u64, who: Arc<dyn Watched>) {
        self.0.lock().insert(id, who);
    }

    /// Somebody has gone.
    pub fn leave(&self, id: u64) {
        self.0.lock().remove(&id);
    }

    /// One of them.
    pub fn get(&self, id: u64) -> Option<Arc<dyn Watched>> {
        self.0.lock().get(&id).cloned()
    }

    /// All of them.
    pub fn all(&self) -> Vec<(u64, Arc<dyn Watched>)> {
        self.0.lock().iter().map(|(id, who)| (*id, who.clone())).collect()
    }

    /// Who publishes what: the number of the connection by the stream's name.
    pub fn publishers(&self) -> HashMap<String, u64> {
        let publishes = |(id, who): (u64, Arc<dyn Watched>)| who.publishes().into_iter().map(move |name| (name, id));
        self.all().into_iter().flat_map(publishes).collect()
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Roster").field(&self.len()).finish()
    }
}
