//! Frames that were decompressed lately, so that reading objects in the order of their writing decompresses each frame once.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use gg_ir::Kind;

use super::PackId;
use crate::shards::lock;

/// So many are kept; each takes the bytes of a frame.
const KEPT: usize = 4;

/// A pack, and where in it a frame begins.
pub(super) type Key = (PackId, u32);
/// Held while the frame is being decompressed: who wants it too waits.
type Slot = Arc<Mutex<Arc<Vec<u8>>>>;

/// The frame that is being written.
struct Growing {
    key: Key,
    bytes: Vec<u8>,
}

#[derive(Default)]
pub(super) struct Frames {
    kept: Mutex<VecDeque<(Key, Slot)>>,
    /// Of values and of thunks.
    growing: [Mutex<Option<Growing>>; 2],
}

impl Frames {
    /// Adds an object that was written to the end of a frame.
    pub fn grow(&self, key: Key, at: u32, object: &[u8]) {
        let mut growing = lock(&self.growing[key.0.kind as usize]);
        match &mut *growing {
            Some(held) if held.key == key && held.bytes.len() == at as usize => held.bytes.extend_from_slice(object),
            _ => {
                let full = growing.take();
                // Not if something before it is missing.
                *growing = (at == 0).then(|| Growing { key, bytes: object.to_vec() });
                drop(growing);
                if let Some(full) = full {
                    *lock(&self.slot(full.key)) = Arc::new(full.bytes);
                }
            }
        }
    }

    /// Forgets the frame that is being written, which will not be continued.
    pub fn stop(&self, kind: Kind) {
        *lock(&self.growing[kind as usize]) = None;
    }

    /// Bytes of the frame that is being written.
    pub fn written(&self, key: Key, range: Range<usize>) -> Option<Vec<u8>> {
        let growing = lock(&self.growing[key.0.kind as usize]);
        growing.as_ref().filter(|held| held.key == key)?.bytes.get(range).map(<[u8]>::to_vec)
    }

    /// A frame that has at least `needed` bytes, unless `make` makes fewer.
    pub fn get<E>(
        &self,
        key: Key,
        needed: usize,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Arc<Vec<u8>>, E> {
        let slot = self.slot(key);
        let mut held = lock(&slot);
        if held.len() < needed {
            *held = Arc::new(make()?);
        }
        Ok(held.clone())
    }

    fn slot(&self, key: Key) -> Slot {
        let mut kept = lock(&self.kept);
        let known = kept.iter().position(|(known, _)| *known == key).and_then(|at| kept.remove(at));
        let entry = known.unwrap_or_else(|| (key, Slot::default()));
        let slot = entry.1.clone();
        kept.push_back(entry);
        if kept.len() > KEPT {
            kept.pop_front();
        }
        slot
    }

    pub fn clear(&self) {
        lock(&self.kept).clear();
        self.growing.iter().for_each(|growing| *lock(growing) = None);
    }
}
