//! A cache that keeps what was used recently.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use crate::shards::lock;

/// Two generations of entries: what is used moves to the young one; when that is full it becomes the old one, and the
/// old one is dropped. Cheaper than an exact order of use, and as good.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    capacity: usize,
    generations: Mutex<[HashMap<K, Arc<V>>; 2]>,
}

impl<K: Hash + Eq + Copy, V> Recent<K, V> {
    pub fn new(capacity: usize) -> Self {
        Self { capacity, generations: Mutex::new([HashMap::new(), HashMap::new()]) }
    }

    pub fn get(&self, key: &K) -> Option<Arc<V>> {
        let [young, old] = &mut *lock(&self.generations);
        if let Some(value) = young.get(key) {
            return Some(value.clone());
        }
        let value = old.remove(key)?;
        self.add(young, old, *key, value.clone());
        Some(value)
    }

    pub fn insert(&self, key: K, value: V) -> Arc<V> {
        let value = Arc::new(value);
        let [young, old] = &mut *lock(&self.generations);
        self.add(young, old, key, value.clone());
        value
    }

    pub fn clear(&self) {
        lock(&self.generations).iter_mut().for_each(HashMap::clear);
    }

    fn add(&self, young: &mut HashMap<K, Arc<V>>, old: &mut HashMap<K, Arc<V>>, key: K, value: Arc<V>) {
        if young.len() >= self.capacity / 2 {
            *old = std::mem::take(young);
        }
        young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_used_stay_and_the_unused_go() {
        let cache = Recent::new(8);
        for key in 0..100 {
            cache.insert(key, key);
            assert_eq!(cache.get(&0).as_deref(), Some(&0));
        }
        assert!(cache.get(&50).is_none());
        assert!(cache.get(&99).is_some());
        assert!(lock(&cache.generations).iter().map(HashMap::len).sum::<usize>() <= 8);
    }
}
