//! How a thunk ends: who is told, what is kept, and what can go on now.

use std::sync::Arc;

use gg_ir::Reduction;

use crate::failure::{Cause, Outcome, ThunkFailure};
use crate::ids::ThunkId;
use crate::kept::{Ended, Kept};
use crate::node::{State, Why};
use crate::observer::{Finished, Served};
use crate::plan::{Command, Plan};

impl Plan {
    pub(crate) fn finish(&mut self, id: ThunkId, reduction: Arc<Reduction>) {
        if let Some(makers) = &mut self.makers {
            for made in reduction.outputs.values().chain(reduction.undeclared.values()) {
                makers.entry(*made.object.name()).or_insert(id);
            }
        }
        let node = &mut self.graph[id];
        node.held = None;
        let executed = matches!(node.served, Served::Executed { .. });
        let replaced = matches!(node.state, State::Waiting { why: Why::StandIn(_), .. });
        if executed && !replaced {
            self.record(id, &reduction);
        } else if let (false, Some(_), false) = (node.tainted, &node.key, replaced) {
            // The next build finds it by its own name, before the dependencies are known.
            self.commands.push_back(Command::Record(reduction.clone()));
        }
        if executed {
            self.summary.executed += 1
        } else {
            self.summary.cached += 1
        }
        self.end(id, Ok(reduction));
    }

    /// Keeps a reduction under each name that tells the result.
    pub(crate) fn record(&mut self, id: ThunkId, reduction: &Arc<Reduction>) {
        let node = &self.graph[id];
        if node.volatile {
            return;
        }
        if !node.tainted {
            self.commands.push_back(Command::Record(reduction.clone()));
        }
        if let Some(key) = node.key.as_deref().copied().filter(|&key| key != node.name) {
            let copy = Reduction { thunk: key, ..Reduction::clone(reduction) };
            self.commands.push_back(Command::Record(Arc::new(copy)));
        }
    }

    pub(crate) fn fail(&mut self, id: ThunkId, cause: Cause) {
        let node = &mut self.graph[id];
        if let State::Ready(rank) = node.state {
            self.schedule.remove(node.tries.banned, &rank);
        }
        node.held = None;
        let cancelled = cause == Cause::Cancelled;
        let blamed = !node.eager && !node.stand_in;
        let failure = Arc::new(ThunkFailure { name: node.name, cause });
        if blamed {
            self.blame(&failure);
        }
        if cancelled {
            self.summary.cancelled += 1
        } else {
            self.summary.failed += 1
        }
        self.end(id, Err(failure));
    }

    fn end(&mut self, id: ThunkId, outcome: Outcome) {
        let failed = outcome.is_err();
        let node = &mut self.graph[id];
        node.state = State::Ended;
        node.outcome = Some(match &outcome {
            Ok(reduction) => Ended::Made(Kept::of(reduction, &mut self.words)),
            Err(failure) => Ended::Failed(failure.clone()),
        });
        let report = !node.stand_in && (!node.reported || failed);
        // Nobody waits for what was given up, and whoever asks for it again must not take this for the answer.
        if !node.given_up {
            node.reported |= report;
            self.settled(id, outcome, report, false);
        }
        self.unended -= 1;
        let dependents: Vec<ThunkId> = self.graph.dependents(id).collect();
        for dependent in dependents {
            if let State::Waiting { missing, .. } = &mut self.graph[dependent].state {
                *missing = missing.saturating_sub(1);
                if *missing == 0 || failed {
                    self.agenda.push_back(dependent);
                }
            }
        }
    }

    /// A thunk was asked for that has ended: whoever asked hears of it like of any other.
    pub(crate) fn report_again(&mut self, id: ThunkId, was_eager: bool) {
        let node = &mut self.graph[id];
        node.reported = true;
        let Some(outcome) = node.outcome.as_ref().map(|ended| ended.outcome(node.name)) else { return };
        if let (Err(failure), true, false) = (&outcome, was_eager, node.eager) {
            self.blame(failure);
        }
        self.settled(id, outcome, true, true);
    }

    fn blame(&mut self, failure: &Arc<ThunkFailure>) {
        if matches!(failure.cause, Cause::Program(_) | Cause::Breach(_) | Cause::Infrastructure(_)) {
            self.summary.failures.push(failure.clone());
            self.stopped |= !self.setup.keep_going;
        }
    }

    fn settled(&mut self, id: ThunkId, outcome: Outcome, report: bool, again: bool) {
        let ended = self.now;
        let node = &mut self.graph[id];
        let log = if report { std::mem::take(&mut node.time.log) } else { Vec::new() };
        let done = Finished {
            name: node.name,
            kind: node.kind.clone(),
            label: node.label.clone(),
            result: outcome,
            served: node.served.clone(),
            attempts: node.tries.runs,
            queued: node.time.queued,
            ran: node.time.ran,
            ready: node.time.ready,
            ended,
            log,
            again,
        };
        self.commands.push_back(Command::Settled { done: Box::new(done), report });
    }

    pub(crate) fn notice(&mut self, text: String) {
        self.commands.push_back(Command::Notice(text));
    }
}
