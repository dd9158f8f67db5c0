//! What a person is told of steps that failed: each once, when it fails, and a list at the end.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gg_force::{Cause, Finished, Served, Status, ThunkFailure};
use gg_ir::{Input, Name, Thunk};
use gg_store::Store;

use super::deliver::CommandLine;
use crate::console::{Console, printable};
use crate::inspect::words;
use crate::report::{AttemptRecord, End};
use crate::shell;

/// As many are listed at the end.
const LISTED: usize = 8;

/// As many tries are shown of a step that could not be run.
const TRIES: usize = 12;

/// The engine that need not be named: it is where everything is.
const HERE: &str = "local";

/// How a step ran that failed.
#[derive(Clone, Debug)]
pub struct Run {
    /// What it was to make, for a person.
    pub label: Arc<str>,
    /// The engine whose word is believed, if one ran it.
    pub engine: Option<Arc<str>>,
    /// How often it was started.
    pub attempts: u32,
    /// What engines tried, in the order in which that ended; nothing where it succeeded.
    pub tries: Vec<AttemptRecord>,
}

impl Run {
    /// What a coordinator told.
    pub fn of(done: &Finished) -> Self {
        let engine = match &done.served {
            Served::Executed { engine } => Some(engine.clone()),
            Served::FromCache | Served::NotRun => None,
        };
        // Of thousands that succeed nobody asks.
        let tries = if done.result.is_err() { done.log.iter().map(AttemptRecord::from).collect() } else { Vec::new() };
        Self { label: done.label.clone(), engine, attempts: done.attempts, tries }
    }

    /// Where it ran, if that is not here.
    fn place(&self) -> String {
        let Some(engine) = self.engine.as_deref().filter(|engine| *engine != HERE) else { return String::new() };
        let mut tries = self.tries.iter().rev();
        let believed = tries.find(|attempt| attempt.end == End::Failed && attempt.engine == engine);
        let place = words::on_worker(engine, believed.and_then(|attempt| attempt.worker));
        if self.attempts > 1 { format!(", {place}, {} times", self.attempts) } else { format!(", {place}") }
    }

    /// What was tried, a line each, as the lines go below a step that could not be run.
    fn tried(&self) -> String {
        let lines =
            self.tries.iter().take(TRIES).map(|attempt| format!("\n    {}", printable(&words::attempt(attempt))));
        let mut text: String = lines.collect();
        if let Some(more @ 1..) = self.tries.len().checked_sub(TRIES) {
            text += &format!("\n    and {more} more tries");
        }
        text
    }
}

/// The failures of a build.
#[derive(Debug)]
pub struct Failures {
    /// Where the person is.
    root: PathBuf,
    store: Arc<Store>,
    console: Arc<Console>,
    /// What was to be made, and why it was not.
    told: Mutex<Vec<(String, String)>>,
    not_run: AtomicU64,
    any: AtomicBool,
    interrupted: AtomicBool,
}

impl Failures {
    /// None yet.
    pub fn new(store: Arc<Store>, console: Arc<Console>) -> Self {
        Self {
            // Where it is gone, paths are shown whole.
            root: std::env::current_dir().unwrap_or_default(),
            store,
            console,
            told: Mutex::default(),
            not_run: AtomicU64::new(0),
            any: AtomicBool::new(false),
            interrupted: AtomicBool::new(false),
        }
    }

    /// Whether there is one, or something that could not be written.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::SeqCst)
    }

    /// How many steps failed, and how many were not run because of it.
    pub fn count(&self) -> (u64, u64) {
        (self.listed().len() as u64, self.not_run.load(Ordering::SeqCst))
    }

    /// A step was not even planned, since what it reads could not be made.
    pub fn not_started(&self) {
        self.not_run.fetch_add(1, Ordering::SeqCst);
    }

    /// From now on, steps that end without a result are the interruption's doing and need no words.
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
    }

    /// Tells of a step, unless it failed since another one did.
    pub fn tell(&self, thunk: &Name, run: &Run, command: &CommandLine, cause: &Cause) {
        if self.interrupted.load(Ordering::SeqCst) {
            return;
        }
        self.any.store(true, Ordering::SeqCst);
        let made = self.shown(Path::new(&*run.label));
        let from = self.store.read_thunk(thunk).ok().and_then(|thunk| source(&thunk));
        let from = from.map_or_else(String::new, |source| format!(" (from {})", self.shown(&source)));
        let place = run.place();
        let (head, why, stdout, stderr): (_, _, &[u8], &[u8]) = match cause {
            Cause::Program(program) => {
                let why = how(program.status, cause);
                (format!("failed: {made}{from}: {why}{place}"), why, &program.stdout, &program.stderr)
            }
            Cause::Breach(text) => (format!("failed: {made}{from}: {text}{place}"), text.clone(), b"", b""),
            Cause::Infrastructure(text) => {
                let tried = run.tried();
                let told = format!(
                    "not made: {made}{from}; gg could not run its command, which is not at fault\n    {text}{tried}"
                );
                (told, text.clone(), b"", b"")
            }
            Cause::Dependency(_) | Cause::Cancelled => {
                self.not_run.fetch_add(1, Ordering::SeqCst);
                return;
            }
        };
        self.listed().push((made, why + &place));
        let mut text = self.alarm(&format!("gg: {head}\n    {}\n", command.runnable())).into_bytes();
        text.extend_from_slice(stderr);
        if !stderr.is_empty() && !stderr.ends_with(b"\n") {
            text.push(b'\n');
        }
        self.console.output(stdout, &text);
    }

    /// Tells why a file that `gg force` was to compute is none, and, once, of the step at `root` of it, where it is another.
    pub fn tell_forced(&self, path: &Path, failure: &ThunkFailure, root: Option<&ThunkFailure>) {
        let Some(root) = root else {
            return self.tell_thunk(&failure.name, path, &failure.cause);
        };
        let made = self.store.read_thunk(&root.name).ok().and_then(|thunk| first_output(&thunk));
        let made = made.unwrap_or_else(|| path.to_path_buf());
        if !self.listed().iter().any(|(told, _)| *told == self.shown(&made)) {
            self.tell_thunk(&root.name, &made, &root.cause);
        }
        self.not_run.fetch_add(1, Ordering::SeqCst);
        self.console.notice(&format!("not made: {}, since {} failed", self.shown(path), self.shown(&made)));
    }

    /// Tells of a thunk that no call was planned for here: its command is in it.
    fn tell_thunk(&self, name: &Name, made: &Path, cause: &Cause) {
        let function = self.store.read_thunk(name).map(|thunk| thunk.function.clone());
        let command = function.map_or_else(
            |_| CommandLine { argv: Vec::new(), cwd: self.root.clone() },
            |function| CommandLine { argv: function.args, cwd: function.cwd.as_path().to_path_buf() },
        );
        let run = Run { label: made.to_string_lossy().into(), engine: None, attempts: 1, tries: Vec::new() };
        self.tell(name, &run, &command, cause);
    }

    /// Why a step has no result, with files for thunks.
    pub fn why(&self, cause: &Cause) -> String {
        let Cause::Dependency(name) = cause else { return cause.to_string() };
        let made = self.store.read_thunk(name).ok().and_then(|thunk| first_output(&thunk));
        made.map_or_else(|| cause.to_string(), |path| format!("{} failed", self.shown(&path)))
    }

    /// Tells of a file that could not be written.
    pub fn tell_unwritten(&self, path: &Path, why: &str) {
        self.any.store(true, Ordering::SeqCst);
        self.listed().push((self.shown(path), format!("cannot be written: {why}")));
        let advice = "free space or permissions, then build again";
        self.console.notice(&format!("cannot write {}: {why}; {advice}", path.display()));
    }

    /// What there is to say at the end of a build, in lines; nothing where nothing failed.
    pub fn summary(&self) -> Option<String> {
        let (told, not_run) = (self.listed(), self.not_run.load(Ordering::SeqCst));
        if told.is_empty() && not_run == 0 {
            return None;
        }
        let mut text = format!("{} {} failed", told.len(), if told.len() == 1 { "step" } else { "steps" });
        if not_run > 0 {
            let because = if told.len() == 1 { "it" } else { "them" };
            text += &format!(
                ", and {not_run} more {} not run because of {because}",
                if not_run == 1 { "was" } else { "were" }
            );
        }
        if let [(made, _)] = &told[..] {
            return Some(format!("{text}; to see it again: gg log {}", shell::quote(made.as_ref())));
        }
        for (made, why) in told.iter().take(LISTED) {
            // What an engine says may be long, and was told in full.
            let why = why.lines().next().unwrap_or_default();
            let short = why.char_indices().nth(100).map_or(why, |(end, _)| &why[..end]);
            text += &format!("\n    {made}: {short}");
        }
        if let Some(more @ 1..) = told.len().checked_sub(LISTED) {
            text += &format!("\n    and {more} more");
        }
        if !told.is_empty() {
            text += "\nto see one again: gg log FILE";
        }
        Some(text)
    }

    /// A path as the person calls it.
    fn shown(&self, path: &Path) -> String {
        printable(&path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy())
    }

    /// The first line of a text in a colour that is seen among many others.
    fn alarm(&self, text: &str) -> String {
        match text.split_once('\n') {
            Some((head, rest)) if self.console.has_colour() => format!("\x1b[1;31m{head}\x1b[m\n{rest}"),
            _ => text.to_owned(),
        }
    }

    fn listed(&self) -> std::sync::MutexGuard<'_, Vec<(String, String)>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a program ended, with the signal's name where there was one.
fn how(status: Status, cause: &Cause) -> String {
    match status {
        Status::Signalled(signal) => format!("killed by {}", signal_name(signal)),
        // What a shell or a compiler's driver says of a program below it.
        Status::Exited(status @ 129..=192) => format!("exit status {status} (as of {})", signal_name(status - 128)),
        Status::Exited(_) | Status::OverTime => cause.to_string(),
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL: perhaps the machine ran out of memory",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}

/// The source that a command is about: the one input that it names, if it names one.
fn source(thunk: &Thunk) -> Option<PathBuf> {
    let cwd = thunk.function.cwd.as_path();
    let outputs: Vec<&Path> = thunk.outputs.values().map(|output| output.path.as_path()).collect();
    let is_input = |path: &PathBuf| {
        !outputs.contains(&path.as_path())
            && gg_ir::AbsPath::new(path.clone()).is_ok_and(
                |path| matches!(thunk.inputs.get(&path), Some(Input::File { object, .. }) if object.thunk().is_none()),
            )
    };
    let mut named = thunk.function.args.iter().skip(1).map(|arg| cwd.join(arg)).filter(is_input);
    named.next().filter(|_| named.next().is_none())
}

/// The file that a thunk is for.
fn first_output(thunk: &Thunk) -> Option<PathBuf> {
    let needed = thunk.outputs.values().find(|output| !output.optional).or(thunk.outputs.values().next());
    needed.map(|output| output.path.as_path().to_path_buf())
}

#[cfg(test)]
mod tests {
    use gg_force::Failure;
    use gg_ir::{Cost, Kind};

    use super::*;
    use crate::console::Look;

    fn failures() -> (tempfile::TempDir, Failures) {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        (folder, Failures::new(store, Arc::new(Console::new(Look::default()))))
    }

    fn program(status: Status) -> Cause {
        Cause::Program(Box::new(Failure {
            status,
            stdout: Vec::new(),
            stderr: Vec::new(),
            cost: Cost::default(),
            missing_outputs: Vec::new(),
            outputs: Default::default(),
            undeclared: Default::default(),
        }))
    }

    fn tell(failures: &Failures, label: &str, engine: &str, cause: &Cause) {
        failures.tell(
            &Name::of(Kind::Thunk, label.as_bytes()),
            &ran(failures, label, engine, cause),
            &command(),
            cause,
        );
    }

    fn command() -> CommandLine {
        CommandLine { argv: vec!["cc".into()], cwd: "/".into() }
    }

    fn ran(failures: &Failures, label: &str, engine: &str, cause: &Cause) -> Run {
        let attempt = |end, worker, trouble: Option<&str>| AttemptRecord {
            engine: engine.to_owned(),
            worker,
            ended_us: 250_000,
            end,
            trouble: trouble.map(str::to_owned),
            ..AttemptRecord::default()
        };
        let tries = match cause {
            Cause::Infrastructure(_) => vec![
                attempt(End::Broken, Some(1), Some("reset\nby peer")),
                AttemptRecord { duplicate: true, ..attempt(End::Beaten, None, None) },
            ],
            _ => vec![attempt(End::Broken, Some(1), Some("reset")), attempt(End::Failed, Some(7), None)],
        };
        Run {
            label: failures.root.join(label).display().to_string().into(),
            engine: Some(engine.into()),
            attempts: 2,
            tries,
        }
    }

    #[test]
    fn one_failure_and_several() {
        let (_folder, failures) = failures();
        assert_eq!(failures.summary(), None);
        tell(&failures, "a b.o", HERE, &program(Status::Exited(1)));
        let one = "1 step failed; to see it again: gg log 'a b.o'";
        assert_eq!(failures.summary().as_deref(), Some(one));
        tell(&failures, "app", HERE, &Cause::Cancelled);
        assert_eq!(failures.count(), (1, 1));
        tell(&failures, "c.o", "lambda", &program(Status::Signalled(libc::SIGSEGV)));
        tell(&failures, "d.o", HERE, &Cause::Infrastructure("engine 'lambda' failed 4 times: lost".into()));
        let several = "3 steps failed, and 1 more was not run because of them\n    a b.o: exit status 1\n    \
                       c.o: killed by signal 11 (SIGSEGV), on lambda (worker 7), 2 times\n    \
                       d.o: engine 'lambda' failed 4 times: lost\nto see one again: gg log FILE";
        assert_eq!(failures.summary().as_deref(), Some(several));
        (0..LISTED).for_each(|at| tell(&failures, &format!("{at}.o"), HERE, &program(Status::Exited(1))));
        assert!(failures.summary().unwrap().contains("\n    and 3 more\n"));
    }

    #[test]
    fn what_was_tried() {
        let (_folder, failures) = failures();
        let cause = Cause::Infrastructure("lost".into());
        let run = ran(&failures, "a.o", "lambda", &cause);
        let tried = "\n    a try on lambda (worker 1), broken after 0.25 s: reset\n    \
                     a duplicate on lambda, beaten after 0.25 s";
        assert_eq!(run.tried(), tried);
        let many = Run { tries: vec![run.tries[1].clone(); TRIES + 3], ..run };
        assert!(many.tried().ends_with("\n    and 3 more tries"));
        assert_eq!(many.tried().lines().count(), TRIES + 2);
        assert_eq!(ran(&failures, "a.o", HERE, &Cause::Cancelled).place(), "");
    }

    #[test]
    fn what_a_driver_says_of_a_compiler_that_was_killed() {
        assert_eq!(
            how(Status::Exited(137), &Cause::Cancelled),
            "exit status 137 (as of signal 9 (SIGKILL: perhaps the machine ran out of memory))"
        );
    }
}
