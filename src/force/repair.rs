//! What follows when an object is lost: missing in the store, or not what its name says.

use std::collections::HashMap;
use std::time::Duration;

use gg_ir::Name;

use crate::failure::Cause;
use crate::ids::{NameMap, ThunkId};
use crate::kept::Ended;
use crate::node::{State, Tries, Why};
use crate::observer::Served;
use crate::plan::{Command, Plan};

/// How often a thunk has missed an object it needs, or had to make again one that it made. Counted for each object, as
/// a step may find a hundred damaged ones, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Losses(HashMap<(ThunkId, Name), u32>);

impl Losses {
    /// Counts one more.
    fn count(&mut self, thunk: ThunkId, object: Name) -> u32 {
        let times = self.0.entry((thunk, object)).or_default();
        *times += 1;
        *times
    }
}

impl Plan {
    /// A thunk cannot be read or run since an object is lost. It waits until the thunk that made it has been run again,
    /// or until the caller has brought it back.
    pub(crate) fn lost(&mut self, id: ThunkId, object: Name) {
        let cap = self.setup.policy.repairs;
        if self.losses.count(id, object) > cap {
            let advice = "check the disk that the store is on, and that nothing else deletes from it";
            let text = format!("{object} was lost again after it had been restored {cap} times; {advice}");
            return self.fail(id, Cause::Infrastructure(text));
        }
        let linked = self.graph[id].linked;
        let maker = self.maker(&object).filter(|&maker| linked && maker != id);
        if let Some(maker) = maker.filter(|&maker| self.remake(maker, object)) {
            let Some(hurried) = self.graph.link_late(maker, id) else {
                return self.fail(id, Cause::Infrastructure(gone(&object)));
            };
            self.rerank(&hurried);
            // Whoever waits for it was begun, and this belongs to it.
            self.hurry(maker);
            return self.wait_for_all(id, Why::Again);
        }
        if !self.setup.resupplies {
            return self.fail(id, Cause::Infrastructure(gone(&object)));
        }
        self.graph[id].state = State::Supplying;
        let waiting = self.supplying.entry(object).or_default();
        waiting.push(id);
        if waiting.len() == 1 {
            self.notice(format!("{object} was lost from the store and is asked for again"));
            self.commands.push_back(Command::Resupply(object));
        }
    }

    /// The thunk that made an object. Who makes what is only written down once something is lost, which is rare.
    fn maker(&mut self, object: &Name) -> Option<ThunkId> {
        let makers = self.makers.get_or_insert_with(|| {
            let mut makers = NameMap::default();
            for id in self.graph.ids() {
                if let Some(Ended::Made(kept)) = &self.graph[id].outcome {
                    for value in kept.values() {
                        makers.entry(value).or_insert(id);
                    }
                }
            }
            makers
        });
        makers.get(object).copied()
    }

    pub(crate) fn resupplied(&mut self, object: Name, back: bool) {
        for id in self.supplying.remove(&object).unwrap_or_default() {
            if self.graph[id].state != State::Supplying {
                continue;
            }
            match (back, self.graph[id].linked) {
                (false, _) => self.fail(id, Cause::Infrastructure(gone(&object))),
                (true, false) => self.prepare(id),
                (true, true) => self.wait_for_all(id, Why::Again),
            }
        }
    }

    /// Makes a thunk that has succeeded run again, ignoring the cache; nothing new for one that has not ended. `false`
    /// when it has failed, was made again too often, or needs, by way of other repairs, what is to be repaired.
    fn remake(&mut self, id: ThunkId, object: Name) -> bool {
        match &self.graph[id].outcome {
            None => return true,
            Some(Ended::Failed(_)) if self.graph[id].given_up => {
                self.revive(id, false);
                return !self.graph[id].ended();
            }
            Some(Ended::Failed(_)) => return false,
            Some(Ended::Made(_)) => {}
        }
        if self.cancelled || self.graph.would_wait_for_itself(id) {
            return false;
        }
        if self.losses.count(id, object) > self.setup.policy.repairs {
            return false;
        }
        let key = self.graph[id].key.as_deref().copied();
        self.reset(id);
        let node = &mut self.graph[id];
        node.fresh = true;
        node.state = State::Loading;
        let forgotten = [Some(node.name), key];
        let label = node.label.clone();
        self.notice(format!("{label}: an output was lost from the store and is made again"));
        self.commands.extend(forgotten.into_iter().flatten().map(Command::Forget));
        self.prepare(id);
        true
    }

    /// Takes the outcome from a thunk that has succeeded, and from those that need it what they know of it.
    fn reset(&mut self, id: ThunkId) {
        let node = &mut self.graph[id];
        match &node.served {
            Served::FromCache => self.summary.cached -= 1,
            Served::Executed { .. } | Served::NotRun => self.summary.executed -= 1,
        }
        node.outcome = None;
        node.tries = Tries { runs: node.tries.runs, ..Tries::default() };
        node.rank.urgent = false;
        node.state = State::Unwinding;
        self.unended += 1;
        for dependent in self.graph.dependents(id).collect::<Vec<_>>() {
            // It may come out different this time: what was looked up with the old values does not tell this result.
            let node = &mut self.graph[dependent];
            (node.key, node.round) = (None, node.round + 1);
            match &mut self.graph[dependent].state {
                State::Waiting { missing, .. } => *missing += 1,
                State::Ready(rank) => {
                    let rank = *rank;
                    self.schedule.remove(self.graph[dependent].tries.banned, &rank);
                    self.wait_for_all(dependent, Why::Again);
                }
                State::Resolving => self.wait_for_all(dependent, Why::Inputs),
                _ => {}
            }
        }
    }

    /// Evaluates a thunk anew whose name does not tell its result, with all such that it needs: for a caller who asks again, and so
    /// may see another date.
    pub(crate) fn renew(&mut self, id: ThunkId) {
        let mut renewed = Vec::new();
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            let node = &self.graph[id];
            let is_made = matches!(&node.outcome, Some(Ended::Made(_)));
            if self.cancelled || !node.tainted || !is_made || self.graph.would_wait_for_itself(id) {
                continue;
            }
            self.reset(id);
            let node = &mut self.graph[id];
            (node.reported, node.key, node.held, node.served) = (false, None, None, Served::NotRun);
            renewed.push(id);
            stack.extend(self.graph.dependencies(id));
        }
        for id in renewed {
            self.begin(id);
        }
    }

    /// A caller found that an output of this thunk is lost. Returns the thunk to wait for.
    pub fn redo(&mut self, now: Duration, thunk: &Name, object: &Name) -> Name {
        self.now = self.now.max(now);
        let id = self.add_by_name(*thunk);
        let maker = self.maker(object).unwrap_or(id);
        if self.graph[maker].ended() && !self.remake(maker, *object) {
            let label = self.graph[maker].label.clone();
            self.notice(format!("{label}: {object} is lost, and making it again has not helped"));
        }
        self.hurry(maker);
        self.work_off();
        self.graph[maker].name
    }
}

fn gone(object: &Name) -> String {
    format!(
        "{object} is not in the store, or damaged, and nothing that could make it again is known; \
         run the build again from the step that made it"
    )
}
