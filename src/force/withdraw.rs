//! What nobody wants any more is given up, and taken up again when somebody does.

use std::collections::HashSet;

use gg_ir::Name;

use crate::failure::Cause;
use crate::ids::ThunkId;
use crate::kept::Ended;
use crate::node::{State, Tries};
use crate::observer::Served;
use crate::plan::{Command, Plan};

impl Plan {
    /// Whoever asked for these does not want them any more. What only they need ends as cancelled, and nobody is told of that; what
    /// runs for it is killed.
    pub(crate) fn withdraw(&mut self, names: &[Name]) {
        let mut round: HashSet<ThunkId> = names.iter().filter_map(|name| self.graph.find(name)).collect();
        round.iter().for_each(|&id| self.graph[id].wanted = false);
        // In rounds, so that what thousands need is not looked at once for each of those.
        while !round.is_empty() {
            let mut next = HashSet::new();
            for id in round {
                if self.is_needed(id) || self.graph[id].ended() {
                    continue;
                }
                self.give_up(id);
                next.extend(self.graph.dependencies(id));
            }
            round = next;
        }
    }

    fn is_needed(&self, id: ThunkId) -> bool {
        let node = &self.graph[id];
        node.wanted || node.awaited || self.graph.dependents(id).any(|above| !self.graph[above].ended())
    }

    fn give_up(&mut self, id: ThunkId) {
        if let State::Running(run) = self.graph[id].state
            && let Some(&engine) = self.runs.get(&run).map(|run| &run.engine)
        {
            self.graph[id].lingers = true;
            self.commands.push_back(Command::Cancel { engine, id });
        }
        self.graph[id].given_up = true;
        self.fail(id, Cause::Cancelled);
    }

    /// Takes up what was given up, with all that it needs of that kind; with `anew`, also what failed. Nothing, where there is nothing
    /// of that kind.
    pub(crate) fn revive(&mut self, id: ThunkId, anew: bool) {
        let mut revived = Vec::new();
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if self.cancelled || !self.is_worth_another(id, anew) || self.graph.would_wait_for_itself(id) {
                continue;
            }
            let node = &mut self.graph[id];
            if node.given_up {
                self.summary.cancelled -= 1;
            } else {
                self.summary.failed -= 1;
            }
            (node.outcome, node.given_up) = (None, false);
            node.served = Served::NotRun;
            node.reported = false;
            node.rank.urgent = false;
            node.tries = Tries::default();
            node.state = State::Unwinding;
            self.unended += 1;
            revived.push(id);
            stack.extend(self.graph.dependencies(id));
        }
        for id in revived {
            // An engine knows a thunk by its number: the new execution would be taken for the old one.
            if !self.graph[id].lingers {
                self.begin(id);
            }
        }
    }

    fn is_worth_another(&self, id: ThunkId, anew: bool) -> bool {
        let Some(Ended::Failed(failure)) = &self.graph[id].outcome else { return false };
        self.graph[id].given_up || anew && failure.cause != Cause::Cancelled
    }
}
