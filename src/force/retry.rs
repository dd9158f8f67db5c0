//! What follows when a program or an engine fails.

use std::sync::Arc;

use gg_ir::Thunk;
use gg_worker::{Failure, Status};

use crate::failure::{Cause, by_signal};
use crate::ids::{EngineIndex, ThunkId};
use crate::node::{State, Why};
use crate::plan::{Command, Plan};
use crate::schedule::bit;

impl Plan {
    /// The program failed. Before that is believed, the caller may have a better thunk, and the program is run again:
    /// a compiler whose helper process was killed says so with a plain exit status of 1.
    pub(crate) fn program_failed(&mut self, id: ThunkId, failure: Failure) {
        let consults = self.setup.consults;
        let node = &mut self.graph[id];
        match node.tries.failed.take() {
            Some(first) => {
                // The run that speaks for itself, rather than the one that was killed.
                let told = if by_signal(&failure) && !by_signal(&first) { first } else { Box::new(failure) };
                self.fail(id, Cause::Program(told));
            }
            // It has had its time; another would cost as much.
            None if failure.status == Status::OverTime => self.fail(id, Cause::Program(Box::new(failure))),
            None if consults && !node.stand_in => {
                node.tries.failed = Some(Box::new(failure.clone()));
                node.state = State::Consulting;
                let name = node.name;
                self.commands.push_back(Command::Consult { id, name, failure });
            }
            None => self.confirm(id, failure),
        }
    }

    fn confirm(&mut self, id: ThunkId, failure: Failure) {
        let node = &mut self.graph[id];
        let killed = matches!(failure.status, Status::Signalled(_));
        if killed || self.setup.policy.confirm && (by_signal(&failure) || !node.eager) {
            node.tries.failed = Some(Box::new(failure));
            self.wait_for_all(id, Why::Again);
        } else {
            self.fail(id, Cause::Program(Box::new(failure)));
        }
    }

    pub(crate) fn consulted(&mut self, id: ThunkId, replacement: Option<Arc<Thunk>>) {
        if self.graph[id].state != State::Consulting {
            return;
        }
        let Some(failure) = self.graph[id].tries.failed.take() else { return };
        let Some(thunk) = replacement.filter(|thunk| thunk.name() != self.graph[id].name) else {
            return self.confirm(id, *failure);
        };
        let known = self.graph.find(&thunk.name()).is_some();
        let other = self.add_like(id, thunk);
        // One that somebody asked for is theirs, and is reported.
        self.graph[other].stand_in |= !known;
        let Some(hurried) = self.graph.link_late(other, id) else {
            return self.confirm(id, *failure);
        };
        self.rerank(&hurried);
        // The step was begun, so it is finished even when nothing new is started.
        self.hurry(other);
        self.wait_for_all(id, Why::StandIn(other));
    }

    /// The engine failed. It is asked again after a while, then the next one is.
    pub(crate) fn engine_failed(&mut self, id: ThunkId, engine: EngineIndex, text: &str, again: bool) {
        let policy = self.setup.policy;
        let name = self.setup.engines[engine].clone();
        let node = &mut self.graph[id];
        let label = node.label.clone();
        node.tries.broken += 1;
        if again && node.tries.broken <= policy.retries {
            let delay = policy.delay(node.tries.broken);
            node.state = State::Paused;
            self.timers.insert((self.now + delay, id));
            return self.notice(format!("{label}: engine '{name}' failed and is asked again: {text}"));
        }
        let tried = node.tries.broken;
        node.tries.broken = 0;
        node.tries.banned |= bit(engine);
        let banned = node.tries.banned;
        if (0..self.schedule.engines()).all(|engine| banned & bit(engine) != 0) {
            let advice = "run the build again; what was finished is kept";
            let trail = self.tell_trail(id, &failed(&name, tried, text));
            return self.fail(id, Cause::Infrastructure(format!("{trail}; {advice}")));
        }
        let trail = self.tell_trail(id, &failed(&name, tried, text));
        self.graph[id].tries.trail = Some(trail.into());
        self.notice(format!("{label}: engine '{name}' failed {tried} times, the next engine is asked: {text}"));
        self.wait_for_all(id, Why::Again);
    }

    /// The engine gave the thunk back: the next one is asked. Thousands may come back for the same reason, which is told once.
    pub(crate) fn engine_declined(&mut self, id: ThunkId, engine: EngineIndex, text: String) {
        let name = self.setup.engines[engine].clone();
        let node = &mut self.graph[id];
        node.tries.banned |= bit(engine);
        let (banned, label) = (node.tries.banned, node.label.clone());
        if (0..self.schedule.engines()).all(|engine| banned & bit(engine) != 0) {
            let trail = self.tell_trail(id, &declined(&name, &text));
            return self.fail(id, Cause::Infrastructure(trail));
        }
        let trail = self.tell_trail(id, &declined(&name, &text));
        self.graph[id].tries.trail = Some(trail.into());
        if self.told.insert(text.clone()) {
            self.notice(format!("{label}: engine '{name}' gives it to the next engine: {text} (told once)"));
        }
        self.wait_for_all(id, Why::Again);
    }

    /// What came of each engine that was asked, in order, the last one included.
    fn tell_trail(&self, id: ThunkId, last: &str) -> String {
        self.graph[id].tries.trail.as_ref().map_or_else(|| last.to_owned(), |trail| format!("{trail}; then {last}"))
    }

    pub(crate) fn fire_timers(&mut self) {
        while let Some(&(at, id)) = self.timers.first() {
            if at > self.now {
                break;
            }
            self.timers.pop_first();
            if self.graph[id].state == State::Paused {
                self.wait_for_all(id, Why::Again);
            }
        }
    }
}

fn failed(engine: &str, tried: u32, text: &str) -> String {
    let times = if tried == 1 { "once".to_owned() } else { format!("{tried} times") };
    format!("engine '{engine}' failed {times}: {text}")
}

fn declined(engine: &str, text: &str) -> String {
    format!("engine '{engine}' did not run it: {text}")
}
