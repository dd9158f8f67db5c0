//! Small numbers that stand for things of one coordinator.

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
