//! What nobody wants any more is given up, and taken up again when somebody does.

use gg_ir::Name;

use crate::failure::Cause;
use crate::ids::ThunkId;
use crate::node::{State, Tries};
use crate::observer::Served;
use crate::plan::{Command, Plan};

impl Plan {
    /// Whoever asked for these does not want them any more. What only they need ends as cancelled; what runs for it is killed.
    pub(crate) fn withdraw(&mut self, names: &[Name]) {
        let mut stack: Vec<ThunkId> = names.iter().filter_map(|name| self.graph.find(name)).collect();
        stack.iter().for_each(|&id| self.graph[id].wanted = false);
        while let Some(id) = stack.pop() {
            let needed = self.graph[id].wanted || self.graph.dependents(id).any(|above| !self.graph[above].ended());
            if needed || self.graph[id].ended() {
                continue;
            }
            if let State::Running(run) = self.graph[id].state
                && let Some(&(_, engine, _)) = self.runs.get(&run)
            {
                self.commands.push_back(Command::Cancel { engine, id });
            }
            self.fail(id, Cause::Cancelled);
            self.graph[id].given_up = true;
            stack.extend(self.graph.dependencies(id));
        }
    }

    /// Takes up what was given up, with all that it needs of that kind. Nothing, where nothing was.
    pub(crate) fn revive(&mut self, id: ThunkId) {
        let mut revived = Vec::new();
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if self.cancelled || !self.graph[id].given_up || self.graph.would_wait_for_itself(id) {
                continue;
            }
            let node = &mut self.graph[id];
            (node.outcome, node.given_up) = (None, false);
            node.served = Served::NotRun;
            node.reported = false;
            node.rank.urgent = false;
            node.tries = Tries::default();
            node.state = State::Unwinding;
            self.summary.cancelled -= 1;
            self.unended += 1;
            revived.push(id);
            stack.extend(self.graph.dependencies(id));
        }
        for id in revived {
            // An engine knows a thunk by its number: the new execution would be taken for the old one.
            if !self.runs.values().any(|&(running, ..)| running == id) {
                self.begin(id);
            }
        }
    }
}
