//! The state of things at one moment, for a person who watches.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::graph::Graph;
use crate::ids::ThunkId;
use crate::plan::Plan;
use crate::progress::Progress;

/// The state of things at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The counts.
    pub progress: Progress,
    /// How many executions each engine has, in the order in which engines were given.
    pub running: Vec<(Arc<str>, usize)>,
    /// The execution that has run for the longest time.
    pub oldest: Option<Running>,
    /// How long the thunks that are known by now still take, where that can be told from past run times; asked for only.
    pub left: Option<Duration>,
}

/// One execution that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// The kind of step.
    pub kind: Arc<str>,
    /// The label for a person.
    pub label: Arc<str>,
    /// The engine that has it.
    pub engine: Arc<str>,
    /// For how long.
    pub age: Duration,
}

impl Plan {
    /// The state of things; `capacity` is how many thunks each engine can have at once. With `estimate`, the time left as
    /// well, which looks at every thunk that has not ended.
    pub fn snapshot(&self, now: Duration, capacity: &[usize], estimate: bool) -> Snapshot {
        let age = |id: ThunkId| now.saturating_sub(self.graph[id].time.since);
        let mut running: Vec<(Arc<str>, usize)> = self.setup.engines.iter().map(|name| (name.clone(), 0)).collect();
        self.runs.values().for_each(|run| running[run.engine].1 += 1);
        let oldest = self.runs.values().max_by_key(|run| (age(run.id), std::cmp::Reverse(run.id)));
        let oldest = oldest.map(|run| Running {
            kind: self.graph[run.id].kind.clone(),
            label: self.graph[run.id].label.clone(),
            engine: self.setup.engines[run.engine].clone(),
            age: age(run.id),
        });
        let left = if estimate { self.left(now, capacity) } else { None };
        Snapshot { progress: self.progress(), running, oldest, left }
    }

    /// How long the rest takes: no less than its longest path, and no less than all of it shared among the engines. `None`
    /// where nothing is known of the run time of some step, or of its kind.
    fn left(&self, now: Duration, capacity: &[usize]) -> Option<Duration> {
        let mut weights = HashMap::new();
        for id in self.graph.ids().filter(|&id| !self.graph[id].ended()) {
            let node = &self.graph[id];
            let expected = self.setup.history.known(&node.kind, &node.label)?;
            let ran = if self.is_running(id) { now.saturating_sub(node.time.since) } else { Duration::ZERO };
            weights.insert(id, expected.saturating_sub(ran));
        }
        let reserve = |engine: usize| self.setup.reserves & crate::schedule::bit(engine) != 0;
        let slots: usize = capacity.iter().enumerate().filter(|(e, _)| !reserve(*e)).map(|(_, slots)| slots).sum();
        let work: Duration = weights.values().sum();
        let shared = work / u32::try_from(slots.max(1)).unwrap_or(u32::MAX);
        Some(shared.max(longest_path(&self.graph, &weights)))
    }

    fn is_running(&self, id: ThunkId) -> bool {
        matches!(self.graph[id].state, crate::node::State::Running(_))
    }
}

/// The greatest sum of weights along a path of thunks that have not ended.
fn longest_path(graph: &Graph, weights: &HashMap<ThunkId, Duration>) -> Duration {
    let open = |id: &ThunkId| weights.contains_key(id);
    // From the sinks on: a thunk is looked at when all that need it have been.
    let mut above: HashMap<ThunkId, usize> =
        weights.keys().map(|&id| (id, graph.dependents(id).filter(open).count())).collect();
    let mut next: Vec<ThunkId> = above.iter().filter(|(_, count)| **count == 0).map(|(&id, _)| id).collect();
    let mut paths: HashMap<ThunkId, Duration> = HashMap::new();
    let mut longest = Duration::ZERO;
    while let Some(id) = next.pop() {
        let path = weights.get(&id).copied().unwrap_or_default() + paths.get(&id).copied().unwrap_or_default();
        longest = longest.max(path);
        for dependency in graph.dependencies(id).filter(open) {
            let known = paths.entry(dependency).or_default();
            *known = (*known).max(path);
            if let Some(count) = above.get_mut(&dependency) {
                *count -= 1;
                if *count == 0 {
                    next.push(dependency);
                }
            }
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_runs_where_and_for_how_long() {
        let mut world = World::new(&[1, 1]);
        let a = world.step("a", &[]);
        world.step("b", &[]);
        world.step("c", &[a]);
        world.turn();
        let seen = world.plan.snapshot(SECOND / 2, &[1, 1], false);
        let engines: Vec<_> = seen.running.iter().map(|(name, count)| (&**name, *count)).collect();
        assert_eq!(engines, [("e0", 1), ("e1", 1)]);
        let oldest = seen.oldest.unwrap();
        assert_eq!((&*oldest.label, &*oldest.engine, oldest.age), ("a", "e0", SECOND / 2));
        assert_eq!((seen.progress.running, seen.progress.total, seen.left), (2, 3, None));
    }

    #[test]
    fn the_time_left_is_told_once_something_is_known() {
        let mut world = World::new(&[2]);
        let mut last = world.step("0", &[]);
        for label in ["1", "2"] {
            last = world.step(label, &[last]);
        }
        world.turn();
        let left = |world: &World| world.plan.snapshot(world.now, &world.capacity, true).left;
        assert_eq!(left(&world), None, "nothing is known of any step");
        world.tick();
        world.turn();
        // A chain: a second worker does not help.
        assert_eq!(left(&world), Some(2 * SECOND));
        for at in 0..6 {
            world.step(&format!("other{at}"), &[]);
        }
        world.turn();
        // Eight steps of a second, and two workers.
        assert_eq!(left(&world), Some(4 * SECOND));
        world.run();
        assert_eq!(left(&world), Some(Duration::ZERO));
    }
}
