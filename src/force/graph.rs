//! The graph of thunks: an edge leads from a thunk to each that needs it.

use std::collections::{BinaryHeap, HashSet};
use std::ops::{Index, IndexMut};

use gg_ir::Name;
use petgraph::Direction::{Incoming, Outgoing};
use petgraph::stable_graph::StableDiGraph;

use crate::ids::{NameMap, ThunkId};
use crate::node::Node;

/// A rise of a path by less than one part in this many is kept from the dependencies until it adds up, or until the next
/// sweep. It bounds what a graph costs that grows at its end: a thunk passes on a number of rises that is logarithmic in
/// the length of its path.
const NOTEWORTHY: u64 = 32;

/// A sweep makes all paths exact; there is one when the graph has grown by one part in this many.
const SWEEP: usize = 8;

/// Thunks by number and by name, and who needs whom.
#[derive(Default)]
pub(crate) struct Graph {
    dag: StableDiGraph<Node, (), u32>,
    names: NameMap<ThunkId>,
    /// Thunks whose path has grown, the youngest first: dependencies are mostly older than what needs them, so that a
    /// batch of changes reaches most of them once.
    grown: BinaryHeap<ThunkId>,
    /// Whether there are edges that no name vouches for: only such can close a cycle, since a thunk's name is the hash
    /// of the names that it depends on.
    dynamic: bool,
    /// Whether some rise has been kept back.
    kept_back: bool,
    /// The size at which the next sweep is due.
    sweep_at: usize,
}

impl Index<ThunkId> for Graph {
    type Output = Node;

    fn index(&self, id: ThunkId) -> &Node {
        &self.dag[petgraph::graph::NodeIndex::from(id)]
    }
}

impl IndexMut<ThunkId> for Graph {
    fn index_mut(&mut self, id: ThunkId) -> &mut Node {
        &mut self.dag[petgraph::graph::NodeIndex::from(id)]
    }
}

impl Graph {
    pub fn find(&self, name: &Name) -> Option<ThunkId> {
        self.names.get(name).copied()
    }

    /// Adds a thunk that is not there yet.
    pub fn add(&mut self, mut node: Node) -> ThunkId {
        let name = node.name;
        node.rank.path = node.rank.weight;
        let id = ThunkId::from(self.dag.add_node(node));
        self.names.insert(name, id);
        id
    }

    pub fn ids(&self) -> impl Iterator<Item = ThunkId> + use<> {
        (0..self.dag.node_count() as u32).map(ThunkId)
    }

    pub fn dependencies(&self, id: ThunkId) -> impl Iterator<Item = ThunkId> + '_ {
        self.dag.neighbors_directed(id.into(), Incoming).map(ThunkId::from)
    }

    pub fn dependents(&self, id: ThunkId) -> impl Iterator<Item = ThunkId> + '_ {
        self.dag.neighbors_directed(id.into(), Outgoing).map(ThunkId::from)
    }

    /// Makes `dependent` need `dependency`, as its name says that it does. Returns the thunks that are more urgent now.
    pub fn link(&mut self, dependency: ThunkId, dependent: ThunkId) -> Vec<ThunkId> {
        if !self.is_linked(dependency, dependent) {
            self.dag.add_edge(dependency.into(), dependent.into(), ());
            self[dependency].dependents += 1;
            self[dependent].dependencies += 1;
        }
        if self[dependency].ended() {
            return Vec::new();
        }
        let above = self[dependent].rank;
        self.grow(dependency, above.path);
        if above.urgent { self.hurry(dependency) } else { Vec::new() }
    }

    /// Looked for from the side that has fewer edges: ten thousand compiles may need one generator, and one link ten thousand
    /// objects.
    fn is_linked(&self, dependency: ThunkId, dependent: ThunkId) -> bool {
        if self[dependency].dependents <= self[dependent].dependencies {
            self.dependents(dependency).any(|id| id == dependent)
        } else {
            self.dependencies(dependent).any(|id| id == dependency)
        }
    }

    /// Makes `dependent` need `dependency`, for a reason that came up while it was evaluated.
    ///
    /// `None`, and nothing done, when `dependency` itself waits for `dependent`.
    pub fn link_late(&mut self, dependency: ThunkId, dependent: ThunkId) -> Option<Vec<ThunkId>> {
        if self.leads(dependent, dependency) {
            return None;
        }
        self.dynamic = true;
        Some(self.link(dependency, dependent))
    }

    /// Whether an edge from `dependency` to `dependent` would close a cycle of thunks that wait for each other. Costs
    /// nothing while all edges follow from names.
    pub fn closes_cycle(&self, dependency: ThunkId, dependent: ThunkId) -> bool {
        self.dynamic && self.leads(dependent, dependency)
    }

    /// Whether `to` is `from`, or waits for it by way of thunks that have not ended.
    fn leads(&self, from: ThunkId, to: ThunkId) -> bool {
        // What waits for nothing is new, most often, and nothing leads to it.
        if from != to && self[to].dependencies == 0 {
            return false;
        }
        let mut seen = HashSet::from([from]);
        let mut stack = vec![from];
        while let Some(id) = stack.pop() {
            if id == to {
                return true;
            }
            stack.extend(
                self.dependents(id).filter(|&next| !self[next].ended() || next == to).filter(|&n| seen.insert(n)),
            );
        }
        false
    }

    /// Whether a thunk that has ended would wait for itself, by way of thunks that have not, if it were evaluated anew.
    pub fn would_wait_for_itself(&self, id: ThunkId) -> bool {
        let open: Vec<ThunkId> = self.dependents(id).filter(|&above| !self[above].ended()).collect();
        open.into_iter().any(|above| self.leads(above, id))
    }

    /// Marks a thunk, and all that it waits for, as waited for. Returns those that were not.
    pub fn hurry(&mut self, id: ThunkId) -> Vec<ThunkId> {
        let mut hurried = Vec::new();
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if self[id].rank.urgent || self[id].ended() {
                continue;
            }
            self[id].rank.urgent = true;
            hurried.push(id);
            stack.extend(self.dependencies(id));
        }
        hurried
    }

    /// Lets the path of a thunk be at least its own weight and `after`.
    fn grow(&mut self, id: ThunkId, after: u64) -> bool {
        let rank = &mut self[id].rank;
        let path = rank.weight.saturating_add(after);
        if path <= rank.path {
            return false;
        }
        rank.path = path;
        if path - rank.passed > rank.passed / NOTEWORTHY {
            self.grown.push(id);
        } else {
            self.kept_back = true;
        }
        true
    }

    /// Changes what a thunk is expected to last, to no less than before.
    pub fn weigh(&mut self, id: ThunkId, weight: u64) {
        let rank = &mut self[id].rank;
        let more = weight.saturating_sub(rank.weight);
        let after = rank.path.saturating_sub(rank.weight);
        rank.weight += more;
        if more > 0 {
            self.grow(id, after);
        }
    }

    /// Passes grown paths on to the dependencies. Returns the thunks whose path has changed.
    pub fn settle(&mut self) -> Vec<ThunkId> {
        if self.kept_back && self.dag.node_count() >= self.sweep_at {
            return self.sweep();
        }
        let mut changed = Vec::new();
        let mut dependencies = Vec::new();
        while let Some(id) = self.grown.pop() {
            let node = &mut self[id];
            if node.ended() {
                continue;
            }
            changed.push(id);
            if node.rank.passed == node.rank.path {
                continue;
            }
            node.rank.passed = node.rank.path;
            let after = node.rank.path;
            dependencies.extend(self.dependencies(id));
            for dependency in dependencies.drain(..) {
                if !self[dependency].ended() && self.grow(dependency, after) {
                    changed.push(dependency);
                }
            }
        }
        changed
    }

    /// Works out all paths, from the sinks on. Returns the thunks whose path may have changed.
    fn sweep(&mut self) -> Vec<ThunkId> {
        let open: Vec<ThunkId> = self.ids().filter(|&id| !self[id].ended()).collect();
        let mut above = vec![0u32; self.dag.node_count()];
        for &id in &open {
            for dependency in self.dependencies(id) {
                above[dependency.0 as usize] += 1;
            }
        }
        let mut next: Vec<ThunkId> = open.iter().copied().filter(|id| above[id.0 as usize] == 0).collect();
        while let Some(id) = next.pop() {
            self[id].rank.passed = self[id].rank.path;
            let after = self[id].rank.path;
            for dependency in self.dependencies(id).collect::<Vec<_>>() {
                let rank = &mut self[dependency].rank;
                rank.path = rank.path.max(rank.weight.saturating_add(after));
                above[dependency.0 as usize] -= 1;
                if above[dependency.0 as usize] == 0 && !self[dependency].ended() {
                    next.push(dependency);
                }
            }
        }
        self.grown.clear();
        self.kept_back = false;
        self.sweep_at = self.dag.node_count() + self.dag.node_count() / SWEEP;
        open
    }
}

#[cfg(test)]
mod tests {
    use gg_ir::Kind;

    use super::*;

    fn add(graph: &mut Graph, number: u32) {
        let mut node = Node::new(Name::of(Kind::Thunk, &number.to_le_bytes()), None, "".into(), "");
        node.rank.weight = 10;
        assert_eq!(graph.add(node), ThunkId(number));
    }

    fn graph(count: u32) -> Graph {
        let mut graph = Graph::default();
        (0..count).for_each(|number| add(&mut graph, number));
        graph
    }

    #[test]
    fn paths_grow_toward_the_sources() {
        let mut graph = graph(4);
        for (from, to) in [(0, 1), (1, 2), (0, 3)] {
            graph.link(ThunkId(from), ThunkId(to));
        }
        graph.settle();
        let paths: Vec<_> = graph.ids().map(|id| graph[id].rank.path).collect();
        assert_eq!(paths, [30, 20, 10, 10]);
    }

    #[test]
    fn a_chain_that_grows_at_its_end_is_cheap() {
        let length = 20_000;
        let mut graph = graph(1);
        let mut passed = 0;
        for i in 1..length {
            add(&mut graph, i);
            graph.link(ThunkId(i - 1), ThunkId(i));
            passed += graph.settle().len();
        }
        assert!(passed < length as usize * 400, "{passed}");
        // How far the first is from the end is known, but for what has been added since the last sweep.
        let first = graph[ThunkId(0)].rank.path;
        assert!(first > u64::from(length) * 10 * 8 / 9 - 10, "{first}");
    }

    #[test]
    fn urgency_reaches_all_that_is_waited_for() {
        let mut graph = graph(4);
        for (from, to) in [(0, 1), (1, 2), (0, 3)] {
            graph.link(ThunkId(from), ThunkId(to));
        }
        assert_eq!(graph.hurry(ThunkId(2)).len(), 3);
        assert!(!graph[ThunkId(3)].rank.urgent);
        assert_eq!(graph.hurry(ThunkId(3)), [ThunkId(3)]);
    }

    #[test]
    fn cycles_are_refused() {
        let mut graph = graph(3);
        graph.link(ThunkId(0), ThunkId(1));
        assert!(graph.link_late(ThunkId(1), ThunkId(0)).is_none());
        assert!(graph.link_late(ThunkId(1), ThunkId(1)).is_none());
        assert!(graph.link_late(ThunkId(1), ThunkId(2)).is_some());
        assert!(graph.closes_cycle(ThunkId(2), ThunkId(0)));
    }

    #[test]
    fn what_has_ended_may_not_be_revived_into_a_cycle() {
        let mut graph = graph(3);
        graph.link(ThunkId(0), ThunkId(1));
        graph.link(ThunkId(1), ThunkId(2));
        assert!(!graph.would_wait_for_itself(ThunkId(1)));
        let failure =
            crate::failure::ThunkFailure { name: graph[ThunkId(1)].name, cause: crate::failure::Cause::Cancelled };
        graph[ThunkId(1)].outcome = Some(crate::kept::Ended::Failed(failure.into()));
        assert!(graph.link_late(ThunkId(2), ThunkId(0)).is_some());
        assert!(graph.would_wait_for_itself(ThunkId(1)));
    }
}
