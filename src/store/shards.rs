//! A map that many threads use at once.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;

/// A hash map cut in pieces, each behind a lock of its own that is held for one operation.
pub(crate) struct Shards<K, V> {
    pieces: [Mutex<HashMap<K, V>>; SHARDS],
    state: RandomState,
}

/// Locks; a thread that panicked left the data whole, since every critical section is a single insertion or look-up.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Hash + Eq, V: Clone> Shards<K, V> {
    pub fn new() -> Self {
        Self { pieces: std::array::from_fn(|_| Mutex::default()), state: RandomState::new() }
    }

    fn piece(&self, key: &K) -> MutexGuard<'_, HashMap<K, V>> {
        lock(&self.pieces[self.state.hash_one(key) as usize % SHARDS])
    }

    pub fn get(&self, key: &K) -> Option<V> {
        self.piece(key).get(key).cloned()
    }

    pub fn insert(&self, key: K, value: V) {
        self.piece(&key).insert(key, value);
    }

    /// Inserts unless the key is there.
    pub fn insert_new(&self, key: K, value: V) {
        self.piece(&key).entry(key).or_insert(value);
    }

    /// Removes a key; whether it was there.
    pub fn remove(&self, key: &K) -> bool {
        self.piece(key).remove(key).is_some()
    }

    pub fn clear(&self) {
        self.pieces.iter().for_each(|piece| lock(piece).clear());
    }

    pub fn for_each(&self, mut visit: impl FnMut(&K, &V)) {
        for piece in &self.pieces {
            lock(piece).iter().for_each(|(key, value)| visit(key, value));
        }
    }
}
