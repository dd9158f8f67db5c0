//! Small numbers that stand for things of one coordinator.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use gg_ir::Name;
use petgraph::stable_graph::NodeIndex;

/// A thunk of one coordinator. Numbers are given in the order in which thunks became known, and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThunkId(pub u32);

/// One execution of a thunk on an engine: a thunk that is retried has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RunId(pub u64);

/// An engine: its place in the caller's order of preference.
pub(crate) type EngineIndex = usize;

impl From<ThunkId> for NodeIndex<u32> {
    fn from(id: ThunkId) -> Self {
        NodeIndex::new(id.0 as usize)
    }
}

impl From<NodeIndex<u32>> for ThunkId {
    fn from(index: NodeIndex<u32>) -> Self {
        // Exact: the graph's indices are 32 bits wide.
        ThunkId(index.index() as u32)
    }
}

/// A map by names.
pub(crate) type NameMap<V> = HashMap<Name, V, BuildHasherDefault<ByDigest>>;

/// Hashes a name to the first bytes of its digest, which is a hash already.
#[derive(Default)]
pub(crate) struct ByDigest(u64);

impl Hasher for ByDigest {
    fn write(&mut self, bytes: &[u8]) {
        // A name also hashes its kind and the digest's and the object's length, which tell no more than the digest does.
        if let Some(first) = bytes.first_chunk().filter(|_| bytes.len() == 32) {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn names_hash_to_their_digests() {
        let name = Name::of_value(b"x");
        let digest = u64::from_le_bytes(*name.digest().first_chunk().unwrap());
        assert_eq!(BuildHasherDefault::<ByDigest>::default().hash_one(name), digest);
    }
}
