//! Takes down what happens to each step while a build runs. A step takes some hundred bytes until the end: its words are kept
//! compressed, and become a [`StepRecord`] when the record is written.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use gg_force::{Attempt, AttemptEnd, Cause, Finished};
use gg_ir::{Input, Name, Reference, Thunk};

use super::endings::Endings;
use super::record::{AttemptRecord, End, HereRecord, Served, StepRecord};
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
    /// A file: one that a step made has become real by now, if that step has ended.
    File(&'a Path),
}

/// The files that a thunk reads, without directories of the system.
pub fn reads(thunk: &Thunk) -> Vec<Read<'_>> {
    let files = thunk.inputs.iter().filter_map(|(path, input)| match input {
        Input::File { object: Reference::Output(name, _), .. } => Some(Read::Output(name)),
        Input::File { .. } => Some(Read::File(path.as_path())),
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

/// A step in numbers.
struct Draft {
    thunk: Name,
    kind: &'static str,
    needs: Box<[u32]>,
    at_once: Option<&'static str>,
    served: Served,
    inferred: Duration,
    ready: Option<Duration>,
    ended: Option<Duration>,
    wall_us: u64,
    cpu_us: u64,
    peak_kib: u64,
    output_bytes: u64,
    log: Box<[Attempt]>,
    failure: Option<Box<Failure>>,
}

struct Failure {
    status: Option<i32>,
    why: String,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

#[derive(Default)]
struct Steps {
    places: HashMap<Name, u32>,
    /// The latest step that makes a file, by a hash of its path: tens of thousands of paths would take more room.
    makers: HashMap<u64, u32>,
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
            Read::File(path) => steps.makers.get(&hash(path)).copied(),
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

impl Draft {
    fn finish(self, text: Text) -> StepRecord {
        let Text { tool, label, outputs, directory, command } = text;
        let program = matches!(self.served, Served::Executed | Served::Cached).then_some(0);
        let (status, failure, stdout, stderr) = match self.failure.map(|failure| *failure) {
            None => (program, None, None, None),
            Some(Failure { status, why, stdout, stderr }) => {
                let text = |bytes: Vec<u8>| (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned());
                (status, Some(why), text(stdout), text(stderr))
            }
        };
        let mut attempts: Vec<AttemptRecord> = self.log.iter().map(AttemptRecord::from).collect();
        attempts.sort_by_key(|attempt| attempt.ended_us);
        let mut step = StepRecord {
            thunk: self.thunk.to_string(),
            kind: self.kind.to_owned(),
            tool,
            label,
            outputs,
            directory,
            command,
            needs: self.needs.into(),
            served: self.served,
            engine: None,
            status,
            failure,
            stdout,
            stderr,
            at_once: self.at_once.map(str::to_owned),
            inferred_us: us(self.inferred),
            ready_us: self.ready.map(us),
            ended_us: self.ended.map(us),
            wall_us: self.wall_us,
            cpu_us: self.cpu_us,
            peak_kib: self.peak_kib,
            output_bytes: self.output_bytes,
            attempts,
        };
        if matches!(step.served, Served::Executed | Served::Failed) {
            step.engine = step.decisive().or(step.attempts.last()).map(|attempt| attempt.engine.clone());
        }
        step
    }
}

impl From<&Attempt> for AttemptRecord {
    fn from(attempt: &Attempt) -> Self {
        let phases = &attempt.phases;
        Self {
            engine: attempt.engine.to_string(),
            worker: attempt.worker,
            sent_us: us(attempt.sent),
            ended_us: us(attempt.ended),
            upload_us: us(phases.upload),
            queue_us: us(phases.queue),
            fetch_us: us(phases.fetch),
            prepare_us: us(phases.prepare),
            run_us: us(phases.run),
            store_us: us(phases.store),
            end: match attempt.end {
                AttemptEnd::Done => End::Done,
                AttemptEnd::Failed => End::Failed,
                AttemptEnd::Beaten => End::Beaten,
                AttemptEnd::Lost => End::Lost,
                AttemptEnd::Broken => End::Broken,
                AttemptEnd::Declined => End::Declined,
                AttemptEnd::Cancelled => End::Cancelled,
            },
            trouble: attempt.trouble.as_deref().map(str::to_owned),
            duplicate: attempt.duplicate,
            cold: attempt.cold,
            bytes_up: attempt.bytes_up,
            bytes_down: attempt.bytes_down,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gg_force::{Phases, ThunkFailure};
    use gg_ir::{Cost, Kind, Reduction};

    use super::super::record::{Record, VERSION};
    use super::super::{Runs, file};
    use super::*;

    fn name(number: u32) -> Name {
        Name::of(Kind::Thunk, &number.to_le_bytes())
    }

    fn entry(number: u32) -> Entry<'static> {
        let output = format!("/project/src/module{}/file{number}.o", number / 20);
        Entry {
            thunk: name(number),
            kind: "compile",
            tool: "gcc".into(),
            label: output.clone(),
            outputs: vec![output.clone(), output.replace(".o", ".d")],
            directory: Path::new("/project"),
            command: format!(
                "gcc {} -c -o {output}",
                "-I/project/include -DSOME_MACRO=1 -Wall -Wextra -O2 ".repeat(20)
            ),
            reads: vec![Read::File(Path::new("/project/source.c"))],
            at_once: None,
        }
    }

    fn done(number: u32, result: gg_force::Outcome, log: Vec<Attempt>) -> Finished {
        let second = Duration::from_secs(1);
        Finished {
            name: name(number),
            kind: "compile".into(),
            label: "".into(),
            result,
            served: gg_force::Served::Executed { engine: "local".into() },
            attempts: 1,
            queued: second,
            ran: second,
            ready: Some(second),
            ended: second * 3,
            log,
        }
    }

    fn attempt(end: AttemptEnd) -> Attempt {
        let phases = Phases { run: Duration::from_millis(700), ..Phases::default() };
        let (sent, ended) = (Duration::from_secs(1), Duration::from_secs(2));
        Attempt { engine: "local".into(), worker: Some(1), sent, ended, phases, end, ..Attempt::default() }
    }

    #[test]
    fn fifty_thousand_steps() {
        const STEPS: u32 = 50_000;
        let recorder = Recorder::new(Instant::now());
        for number in 0..STEPS {
            // By what has not been made yet, and by what has.
            let needed = number.checked_sub(7).map(|number| (name(number), entry(number).label));
            let mut entry = entry(number);
            if let Some((thunk, label)) = &needed {
                let read = if number.is_multiple_of(2) { Read::Output(thunk) } else { Read::File(Path::new(label)) };
                entry.reads.push(read);
            }
            recorder.enter(entry);
        }
        recorder.enter(entry(5));
        for number in 0..STEPS {
            let reduction = Reduction {
                thunk: name(number),
                outputs: BTreeMap::new(),
                undeclared: BTreeMap::new(),
                stdout: vec![],
                stderr: vec![],
                cost: Cost { wall_us: 9, cpu_us: 8, peak_kib: 7 },
            };
            recorder.finished(&done(number, Ok(reduction.into()), vec![attempt(AttemptEnd::Done)]));
        }
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::of(dir.path(), Path::new("/project"));
        let head = Record { version: VERSION, ..Record::default() };
        let number = runs.save(&head, recorder.take_steps()).unwrap();
        let steps = runs.load(number).unwrap().steps;
        assert_eq!(steps.len(), STEPS as usize);
        for (number, step) in (0..STEPS).zip(&steps) {
            let want = entry(number);
            assert_eq!((&step.label, &step.command, &step.outputs), (&want.label, &want.command, &want.outputs));
            assert_eq!(step.needs, number.checked_sub(7).into_iter().collect::<Vec<_>>());
            assert_eq!((step.served, step.took_us(), step.peak_kib), (Served::Executed, 700_000, 7));
        }
    }

    #[test]
    fn failures_are_kept_whole_as_far_as_there_is_room() {
        let recorder = Recorder::new(Instant::now());
        let failed = |stderr: usize| {
            let program = gg_force::Failure {
                status: gg_force::Status::Signalled(11),
                stdout: b"o\xff".to_vec(),
                stderr: vec![b'e'; stderr],
                cost: Cost::default(),
                missing_outputs: vec![],
                outputs: BTreeMap::new(),
                undeclared: BTreeMap::new(),
            };
            Err(ThunkFailure { name: name(0), cause: Cause::Program(Box::new(program)) }.into())
        };
        let count = (ALL_OUTPUT / LONGEST_OUTPUT) as u32 + 2;
        for number in 0..count {
            recorder.enter(entry(number));
            let log = vec![attempt(AttemptEnd::Beaten), attempt(AttemptEnd::Failed)];
            recorder.finished(&done(number, failed(LONGEST_OUTPUT + 1), log));
        }
        let cancelled = Err(ThunkFailure { name: name(0), cause: Cause::Cancelled }.into());
        recorder.enter(entry(count));
        recorder.finished(&done(count, cancelled, vec![]));
        recorder.enter(entry(count + 1));
        recorder.enter_known(&name(count + 1), 3);
        recorder.enter(entry(count + 2));
        let mut written = Vec::new();
        file::write(&Record { version: VERSION, ..Record::default() }, recorder.take_steps(), &mut written).unwrap();
        let steps = file::read(&written[..]).unwrap().steps;
        let first = &steps[0];
        assert_eq!(
            (first.served, first.status, first.stdout.as_deref()),
            (Served::Failed, Some(139), Some("o\u{fffd}"))
        );
        assert_eq!(first.failure.as_deref(), Some("killed by signal 11"));
        assert_eq!(first.engine.as_deref(), Some("local"));
        let kept = |step: &StepRecord| step.stderr.as_ref().map_or(0, String::len);
        assert_eq!(kept(first), LONGEST_OUTPUT + CUT.len());
        assert!(steps.iter().map(kept).sum::<usize>() <= ALL_OUTPUT + LONGEST_OUTPUT);
        let last = &steps[count as usize..];
        let served: Vec<Served> = last.iter().map(|step| step.served).collect();
        assert_eq!(served, [Served::NotRun, Served::Cached, Served::Pending]);
        assert_eq!((last[1].status, last[2].status, last[2].ended_us), (Some(3), None, None));
    }
}
