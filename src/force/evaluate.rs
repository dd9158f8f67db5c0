//! The way of one thunk from being known to having an outcome, as long as nothing goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gg_ir::{Made, Name, Reduction, Reference, Thunk};

use crate::attempt::{Attempt, AttemptEnd};
use crate::engine::EngineResult;
use crate::failure::{Cause, summarise};
use crate::ids::{RunId, ThunkId};
use crate::kept::{Ended, Kept};
use crate::ledger::LedgerError;
use crate::node::{State, Why};
use crate::observer::Served;
use crate::plan::{Command, Given, Plan, Run};

/// The thunks that a reduction points to.
fn further(reduction: &Reduction) -> BTreeSet<Name> {
    let made = reduction.outputs.values().chain(reduction.undeclared.values());
    made.filter_map(|made| made.object.thunk().copied()).collect()
}

/// The longest command line that stands for a thunk, in characters.
const LABEL: usize = 80;

/// What stands for a thunk of which only the description is known: its program, and the first file that it writes. What
/// was stated by hand often writes to the same place each time; it goes by its command line.
fn describe(thunk: &Thunk) -> (String, String) {
    let kind = thunk.function.executable.as_path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    if thunk.strict {
        let words: Vec<_> = thunk.function.args.iter().map(|arg| arg.to_string_lossy()).collect();
        let mut line = words.join(" ");
        if let Some((cut, _)) = line.char_indices().nth(LABEL) {
            line.truncate(cut);
            line.push('…');
        }
        return (kind, line);
    }
    let first = thunk.outputs.values().find(|output| !output.optional).or(thunk.outputs.values().next());
    (kind, first.map_or_else(String::new, |output| output.path.to_string()))
}

impl Plan {
    /// Asks the cache, where its answer would count.
    pub(crate) fn begin(&mut self, id: ThunkId) {
        let tainted = self.graph[id].volatile || self.is_below_tainted(id);
        let node = &mut self.graph[id];
        node.tainted |= tainted;
        if tainted {
            self.prepare(id);
        } else {
            node.state = State::Looking;
            self.commands.push_back(Command::Look { id, name: node.name });
        }
    }

    fn is_below_tainted(&self, id: ThunkId) -> bool {
        let names = self.graph[id].thunk.iter().flat_map(|thunk| thunk.dependencies());
        names.filter_map(|name| self.graph.find(name)).any(|dependency| self.graph[dependency].tainted)
    }

    pub(crate) fn looked(&mut self, id: ThunkId, found: Option<Reduction>) {
        if self.graph[id].state != State::Looking {
            return;
        }
        match found {
            Some(reduction) => self.serve(id, reduction),
            None => self.prepare(id),
        }
    }

    /// A hit. The thunk still does not end before its dependencies, where these are evaluated at all: a step that
    /// would not have been reached since an earlier one failed is not done, and files appear in order.
    fn serve(&mut self, id: ThunkId, reduction: Reduction) {
        let node = &mut self.graph[id];
        node.held = Some(Arc::new(reduction));
        node.served = Served::FromCache;
        if let Some(thunk) = node.thunk.clone().filter(|_| node.depends && !node.linked) {
            for name in thunk.dependencies() {
                let known = self.graph.find(name).filter(|&d| !self.graph[d].ended());
                if let Some(dependency) = known.filter(|&d| !self.graph.closes_cycle(d, id)) {
                    self.link(dependency, id);
                }
            }
        }
        self.wait_for_all(id, Why::Served);
    }

    fn link(&mut self, dependency: ThunkId, dependent: ThunkId) {
        let hurried = self.graph.link(dependency, dependent);
        self.rerank(&hurried);
    }

    /// Sees to it that the description and all dependencies are there.
    pub(crate) fn prepare(&mut self, id: ThunkId) {
        let node = &mut self.graph[id];
        let Some(thunk) = node.thunk.clone() else {
            node.state = State::Loading;
            self.commands.push_back(Command::Load { id, name: node.name });
            return;
        };
        if !node.linked {
            let names: BTreeSet<Name> = thunk.dependencies().copied().collect();
            let needed = self.graph.dependents(id).next().is_some();
            for name in names {
                let dependency = match self.admit(name, self.graph[id].depth) {
                    Ok(dependency) => dependency,
                    Err(cause) => return self.fail(id, cause),
                };
                if needed && self.graph.closes_cycle(dependency, id) {
                    return self.fail(id, Cause::Infrastructure(circular(&name)));
                }
                self.link(dependency, id);
                let tainted = self.graph[dependency].tainted;
                self.graph[id].tainted |= tainted;
            }
            self.graph[id].linked = true;
        }
        self.wait_for_all(id, Why::Inputs);
    }

    pub(crate) fn loaded(&mut self, id: ThunkId, thunk: Result<Arc<Thunk>, LedgerError>) {
        if self.graph[id].state != State::Loading {
            return;
        }
        match thunk {
            Ok(thunk) => {
                let said = self.labels.remove(&self.graph[id].name);
                let node = &mut self.graph[id];
                if node.label.is_empty() {
                    let (kind, label) = describe(&thunk);
                    let label = said.unwrap_or(label);
                    (node.kind, node.label) = (self.words.kind(&kind), label.into());
                }
                node.describe(thunk);
                let weight = self.weight(&self.graph[id]);
                self.graph.weigh(id, weight);
                self.prepare(id);
            }
            Err(LedgerError::Missing(name) | LedgerError::Corrupt(name)) => self.lost(id, name),
            Err(LedgerError::Other(text)) => self.fail(id, Cause::Infrastructure(text)),
        }
    }

    /// Lets a thunk go on once all its dependencies have ended, which may be now.
    pub(crate) fn wait_for_all(&mut self, id: ThunkId, why: Why) {
        let (mut missing, mut failed) = (0, None);
        // What was given up when it had been made again for another is needed here.
        let lost: Vec<ThunkId> = self.graph.dependencies(id).filter(|&below| self.graph[below].given_up).collect();
        lost.into_iter().for_each(|below| self.revive(below, false));
        for dependency in self.graph.dependencies(id) {
            match &self.graph[dependency].outcome {
                None => missing += 1,
                Some(Ended::Failed(_)) => failed = failed.or(Some(dependency)),
                Some(Ended::Made(_)) => {}
            }
        }
        if let Some(dependency) = failed {
            return self.dependency_failed(id, dependency, why);
        }
        self.graph[id].state = State::Waiting { missing, why };
        if missing == 0 {
            self.go_on(id, why);
        }
    }

    /// A dependency has ended.
    pub(crate) fn wake(&mut self, id: ThunkId) {
        if let State::Waiting { why, .. } = self.graph[id].state {
            self.wait_for_all(id, why);
        }
    }

    fn dependency_failed(&mut self, id: ThunkId, dependency: ThunkId, why: Why) {
        let own = match &self.graph[dependency].outcome {
            Some(Ended::Failed(failure)) if why == Why::StandIn(dependency) => Some(failure.cause.clone()),
            _ => None,
        };
        match own {
            Some(cause) => {
                self.take_account(id, dependency);
                self.fail(id, cause);
            }
            None => {
                let cause = self.root(dependency).unwrap_or(Cause::Cancelled);
                self.fail(id, cause);
            }
        }
    }

    fn go_on(&mut self, id: ThunkId, why: Why) {
        let node = &self.graph[id];
        match why {
            Why::Inputs if node.depends && !node.volatile && !node.fresh => match self.inputs(id) {
                Ok((thunk, resolved)) => {
                    let node = &mut self.graph[id];
                    node.state = State::Resolving;
                    let round = node.round;
                    self.commands.push_back(Command::LookResolved { id, round, thunk, resolved });
                }
                Err(cause) => self.fail(id, cause),
            },
            Why::Inputs | Why::Again => self.make_ready(id),
            Why::Served | Why::Chase => self.chase(id),
            Why::StandIn(other) => {
                if let Some(Ended::Made(kept)) = &self.graph[other].outcome {
                    let reduction = kept.reduction(self.graph[id].name);
                    self.take_account(id, other);
                    self.graph[id].held = Some(Arc::new(reduction));
                    self.chase(id);
                }
            }
        }
    }

    /// Counts what was done for a stand-in as done for the thunk itself.
    fn take_account(&mut self, id: ThunkId, other: ThunkId) {
        let (tries, time, served) = {
            let other = &self.graph[other];
            (other.tries.clone(), other.time.clone(), other.served.clone())
        };
        let node = &mut self.graph[id];
        node.tries.runs += tries.runs;
        node.time.queued += time.queued;
        node.time.ran += time.ran;
        node.time.log.extend(time.log);
        if served != Served::FromCache {
            node.served = served;
        }
    }

    /// The description to run, and what its references stand for. All dependencies have ended.
    pub(crate) fn inputs(&self, id: ThunkId) -> Result<(Arc<Thunk>, BTreeMap<Reference, Name>), Cause> {
        let node = &self.graph[id];
        let Some(thunk) = &node.thunk else {
            return Err(Cause::Infrastructure(format!("{} was to be run before it was read", node.name)));
        };
        let mut resolved = BTreeMap::new();
        let mut absent = BTreeSet::new();
        for input in thunk.inputs.values() {
            let gg_ir::Input::File { object: reference @ Reference::Output(name, _), .. } = input else { continue };
            match self.value(reference)? {
                Some(value) => drop(resolved.insert(reference.clone(), value)),
                None if self.may_be_absent(reference) => drop(absent.insert(reference.clone())),
                None => return Err(Cause::Infrastructure(unwritten(name, reference))),
            }
        }
        if absent.is_empty() {
            return Ok((thunk.clone(), resolved));
        }
        let mut thunk = Thunk::clone(thunk);
        thunk.inputs.retain(|_, input| !matches!(input, gg_ir::Input::File { object, .. } if absent.contains(object)));
        Ok((Arc::new(thunk), resolved))
    }

    /// The value that a reference stands for; `None` when the thunk did not write that output.
    fn value(&self, reference: &Reference) -> Result<Option<Name>, Cause> {
        let (name, tag) = match reference {
            Reference::Value(name) => return Ok(Some(*name)),
            Reference::Output(name, tag) => (name, tag),
        };
        Ok(self.kept(name)?.value(tag))
    }

    /// What a thunk that was needed came to.
    fn kept(&self, name: &Name) -> Result<&Kept, Cause> {
        match self.graph.find(name).and_then(|id| self.graph[id].outcome.as_ref()) {
            Some(Ended::Made(kept)) => Ok(kept),
            _ => Err(Cause::Infrastructure(format!("{name} was needed before it had ended"))),
        }
    }

    /// An optional output need not be written, and what is not there is not there for the next step either. Of a thunk
    /// that was served from the cache by its name alone nobody knows which outputs are optional.
    fn may_be_absent(&self, reference: &Reference) -> bool {
        let Reference::Output(name, tag) = reference else { return false };
        let thunk = self.graph.find(name).and_then(|id| self.graph[id].thunk.as_ref());
        thunk.is_none_or(|thunk| thunk.outputs.get(tag).is_some_and(|output| output.optional))
    }

    pub(crate) fn resolved(&mut self, id: ThunkId, round: u32, key: Name, found: Option<Reduction>) {
        // With values from before one that it needs was made again, the key is another thunk's.
        if self.graph[id].state != State::Resolving || self.graph[id].round != round {
            return;
        }
        self.graph[id].key = Some(Box::new(key));
        match found {
            Some(reduction) => {
                let node = &mut self.graph[id];
                node.served = Served::FromCache;
                node.held = Some(Arc::new(Reduction { thunk: node.name, ..reduction }));
                self.chase(id);
            }
            None => self.wait_for_all(id, Why::Again),
        }
    }

    pub(crate) fn make_ready(&mut self, id: ThunkId) {
        let all = (0..self.schedule.engines()).fold(0, |set, engine| set | crate::schedule::bit(engine));
        if self.graph[id].tries.banned & all == all {
            let text = "there is no engine to run it on; give one that can run thunks".to_owned();
            return self.fail(id, Cause::Infrastructure(text));
        }
        let node = &mut self.graph[id];
        // What was begun is finished first, also when nothing new is started any more.
        let urgent = node.rank.urgent || node.tries.runs > 0;
        let rank = self.schedule.rank(id, urgent, node.rank.path);
        node.state = State::Ready(rank);
        node.time.since = self.now;
        node.time.ready.get_or_insert(self.now);
        self.schedule.insert(node.tries.banned, rank);
    }

    pub(crate) fn run_ended(&mut self, run: RunId, result: EngineResult) {
        let Some(Run { id, engine, log, given }) = self.runs.remove(&run) else { return };
        self.schedule.release(engine);
        self.summary.runs += 1;
        self.graph[id].lingers = false;
        if self.graph[id].state == State::Unwinding {
            return self.begin(id);
        }
        if self.graph[id].state != State::Running(run) {
            return;
        }
        let node = &mut self.graph[id];
        let ran = self.now.saturating_sub(node.time.since);
        node.time.ran += ran;
        node.time.log.extend(ended(log.take(self.now), &result));
        match result {
            EngineResult::Done(reduction) => self.executed(id, engine, ran, given, reduction),
            EngineResult::Failed(failure) => {
                node.served = Served::Executed { engine: self.setup.engines[engine].clone() };
                self.program_failed(id, failure);
            }
            EngineResult::Breach(text) => {
                node.served = Served::Executed { engine: self.setup.engines[engine].clone() };
                self.fail(id, Cause::Breach(text));
            }
            EngineResult::Missing(object) | EngineResult::Corrupt(object) => self.lost(id, object),
            EngineResult::Broken { text, again } => self.engine_failed(id, engine, &text, again),
            EngineResult::Declined { text } => self.engine_declined(id, engine, text),
            EngineResult::Cancelled => self.engine_failed(id, engine, "the execution was cancelled", true),
        }
    }

    fn executed(&mut self, id: ThunkId, engine: usize, ran: Duration, given: Option<Given>, reduction: Reduction) {
        let node = &mut self.graph[id];
        if let Some(thunk) = &node.thunk {
            let declared = reduction.outputs.keys().all(|tag| thunk.outputs.contains_key(tag));
            let whole = thunk.outputs.iter().all(|(tag, o)| o.optional || reduction.outputs.contains_key(tag));
            if !declared || !whole {
                return self.engine_failed(id, engine, "the engine's answer is not what the thunk's outputs are", true);
            }
        }
        node.served = Served::Executed { engine: self.setup.engines[engine].clone() };
        node.tries.broken = 0;
        if let Some(text) = breach(node.thunk.as_deref(), &reduction) {
            return self.fail(id, Cause::Breach(text));
        }
        let reduction = Arc::new(Reduction { thunk: node.name, ..reduction });
        let (kind, label) = (node.kind.clone(), node.label.clone());
        if let Some(first) = node.tries.failed.take() {
            self.notice(format!("{label}: failed ({}), then succeeded; only the success counts", summarise(&first)));
        }
        self.setup.history.record(&kind, &label, ran);
        match given {
            Some(given) => self.look_for_graphs(id, given, reduction),
            None => self.executed_whole(id, reduction),
        }
    }

    /// The program's outputs are known, be it as further thunks.
    pub(crate) fn executed_whole(&mut self, id: ThunkId, reduction: Arc<Reduction>) {
        self.graph[id].held = Some(reduction.clone());
        if !further(&reduction).is_empty() {
            self.record(id, &reduction);
        }
        self.chase(id);
    }

    /// Evaluates the thunks that the reduction points to, and ends when there are none left.
    fn chase(&mut self, id: ThunkId) {
        let Some(held) = self.graph[id].held.clone() else { return };
        let mut waits = false;
        let depth = self.graph[id].depth + 1;
        for name in further(&held) {
            let other = match self.admit(name, depth) {
                Ok(other) => other,
                Err(cause) => return self.fail(id, cause),
            };
            waits |= !matches!(self.graph[other].outcome, Some(Ended::Made(_)));
            if waits {
                let Some(hurried) = self.graph.link_late(other, id) else {
                    return self.fail(id, Cause::Infrastructure(circular(&name)));
                };
                self.rerank(&hurried);
            }
            let tainted = self.graph[other].tainted;
            self.graph[id].tainted |= tainted;
        }
        if waits {
            return self.wait_for_all(id, Why::Chase);
        }
        let mut made = held.outputs.values().chain(held.undeclared.values());
        if made.all(|made| made.object.thunk().is_none()) {
            return self.finish(id, held);
        }
        let mut whole = Reduction::clone(&held);
        for made in whole.outputs.values_mut().chain(whole.undeclared.values_mut()) {
            if let Err(cause) = self.settle(made) {
                return self.fail(id, cause);
            }
        }
        self.finish(id, Arc::new(whole));
    }

    fn settle(&self, made: &mut Made) -> Result<(), Cause> {
        let Reference::Output(name, tag) = &made.object else { return Ok(()) };
        match self.kept(name)?.made(tag) {
            Some(other) if made.mode == gg_recipe::UNSAID => *made = other,
            Some(other) => made.object = other.object,
            None => return Err(Cause::Infrastructure(unwritten(name, &made.object))),
        }
        Ok(())
    }
}

/// The tries of one execution; the last of them ended as the execution did.
fn ended(mut log: Vec<Attempt>, result: &EngineResult) -> Vec<Attempt> {
    let (end, trouble) = match result {
        EngineResult::Done(_) => (AttemptEnd::Done, None),
        EngineResult::Failed(_) => (AttemptEnd::Failed, None),
        EngineResult::Breach(text) => (AttemptEnd::Failed, Some(text.clone())),
        EngineResult::Missing(object) => (AttemptEnd::Lost, Some(format!("{object} was missing"))),
        EngineResult::Corrupt(object) => (AttemptEnd::Lost, Some(format!("{object} was corrupt"))),
        EngineResult::Broken { text, .. } => (AttemptEnd::Broken, Some(text.clone())),
        EngineResult::Declined { text } => (AttemptEnd::Declined, Some(text.clone())),
        EngineResult::Cancelled => (AttemptEnd::Cancelled, None),
    };
    if let Some(last) = log.iter_mut().rev().find(|attempt| attempt.end != AttemptEnd::Beaten) {
        (last.end, last.trouble) = (end, trouble.map(String::into_boxed_str).or(last.trouble.take()));
    }
    log
}

/// What the program did that its thunk does not allow.
fn breach(thunk: Option<&Thunk>, reduction: &Reduction) -> Option<String> {
    /// So many files are named.
    const NAMED: usize = 3;
    let undeclared = &reduction.undeclared;
    if !thunk?.strict {
        return None;
    }
    for (stream, text) in [("output", &reduction.stdout), ("error", &reduction.stderr)] {
        if text.len() > gg_worker::MOST_OUTPUT {
            let most = gg_worker::MOST_OUTPUT >> 20;
            return Some(format!(
                "it wrote more than {most} MiB to standard {stream}; let it write to a file that is an output"
            ));
        }
    }
    if undeclared.is_empty() {
        return None;
    }
    let mut paths: Vec<String> = undeclared.keys().take(NAMED).map(ToString::to_string).collect();
    if undeclared.len() > NAMED {
        paths.push(format!("and {} more", undeclared.len() - NAMED));
    }
    Some(format!(
        "it wrote {}: no outputs of its thunk; declare them, write below /tmp, or state it as not strict",
        paths.join(", ")
    ))
}

fn circular(name: &Name) -> String {
    format!("it needs {name}, which waits for it in turn; the thunk that made this graph is at fault")
}

fn unwritten(name: &Name, reference: &Reference) -> String {
    let tag = if let Reference::Output(_, tag) = reference { tag.as_str() } else { "" };
    format!("it needs the output '{tag}' of {name}, which was not written")
}
