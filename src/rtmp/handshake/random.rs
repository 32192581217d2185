//! Padding that looks random. It keeps nothing secret, so the hasher of std is good enough.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Fills `bytes` with different values each time.
pub(super) fn fill(bytes: &mut [u8]) {
    let state = RandomState::new();
    for (index, chunk) in bytes.chunks_mut(8).enumerate() {
        let hash = state.hash_one(index).to_ne_bytes();
        chunk.copy_from_slice(&hash[..chunk.len()]);
    }
}
