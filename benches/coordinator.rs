//! What the coordinator costs for each thunk, and how good its schedules are.
//!
//! - `bench-coordinator [--thunks N] [--workers N] [--json]`: 100,000 thunks on 10,000 imagined workers
//!
//! First the plan, which decides everything, by itself and on imagined time; then the whole coordinator that builds use, with all
//! its threads, in real time, on an engine that answers at once and a store with nothing in it. The thunks themselves are made
//! before, and are not counted; what the coordinator keeps of them is. Counted as its own is also what engines hand over: the
//! reductions.
//!
//! Prints lines of a label, a figure, and what it is to be compared with.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gg_force::simulator::{Bare, Bounds, RecordedStep, Recording, Shape, synthetic};
use gg_force::{
    Config, Coordinator, Engine, EngineResult, History, Ledger, LedgerError, NoObserver, Policy, RealClock, Request,
    ThunkId, Work,
};
use gg_ir::{AbsPath, Cost, Function, Input, Kind, Made, Name, Output, Reduction, Reference, Tag, Thunk};

type Any<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Counts the bytes that are allocated.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        grow(size);
        // SAFETY: as the caller's.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A store in which nothing is, and nothing is kept.
struct Empty;

impl Ledger for Empty {
    fn read_thunk(&self, name: &Name) -> Result<Arc<Thunk>, LedgerError> {
        Err(LedgerError::Missing(*name))
    }

    fn reduction(&self, _: &Name) -> Result<Option<Reduction>, LedgerError> {
        Ok(None)
    }

    fn record(&self, _: &Reduction) -> Result<(), LedgerError> {
        Ok(())
    }

    fn read(&self, value: &Name) -> Result<Vec<u8>, LedgerError> {
        Err(LedgerError::Missing(*value))
    }

    fn begins(&self, value: &Name, _: &[u8]) -> Result<bool, LedgerError> {
        Err(LedgerError::Missing(*value))
    }

    fn put(&self, kind: Kind, bytes: &[u8]) -> Result<Name, LedgerError> {
        Ok(Name::of(kind, bytes))
    }

    fn forget(&self, _: &Name) {}
}

/// An engine that is done at once, on a thread of its own.
struct AtOnce {
    workers: usize,
    tag: Tag,
    jobs: std::sync::mpsc::Sender<Job>,
}

type Job = (Reduction, Box<dyn FnOnce(EngineResult) + Send>);

impl AtOnce {
    fn start(workers: usize, tag: Tag) -> Self {
        let (jobs, inbox) = std::sync::mpsc::channel::<Job>();
        std::thread::spawn(move || inbox.into_iter().for_each(|(reduction, done)| done(EngineResult::Done(reduction))));
        Self { workers, tag, jobs }
    }
}

impl Engine for AtOnce {
    fn name(&self) -> &str {
        "imagined"
    }

    fn capacity(&self) -> usize {
        self.workers
    }

    fn start(&self, work: Work, done: Box<dyn FnOnce(EngineResult) + Send>) {
        // The thread ends after this sender.
        let _ = self.jobs.send((reduction(work.name, &self.tag), done));
    }

    fn cancel(&self, _: ThunkId) {}

    fn stop(&self) {}
}

/// What an imagined thunk comes to.
fn reduction(thunk: Name, tag: &Tag) -> Reduction {
    let object = Reference::Value(Name::from_parts(gg_ir::Kind::Value, *thunk.digest(), 1));
    Reduction {
        thunk,
        outputs: [(tag.clone(), Made { object, mode: 0o644 })].into(),
        undeclared: BTreeMap::new(),
        stdout: Vec::new(),
        stderr: Vec::new(),
        cost: Cost::default(),
    }
}

/// The thunks of these steps, with their names.
fn thunks(recording: &Recording, tag: &Tag) -> Any<Vec<(Name, Arc<Thunk>)>> {
    let mut made: Vec<(Name, Arc<Thunk>)> = Vec::with_capacity(recording.steps().len());
    for (number, step) in recording.steps().iter().enumerate() {
        let mut inputs = BTreeMap::new();
        for &need in &step.needs {
            let object = Reference::Output(made[need as usize].0, tag.clone());
            inputs.insert(AbsPath::new(format!("/p/{need}.o"))?, Input::File { object, mode: 0o644 });
        }
        let thunk = Thunk {
            function: Function {
                executable: AbsPath::new("/usr/bin/cc")?,
                args: Vec::new(),
                env: BTreeMap::new(),
                cwd: AbsPath::root(),
                umask: number as u32,
            },
            inputs,
            outputs: [(tag.clone(), Output { path: AbsPath::new("/p/o")?, optional: false, dynamic: false })].into(),
            timeout: None,
            volatile: false,
            strict: false,
        };
        made.push((thunk.name(), Arc::new(thunk)));
    }
    Ok(made)
}

/// Libraries of 99 compiles of 20 to 40 s and an archive of 1 s; ten of them for each program.
fn libraries(steps: usize) -> Recording {
    let mut made: Vec<RecordedStep> = Vec::with_capacity(steps);
    let mut archives = Vec::new();
    let mut step = |kind: &str, seconds: u64, needs: Vec<u32>| {
        let (number, micros) = (made.len(), seconds * 1_000_000);
        let label = format!("/p/src/{kind}{number}.o");
        made.push(RecordedStep {
            kind: kind.into(),
            label,
            wall_us: micros,
            cpu_us: micros,
            needs,
            ..Default::default()
        });
        number as u32
    };
    for library in 0..steps / 100 {
        let objects = (0..99).map(|at| step("compile", 20 + (library * 7 + at * 13) as u64 % 21, Vec::new())).collect();
        archives.push(step("archive", 1, objects));
        if archives.len() == 10 {
            step("link", 1, std::mem::take(&mut archives));
        }
    }
    Recording::new(made).unwrap_or_default()
}

/// Seconds of CPU time of all threads.
fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it fills the structure.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// What was spent since something began: CPU seconds, bytes at most, and bytes that are still held.
struct Spent {
    cpu: f64,
    live: usize,
}

impl Spent {
    fn begin() -> Self {
        let live = LIVE.load(Ordering::Relaxed);
        MOST.store(live, Ordering::Relaxed);
        Self { cpu: cpu(), live }
    }

    fn end(&self) -> (f64, usize, usize) {
        let held = LIVE.load(Ordering::Relaxed).saturating_sub(self.live);
        (cpu() - self.cpu, MOST.load(Ordering::Relaxed).saturating_sub(self.live), held)
    }
}

/// A build to be measured with.
struct Build {
    recording: Recording,
    tag: Tag,
    thunks: Vec<(Name, Arc<Thunk>)>,
}

impl Build {
    fn of(recording: Recording) -> Any<Self> {
        let tag = Tag::new("o")?;
        let thunks = thunks(&recording, &tag)?;
        Ok(Self { recording, tag, thunks })
    }

    fn requests(&self) -> impl Iterator<Item = Request> {
        self.recording.steps().iter().zip(&self.thunks).map(|(step, (name, thunk))| Request {
            name: *name,
            thunk: Some(thunk.clone()),
            kind: step.kind.clone(),
            label: step.label.clone(),
            volatile: false,
            eager: false,
            anew: false,
        })
    }

    fn history(&self) -> History {
        self.recording.steps().iter().map(|step| (&step.kind, &step.label, step.work())).collect()
    }

    /// The plan by itself; what it spent, and the makespan.
    fn plan(&self, workers: usize) -> Any<((f64, usize, usize), f64)> {
        let history = self.history();
        let spent = Spent::begin();
        let mut bare = Bare::new(workers, history);
        self.requests().for_each(|request| bare.add(request));
        let time = |thunk: u32| self.recording.steps()[thunk as usize].work();
        let (ended, done) = bare.run(time, |thunk| reduction(self.thunks[thunk as usize].0, &self.tag));
        let spent = spent.end();
        self.check(done)?;
        Ok((spent, ended.as_secs_f64()))
    }

    /// The whole coordinator.
    fn coordinator(&self, workers: usize) -> Any<(f64, usize, usize)> {
        let config = Config {
            store: Arc::new(Empty),
            engines: vec![Arc::new(AtOnce::start(workers, self.tag.clone()))],
            clock: Arc::new(RealClock::new()),
            policy: Policy::default(),
            history: self.history(),
            observer: Arc::new(NoObserver),
            keep_going: true,
            on_failure: None,
            resupply: None,
        };
        let coordinator = Coordinator::start(config)?;
        let spent = Spent::begin();
        self.requests().for_each(|request| coordinator.add(request));
        let summary = coordinator.wait_all();
        let spent = spent.end();
        self.check(summary.executed)?;
        Ok(spent)
    }

    fn check(&self, done: usize) -> Any {
        let all = self.recording.steps().len();
        if done == all { Ok(()) } else { Err(format!("{done} of {all} thunks were executed").into()) }
    }
}

fn main() -> Any {
    let (mut count, mut workers, mut json) = (100_000, 10_000, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok()).ok_or("a number is missing");
        match &*argument {
            "--thunks" => count = number()?,
            "--workers" => workers = number()?,
            "--json" => json = true,
            _ => return Err("bench-coordinator [--thunks N] [--workers N] [--json]".into()),
        }
    }
    let mut rows: Vec<(String, f64, &str, String)> = Vec::new();
    let (libraries, realistic) = (libraries(count), synthetic(&Shape::of(count), 1));
    for (shape, recording) in [("libraries", libraries), ("a C++ build", realistic)] {
        let build = Build::of(recording)?;
        let steps = build.recording.steps().len();
        let each = |figure: f64| figure / steps as f64;
        let ((cpu, most, held), makespan) = build.plan(workers)?;
        let (all_cpu, all_most, _) = build.coordinator(workers)?;
        let bound = Bounds::of(&build.recording).least_s(workers, 1.0);
        let mut row = |label: &str, figure: f64, unit, beside: &str| {
            rows.push((format!("{label} ({shape}: {steps} thunks)"), figure, unit, beside.to_owned()));
        };
        row("plan, CPU a thunk", each(cpu * 1e6), "us", "at most 20");
        row("plan, memory a thunk", each(most as f64), "B", "at most 1500");
        row("plan, memory a thunk in the end", each(held as f64), "B", "");
        row("coordinator with its threads, CPU a thunk", each(all_cpu * 1e6), "us", "at most 20");
        row("coordinator with its threads, memory a thunk", each(all_most as f64), "B", "");
        let least = format!("{workers} workers; at most 1.05 times the critical path, or the work on all of them");
        row("makespan", makespan / bound, "x", &least);
    }
    if json {
        let rows: Vec<String> = rows
            .iter()
            .map(|(label, figure, unit, beside)| {
                format!(r#"{{"label":"{label}","figure":{figure:.3},"unit":"{unit}","beside":"{beside}"}}"#)
            })
            .collect();
        println!("[{}]", rows.join(","));
    } else {
        for (label, figure, unit, beside) in rows {
            println!("{label}\t{figure:.2} {unit}\t{beside}");
        }
    }
    Ok(())
}
