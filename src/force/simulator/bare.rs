//! The plan with nothing around it but a clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use gg_ir::Reduction;

use crate::engine::EngineResult;
use crate::history::History;
use crate::ids::RunId;
use crate::plan::{Command, Event, Plan, Setup};
use crate::policy::Policy;
use crate::request::Request;

/// A plan on imagined time, for measuring what it costs by itself.
pub struct Bare {
    plan: Plan,
    now: Duration,
    workers: usize,
    agenda: BinaryHeap<Reverse<(Duration, RunId, u32)>>,
}

impl Bare {
    /// A plan for so many workers that knows these run times.
    pub fn new(workers: usize, history: History) -> Self {
        let setup = Setup {
            engines: vec!["bare".into()],
            reserves: 0,
            policy: Policy::default(),
            history,
            keep_going: true,
            consults: false,
            resupplies: false,
        };
        Self { plan: Plan::new(setup), now: Duration::ZERO, workers, agenda: BinaryHeap::new() }
    }

    /// Adds a thunk. Nothing is in its cache.
    pub fn add(&mut self, request: Request) {
        self.plan.handle(self.now, Event::Add(request));
        self.obey(&|_| Duration::ZERO);
    }

    /// Runs all to the end; `time` says how long a thunk runs by its number, from 0 in the order of additions, and `reduce`
    /// what it comes to. When the last one ended, and how many succeeded.
    pub fn run(&mut self, time: impl Fn(u32) -> Duration, reduce: impl Fn(u32) -> Reduction) -> (Duration, usize) {
        loop {
            self.plan.dispatch(self.now, &[self.workers]);
            self.obey(&time);
            let Some(Reverse((at, run, thunk))) = self.agenda.pop() else { break };
            self.now = at;
            self.plan.handle(self.now, Event::Ended { run, result: EngineResult::Done(reduce(thunk)) });
            self.obey(&time);
        }
        (self.now, self.plan.progress().done)
    }

    fn obey(&mut self, time: &impl Fn(u32) -> Duration) {
        while let Some(command) = self.plan.next() {
            match command {
                Command::Look { id, .. } => self.plan.handle(self.now, Event::Looked { id, found: None }),
                Command::LookResolved { id, round, .. } => {
                    let key = self.plan.graph[id].name;
                    self.plan.handle(self.now, Event::Resolved { id, round, key, found: None });
                }
                Command::Start { run, work, .. } => {
                    self.agenda.push(Reverse((self.now + time(work.id.0), run, work.id.0)));
                }
                // All thunks are given, and no results are kept.
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{made, product, request, thunk};

    #[test]
    fn all_end_in_the_time_that_they_take() {
        let (a, b) = (thunk("a", &[]), thunk("b", &[]));
        let c = thunk("c", &[a.name(), b.name()]);
        let thunks = [a, b, c];
        let mut bare = Bare::new(1, History::new());
        thunks.iter().for_each(|thunk| bare.add(request(thunk)));
        let reduce = |number: u32| {
            let thunk = &thunks[number as usize];
            made(thunk.name(), gg_ir::Reference::Value(product(thunk)))
        };
        let (ended, done) = bare.run(|number| Duration::from_secs(u64::from(number) + 1), reduce);
        assert_eq!((ended.as_secs(), done), (6, 3));
    }
}
