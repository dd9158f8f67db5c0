//! Takes down what happens to each step while a build runs. A step takes some hundred bytes until the end: its words are kept
//! compressed, and become a [`StepRecord`] when the record is written.

mod draft;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use gg_force::{Cause, Finished};
use gg_ir::{Input, Name, Reference, Thunk};

use self::draft::{Draft, Failure};
use super::endings::Endings;
use super::record::{HereRecord, Served, StepRecord};
use super::texts::{Text, Texts};

/// As much is kept of what a failed step wrote to each of its two streams, in bytes, ...
const LONGEST_OUTPUT: usize = 256 << 10;
/// ... and as much of all of them: with `make -k`, everything may fail.
const ALL_OUTPUT: usize = 32 << 20;

/// What stands in place of the rest.
const CUT: &[u8] = b"\n[gg: the rest of this output was not kept]\n";
/// What a step reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read<'a> {
    /// The output of a thunk.
    Output(&'a Name),
    /// A file with this content: what a step made has become real by now, if that step has ended, and may have been moved or copied.
    File(&'a Path, &'a Name),
}

/// The files that a thunk reads, without directories of the system.
pub fn reads(thunk: &Thunk) -> Vec<Read<'_>> {
    let files = thunk.inputs.iter().filter_map(|(path, input)| match input {
        Input::File { object: Reference::Output(name, _), .. } => Some(Read::Output(name)),
        Input::File { object: Reference::Value(value), .. } => Some(Read::File(path.as_path(), value)),
        _ => None,
    });
    files.collect()
}

/// What is known of a step when it is inferred.
pub struct Entry<'a> {
    /// The thunk.
    pub thunk: Name,
    /// The kind of step.
    pub kind: &'static str,
    /// The tool's name.
    pub tool: String,
    /// What it makes, for a person.
    pub label: String,
    /// The files that it makes.
    pub outputs: Vec<String>,
    /// The directory of the call.
    pub directory: &'a Path,
    /// The command line, as a shell takes it.
    pub command: String,
    /// What it reads: outputs of this build's steps among that are what it needs.
    pub reads: Vec<Read<'a>>,
    /// Why its result is awaited, if it is.
    pub at_once: Option<&'static str>,
}

#[derive(Default)]
struct Steps {
    places: HashMap<Name, u32>,
    /// The latest step that makes a file, by a hash of its path: tens of thousands of paths would take more room.
    makers: HashMap<u64, u32>,
    /// The first step that made these bytes, by a hash of their name.
    made: HashMap<u64, u32>,
    drafts: Vec<Draft>,
    texts: Option<Texts>,
    /// Bytes of what failed steps wrote.
    output: usize,
}

/// Takes down one run.
pub struct Recorder {
    begun: Instant,
    hasher: RandomState,
    steps: Mutex<Steps>,
    here: Arc<Mutex<Vec<HereRecord>>>,
    endings: OnceLock<Option<Arc<Endings>>>,
    notices: Mutex<Vec<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn us(time: Duration) -> u64 {
    time.as_micros() as u64
}

impl Recorder {
    /// For a run that began then. The coordinator's clock has to have the same beginning.
    pub fn new(begun: Instant) -> Self {
        Self {
            begun,
            hasher: RandomState::new(),
            steps: Mutex::default(),
            here: Arc::default(),
            endings: OnceLock::new(),
            notices: Mutex::default(),
        }
    }

    /// Enters a step that has just been inferred; only the first of those with the same thunk.
    pub fn enter(&self, entry: Entry<'_>) {
        self.enter_at(entry, self.begun.elapsed());
    }

    /// Enters a step that was there before the run began; only the first of those with the same thunk.
    pub fn enter_begun(&self, entry: Entry<'_>) {
        self.enter_at(entry, Duration::ZERO);
    }

    fn enter_at(&self, entry: Entry<'_>, inferred: Duration) {
        let Entry { thunk, kind, tool, label, outputs, directory, command, reads, at_once } = entry;
        let hash = |path: &Path| self.hasher.hash_one(path.as_os_str());
        let text = Text { tool, label, outputs, directory: directory.to_string_lossy().into_owned(), command };
        let mut steps = locked(&self.steps);
        if steps.places.contains_key(&thunk) {
            return;
        }
        let needs = reads.into_iter().filter_map(|read| match read {
            Read::Output(name) => steps.places.get(name).copied(),
            Read::File(path, value) => {
                let by_content = || steps.made.get(&self.hasher.hash_one(value)).copied();
                steps.makers.get(&hash(path)).copied().or_else(by_content)
            }
        });
        let mut needs: Vec<u32> = needs.collect();
        needs.sort_unstable();
        needs.dedup();
        if steps.texts.is_none() {
            // Without memory for that the build has other troubles: the step is not recorded.
            steps.texts = Texts::new().ok();
        }
        if steps.texts.as_mut().is_none_or(|texts| texts.push(&text).is_err()) {
            return;
        }
        let place = steps.drafts.len() as u32;
        steps.places.insert(thunk, place);
        for path in &text.outputs {
            steps.makers.insert(hash(Path::new(path)), place);
        }
        steps.drafts.push(Draft {
            thunk,
            kind,
            needs: needs.into(),
            at_once,
            served: Served::Pending,
            inferred,
            ready: None,
            ended: None,
            wall_us: 0,
            cpu_us: 0,
            peak_kib: 0,
            output_bytes: 0,
            log: Box::default(),
            failure: None,
        });
    }

    /// Whether no step was entered.
    pub fn is_empty(&self) -> bool {
        locked(&self.steps).drafts.is_empty()
    }

    /// Whether the step was entered.
    pub fn knows(&self, thunk: &Name) -> bool {
        locked(&self.steps).places.contains_key(thunk)
    }

    /// Enters that how a step fails was known.
    pub fn enter_known(&self, thunk: &Name, status: i32) {
        let now = self.begun.elapsed();
        let mut steps = locked(&self.steps);
        let Some(draft) = steps.draft(thunk).filter(|draft| draft.served == Served::Pending) else { return };
        (draft.served, draft.ended) = (Served::Cached, Some(now));
        let why = format!("exit status {status}");
        draft.failure = Some(Box::new(Failure { status: Some(status), why, stdout: vec![], stderr: vec![] }));
    }

    /// Enters how a step ended.
    pub fn finished(&self, done: &Finished) {
        let mut steps = locked(&self.steps);
        let room = ALL_OUTPUT.saturating_sub(steps.output).min(LONGEST_OUTPUT);
        let Some(draft) = steps.draft(&done.name) else { return };
        // It is told again to whoever asks again.
        if draft.ended.is_some() && done.log.is_empty() {
            return;
        }
        draft.served = match (&done.result, &done.served) {
            (Ok(_), gg_force::Served::Executed { .. }) => Served::Executed,
            (Ok(_), _) => Served::Cached,
            (Err(_), gg_force::Served::NotRun) => Served::NotRun,
            (Err(_), _) => Served::Failed,
        };
        draft.ready = draft.ready.or(done.ready);
        draft.ended = Some(done.ended);
        if !done.log.is_empty() {
            draft.log = done.log.clone().into();
        }
        let mut kept = 0;
        match &done.result {
            Ok(reduction) => {
                let cost = &reduction.cost;
                (draft.wall_us, draft.cpu_us, draft.peak_kib) = (cost.wall_us, cost.cpu_us, cost.peak_kib);
                let made = reduction.outputs.values().chain(reduction.undeclared.values());
                draft.output_bytes = made.map(|made| made.object.name().length()).sum();
                draft.failure = None;
            }
            Err(failure) => {
                let mut entry =
                    Failure { status: None, why: failure.cause.to_string(), stdout: vec![], stderr: vec![] };
                match &failure.cause {
                    Cause::Program(program) => {
                        let cut = |bytes: &[u8]| match bytes.get(..room) {
                            Some(kept) if room < bytes.len() => [kept, CUT].concat(),
                            _ => bytes.to_vec(),
                        };
                        let cost = &program.cost;
                        (draft.wall_us, draft.cpu_us, draft.peak_kib) = (cost.wall_us, cost.cpu_us, cost.peak_kib);
                        entry.status = Some(program.status.code());
                        (entry.stdout, entry.stderr) = (cut(&program.stdout), cut(&program.stderr));
                    }
                    // It was to be run, and could not be.
                    Cause::Infrastructure(_) => draft.served = Served::Failed,
                    Cause::Breach(_) => {}
                    Cause::Dependency(_) | Cause::Cancelled => draft.served = Served::NotRun,
                }
                kept = entry.stdout.len() + entry.stderr.len();
                draft.failure = Some(Box::new(entry));
            }
        }
        steps.output += kept;
        if let (Ok(reduction), Some(&place)) = (&done.result, steps.places.get(&done.name)) {
            // Empty files are made by everybody.
            let made = reduction.outputs.values().map(|made| made.object.name()).filter(|name| name.length() > 0);
            for name in made {
                steps.made.entry(self.hasher.hash_one(name)).or_insert(place);
            }
        }
    }

    /// Enters a call that runs here, as the process behind this descriptor if that is known.
    pub fn enter_here(&self, call: HereRecord, process: Option<OwnedFd>) {
        let number = {
            let mut here = locked(&self.here);
            here.push(HereRecord { began_us: us(self.begun.elapsed()), ..call });
            here.len() - 1
        };
        let (here, begun) = (Arc::clone(&self.here), self.begun);
        let ended = move |number: u64| {
            let now = us(begun.elapsed());
            if let Some(call) = locked(&here).get_mut(number as usize) {
                call.ended_us = Some(now);
            }
        };
        if let Some(process) = process
            && let Some(endings) = self.endings.get_or_init(|| Endings::start(ended).ok())
        {
            // Without, it is not known when it ended.
            let _ = endings.watch(number as u64, process);
        }
    }

    /// Enters something that a person may want to know.
    pub fn notice(&self, text: &str) {
        locked(&self.notices).push(text.to_owned());
    }

    /// How long it has been.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The calls that ran here, and what a person may want to know. They are taken away.
    pub fn take_calls(&self) -> (Vec<HereRecord>, Vec<String>) {
        if let Some(Some(endings)) = self.endings.get() {
            endings.settle();
        }
        (std::mem::take(&mut locked(&self.here)), std::mem::take(&mut locked(&self.notices)))
    }

    /// The steps, one after the other, as they were inferred. What is known of them is taken away with them.
    pub fn take_steps(&self) -> impl Iterator<Item = StepRecord> + use<> {
        let mut steps = locked(&self.steps);
        let (drafts, texts) = (std::mem::take(&mut steps.drafts), steps.texts.take());
        let texts = texts.and_then(|texts| texts.read().ok()).into_iter().flatten();
        drafts.into_iter().zip(texts).map(|(draft, text)| draft.finish(text))
    }
}

impl Steps {
    fn draft(&mut self, thunk: &Name) -> Option<&mut Draft> {
        let place = *self.places.get(thunk)?;
        self.drafts.get_mut(place as usize)
    }
}

#[cfg(test)]
mod tests;
